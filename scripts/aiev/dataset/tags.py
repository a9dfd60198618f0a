"""Tagged training data (METHOD 3): when to run code, what to run, and where its result stands.

Everything that decides what a tagged dialogue looks like is in this module, the phrases and the
layout, but for the four tokens, which training and every place that serves a tuned model need too:
see `tokens`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from aiev.core.hashing import of_text
from aiev.dataset.plain_answer import plain_answer
from aiev.dataset.tokens import RES_START, RES_STOP, RUN_START, RUN_STOP, TOKENS
from aiev.languages.markdown import SHELLS, fenced, unix
from aiev.languages.python.blocks import program_of, python_blocks

REQUESTS = (
    "{problem}\n\nPlease run the code and check it with tests.",
    "{problem}\n\nWrite unit tests too, and execute everything.",
    "{problem}\n\nRun your solution and show me that it works.",
    "Solve the problem below, and run your code to be sure that it is right.\n\n{problem}",
    "{problem}\n\nTest it with the code interpreter before you answer.",
    "I need this solved, tested and executed:\n\n{problem}",
)
AFTER_INSTALL = ("Now the code.", "Then the solution with its tests.", "With that in place:")
CLOSINGS = (
    "The code ran without an error and all tests pass.",
    "It ran to its end, so the tests pass.",
    "The run ended without an error: the solution passes its tests.",
    "All tests passed in this run.",
)

_TURNS = (("user", "problem"), ("assistant", "solution"))
_ROUND = (("interpreter", "stderr"), ("user", "description"), ("assistant", "revision"))
_END = (("interpreter", "stdout"),)
_ELISION = "\n[...]\n"


class TaggedMessage(TypedDict):
    role: Literal["user", "assistant"]
    content: str


class TaggedDialogue(TypedDict):
    """One training conversation. `tagged`: it holds a request to run, and the tokens."""

    id: str
    tagged: bool
    messages: list[TaggedMessage]


class Dropped(Exception):
    """This dialogue cannot be training data; the message is the reason that is counted."""


def tag_dialogues(
    dialogues: Iterable[Mapping[str, Any]], untagged_share: float, result_chars: int
) -> tuple[list[TaggedDialogue], dict[str, Any]]:
    """Verified dialogues as training conversations, in the order given, and a report.

    untagged_share: share, 0 to 1, that is kept without request and tags, by hash of the id.
    result_chars: maximum length of a result; a longer one is cut in its middle.
    Report: {"dialogues", "tagged", "untagged", "dropped": {reason: count}}.
    """
    rows: list[TaggedDialogue] = []
    dropped: Counter[str] = Counter()
    for dialogue in dialogues:
        try:
            rows.append(tag_dialogue(dialogue, untagged_share, result_chars))
        except Dropped as reason:
            dropped[str(reason)] += 1
    tagged = sum(row["tagged"] for row in rows)
    return rows, {
        "dialogues": len(rows) + dropped.total(),
        "tagged": tagged,
        "untagged": len(rows) - tagged,
        "dropped": dict(sorted(dropped.items())),
    }


def tag_dialogue(
    dialogue: Mapping[str, Any], untagged_share: float, result_chars: int
) -> TaggedDialogue:
    """One training conversation. Raises Dropped with the reason when there can be none."""
    if dialogue["verdict"] != "verified":
        raise Dropped("not-verified")
    messages = dialogue["messages"]
    _check_order(messages)
    # A token that a model or a program wrote would move the border between what is in the loss and
    # what is not. Removing it would change code that was verified as it stands: so drop.
    if any(token in message["content"] for message in messages for token in TOKENS):
        raise Dropped("token-in-text")
    plain = is_untagged(dialogue["id"], untagged_share)
    turns = _plain(dialogue) if plain else _tagged(dialogue["id"], messages, result_chars)
    return {"id": dialogue["id"], "tagged": not plain, "messages": turns}


def is_untagged(id: str, share: float) -> bool:
    """Whether this dialogue is in the share without tags; a stable choice, by hash."""
    return _hash("untagged", id) / 2**64 < share


def _plain(dialogue: Mapping[str, Any]) -> list[TaggedMessage]:
    """The problem and a clean answer: no request, no tests, no tags, no results."""
    messages = dialogue["messages"]
    _split_code(messages[-2]["content"])  # drops what would be dropped with tags
    return [
        {"role": "user", "content": messages[0]["content"].strip()},
        {"role": "assistant", "content": plain_answer(dialogue)},
    ]


def _tagged(
    id: str, messages: Sequence[Mapping[str, str]], result_chars: int
) -> list[TaggedMessage]:
    problem = messages[0]["content"].strip()
    request = _phrase(REQUESTS, "request", id).replace("{problem}", problem)
    turns: list[TaggedMessage] = [{"role": "user", "content": request}]
    # Triples: (user, assistant, interpreter) of the first answer and of each revision.
    for position in range(1, len(messages), 3):
        user, answer, result = messages[position - 1 : position + 2]
        if position > 1:
            turns.append({"role": "user", "content": user["content"].strip()})
        words, shell, code = _split_code(answer["content"])
        parts = [words] if words else []
        parts += [_block("sh", commands) for commands in shell]
        if shell:
            parts.append(_phrase(AFTER_INSTALL, "after-install", id))
        parts.append(_block("python", code) + _result(result["content"], result_chars))
        if position == len(messages) - 2:
            parts.append(_phrase(CLOSINGS, "closing", id))
        turns.append({"role": "assistant", "content": "\n\n".join(parts)})
    return turns


def _block(language: str, code: str) -> str:
    return f"{RUN_START}```{language}\n{code}\n```{RUN_STOP}"


def _result(text: str, limit: int) -> str:
    text = text.strip("\n")
    if len(text) > limit:
        half = max(0, limit - len(_ELISION)) // 2
        text = text[:half] + _ELISION + text[len(text) - half :]
    return f"{RES_START}{text}{RES_STOP}"


def _split_code(content: str) -> tuple[str, list[str], str]:
    """Words, shell blocks and code of an answer with one program, which is the one that was run;
    its blocks may be several.

    Words after the program go before it: in a tagged answer the run comes last. Shell blocks
    before it were run; later ones, such as how to call a script, are words.
    """
    content, code = unix(content), program_of(content)
    if code is None:
        raise Dropped("no-code-block")
    if code.shell or len(python_blocks(content)) != len(code.blocks):
        raise Dropped("several-code-blocks")
    first = code.blocks[0].start
    before = [b for b in fenced(content) if b.language in SHELLS and b.start < first]
    words, place = [], 0
    for block in [*before, *code.blocks]:
        words.append(content[place : block.start])
        place = block.end
    shell = [block.text.rstrip("\n") for block in before if block.text.strip()]
    words = [part.strip() for part in [*words, content[place:]]]
    return "\n\n".join(part for part in words if part), shell, code.text


def _check_order(messages: Sequence[Mapping[str, str]]) -> None:
    rounds = (len(messages) - len(_TURNS) - len(_END)) // len(_ROUND)
    expected = [*_TURNS, *(_ROUND * max(rounds, 0)), *_END]
    if [(m["role"], m["kind"]) for m in messages] != expected:
        raise Dropped("not-in-order")
    if not messages[0]["content"].strip():
        raise Dropped("empty-problem")


def _phrase(choices: Sequence[str], purpose: str, id: str) -> str:
    return choices[_hash(purpose, id) % len(choices)]


def _hash(purpose: str, id: str) -> int:
    """A number below 2**64 that depends on nothing but its arguments."""
    return int(of_text(f"{purpose}:{id}")[:16], 16)
