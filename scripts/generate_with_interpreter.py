"""Let a model solve a benchmark's tasks with the interpreter on."""

import asyncio
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import write_jsonl
from aiev.core.log import Progress
from aiev.engine.job import Job, run_job
from aiev.engine.store import STORE
from aiev.evaluation.answers import unusable
from aiev.evaluation.benchmarks.base import Benchmark, benchmark_of
from aiev.evaluation.with_interpreter import asking_for_runs
from aiev.interpreter.models import Chosen
from aiev.interpreter.session import Session
from aiev.interpreter.triggers import trigger_of
from aiev.interpreter.unattended import Recorded, solve
from aiev.interpreter.workspace import Workspace
from aiev.languages.interpreter import open_interpreter
from aiev.llm.client import ChatClient, open_client
from aiev.llm.endpoints import serve, showing_special_tokens, with_server
from aiev.sandbox.api import with_containers


def main(job: Job) -> None:
    benchmark = benchmark_of(job.params["benchmark"])
    tasks = benchmark.load(job.input("problems"))
    chosen = Chosen(with_server(job.params["model"], job.execution), job.weights())
    trigger = "tokens" if chosen.knows_tokens else "fences"
    _check_layout(job.params["tags"]["layout"], trigger, chosen.model["kind"])
    model = showing_special_tokens(chosen.model) if chosen.knows_tokens else chosen.model
    sandbox = with_containers(job.params["sandbox"], job.execution)
    with (
        open_interpreter(sandbox, job.execution["ledger"], STORE / "layers") as interpreter,
        serve(model, chosen.weights, job.scratch(), job.log_path) as endpoint,
    ):
        chat = open_client(endpoint, job.execution, "interpreter", model["timeout_seconds"])
        end = chosen.end_of_turn if chosen.knows_tokens else ""
        workspace = Workspace(interpreter)
        samples = asyncio.run(_solved(job.params, chat, benchmark, tasks, workspace, trigger, end))
    job.remarks["answers"] = sorted(chat.used)
    write_jsonl(job.output("samples"), samples)


def _check_layout(layout: str, trigger: str, kind: str) -> None:
    if trigger == "tokens" and layout == "inline" and kind != "llamacpp":
        raise UserError(
            f"in the layout inline the model goes on with its answer, which kind {kind} does not",
            where="config: evaluation.interpreter, tags.layout",
            hint="use the layout turns, or serve the student with kind llamacpp",
        )


async def _solved(
    params: dict[str, Any],
    chat: ChatClient,
    benchmark: Benchmark,
    tasks: list[dict[str, Any]],
    workspace: Workspace,
    trigger: str,
    end_of_turn: str,
) -> list[dict[str, Any]]:
    """Rows of samples.jsonl in the tasks' order, each from a conversation of its own."""
    style = asking_for_runs(benchmark.style(params["style"]))
    own, tags, loop = params["evaluation"], params["tags"], asyncio.get_running_loop()

    def one(task: dict[str, Any]) -> dict[str, Any]:
        model = Recorded(chat, loop, own["max_tokens"], end_of_turn)
        session = Session(
            model,
            workspace,
            trigger_of(trigger, tags["layout"]),
            max_runs=own["max_runs"],
            result_chars=tags["result_chars"],
        )
        row = solve(session, style.prompt(task), lambda text: style.extract(text, task))
        read, written = model.tokens
        progress.step()
        tokens = {"prompt_tokens": read, "completion_tokens": written}
        known = {"task_id": task["task_id"], "finish_reason": model.finish_reason, **tokens}
        if unusable(known):
            row["solution"] = ""
        return {**known, "asked_again": False, **row}

    with Progress("samples with the interpreter", len(tasks), "task") as progress:
        async with chat:
            return await asyncio.gather(*(asyncio.to_thread(one, task) for task in tasks))


if __name__ == "__main__":
    run_job(main, inputs=("problems", "weights"), outputs=("samples",))
