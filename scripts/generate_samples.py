"""Let a model answer a benchmark's problems, greedily."""

import asyncio
from pathlib import Path

from aiev.benchmarks import read_problems
from aiev.chat import Chat
from aiev.endpoints import serve
from aiev.job import Job, run_job
from aiev.ledger import Ledger
from aiev.records import write_jsonl
from aiev.sampling import generate


def main(job: Job) -> None:
    problems = read_problems(job.input("problems"))
    model, ledger = job.params["model"], job.params["ledger"]
    with serve(model, job.weights(), job.scratch(), job.log_path) as endpoint:
        answers = Ledger(Path(ledger["path"]), ledger["mode"])
        chat = Chat(endpoint, answers, model["timeout_seconds"])
        samples = asyncio.run(_ask(chat, problems, job.params["evaluation"]["max_tokens"]))
    write_jsonl(job.output("samples"), samples)


async def _ask(chat: Chat, problems, max_tokens: int):
    samples = await generate(chat, problems, "benchmark", max_tokens)
    await chat.close()
    return samples


if __name__ == "__main__":
    run_job(main, inputs=("problems", "weights"), outputs=("samples",))
