"""Score a model's samples on a benchmark that is validated on this machine."""

from aiev.core.files import read_json, write_json
from aiev.core.hashing import of_file
from aiev.engine.job import Job, run_job
from aiev.evaluation.answers import counts
from aiev.evaluation.benchmarks.base import ScoringLimits, benchmark_of
from aiev.evaluation.reach import reached
from aiev.evaluation.samples import read_samples, solutions_of
from aiev.evaluation.scoring import check_validation, host_facts, results, score, validate_here
from aiev.evaluation.styles import record
from aiev.evaluation.subsets import subset_of
from aiev.evaluation.with_interpreter import as_asked
from aiev.sandbox.api import open_sandbox, with_containers


def main(job: Job) -> None:
    benchmark = benchmark_of(job.params["benchmark"])
    tasks, samples = benchmark.load(job.input("problems")), job.input("samples")
    validation = read_json(job.input("validation"))
    check_validation(validation, benchmark, tasks, str(job.input("validation")))
    read = read_samples(samples)
    rows, solutions = [row for _, row in read], solutions_of(read, tasks, str(samples))
    scoring, known = (
        job.params["evaluation"]["scoring"],
        job.params["benchmark"]["known_exceptions"],
    )
    limits = ScoringLimits.of(scoring, job.execution["scoring_slots"])
    judged = (of_file(job.input("problems")), scoring, job.params["sandbox"])
    with open_sandbox(**with_containers(job.params["sandbox"], job.execution)) as sandbox:
        versions = benchmark.versions(sandbox)
        facts = host_facts(benchmark, job.environment, versions)
        marker = job.mark("validated", *judged, facts)
        # The validation may come from another machine, or from this one before an upgrade.
        validate_here(benchmark, tasks, sandbox, limits, known, marker, facts)
        verdicts = benchmark.judge(tasks, solutions, sandbox, limits)
    write_json(job.output("results"), results(benchmark, tasks, verdicts))
    found = score(benchmark, tasks, verdicts, validation, of_file(samples))
    name, prefilled = job.params["style"], any(row.get("prefill") for row in rows)
    style = record(name, as_asked(benchmark.style(name), rows), tasks, prefilled)
    own = {"model": job.params["model"], "answers": counts(rows), "style": style}
    own["subset"] = subset_of(job.params["benchmark"])
    own["versions"] = dict(versions)
    own["reached"] = reached(benchmark, tasks, solutions, verdicts)
    write_json(job.output("score"), {**own, **found})


if __name__ == "__main__":
    run_job(main, inputs=("problems", "samples", "validation"), outputs=("results", "score"))
