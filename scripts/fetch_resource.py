"""Fetch one declared external file and check every byte of it."""

from aiev.engine.job import Job, run_job
from aiev.resources.declare import declared
from aiev.resources.fetch import fetch


def main(job: Job) -> None:
    resource = declared(job.params["declaration"])
    fetch(resource, job.output("resource"), job.scratch() / "wheels")


if __name__ == "__main__":
    run_job(main, outputs=("resource",), stored=False)
