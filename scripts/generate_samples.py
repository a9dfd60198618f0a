"""Let a model answer a benchmark's problems, greedily."""

import asyncio
from pathlib import Path

from aiev.benchmarks import read_problems
from aiev.chat import Chat
from aiev.digests import of_path
from aiev.endpoints import serve
from aiev.job import Job, run_job
from aiev.ledger import Ledger
from aiev.records import write_jsonl
from aiev.sampling import generate


async def ask(job: Job, endpoint) -> list:
    ledger = Ledger(Path(job.params["ledger"]["path"]), job.params["ledger"]["mode"])
    async with Chat(endpoint, ledger) as client:
        problems = read_problems(job.input("problems"))
        return await generate(client, problems, "solve", job.params["benchmark"]["max_tokens"])


def main(job: Job) -> None:
    weights = job.inputs["weights"][0] if job.inputs["weights"] else None
    digest = of_path(weights) if weights else ""
    settings = job.params["model"]
    with serve(settings, weights, digest, job.scratch(), job.log_path) as endpoint:
        write_jsonl(job.output("samples"), asyncio.run(ask(job, endpoint)))


if __name__ == "__main__":
    run_job(main, inputs=("problems", "weights"), outputs=("samples",))
