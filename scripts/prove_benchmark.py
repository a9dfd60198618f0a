"""Score a benchmark's canonical solutions on this machine: all must pass, or be known not to."""

from aiev.core.files import write_json
from aiev.core.hashing import of_file
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import read_problems
from aiev.evaluation.benchmarks.evalplus import Rules, prove
from aiev.sandbox.api import open_sandbox, with_containers


def main(job: Job) -> None:
    problems = read_problems(job.input("problems"))
    scoring, known = (
        job.params["evaluation"]["scoring"],
        job.params["benchmark"]["known_exceptions"],
    )
    rules = Rules.of(scoring)
    judged = (of_file(job.input("problems")), scoring, job.params["sandbox"])
    mark = job.mark("proved", *judged)
    with open_sandbox(**with_containers(job.params["sandbox"], job.execution)) as sandbox:
        proof = prove(problems, sandbox, rules, known, mark)
    write_json(job.output("proof"), proof)


if __name__ == "__main__":
    run_job(main, inputs=("problems",), outputs=("proof",))
