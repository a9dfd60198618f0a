"""Score a benchmark's canonical solutions on this machine: all must pass, or be known not to."""

from aiev.benchmarks import read_problems
from aiev.digests import of_file
from aiev.job import Job, run_job
from aiev.records import write_json
from aiev.sandbox import open_sandbox
from aiev.scoring import Rules, prove


def main(job: Job) -> None:
    problems = read_problems(job.input("problems"))
    rules, known = Rules.of(job.params["scoring"]), job.params["benchmark"]["known_exceptions"]
    judged = (of_file(job.input("problems")), job.params["scoring"], job.params["sandbox"])
    mark = job.mark("proved", *judged)
    with open_sandbox(**job.box()) as sandbox:
        proof = prove(problems, sandbox, rules, known, mark)
    write_json(job.output("proof"), proof)


if __name__ == "__main__":
    run_job(main, inputs=("problems",), outputs=("proof",))
