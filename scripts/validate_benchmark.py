"""Score a benchmark's canonical solutions on this machine: all must pass, or be known not to."""

from aiev.core.files import write_json
from aiev.core.hashing import of_file
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import ScoringLimits, benchmark_of
from aiev.evaluation.scoring import host_facts, mark_host, validate_canonical
from aiev.sandbox.api import open_sandbox, with_containers


def main(job: Job) -> None:
    benchmark = benchmark_of(job.params["benchmark"])
    tasks = benchmark.load(job.input("problems"))
    scoring = job.params["evaluation"]["scoring"]
    limits = ScoringLimits.of(scoring, job.execution["scoring_slots"])
    known = job.params["benchmark"]["known_exceptions"]
    with open_sandbox(**with_containers(job.params["sandbox"], job.execution)) as sandbox:
        validation = validate_canonical(benchmark, tasks, sandbox, limits, known)
        versions = benchmark.versions(sandbox)
    facts = host_facts(benchmark, job.environment, versions)
    judged = (
        of_file(job.input("problems")),
        job.params["evaluation"]["scoring"],
        job.params["sandbox"],
    )
    mark_host(job.mark("validated", *judged, facts), facts)
    write_json(job.output("validation"), validation)


if __name__ == "__main__":
    run_job(main, inputs=("problems",), outputs=("validation",))
