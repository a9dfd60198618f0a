"""Turn verified dialogues into tagged training data, and count what was dropped and why."""

from aiev.core.files import read_jsonl, write_json, write_jsonl
from aiev.core.log import log
from aiev.dataset.tags import tag_dialogues
from aiev.engine.job import Job, run_job


def main(job: Job) -> None:
    rows, report = tag_dialogues(read_jsonl(job.input("dialogues")), **job.params["tags"])
    log.info("tagged: %s", report)
    write_jsonl(job.output("tagged"), rows)
    write_json(job.output("report"), report)


if __name__ == "__main__":
    run_job(main, inputs=("dialogues",), outputs=("tagged", "report"))
