"""Let a model answer a benchmark's tasks, greedily."""

import asyncio

from aiev.core.files import write_jsonl
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import Task, benchmark_of
from aiev.evaluation.generate import Decoding, generate
from aiev.evaluation.styles import Style
from aiev.llm.client import ChatClient, open_client
from aiev.llm.endpoints import serve, with_server


def main(job: Job) -> None:
    benchmark = benchmark_of(job.params["benchmark"])
    tasks = benchmark.load(job.input("problems"))
    style = benchmark.style(job.params["style"])
    model = with_server(job.params["model"], job.execution)
    with serve(model, job.weights(), job.scratch(), job.log_path) as endpoint:
        chat = open_client(endpoint, job.execution, "samples", model["timeout_seconds"])
        decoding = Decoding(job.params["evaluation"]["max_tokens"])
        asked = style.where(endpoint.goes_on is not None)
        samples = asyncio.run(_generate(chat, tasks, asked, decoding))
    job.remarks["answers"] = sorted(chat.used)
    write_jsonl(job.output("samples"), samples)


async def _generate(chat: ChatClient, tasks: list[Task], style: Style, decoding: Decoding):
    async with chat:
        return await generate(chat, tasks, style, decoding)


if __name__ == "__main__":
    run_job(main, inputs=("problems", "weights"), outputs=("samples",))
