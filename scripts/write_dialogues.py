"""Write a dialogue for each seed of a shard, verified in the sandbox.

From the second round on, the gate of the round before decides which model is the author: the
teacher or the student.
"""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, read_jsonl, write_jsonl
from aiev.core.log import Progress, log
from aiev.engine.job import Job, run_job
from aiev.engine.store import STORE
from aiev.languages.interpreter import Interpreter, open_interpreter
from aiev.llm.client import ChatClient, open_client
from aiev.llm.endpoints import serve, with_server
from aiev.llm.endpoints.base import Endpoint
from aiev.recipes import RECIPES
from aiev.recipes.base import write_dialogues
from aiev.sandbox.api import with_containers

FIRST = {"stage": "teaching", "author": "teacher"}
"""Of the first round, which no gate precedes."""


def main(job: Job) -> None:
    seeds = read_jsonl(job.input("seeds"))
    model = with_server(job.params["model"], job.execution)
    sandbox = with_containers(job.params["sandbox"], job.execution)
    language = job.params["dialogues"]["language"]
    # Each dialogue has two, the Questioner's and the Programmer's.
    conversations = 2 * job.execution["in_flight"]
    with (
        open_interpreter(
            sandbox, job.execution["ledger"], STORE / "layers", language
        ) as interpreter,
        serve(model, job.weights(), job.scratch(), job.log_path, conversations) as endpoint,
    ):
        stage = stage_of(job, endpoint)
        chat = open_client(endpoint, job.execution, "dialogues", model["timeout_seconds"])
        dialogues = asyncio.run(_write(job, seeds, chat, interpreter, stage))
    job.remarks["answers"] = sorted(chat.used)
    write_jsonl(job.output("dialogues"), dialogues)


def stage_of(job: Job, endpoint: Endpoint) -> str:
    """Return the stage that the gate chose for this round. Raises UserError where it chose another
    model than the one that is served."""
    if not job.inputs["next"]:
        return FIRST["stage"]
    decision = read_json(job.input("next"))
    if decision["digest"] != endpoint.digest:
        raise UserError(
            f"the gate chose the {decision['author']} with sha256 {decision['digest'] or 'none'}, "
            f"and the one that is here has {endpoint.digest or 'none'}",
            where=str(job.input("next")),
            hint="run again: a checkpoint that was changed comes back from the action store",
        )
    return decision["stage"]


def author_only(
    inputs: dict[str, list[Path]], params: dict[str, Any]
) -> tuple[dict[str, list[Path]], dict[str, Any]]:
    """Leave out the model that does not write this round: a new student that the gate holds back
    makes no dialogue stale."""
    author = read_json(inputs["next"][0])["author"] if inputs["next"] else FIRST["author"]
    weights = inputs[{"teacher": "weights", "student": "student"}[author]]
    kept = {"seeds": inputs["seeds"], "next": inputs["next"], "weights": weights}
    own = {key: value for key, value in params.items() if key != "models"}
    return kept, {**own, "model": params["models"][author]}


async def _write(job: Job, seeds, chat: ChatClient, interpreter: Interpreter, stage: str):
    verdicts = Counter()
    with Progress("dialogues", len(seeds), "dialogue") as progress:

        def done(dialogue) -> None:
            verdict = dialogue["reason"] or dialogue["verdict"]
            verdicts[verdict] += 1
            log.info("%s: %s", dialogue["id"], verdict)
            progress.step(f"{verdicts['candidate']} passed, {chat.completion_tokens} tokens")

        recipe = RECIPES.get(job.params["dialogues"]["recipe"])(job.params)
        async with chat:
            dialogues = await write_dialogues(
                seeds,
                partial(recipe.write, chat, interpreter),
                round_number=job.params["round"],
                stage=stage,
                in_flight=job.execution["in_flight"],
                done=done,
            )
    log.info("verdicts: %s", dict(sorted(verdicts.items())))
    return dialogues


if __name__ == "__main__":
    run_job(
        main,
        inputs=("seeds", "weights", "student", "next"),
        outputs=("dialogues",),
        narrow=author_only,
    )
