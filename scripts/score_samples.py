"""Score a model's samples with EvalPlus, on a benchmark that is proved on this machine."""

from aiev.benchmarks import read_problems
from aiev.job import Job, run_job
from aiev.records import read_json, read_jsonl, write_json
from aiev.sandbox import open_sandbox
from aiev.scoring import Rules, check_proof, evaluate, score, solutions_of


def main(job: Job) -> None:
    problems, proof = read_problems(job.input("problems")), read_json(job.input("proof"))
    check_proof(proof, problems, str(job.input("proof")))
    samples = job.input("samples")
    solutions = solutions_of(read_jsonl(samples), problems, str(samples))
    with open_sandbox(**job.params["sandbox"]) as sandbox:
        result = evaluate(problems, solutions, sandbox, Rules.of(job.params["scoring"]))
    names = {"model": job.params["model"], "benchmark": job.params["benchmark"]["name"]}
    write_json(job.output("results"), result)
    write_json(job.output("score"), {**names, **score(problems, samples, result, proof)})


if __name__ == "__main__":
    run_job(main, inputs=("problems", "samples", "proof"), outputs=("results", "score"))
