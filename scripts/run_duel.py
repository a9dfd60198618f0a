"""Let teacher and student solve a round's test problems, and judge both by the hidden tests."""

import asyncio
from pathlib import Path
from typing import Any

from aiev.core.files import read_jsonl, write_json
from aiev.core.hashing import of_path
from aiev.engine.job import Job, run_job
from aiev.engine.store import STORE
from aiev.evaluation.generate import Decoding, generate
from aiev.languages.interpreter import open_interpreter
from aiev.llm.client import open_client
from aiev.llm.endpoints import serve, with_server
from aiev.rounds.duel import (
    STYLE,
    Answers,
    Problem,
    grouped,
    judge_all,
    problems_of,
    report,
    seeds_of,
    solvable_problems,
)
from aiev.sandbox.api import with_containers
from aiev.training.finished import check_digest


def main(job: Job) -> None:
    student = job.input("student")
    check_digest(student, job.input("digest"))
    weights = {"teacher": job.weights(), "student": student}
    sandbox = with_containers(job.params["sandbox"], job.execution)
    test = problems_of(read_jsonl(job.input("test")))
    with open_interpreter(sandbox, job.execution["ledger"], STORE / "layers") as interpreter:
        problems, excluded = solvable_problems(test, interpreter)
        answers, outcomes, models = {}, {}, {}
        for model in weights:
            answers[model], models[model] = _answers(job, model, weights[model], problems)
            solutions = {t: [r["solution"] for r in rows] for t, rows in answers[model].items()}
            outcomes[model] = judge_all(problems, solutions, interpreter, model)
    found = report(job.params["round"], problems, excluded, outcomes, answers, models)
    found["test_sha256"] = of_path(job.input("test"))
    write_json(job.output("duel"), found)


def _answers(
    job: Job, role: str, weights: Path | None, problems: list[Problem]
) -> tuple[Answers, dict[str, str]]:
    """A model's answers by problem, and its name and digest."""
    duel = job.params["duel"]
    model = with_server(job.params["models"][role], job.execution)
    # One server after the other: a machine may not have the memory for both.
    with serve(model, weights, job.scratch(), _log_of(job, role)) as endpoint:
        chat = open_client(endpoint, job.execution, "duel", model["timeout_seconds"])
        takes = asyncio.run(_take(chat, problems, duel, job.params["seed"]))
    job.remarks["answers"] = sorted({*job.remarks.get("answers", []), *chat.used})
    return grouped(problems, takes), {"name": endpoint.model, "digest": endpoint.digest}


def _log_of(job: Job, role: str) -> Path | None:
    return job.log_path and job.log_path.with_name(f"{job.log_path.stem}.{role}.log")


async def _take(chat, problems: list[Problem], duel: dict[str, Any], run_seed: int):
    """The greedy answers, then each of the k samples, as rows in the problems' order."""
    limit, temperature = duel["max_tokens"], duel["temperature"]
    seeds = [seeds_of(run_seed, number) for number in range(duel["samples"])]
    decodings = [Decoding(limit), *(Decoding(limit, temperature, seed) for seed in seeds)]
    async with chat:
        return [await generate(chat, problems, STYLE, decoding) for decoding in decodings]


if __name__ == "__main__":
    run_job(main, inputs=("test", "weights", "student", "digest"), outputs=("duel",))
