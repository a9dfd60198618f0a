"""Let a model answer a benchmark's tasks, greedily."""

import asyncio

from aiev.core.files import write_jsonl
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import Benchmark, benchmark_of
from aiev.evaluation.generate import Decoding, Questions, generate
from aiev.llm.client import ChatClient, open_client
from aiev.llm.endpoints import serve, with_server


def main(job: Job) -> None:
    benchmark = benchmark_of(job.params["benchmark"])
    tasks = benchmark.load(job.input("problems"))
    model = with_server(job.params["model"], job.execution)
    with serve(model, job.weights(), job.scratch(), job.log_path) as endpoint:
        chat = open_client(endpoint, job.execution, "samples", model["timeout_seconds"])
        decoding = Decoding(job.params["evaluation"]["max_tokens"])
        samples = asyncio.run(_generate(chat, benchmark, tasks, decoding))
    job.remarks["answers"] = sorted(chat.used)
    write_jsonl(job.output("samples"), samples)


async def _generate(chat: ChatClient, benchmark: Benchmark, tasks, decoding: Decoding):
    questions = Questions(benchmark.prompt, benchmark.extract)
    async with chat:
        return await generate(chat, tasks, questions, decoding)


if __name__ == "__main__":
    run_job(main, inputs=("problems", "weights"), outputs=("samples",))
