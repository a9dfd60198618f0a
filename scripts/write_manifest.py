"""Write the digest of every artifact of a run, and how each was made."""

from aiev.job import Job, run_job
from aiev.manifest import manifest
from aiev.records import write_json


def main(job: Job) -> None:
    write_json(job.output("manifest"), manifest(job.params["name"], job.inputs["artifacts"]))


if __name__ == "__main__":
    # Not stored: its provenance comes from files beside the artifacts, which no key covers.
    run_job(main, inputs=("artifacts",), outputs=("manifest",), stored=False)
