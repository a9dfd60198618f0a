"""Bring a benchmark's declared file into the form in which its kind reads tasks."""

from aiev.core.files import write_text
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import benchmark_of
from aiev.sandbox.api import Limits, open_sandbox, with_containers


def main(job: Job) -> None:
    benchmark = benchmark_of(job.params["benchmark"])
    limits = Limits(**job.params["evaluation"]["scoring"]["limits"])
    with open_sandbox(**with_containers(job.params["sandbox"], job.execution)) as sandbox:
        tasks = benchmark.prepare(job.input("source"), sandbox, limits)
    write_text(job.output("problems"), benchmark.dump(tasks))


if __name__ == "__main__":
    run_job(main, inputs=("source",), outputs=("problems",))
