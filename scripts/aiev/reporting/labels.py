"""What a benchmark is called in a table."""

from collections.abc import Mapping
from typing import Any


def label(name: str, scores: Mapping[str, Mapping[str, Any]], suffix: str = "") -> str:
    """A benchmark's title, with its name behind it where another one of the run has that title:
    `humaneval` and `humaneval+` are both HumanEval.

    scores: one of each of the run's benchmarks by its name. suffix: behind the title, "+" of the
    further tests.
    """
    title = scores[name]["title"]
    double = sum(score["title"] == title for score in scores.values()) > 1
    return f"{title}{suffix} ({name})" if double else f"{title}{suffix}"
