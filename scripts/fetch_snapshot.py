"""Fetch a declared model as the hub has it, and check every byte of it."""

from aiev.engine.job import Job, run_job
from aiev.resources.declare import declared_snapshot
from aiev.resources.snapshot import fetch_snapshot
from aiev.training.checkpoints import INFERENCE_FILES, check_checkpoint


def main(job: Job) -> None:
    target = job.output("snapshot")
    snapshot = declared_snapshot(job.params["declaration"])
    fetch_snapshot(snapshot, INFERENCE_FILES, target, job.scratch() / "hub")
    check_checkpoint(target)


if __name__ == "__main__":
    run_job(main, outputs=("snapshot",), stored=False)
