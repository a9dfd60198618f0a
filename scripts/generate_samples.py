"""Let a model answer a benchmark's problems, greedily."""

import asyncio

from aiev.core.files import write_jsonl
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import read_problems
from aiev.evaluation.generate import Decoding, benchmark_prompt, generate
from aiev.llm.client import Chat, open_chat
from aiev.llm.endpoints import serve, with_server


def main(job: Job) -> None:
    problems = read_problems(job.input("problems"))
    model = with_server(job.params["model"], job.execution)
    with serve(model, job.weights(), job.scratch(), job.log_path) as endpoint:
        chat = open_chat(endpoint, job.execution, "samples", model["timeout_seconds"])
        samples = asyncio.run(_ask(chat, problems, job.params["evaluation"]["max_tokens"]))
    job.remarks["answers"] = sorted(chat.used)
    write_jsonl(job.output("samples"), samples)


async def _ask(chat: Chat, problems, max_tokens: int):
    async with chat:
        return await generate(chat, problems, benchmark_prompt, Decoding(max_tokens))


if __name__ == "__main__":
    run_job(main, inputs=("problems", "weights"), outputs=("samples",))
