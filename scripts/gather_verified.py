"""Gather the training dialogues of all rounds."""

from aiev.core.files import read_jsonl, write_jsonl
from aiev.engine.job import Job, run_job
from aiev.rounds.splits import gather


def main(job: Job) -> None:
    rounds = [read_jsonl(path) for path in job.inputs["rounds"]]
    write_jsonl(job.output("verified"), gather(rounds))


if __name__ == "__main__":
    run_job(main, inputs=("rounds",), outputs=("verified",))
