"""Take the recorded dialogues of a shard's seeds, in place of writing them."""

from aiev.core.files import read_jsonl, write_jsonl
from aiev.engine.job import Job, run_job
from aiev.rounds.splits import recorded


def main(job: Job) -> None:
    (place,) = job.inputs["recorded"]
    seeds = read_jsonl(job.input("seeds"))
    write_jsonl(job.output("dialogues"), recorded(seeds, read_jsonl(place), str(place)))


if __name__ == "__main__":
    run_job(main, inputs=("seeds", "recorded"), outputs=("dialogues",))
