"""Turn verified dialogues into tagged training data, and count what was dropped and why."""

from aiev.job import Job, run_job
from aiev.progress import log
from aiev.records import read_jsonl, write_json, write_jsonl
from aiev.tags import tag_dialogues


def main(job: Job) -> None:
    rows, report = tag_dialogues(read_jsonl(job.input("dialogues")), **job.params["tags"])
    log.info("tagged: %s", report)
    write_jsonl(job.output("tagged"), rows)
    write_json(job.output("report"), report)


if __name__ == "__main__":
    run_job(main, inputs=("dialogues",), outputs=("tagged", "report"))
