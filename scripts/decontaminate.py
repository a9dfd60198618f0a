"""Drop every dialogue that is a test problem, or too close to a benchmark's."""

from aiev.core.files import read_jsonl, write_json, write_jsonl
from aiev.dataset.decontaminate import decontaminate
from aiev.engine.job import Job, run_job


def main(job: Job) -> None:
    dialogues = read_jsonl(job.input("dialogues"))
    problems = [p for path in job.inputs["benchmarks"] for p in read_jsonl(path)]
    tests = [d for path in job.inputs["tests"] for d in read_jsonl(path)]
    kept, report = decontaminate(dialogues, problems, tests, **job.params["decontamination"])
    write_jsonl(job.output("kept"), kept)
    write_json(job.output("report"), report)


if __name__ == "__main__":
    run_job(main, inputs=("dialogues", "benchmarks", "tests"), outputs=("kept", "report"))
