"""Samples: answers of a model to problems, greedy by default, and the solution in each answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiev.core.log import Progress, log
from aiev.evaluation.answers import unusable
from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.styles import Style
from aiev.llm.client import ChatClient
from aiev.llm.failures import Unanswerable
from aiev.llm.ledger import Answer
from aiev.llm.thoughts import final_text


@dataclass(frozen=True)
class Decoding:
    """How answers are sampled. seed: of a task, by its id; greedy answers need none. more_room:
    whether an answer that was cut off is asked for again with twice as many tokens."""

    max_tokens: int
    temperature: float = 0.0
    seed: Callable[[str], int] = lambda _: 0
    more_room: bool = True


async def generate(
    client: ChatClient, tasks: Sequence[Task], style: Style, decoding: Decoding
) -> list[dict[str, Any]]:
    """Ask for one answer to each task; -> rows of samples.jsonl in the tasks' order.

    Row: {task_id, solution: the code or "", answer: as the model wrote it, finish_reason,
    asked_again, prompt_tokens, completion_tokens}: EvalPlus's format and keys of our own. Where the
    style prefills the answer, which the endpoint has to go on with (Style.where), the row has the
    `prefill`, too; the `answer` is what follows it.

    An answer that is cut off at the limit of tokens is asked for again with twice as many, once,
    where `decoding` says so. A
    greedy one goes on as it began, so that this is the same as twice the limit for all. One that is
    cut off once more has no solution: it fails, and is counted (`counts`). A task that has no
    answer at all, as it does not fit the model's context or is refused, has an empty one with the
    reason for finish_reason, and fails too: every task is in pass@1's denominator.
    """
    with Progress("samples", len(tasks), "task") as progress:

        async def one(task: Task) -> Answer:
            answer = await _ask(client, task, style, decoding)
            progress.step()
            return answer

        # gather() raises the first failure as it is; a task group would wrap it.
        answers = await asyncio.gather(*map(one, tasks))
    # After the last answer: the search for code would keep the server waiting.
    rows = [_row(*pair, style) for pair in zip(tasks, answers, strict=True)]
    empty = sum(not row["solution"] for row in rows)
    log.info("%d of %d answers hold no code", empty, len(rows))
    return rows


async def _ask(client: ChatClient, task: Task, style: Style, decoding: Decoding) -> Answer:
    messages = [{"role": "user", "content": style.prompt(task)}]
    if begun := style.prefill(task):
        messages.append({"role": "assistant", "content": begun})
    try:
        return await client.complete(
            messages,
            temperature=decoding.temperature,
            max_tokens=decoding.max_tokens,
            seed=decoding.seed(task["task_id"]),
            stop=style.stop(task),
            more_room=decoding.more_room,
        )
    except Unanswerable as none:
        return Answer(text="", finish_reason=none.reason, prompt_tokens=0, completion_tokens=0)


def _row(task: Task, answer: Answer, style: Style) -> dict[str, Any]:
    begun = style.prefill(task)
    text = final_text(begun + answer.text).removeprefix(begun)
    reason = {"finish_reason": answer.finish_reason}
    return {
        "task_id": task["task_id"],
        # The beginning of a function that the answer was to go on from is no solution.
        "solution": "" if unusable(reason) else style.extract(text, task),
        "answer": answer.text,
        **reason,
        "asked_again": answer.asked_again,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        **({"prefill": begun} if begun else {}),
    }
