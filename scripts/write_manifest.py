"""Write the digest of every artifact of a run, and how each was made."""

from aiev.core.files import write_json
from aiev.engine.environment import pins
from aiev.engine.job import Job, run_job
from aiev.provenance.manifest import manifest, provenance


def main(job: Job) -> None:
    whole = manifest(job.params, job.inputs["artifacts"], job.environment)
    write_json(job.output("manifest"), whole)
    write_json(job.output("provenance"), provenance(whole, pins()))


if __name__ == "__main__":
    # Not stored: its provenance comes from files beside the artifacts, which no key covers.
    run_job(main, inputs=("artifacts",), outputs=("manifest", "provenance"), stored=False)
