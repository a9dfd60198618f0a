"""What in an answer is run, and how results are told to the model.

`tokens` is for students that were trained here: they put the four tokens around what is to be run.
`fences` is for any other model: the Python block of an answer is run, which a system prompt says.
"""

from collections.abc import Sequence
from typing import Protocol

from aiev.core.templates import render as template
from aiev.dataset.layout import Layout, Message, Part, Turn, in_fence, parts_of, render
from aiev.dataset.tokens import RUN_START, RUN_STOP
from aiev.interpreter.workspace import Run
from aiev.languages.interpreter import PYTHON, script_of
from aiev.languages.markdown import SHELLS, fenced
from aiev.languages.shell import commands_of


class Trigger(Protocol):
    """See `Tokens` and `Fences`."""

    def messages(self, turns: Sequence[Turn], system: str = "") -> list[Message]:
        """The conversation as the model reads it. system: what else it is told before."""

    def end_of(self, said: str) -> int | None:
        """Where an answer that is being written ends, because something is to be run first; None
        while it goes on."""

    def run_of(self, said: str) -> Run | None:
        """What an answer that has ended asks to be run; None for nothing."""

    def closed(self, said: str) -> str:
        """The answer as it stands in the conversation, once it was run."""


class Tokens:
    """Runs what stands between the tokens. A program ends the answer; shell commands before it,
    such as `pip install`, run with it, as they did when the training data were verified."""

    def __init__(self, layout: Layout = "turns"):
        self.layout = layout

    def messages(self, turns: Sequence[Turn], system: str = "") -> list[Message]:
        told: list[Message] = [{"role": "system", "content": system}] if system else []
        return [*told, *render(turns, self.layout)]

    def end_of(self, said: str) -> int | None:
        place = 0
        while (stop := said.find(RUN_STOP, place)) >= 0:
            start, place = place, stop + len(RUN_STOP)
            runs = [part for part in parts_of(said[start:place]) if part.is_run]
            if runs and not _is_shell(runs[-1]):
                return place
        return None

    def run_of(self, said: str) -> Run | None:
        runs = [part for part in parts_of(said) if part.is_run and part.text.strip()]
        shell = [commands_of(_code(part)) for part in runs if _is_shell(part)]
        code = ""
        for part in runs:
            if not _is_shell(part):
                found = PYTHON.program(part.text)
                code = found.text if found else _code(part)
                shell += [commands_of(found.shell)] if found and found.shell else []
        return Run(code, "\n".join(shell)) if code or shell else None

    def closed(self, said: str) -> str:
        parts = parts_of(said)
        open_run = parts and parts[-1].is_run and not said.endswith(RUN_STOP)
        return said + RUN_STOP if open_run else said


class Fences:
    """Runs the Python program of an answer, with the shell commands before it, once the answer has
    ended. variables: whether they stay for the next program, which the model is told."""

    def __init__(self, variables: bool = False):
        stay = "and so do its variables" if variables else "variables do not"
        self.system = template(__file__, "system", variables=stay)

    def messages(self, turns: Sequence[Turn], system: str = "") -> list[Message]:
        told = "\n\n".join(part for part in (self.system, system) if part)
        messages: list[Message] = [{"role": "system", "content": told}]
        for turn in turns:
            messages.append({"role": "user", "content": turn.asked})
            for step in turn.steps:
                result = in_fence(step.result, "text")
                told = template(__file__, "result", result=result, remark=step.remark).strip()
                messages.append({"role": "assistant", "content": step.said})
                messages.append({"role": "user", "content": told})
            if turn.answer is not None:
                messages.append({"role": "assistant", "content": turn.answer})
        return messages

    def end_of(self, said: str) -> int | None:
        return None

    def run_of(self, said: str) -> Run | None:
        if script := script_of(said):
            return Run(script.code, script.shell)
        shell = [commands_of(b.text) for b in fenced(said) if b.language in SHELLS]
        commands = "\n".join(text for text in shell if "pip install" in text)
        return Run("", commands) if commands else None

    def closed(self, said: str) -> str:
        return said


def trigger_of(name: str, layout: Layout, variables: bool = False) -> Trigger:
    """The trigger of that name: tokens or fences."""
    return Tokens(layout) if name == "tokens" else Fences(variables)


def has_tokens(text: str) -> bool:
    """Whether a tokenizer's file knows the tokens."""
    return RUN_START in text


def _is_shell(part: Part) -> bool:
    blocks = fenced(part.text)
    return bool(blocks) and blocks[0].language in SHELLS


def _code(part: Part) -> str:
    blocks = fenced(part.text)
    return blocks[0].text.rstrip("\n") if blocks else part.text.strip("\n")
