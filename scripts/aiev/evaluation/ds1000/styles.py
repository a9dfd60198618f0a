"""The prompt styles of DS-1000.

  chat     our words for a chat model
  authors  the words of AutoCoder's authors (bin123apple/AutoCoder 40666ca, Apache-2.0:
           Evaluation/test_ds1000.py), whose answers DS-1000's own evaluation cuts

EvalPlus does not know DS-1000. Nothing is prefilled: a problem's place may be in the middle of it.
"""

from collections.abc import Mapping

from aiev.core.templates import render
from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.ds1000 import answers
from aiev.evaluation.styles import CHAT, Style

FUNCTION = "### BEGIN SOLUTION"
"""What a prompt says whose code belongs in a function's body."""


def styles() -> Mapping[str, Style]:
    """All of them by name."""
    way, code = "between <code> and </code>, or the first block", (__file__, answers.__file__)
    return {
        CHAT: Style(_words, _code, way, code),
        "authors": Style(_authors, _cut, "DS-1000's own", code),
    }


def _words(task: Task) -> str:
    return render(__file__, "complete", prompt=task["prompt"].rstrip())


def _authors(task: Task) -> str:
    return render(__file__, "authors", prompt=task["prompt"].strip())


def _code(answer: str, task: Task) -> str:
    # In a function's body, the place is indented.
    return answers.code_of(answer, 4 if FUNCTION in task["prompt"] else 0)


def _cut(answer: str, _: Task) -> str:
    return answers.cut(answer)
