"""The examples in a problem's text, read mechanically: they are what its solution has to keep.

Understood: `f(x)` returns `y`, f(x) == y, f(x) -> y, and a `>>>` line with its value below.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiev.recipes.verification.signature import fits, stated

_VERB = re.compile(
    r"""[\s`"'*)]*(?:\#\s*)?(?:(?:should|would|must|will)\s+)?
    (?:(?:returns?|gives?|is|be|equals?|evaluates?\s+to|yields?|outputs?|results?\s+in)\b
    |→|⟹|➞|-+>|=+>|={1,2}|:)
    [\s:]*(?:the\s+(?:list|string|value|number|tuple|dictionary|integer)\s+)?""",
    re.VERBOSE | re.IGNORECASE,
)
_SIGNATURE = re.compile(r"(?:def\s+|`)([A-Za-z_]\w*)\s*\(")
_CODE = re.compile(r"^\s*(```|~~~|def\s+\w+\s*\(.*:\s*$)", re.MULTILINE)
_OPERATOR = re.compile(r"\s*[-+*/%&|^<>=]")
MAX_VALUE = 400
"""Characters of an example's value."""


@dataclass(frozen=True)
class Example:
    """One example: a call such as "f(1, 'a')" and its result, as source text."""

    call: str
    result: str

    @property
    def check(self) -> str:
        return f"assert {self.call} == {self.result}"

    @property
    def arguments(self) -> list[Any]:
        """The values of the call's arguments, in order."""
        call = _call(self)
        return [ast.literal_eval(n) for n in (*call.args, *(k.value for k in call.keywords))]


@dataclass(frozen=True)
class Contract:
    """What a problem promises. entry_point: the function that it names, "" for none.
    flaw: why it is no contract; else "":
      no-signature      it names no function
      contradictory     a call has two results, or arguments that the signature does not take
      holds-code        it holds code, most often its own solution
      too-few-examples  that can be read
      unread-examples   it states one more whose call or result is no literal
    """

    entry_point: str
    examples: tuple[Example, ...]
    flaw: str


def read_contract(problem: str, min_examples: int = 2, entry_point: str = "") -> Contract:
    """Read the examples of a problem. entry_point: the function's name where it is known, as in a
    benchmark, whose problems may hold code."""
    name = entry_point or named_function(problem)
    if not name:
        return Contract("", (), "no-signature")
    read = list(_stated(problem, name))
    examples = [example for example in read if example]
    found: dict[str, Example] = {}
    for example in examples:
        found.setdefault(example.call, example)
    flaw = ""
    if len(set(examples)) > len(found) or not _all_fit(examples, problem, name):
        flaw = "contradictory"
    elif not entry_point and _CODE.search(problem):
        flaw = "holds-code"
    elif len(found) < min_examples:
        flaw = "too-few-examples"
    elif len(examples) < len(read):
        flaw = "unread-examples"
    return Contract(name, tuple(found.values()), flaw)


def named_function(problem: str) -> str:
    """The first function that the problem names with its parameters."""
    match = _SIGNATURE.search(problem)
    return match[1] if match else ""


def without_examples(problem: str, name: str) -> str:
    """The problem without the lines and sentences that hold an example of the function."""
    lines, doctest = [], False
    for line in problem.split("\n"):
        if doctest and _literal(line) is not None:  # the value below a `>>>` line
            doctest = False
            continue
        doctest = line.lstrip().startswith(">>>") and f"{name}(" in line
        if doctest:
            continue
        parts = re.split(r"(?<=[.;])\s+(?=[A-Z`])", line)
        kept = [part for part in parts if not any(_examples(part, name))]
        if kept == parts or " ".join(kept).strip():
            lines.append(" ".join(kept))
    return "\n".join(lines)


def _all_fit(examples: list[Example], problem: str, name: str) -> bool:
    """Whether the signature, if it can be read, takes the arguments of all examples."""
    signature = stated(problem, name)
    return signature is None or all(fits(_call(example), signature) for example in examples)


def _call(example: Example) -> ast.Call:
    call = ast.parse(example.call, mode="eval").body
    assert isinstance(call, ast.Call)
    return call


def _examples(text: str, name: str) -> Iterator[Example]:
    return (example for example in _stated(text, name) if example)


def _stated(text: str, name: str) -> Iterator[Example | None]:
    """Each example that the text states; None for one whose call or result is no literal.

    A call with a name of a parameter in it speaks of all values, and is no example.
    """
    signature = stated(text, name)
    for match in re.finditer(rf"(?<![\w.]){re.escape(name)}\s*\(", text):
        call, end = _call_at(text, match.start())
        if call is None:
            continue
        verb = _VERB.match(text, end)
        doctest = text[: match.start()].rstrip(" ").endswith(">>>")
        start = verb.end() if verb else end if doctest else None
        if start is None:
            continue
        arguments = [*call.args, *(k.value for k in call.keywords)]
        names = {n.id for each in arguments for n in ast.walk(each) if isinstance(n, ast.Name)}
        general = not names.isdisjoint(signature.parameters) if signature else bool(names)
        literal = all(map(_is_literal, arguments)) and all(k.arg for k in call.keywords)
        value = _literal_at(text[start:].lstrip() if doctest else text[start:])
        if literal and value is not None:
            yield Example(ast.unparse(call), value)
        elif arguments and not general:
            yield None


def _call_at(text: str, start: int) -> tuple[ast.Call | None, int]:
    """The call that begins there, and where it ends."""
    for end in (m.end() for m in re.finditer(r"\)", text[start : start + MAX_VALUE])):
        try:
            node = ast.parse(text[start : start + end], mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return (node, start + end) if isinstance(node, ast.Call) else (None, start)
    return None, start


def _is_literal(node: ast.AST) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False
    return True


def _literal_at(text: str) -> str | None:
    """The longest literal that the text begins with, in Python's own spelling."""
    text = text[:MAX_VALUE]
    quoted = re.match(r"(`+)\s*(.+?)\s*\1", text, re.DOTALL)
    if quoted:
        return _literal(quoted[2])
    line = text.split("\n")[0]
    ends = sorted({len(line), *(m.start() for m in re.finditer(r"[\s.,;)`]", line))}, reverse=True)
    for end in ends:
        value = _literal(line[:end])
        if value is not None:  # of `19 - 5 - 6`, 19 is not the value
            return None if _OPERATOR.match(line, end) else value
    return None


def _literal(text: str) -> str | None:
    text = text.strip()
    if text.endswith(","):  # the sentence's comma, and no tuple's
        return None
    text = {"true": "True", "false": "False", "none": "None", "null": "None"}.get(text, text)
    try:
        node = ast.parse(text, mode="eval").body
        ast.literal_eval(node)
        return ast.unparse(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
