"""The prompt styles of MultiPL-E.

  chat        our words for a chat model
  completion  the same words, and the answer prefilled with the problem's own beginning of the
              function, at which MultiPL-E has models go on, up to its stop strings; where an
              endpoint cannot go on with an answer, the words alone

AutoCoder's authors have published no words for MultiPL-E, and EvalPlus does not know it.
"""

from collections.abc import Mapping, Sequence

from aiev.core.templates import render
from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.multipl_e import answers, programs
from aiev.evaluation.styles import CHAT, Style
from aiev.languages.toolchains.base import Toolchain

FENCE = "\n```"
"""Ends the code of an answer, and with it a function whose stop string the model never wrote."""


def styles(toolchain: Toolchain) -> Mapping[str, Style]:
    """All of them by name, for the language of a toolchain."""
    language, fences = toolchain.title, toolchain.fences

    def words(task: Task) -> str:
        prompt = task["prompt"].rstrip()
        return render(__file__, "complete", language=language, fence=fences[0], prompt=prompt)

    def extract(answer: str, task: Task) -> str:
        return answers.solution_of(answer, task, fences)

    def begun(task: Task) -> str:
        return f"```{fences[0]}\n{task['prompt']}"

    code = (__file__, answers.__file__, programs.__file__)
    plain = Style(words, extract, "the function, and the items that it needs", code)
    way = "what follows the signature, up to a stop string"
    completion = Style(words, _continued, way, code, begun, _stop, plain)
    return {CHAT: plain, "completion": completion}


def _stop(task: Task) -> Sequence[str]:
    return [*task["stop_tokens"], FENCE]


def _continued(answer: str, task: Task) -> str:
    """The program of an answer that begins behind the signature that was prefilled."""
    return task["prompt"] + programs.cut(answer, [*_stop(task)])
