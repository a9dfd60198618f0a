"""Run rate: how often a model asks for a run where it is told to run code, and where it is not.

What the four tokens are for (METHOD 3): a student that was trained on them begins a run with
`<API_RUN_START>` when the user wants code to be run, closes it, and ends its turn to wait for the
result; a plain question gets a plain answer. Each problem is asked both ways, greedily. The
problems and the words of the requests are written for this measure and are in no training data.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiev.dataset.tokens import RUN_START, RUN_STOP
from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.generate import Decoding, generate
from aiev.evaluation.run_rate_prompts import PROBLEMS, REQUESTS
from aiev.evaluation.stats import share
from aiev.evaluation.styles import Style
from aiev.llm.client import open_client
from aiev.llm.endpoints import serve, showing_special_tokens, with_server
from aiev.llm.responses import is_cut_off, is_whole

KINDS = ("asked", "not_asked")
_RUN = re.compile(f"{RUN_START}(.*?)(?:{RUN_STOP}|\\Z)", re.DOTALL)
_CONTROL_TOKEN = re.compile("<[|\uff5c][^<>]*[|\uff5c]>")


def tasks(count: int) -> list[Task]:
    """The first `count` problems, each with a request to run its solution and without one.

    Raises ValueError for more than there are.
    """
    if not 0 < count <= len(PROBLEMS):
        raise ValueError(f"{count} of {len(PROBLEMS)} problems")
    found: list[Task] = []
    for number, problem in enumerate(PROBLEMS[:count]):
        request = REQUESTS[number % len(REQUESTS)].replace("{problem}", problem)
        for kind, prompt in zip(KINDS, (request, problem), strict=True):
            found.append({"task_id": f"{kind}/{number}", "kind": kind, "prompt": prompt})
    return found


def measure(
    model: Mapping[str, Any],
    weights: Path | None,
    scratch: Path,
    log_path: Path | None,
    execution: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> tuple[dict[str, Any], list[str]]:
    """Ask a model all prompts; its `report`, and the ledger's keys of its answers.

    model, weights, scratch, log_path: as `serve` takes them, the model without its server's keys.
    settings: the config's `evaluation.run_rate`. execution: the config's section.
    """
    server = showing_special_tokens(with_server(model, execution))
    style = Style(lambda task: task["prompt"], lambda answer, _: run_in(answer))
    asked = tasks(settings["prompts"])
    with serve(server, weights, scratch, log_path) as endpoint:
        client = open_client(endpoint, execution, "run-rate", server["timeout_seconds"])

        decoding = Decoding(settings["max_tokens"], more_room=False)

        async def answers() -> list[dict[str, Any]]:
            async with client:
                return await generate(client, asked, style, decoding)

        rows = asyncio.run(answers())
    return report(rows), sorted(client.used)


def report(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What came of the answers: {"asked": ..., "not_asked": ..., "answers": [row]}.

    rows: of `generate`. Each kind is {"run": share of the answers that begin a run, with its
    interval; "closed", "ended": how many of these close it, and end their turn right after it;
    "cut_off": answers that met the limit of tokens}.
    """
    judged = [_judged(row) for row in rows]
    kinds = {kind: [row for row in judged if row["kind"] == kind] for kind in KINDS}
    return {**{kind: _counted(own) for kind, own in kinds.items()}, "answers": judged}


def run_in(answer: str) -> str:
    """What stands in the answer's first run, without the tokens; "" without a run."""
    found = _RUN.search(answer)
    return found[1] if found else ""


def _judged(row: Mapping[str, Any]) -> dict[str, Any]:
    answer = row["answer"]
    after = answer.rpartition(RUN_STOP)[2]
    began, closed = RUN_START in answer, RUN_STOP in answer.partition(RUN_START)[2]
    # A server that shows special tokens shows the end of the turn, too.
    silent = not _CONTROL_TOKEN.sub("", after).strip()
    return {
        "task_id": row["task_id"],
        "kind": row["task_id"].partition("/")[0],
        "run": began,
        "closed": closed,
        "ended": closed and silent and is_whole(row["finish_reason"]),
        "answer": answer,
        "finish_reason": row["finish_reason"],
        "completion_tokens": row["completion_tokens"],
    }


def _counted(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "run": share(sum(row["run"] for row in rows), len(rows)),
        "closed": sum(row["closed"] for row in rows),
        "ended": sum(row["ended"] for row in rows),
        "cut_off": sum(is_cut_off(row["finish_reason"]) for row in rows),
    }
