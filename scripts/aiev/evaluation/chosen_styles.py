"""Which prompt style the config chooses for each benchmark."""

from collections.abc import Mapping
from typing import Any

from aiev.core.errors import UserError
from aiev.core.settings import did_you_mean
from aiev.evaluation.benchmarks.base import Benchmark, open_benchmark
from aiev.evaluation.settings import BenchmarkSettings
from aiev.evaluation.styles import style_of

Evaluation = Mapping[str, Any]
"""The config's section, with all defaults."""


def own_style(evaluation: Evaluation, benchmark: str) -> str:
    """The style in which all models are asked a benchmark."""
    return evaluation["benchmarks"][benchmark]["style"] or evaluation["style"]


def kind_config(own: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a benchmark that its kind alone has."""
    shared = {*BenchmarkSettings.model_fields, "kind"}
    return {key: value for key, value in own.items() if key not in shared}


def known_styles(evaluation: Evaluation) -> dict[str, list[str]]:
    """The styles that each benchmark has, sorted."""
    return {name: sorted(each.styles()) for name, each in _opened(evaluation).items()}


def base_styles(evaluation: Evaluation) -> dict[str, list[str]]:
    """The styles in which the base is scored beside the benchmark's own, by benchmark, sorted."""
    asked = set(evaluation["base_styles"])
    return {
        name: sorted(asked.intersection(known) - {own_style(evaluation, name)})
        for name, known in known_styles(evaluation).items()
    }


def check_styles(evaluation: Evaluation) -> None:
    """Raise UserError for a style that a benchmark does not have, or of the base's further ones,
    that none has."""
    opened = _opened(evaluation)
    for name, benchmark in opened.items():
        own = evaluation["benchmarks"][name]["style"]
        key = f"evaluation.benchmarks.{name}.style" if own else "evaluation.style"
        style_of(benchmark.styles(), own_style(evaluation, name), name, key)
    known = sorted({style for each in opened.values() for style in each.styles()})
    for style in evaluation["base_styles"]:
        if style not in known:
            raise UserError(
                f"no benchmark of this run has a prompt style {style!r}",
                where="config: evaluation.base_styles",
                hint=did_you_mean(style, known, f"use some of {', '.join(known)}"),
            )


def _opened(evaluation: Evaluation) -> dict[str, Benchmark]:
    return {
        name: open_benchmark(name, own["kind"], kind_config(own))
        for name, own in evaluation["benchmarks"].items()
    }
