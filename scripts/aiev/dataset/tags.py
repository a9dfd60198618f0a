"""Tagged training data (METHOD 3): when to run code, and what is run.

The words that are added are in this module. How runs and results are written down is in `layout`,
which the interpreter reads too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

from aiev.core.hashing import of_text
from aiev.dataset.layout import Layout, Message, Step, Turn, in_fence, render, run_block, shortened
from aiev.dataset.plain_answer import plain_answer, without_prints, words_without_tests
from aiev.dataset.tokens import TOKENS
from aiev.languages.markdown import SHELLS, fenced, unix
from aiev.languages.python.blocks import program_of, python_blocks

REQUESTS = (
    "{problem}\n\nPlease run the code and check it with tests.",
    "{problem}\n\nWrite unit tests too, and execute everything.",
    "{problem}\n\nRun your solution and show me that it works.",
    "Solve the problem below, and run your code to be sure that it is right.\n\n{problem}",
    "{problem}\n\nTest it with the code interpreter before you answer.",
    "I need this solved, tested and executed:\n\n{problem}",
    "{problem}\n\nDon't just write it: run it, too.",
    "{problem}\n\nCheck your answer by running it before you give it to me.",
    "{problem}\n\nCan you verify it by execution?",
    "{problem}\n\nMake sure that it works by trying it out.",
    "{problem}\n\nUse your interpreter, and fix what fails.",
    "{problem}\n\nExecute it together with a few asserts.",
    "Write and run a program for this:\n\n{problem}",
    "Here is a task. I want code that you have seen working.\n\n{problem}",
    "Please implement the following, then run it to confirm that it is correct.\n\n{problem}",
    "{problem}\n\nGive me the final code once it has passed its tests in a real run.",
)
LEAD_INS = (
    "Let us run it with some tests.",
    "I will run it to check that it works.",
    "Let me execute the code and its tests.",
    "Running it will show whether it is right:",
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


class TaggedDialogue(TypedDict):
    """One training conversation. `tagged`: it holds a request to run, and the tokens. `failed`:
    numbers of the messages that hold an attempt which failed."""

    id: str
    tagged: bool
    failed: list[int]
    messages: list[Message]


class Dropped(Exception):
    """This dialogue cannot be training data; the message is the reason that is counted."""


def tag_dialogues(
    dialogues: Iterable[Mapping[str, Any]],
    untagged_share: float,
    result_chars: int,
    layout: Layout = "turns",
    known: Iterable[TaggedDialogue] = (),
) -> tuple[list[TaggedDialogue], dict[str, Any]]:
    """Verified dialogues as training conversations, in the order given, and a report.

    untagged_share: share, 0 to 1, that is kept without request and tags, by hash of the id.
    result_chars: maximum length of a result; a longer one is cut in its middle.
    layout: where results stand, see `layout`.
    known: what was made of some of these dialogues with the same choices; they are not read again,
    so that the work of a round grows with its own dialogues only.
    Report: {"dialogues", "tagged", "untagged", "dropped": {reason: count}}.
    """
    rows: list[TaggedDialogue] = []
    dropped: Counter[str] = Counter()
    before = {row["id"]: row for row in known}
    for dialogue in dialogues:
        try:
            row = before.get(dialogue["id"])
            rows.append(row or tag_dialogue(dialogue, untagged_share, result_chars, layout))
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
    dialogue: Mapping[str, Any],
    untagged_share: float,
    result_chars: int,
    layout: Layout = "turns",
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
    turn = _plain(dialogue) if plain else _tagged(dialogue, result_chars)
    # What the user says to a failed run is a message of its own in either layout.
    failed = [2 * number + 1 for number, _ in enumerate(turn.steps[:-1])]
    said = render([turn], layout)
    return {"id": dialogue["id"], "tagged": not plain, "failed": failed, "messages": said}


def is_untagged(id: str, share: float) -> bool:
    """Whether this dialogue is in the share without tags; a stable choice, by hash."""
    return _hash("untagged", id) / 2**64 < share


def _plain(dialogue: Mapping[str, Any]) -> Turn:
    """The problem and a clean answer: no request, no tests, no tags, no results."""
    messages = dialogue["messages"]
    _split_code(messages[-2]["content"])  # drops what would be dropped with tags
    return Turn(messages[0]["content"].strip(), (), plain_answer(dialogue))


def _tagged(dialogue: Mapping[str, Any], result_chars: int) -> Turn:
    """The request to run, a step for the first answer and for each revision, and the solution."""
    id, messages = dialogue["id"], dialogue["messages"]
    problem = messages[0]["content"].strip()
    steps, after = [], ""
    # Triples: an answer, its result, and after a failure what the user says to it.
    for position in range(1, len(messages), 3):
        said, after = _with_tags(id, _split_code(messages[position]["content"]))
        result = shortened(messages[position + 1]["content"], result_chars)
        remark = messages[position + 2]["content"].strip() if position + 2 < len(messages) else ""
        steps.append(Step(said, result, remark))
    solution = in_fence(without_prints(dialogue["solution"].strip("\n")), "python")
    closing = [_phrase(CLOSINGS, "closing", id), solution, words_without_tests(after)]
    request = _phrase(REQUESTS, "request", id).replace("{problem}", problem)
    return Turn(request, tuple(steps), _joined(closing))


class _Answer(NamedTuple):
    """An answer with one program, which is the one that was run. words: before each shell block,
    before the program, and after it."""

    words: list[str]
    shell: list[str]
    code: str


def _with_tags(id: str, answer: _Answer) -> tuple[str, str]:
    """What the assistant says up to the end of the run, and what it said after the program.

    The model wrote that before it saw the result, and a run ends the answer: of the last answer it
    goes behind the solution, of those that failed it is left out.
    """
    *before, last, after = answer.words
    parts = []
    for words, commands in zip(before, answer.shell, strict=True):
        parts += [words, run_block("sh", commands)]
    parts += [last or (_phrase(AFTER_INSTALL, "after-install", id) if answer.shell else "")]
    parts += ["" if answer.shell else _phrase(LEAD_INS, "lead-in", id)]
    parts += [run_block("python", answer.code)]
    return _joined(parts), after


def _split_code(content: str) -> _Answer:
    """Raises Dropped for an answer with no program, or with blocks that were not run.

    Where the program's blocks are several, what stands between them goes before the whole, which
    is what was run. Shell blocks before it were run; later ones, such as how to call a script, are
    words.
    """
    content, code = unix(content), program_of(content)
    if code is None:
        raise Dropped("no-code-block")
    if code.shell or len(python_blocks(content)) != len(code.blocks):
        raise Dropped("several-code-blocks")
    first = code.blocks[0].start
    shell = [b for b in fenced(content) if b.language in SHELLS and b.start < first]
    words, commands, pending, place = [], [], [], 0
    for block in (*shell, *code.blocks):
        pending.append(content[place : block.start].strip())
        place = block.end
        if block in shell and block.text.strip():
            words.append(_joined(pending))
            commands.append(block.text.rstrip("\n"))
            pending = []
    return _Answer([*words, _joined(pending), content[place:].strip()], commands, code.text)


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def _check_order(messages: Sequence[Mapping[str, str]]) -> None:
    rounds = (len(messages) - len(_TURNS) - len(_END)) // len(_ROUND)
    expected = [*_TURNS, *(_ROUND * max(rounds, 0)), *_END]
    if [(m["role"], m["kind"]) for m in messages] != expected:
        raise Dropped("not-in-order")
    if not messages[0]["content"].strip():
        raise Dropped("empty-problem")
    if any(m["kind"] == "description" and not m["content"].strip() for m in messages):
        raise Dropped("empty-description")


def _phrase(choices: Sequence[str], purpose: str, id: str) -> str:
    return choices[_hash(purpose, id) % len(choices)]


def _hash(purpose: str, id: str) -> int:
    """A number below 2**64 that depends on nothing but its arguments."""
    return int(of_text(f"{purpose}:{id}")[:16], 16)
