"""The prompt styles of HumanEval and MBPP.

chat      EvalPlus's words for a chat model, without what it prefills
evalplus  EvalPlus's words, its prefilled beginning of the answer, its stop strings (evalplus
          0.3.1: codegen.py, provider/utility.py, provider/vllm.py); where an endpoint cannot go
          on with an answer, its words for those (provider/openai.py)
authors   the words, and the way to find the code, of AutoCoder's authors (bin123apple/AutoCoder
          53ac503, Apache-2.0: Evaluation/test_humaneval.py, test_mbpp.py, postprocess_mbpp.py)
"""

from collections.abc import Mapping

from aiev.core.templates import render
from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.evalplus import chat
from aiev.evaluation.styles import CHAT, Style

TAB = "    "
"""EvalPlus puts it in the place of each tab that a model wrote."""

STOP = (
    *("<|endoftext|>", "<|endofmask|>", "</s>"),
    *("\nif __name__", "\ndef main(", "\nprint("),
    "\n```\n",
)
"""EvalPlus's, for chat models."""


def styles() -> Mapping[str, Style]:
    """All of them by name."""
    sanitizer, code = "evalplus.sanitize", (__file__, chat.__file__)
    alone = Style(_alone, _sanitized, sanitizer, code)
    first = f"{sanitizer}; of MBPP the first block of Python"
    return {
        CHAT: Style(chat.prompt_of, _sanitized, sanitizer, code),
        "evalplus": Style(_words, _continued, sanitizer, code, _begun, lambda _: STOP, alone),
        "authors": Style(_authors, _first_block, first, code),
    }


def _words(task: Task) -> str:
    return chat.prompt_of(task) + "\n"


def _begun(_: Task) -> str:
    return render(__file__, "evalplus_begun") + "\n"


def _alone(task: Task) -> str:
    return render(__file__, "evalplus_alone", prompt=task["prompt"].strip())


def _authors(task: Task) -> str:
    prompt = task["prompt"].strip()
    if not _is_mbpp(task):
        return render(__file__, "authors_humaneval", prompt=prompt)
    # Their data set, evalplus/mbppplus, has the text, a list of asserts, and the imports apart.
    text = prompt.removeprefix('"""').partition("\nassert ")[0].strip()
    lines = task.get("assertion", "").split("\n")
    asserts = [line for line in lines if line.startswith("assert ")]
    return render(__file__, "authors_mbpp", text=text, assertions=str(asserts))


def _sanitized(answer: str, task: Task) -> str:
    return chat.sanitized(answer, task["entry_point"])


def _continued(answer: str, task: Task) -> str:
    """The solution in an answer that begins inside the fence that was prefilled. A server may have
    been told other stop strings (models.*.request)."""
    ends = [at for each in STOP if (at := answer.find(each)) >= 0]
    code = answer[: min(ends, default=len(answer))]
    return chat.sanitized(code.replace("\t", TAB), task["entry_point"])


def _first_block(answer: str, task: Task) -> str:
    if not _is_mbpp(task):
        return _sanitized(answer, task)
    _, opened, rest = answer.partition("```python")
    code, closed, _ = rest.partition("```")
    return code.strip() if opened and closed else ""


def _is_mbpp(task: Task) -> bool:
    return task["task_id"].startswith("Mbpp/")
