"""Make the student's checkpoint directory from its pinned weights."""

from pathlib import Path

from aiev.engine.job import Job, run_job
from aiev.training.checkpoints import prepare_student


def main(job: Job) -> None:
    student = job.params["models"]["student"]
    template = job.input("template") if job.inputs["template"] else None
    weights = _weights(job.inputs["weights"])
    prepare_student(weights, job.output("student"), student["dtype"], template)


def _weights(paths: list[Path]) -> Path:
    """The file or directory of the weights; for files of a checkpoint the directory they are in."""
    return paths[0] if len(paths) == 1 else paths[0].parent


if __name__ == "__main__":
    run_job(main, inputs=("weights", "template"), outputs=("student",))
