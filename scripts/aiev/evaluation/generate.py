"""Answers to problems, greedy where nothing else is said, and the solution taken out of each.

The words are EvalPlus's own for chat models, and so is what takes the code out of an answer, so
that scores compare with published ones. Nothing of an answer is run here.
"""

import ast
import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from aiev.core.log import Progress, log
from aiev.core.templates import render
from aiev.evaluation.benchmarks.base import Problem
from aiev.llm.client import Chat
from aiev.llm.ledger import Answer
from aiev.llm.retries import NoAnswer

MOST_LINES = 160
"""Lines of an answer that are looked at: the search for code tries every run of them, which takes
seconds for so many. A function needs a tenth."""


@dataclass(frozen=True)
class Decoding:
    """How an answer is sampled. seed: of a problem, by its task id; greedy answers need none."""

    max_tokens: int
    temperature: float = 0.0
    seed: Callable[[str], int] = lambda _: 0


async def generate(
    client: Chat, problems: Sequence[Problem], prompt_of: Callable[[str], str], decoding: Decoding
) -> list[dict[str, Any]]:
    """One answer for each problem, as rows of samples.jsonl in the problems' order.

    prompt_of: the question for a problem's text. A problem that does not fit the model's
    context has an empty answer with finish_reason "context-full". Row: {task_id, completion: the
    raw answer, solution: its code or "", finish_reason, prompt_tokens, completion_tokens}.
    """
    with Progress("samples", len(problems), "task") as progress:

        async def one(problem: Problem) -> Answer:
            prompt = prompt_of(problem["prompt"].strip())
            answer = await _ask(client, prompt, decoding, problem["task_id"])
            progress.step()
            return answer

        # gather() raises the first failure as it is; a task group would wrap it.
        answers = await asyncio.gather(*map(one, problems))
    # After the last answer: the search for code would keep the server waiting.
    rows = [_row(*pair) for pair in zip(problems, answers, strict=True)]
    empty = sum(not row["solution"] for row in rows)
    log.info("%d of %d answers hold no code", empty, len(rows))
    return rows


async def _ask(client: Chat, prompt: str, decoding: Decoding, task: str) -> Answer:
    try:
        return await client.ask(
            [{"role": "user", "content": prompt}],
            temperature=decoding.temperature,
            max_tokens=decoding.max_tokens,
            seed=decoding.seed(task),
        )
    except NoAnswer as none:
        return Answer(text="", finish_reason=none.reason, prompt_tokens=0, completion_tokens=0)


def _row(problem: Problem, answer: Answer) -> dict[str, Any]:
    return {
        "task_id": problem["task_id"],
        "completion": answer.text,
        "solution": solution_of(answer.text, problem["entry_point"]),
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
    }


def benchmark_prompt(prompt: str) -> str:
    """The question for a benchmark's problem."""
    return render(__file__, "benchmark", prompt=prompt)


def solution_of(answer: str, entry_point: str) -> str:
    """The code of an answer by EvalPlus's sanitiser; "" when it finds none. Never raises."""
    from evalplus import sanitize

    # EvalPlus's own search takes 20 s for 200 lines; ours finds the same run of lines sooner.
    sanitize.code_extract = longest_code
    lines = answer.split("\n")[:MOST_LINES]
    try:
        code = sanitize.sanitize("\n".join(lines), entry_point)
        # Without any code in it EvalPlus gives back the first line, whatever it is.
        return code if _parses(code) else ""
    except Exception as error:
        # Whatever a parser says of a model's text, it is an answer without usable code.
        log.info("no code in an answer: %s: %s", type(error).__name__, error)
        return ""


def longest_code(text: str) -> str:
    """The run of lines that parses as Python and holds most lines with something on them.

    Of equals the one that starts first, then the one that ends first: what evalplus 0.3.1's
    `code_extract` returns, looked for from the longest run down. The first line if nothing parses.
    """
    lines = text.split("\n")
    for first, last in _longest_first(lines):
        run = "\n".join(lines[first : last + 1])
        if _parses(run):
            return run
    return lines[0]


def _longest_first(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Runs of two lines or more that are not blank as (first, last)."""
    upto = [0, *accumulate(bool(line.strip()) for line in lines)]
    runs = [(i, j) for i in range(len(lines)) for j in range(i + 1, len(lines))]
    runs = [(i, j) for i, j in runs if upto[j + 1] > upto[i]]
    return iter(sorted(runs, key=lambda run: (upto[run[0]] - upto[run[1] + 1], *run)))


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, MemoryError):
        return False
    return True
