"""Drop every dialogue that is a test problem, or too close to a benchmark's."""

from collections.abc import Iterator
from pathlib import Path

from aiev.core.files import read_json, read_jsonl, write_json, write_jsonl
from aiev.dataset.decontaminate import decontaminate
from aiev.engine.job import Job, run_job
from aiev.evaluation.benchmarks.base import Benchmark, benchmark_of


def main(job: Job) -> None:
    dialogues = read_jsonl(job.input("dialogues"))
    benchmarks = map(benchmark_of, job.params["benchmarks"])
    pairs = zip(benchmarks, job.inputs["benchmarks"], strict=True)
    texts = [row for benchmark, path in pairs for row in _texts(benchmark, path)]
    tests = [d for path in job.inputs["tests"] for d in read_jsonl(path)]
    threshold = job.params["decontamination"]["threshold"]
    known = read_json(job.input("known")) if job.inputs["known"] else None
    kept, report = decontaminate(dialogues, texts, tests, threshold, known)
    write_jsonl(job.output("kept"), kept)
    write_json(job.output("report"), report)


def _texts(benchmark: Benchmark, path: Path) -> Iterator[tuple[str, str, str]]:
    for task in benchmark.load(path):
        yield from ((task["task_id"], field, text) for field, text in benchmark.texts(task))


if __name__ == "__main__":
    run_job(main, inputs=("dialogues", "benchmarks", "tests", "known"), outputs=("kept", "report"))
