"""Choose the problems of a benchmark that a run scores."""

from aiev.benchmarks import choose, read_problems
from aiev.job import Job, run_job
from aiev.records import write_jsonl


def main(job: Job) -> None:
    problems = read_problems(job.input("problems"))
    write_jsonl(job.output("chosen"), choose(problems, job.params["subset"]))


if __name__ == "__main__":
    run_job(main, inputs=("problems",), outputs=("chosen",))
