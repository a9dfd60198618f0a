"""Mine seeds from the pinned sources into shards."""

from aiev.core.files import write_json, write_jsonl
from aiev.engine.job import Job, run_job
from aiev.seeds.mine import mine


def main(job: Job) -> None:
    shards, report = mine(job.params["seeds"], job.inputs["sources"], job.scratch() / "datasets")
    for path, seeds in zip(job.outputs("shards"), shards, strict=True):
        write_jsonl(path, seeds)
    write_json(job.output("report"), report)


if __name__ == "__main__":
    run_job(main, inputs=("sources",), outputs=("shards", "report"))
