"""Conversations as files: JSON, which can be taken up again, and Markdown or a notebook to read."""

import base64
import json
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError, hint_for
from aiev.core.files import write_text
from aiev.dataset.layout import Step, Turn, in_fence, parts_of
from aiev.interpreter.session import Session
from aiev.interpreter.workspace import State
from aiev.sandbox.validation import relative

FORMAT = 1


def save(session: Session, path: Path) -> None:
    """Write the conversation: .json with its files and packages, .md or .ipynb to read."""
    write = {".json": as_json, ".md": as_markdown, ".ipynb": as_notebook}.get(path.suffix)
    if not write:
        raise UserError(
            f"no format is called {path.suffix!r}",
            where=str(path),
            hint="end the name with .json, .md or .ipynb",
        )
    try:
        write_text(path, write(session))
    except OSError as error:
        hint = hint_for(error)
        raise UserError(f"cannot write: {error.strerror}", where=str(path), hint=hint) from None


def load(session: Session, path: Path) -> None:
    """Take up a conversation that `save` wrote as JSON, in the place of this one. Raises UserError
    for a file that is none."""
    try:
        value = json.loads(path.read_text("utf-8"))
        turns = [_turn(each) for each in value["turns"]]
        files = {relative(n): base64.b64decode(c) for n, c in value["files"].items()}
        variables = base64.b64decode(value.get("variables", ""))
        state = State(files, tuple(map(str, value["requirements"])), variables)
    except OSError as error:
        hint = "check the path and the permissions of the file"
        raise UserError(f"cannot read: {error.strerror}", where=str(path), hint=hint) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        hint = "name a file that /save wrote, with the end .json"
        raise UserError(f"not a conversation: {error!r}", where=str(path), hint=hint) from None
    session.restore(turns, state)


def as_json(session: Session) -> str:
    turns = [
        {
            "asked": turn.asked,
            "steps": [
                {"said": step.said, "result": step.result, "remark": step.remark}
                for step in turn.steps
            ],
            "answer": turn.answer,
        }
        for turn in session.turns
    ]
    files = {n: base64.b64encode(c).decode() for n, c in sorted(session.state.files.items())}
    requirements = list(session.state.requirements)
    value = {"format": FORMAT, "turns": turns, "files": files, "requirements": requirements}
    if session.state.variables:
        value["variables"] = base64.b64encode(session.state.variables).decode()
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def as_markdown(session: Session) -> str:
    """What was said, without the tokens; results in blocks of their own."""
    parts = []
    for turn in session.turns:
        parts += ["## User", turn.asked, "## Assistant"]
        for step in turn.steps:
            parts += [readable(step.said), "Result:", in_fence(step.result, "text")]
        parts += [readable(turn.answer or "")]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_notebook(session: Session) -> str:
    """A notebook with each run as a cell, its result as the cell's output."""
    cells: list[dict[str, Any]] = []
    for turn in session.turns:
        cells.append(_words(f"**User:** {turn.asked}"))
        for step in turn.steps:
            run = session.trigger.run_of(step.said)
            cells.append(_words(readable(step.said)))
            if run:
                shell = "".join(f"!{line}\n" for line in run.shell.split("\n") if line.strip())
                output = {"output_type": "stream", "name": "stdout", "text": step.result}
                cell = {"cell_type": "code", "execution_count": None, "metadata": {}}
                cells.append({**cell, "source": shell + run.code, "outputs": [output]})
        cells.append(_words(readable(turn.answer or "")))
    cells = [cell for cell in cells if cell["source"].strip()]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}) + "\n"


def readable(said: str) -> str:
    """An answer without the tokens around its runs."""
    return "".join(part.text for part in parts_of(said)).strip()


def _words(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _turn(value: dict[str, Any]) -> Turn:
    steps = tuple(Step(str(s["said"]), str(s["result"]), str(s["remark"])) for s in value["steps"])
    return Turn(str(value["asked"]), steps, str(value["answer"] or ""))
