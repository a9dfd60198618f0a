"""Make the student's checkpoint directory from its pinned weights."""

from aiev.engine.job import Job, run_job
from aiev.training.checkpoints import prepare_student


def main(job: Job) -> None:
    prepare_student(
        job.input("weights"), job.output("student"), job.params["models"]["student"]["dtype"]
    )


if __name__ == "__main__":
    run_job(main, inputs=("weights",), outputs=("student",))
