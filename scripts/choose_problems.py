"""Choose the tasks of a benchmark that a run scores."""

from aiev.core.files import write_text
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import benchmark_of
from aiev.evaluation.subsets import choose, subset_of


def main(job: Job) -> None:
    benchmark = benchmark_of(job.params["benchmark"])
    subset = subset_of(job.params["benchmark"])
    tasks = choose(benchmark.load(job.input("problems")), subset, benchmark.name)
    write_text(job.output("chosen"), benchmark.dump(tasks))


if __name__ == "__main__":
    run_job(main, inputs=("problems",), outputs=("chosen",))
