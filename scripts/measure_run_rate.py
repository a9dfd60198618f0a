"""Ask a model prompts with and without a request to run code, and count the runs that it begins."""

from aiev.core.files import write_json
from aiev.engine.job import Job, run_job
from aiev.evaluation.run_rate import measure


def main(job: Job) -> None:
    measured, answers = measure(
        job.params["model"],
        job.weights(),
        job.scratch(),
        job.log_path,
        job.execution,
        job.params["evaluation"]["run_rate"],
    )
    job.remarks["answers"] = answers
    write_json(job.output("rate"), measured)


if __name__ == "__main__":
    run_job(main, inputs=("weights",), outputs=("rate",))
