"""Write the digest of every artifact of a run, and how each was made."""

from aiev.environment import pins
from aiev.job import Job, run_job
from aiev.manifest import manifest, provenance
from aiev.records import write_json


def main(job: Job) -> None:
    whole = manifest(job.params, job.inputs["artifacts"], job.environment)
    write_json(job.output("manifest"), whole)
    write_json(job.output("provenance"), provenance(whole, pins()))


if __name__ == "__main__":
    # Not stored: its provenance comes from files beside the artifacts, which no key covers.
    run_job(main, inputs=("artifacts",), outputs=("manifest", "provenance"), stored=False)
