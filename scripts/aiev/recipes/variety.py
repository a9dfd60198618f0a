"""How varied a round's problems are: near-duplicates, ideas taken from the seed, difficulty."""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiev.core.types import Dialogue

NEAR = 0.9
"""Similarity from which two problems, or two solutions, are near-duplicates; as in
decontamination."""

_COMMON = """
abs all any append bool dict enumerate extend float format get int isinstance items iter join keys
len list map max min next print range repr reversed set sorted split str sum tuple type values zip
"""
COMMON = frozenset(_COMMON.split())
"""Calls that say nothing about what a function is for."""

MIN_WORD = 4
"""Letters of a word in a name that says something."""

BATCH = 500
"""Problems compared at once: the table of all pairs of 2,000 would take 32 MB, of 20,000 3 GB."""


def ideas(code: str) -> frozenset[str]:
    """What a snippet is about: the words in the names of its functions, what it calls, and its
    operators other than + and comparisons. Of text that is not Python, its words."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(_words(code))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found |= _words(node.name)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            found |= {name} - COMMON - {""}
        elif isinstance(node, ast.BinOp | ast.AugAssign) and not isinstance(node.op, ast.Add):
            found.add(type(node.op).__name__)
        elif isinstance(node, ast.Yield | ast.YieldFrom):
            found.add("yield")
    return frozenset(found)


def shared_ideas(seed: str, problem: str, solution: str) -> list[str]:
    """The ideas of a seed that the problem's words or the solution's code take up, sorted."""
    words = {word.lower() for word in re.findall(r"[A-Za-z]+", problem)}
    taken = ideas(solution)
    return sorted(idea for idea in ideas(seed) if idea in taken or idea.lower() in words)


def variety(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    """Figures of the dialogues that have a problem.

    near_duplicates: those whose problem or solution is nearly that of an earlier one. with_idea:
    those that take up an idea of their seed. difficulty: how many problems which share of their
    independent solutions solves, where there were any; "unconfirmed" are those that could not be
    told from a wrong problem, "unsolved" those whose examples hold for others and whose own
    solution failed.
    """
    problems = [d for d in dialogues if d["messages"]]
    texts = [d["messages"][0]["content"] for d in problems]
    solutions = [d["solution"] for d in problems]
    near = _repeats(texts) | _repeats(solutions)
    return {
        "problems": len(problems),
        "near_duplicates": len(near),
        "with_idea": sum(bool(d.get("seed_ideas")) for d in problems),
        "difficulty": dict(sorted(Counter(filter(None, map(_difficulty, problems))).items())),
    }


def feedback(dialogues: Sequence[Dialogue]) -> dict[str, int]:
    """What came of feedback.

    revisions: answers to an error. no_ops: those with the same solution; after the last one that
    may be asked for, the dialogue ends. repaired: those with which all tests passed, at most one of
    each dialogue; no test changes on the way. Of dialogues with evidence.
    """
    known = [d["evidence"] for d in dialogues if "revisions" in d.get("evidence", {})]
    no_ops = sum(evidence["revisions"]["no_ops"] for evidence in known)
    return {
        "revisions": no_ops + sum(evidence["revisions"]["of"] for evidence in known),
        "no_ops": no_ops,
        "repaired": sum(e["rounds"] > 0 and not e["stopped"] for e in known),
    }


def _words(name: str) -> set[str]:
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return {part.lower() for part in parts if len(part) >= MIN_WORD}


def _repeats(texts: Sequence[str]) -> set[int]:
    """Places of the texts that are nearly an earlier one; "" repeats nothing."""
    import numpy  # here: rules import this module's neighbours on every dry run
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    found: set[int] = set()
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        scores = cdist(
            batch,
            texts[: start + len(batch)],
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=NEAR,
            dtype=numpy.float64,  # in float32 a similarity of exactly 0.9 would fall below 0.9
        )
        for row, text in enumerate(batch):
            if text and scores[row, : start + row].max(initial=0) >= NEAR:
                found.add(start + row)
    return found


def _difficulty(dialogue: Dialogue) -> str:
    counts = dialogue.get("evidence", {}).get("solutions", {})
    stopped = dialogue.get("evidence", {}).get("stopped", "")
    if stopped.startswith("unsolved-"):
        return "unsolved"
    if not counts.get("of") or stopped:
        return "unconfirmed" if stopped == "unconfirmed" else ""
    quarter = min(3, 4 * counts.get("held", 0) // counts["of"])
    return ("0-25%", "25-50%", "50-75%", "75-100%")[quarter]
