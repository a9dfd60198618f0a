"""Choose the problems of a benchmark that a run scores."""

from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import choose, read_problems, write_problems


def main(job: Job) -> None:
    problems = read_problems(job.input("problems"))
    write_problems(job.output("chosen"), choose(problems, job.params["subset"]))


if __name__ == "__main__":
    run_job(main, inputs=("problems",), outputs=("chosen",))
