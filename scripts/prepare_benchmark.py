"""Bring a benchmark's problems into EvalPlus's format."""

from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import read_problems, write_problems
from aiev.evaluation.benchmarks.humaneval import convert
from aiev.sandbox.api import Limits, open_sandbox, with_containers


def main(job: Job) -> None:
    problems = read_problems(job.input("source"))
    limits = Limits(**job.params["evaluation"]["scoring"]["limits"])
    with open_sandbox(**with_containers(job.params["sandbox"], job.execution)) as sandbox:
        problems = convert(problems, sandbox, limits, job.params["evaluation"]["max_inputs"])
    write_problems(job.output("problems"), problems)


if __name__ == "__main__":
    run_job(main, inputs=("source",), outputs=("problems",))
