"""Score a model's samples with EvalPlus, on a benchmark that is proved on this machine."""

from aiev.core.files import read_json, read_jsonl, write_json
from aiev.core.hashing import of_file
from aiev.core.log import log
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import read_problems
from aiev.evaluation.benchmarks.evalplus import (
    Rules,
    check_proof,
    evaluate,
    prove,
    score,
    solutions_of,
)
from aiev.sandbox.api import open_sandbox, with_containers


def main(job: Job) -> None:
    problems, proof = read_problems(job.input("problems")), read_json(job.input("proof"))
    check_proof(proof, problems, str(job.input("proof")))
    samples = job.input("samples")
    solutions = solutions_of(read_jsonl(samples), problems, str(samples))
    scoring, known = (
        job.params["evaluation"]["scoring"],
        job.params["benchmark"]["known_exceptions"],
    )
    rules = Rules.of(scoring)
    judged = (of_file(job.input("problems")), scoring, job.params["sandbox"])
    mark = job.mark("proved", *judged)
    with open_sandbox(**with_containers(job.params["sandbox"], job.execution)) as sandbox:
        if not mark.exists():
            log.info("the proof is of another machine or an earlier run: proving it here, too")
            prove(problems, sandbox, rules, known, mark)
        result = evaluate(problems, solutions, sandbox, rules)
    names = {"model": job.params["model"], "benchmark": job.params["benchmark"]["name"]}
    write_json(job.output("results"), result)
    write_json(job.output("score"), {**names, **score(problems, samples, result, proof)})


if __name__ == "__main__":
    run_job(main, inputs=("problems", "samples", "proof"), outputs=("results", "score"))
