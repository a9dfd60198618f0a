"""Turn verified dialogues into tagged training data, and count what was dropped and why."""

from aiev.core.files import read_jsonl, write_json, write_jsonl
from aiev.core.log import log
from aiev.dataset.tags import tag_dialogues
from aiev.engine.job import Job, run_job


def main(job: Job) -> None:
    known = [row for path in job.inputs["known"] for row in read_jsonl(path)]
    dialogues = read_jsonl(job.input("dialogues"))
    rows, report = tag_dialogues(dialogues, **job.params["tags"], known=known)
    log.info("tagged: %s; known from the round before: %d", report, len(known))
    write_jsonl(job.output("tagged"), rows)
    write_json(job.output("report"), report)


if __name__ == "__main__":
    run_job(main, inputs=("dialogues", "known"), outputs=("tagged", "report"))
