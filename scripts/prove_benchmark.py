"""Score a benchmark's canonical solutions on this machine: all must pass, or be known not to."""

from aiev.benchmarks import read_problems
from aiev.job import Job, run_job
from aiev.records import write_json
from aiev.sandbox import open_sandbox
from aiev.scoring import Rules, prove


def main(job: Job) -> None:
    problems = read_problems(job.input("problems"))
    known = job.params["benchmark"]["known_exceptions"]
    with open_sandbox(**job.params["sandbox"]) as sandbox:
        proof = prove(problems, sandbox, Rules.of(job.params["scoring"]), known)
    write_json(job.output("proof"), proof)


if __name__ == "__main__":
    run_job(main, inputs=("problems",), outputs=("proof",))
