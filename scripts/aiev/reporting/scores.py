"""A run's scores beside published ones: scores.json, of which scores_page.py makes scores.md.

What is known of a benchmark (title, size, the paper's figures) comes with its scores.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiev.core.errors import UserError
from aiev.reporting.paired import compared, pooled
from aiev.reporting.styles import base_in_styles

RUN_RATES = {"asked": "run rate when asked", "not_asked": "run rate when not asked"}


def table(
    scores: Iterable[Mapping[str, Any]],
    titles: Mapping[str, str],
    run_rates: Mapping[str, Mapping[str, Any]] | None = None,
    interpreted: Iterable[Mapping[str, Any]] = (),
    styled: Iterable[Mapping[str, Any]] = (),
    training: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """scores.json: {"models": [{model, title, scores: {benchmark: score}}], "paper": [{title,
    benchmark: [base, plus]}], "student_vs_base": see `compare`, "pooled": see `paired.pooled`,
    "run_rates": {model: {"asked", "not_asked"}}, "interpreter": {model: {benchmark: {"score",
    "compared"}}}, "base_styles": see `styles.base_in_styles`, "held_out_loss": {"dialogues",
    "before", "after"} or None}.

    titles: model -> its title, in the order of the rows. run_rates: by model, as measured
    (aiev.evaluation.run_rate); none where the run does not measure them. interpreted: scores with
    the interpreter on, which are compared with those without, task by task. styled: the base's in
    further prompt styles. training: the report of the final training, which may have measured the
    loss on the last round's test split.
    Raises UserError for a score that occurs twice, is missing, or is of a model without a title.
    """
    found = _by_place(scores, titles)
    benchmarks = sorted({benchmark for _, benchmark in found})
    models = [
        {"model": model, "title": title, "scores": {b: found[model, b] for b in benchmarks}}
        for model, title in titles.items()
    ]
    by_model = {each["model"]: each["scores"] for each in models}
    return {
        "models": models,
        "paper": _paper(models[0]["scores"]),
        "student_vs_base": compare(by_model["student"], by_model["base"]),
        "pooled": pooled(by_model["student"], by_model["base"]),
        "run_rates": {
            model: {kind: measured[kind] for kind in RUN_RATES}
            for model, measured in (run_rates or {}).items()
        },
        "interpreter": _interpreted(interpreted, found),
        "base_styles": base_in_styles(styled, by_model["base"], by_model["student"]),
        "held_out_loss": _held_out_loss(training or {}),
    }


def _by_place(
    scores: Iterable[Mapping[str, Any]], titles: Mapping[str, str]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Scores by model and benchmark: one of each model on each benchmark, else UserError."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for score in scores:
        place = (score["model"], score["benchmark"])
        if place in found:
            raise UserError(f"two scores of {place[0]} on {place[1]}")
        if place[0] not in titles:
            raise UserError(f"a score of a model that the run does not name: {place[0]}")
        found[place] = score
    if not found:
        raise UserError("no scores to put in a table")
    benchmarks = sorted({benchmark for _, benchmark in found})
    if missing := [f"{m} on {b}" for m in titles for b in benchmarks if (m, b) not in found]:
        raise UserError(f"no score of {', '.join(missing)}")
    return found


def _held_out_loss(training: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of the last training, before its first step and after its last; None where not measured."""
    test = training.get("test") or {}
    losses = [round(each["loss"], 6) for each in test.get("losses") or []]
    if not losses:
        return None
    return {"dialogues": test["examples"], "before": losses[0], "after": losses[-1]}


def _interpreted(
    scores: Iterable[Mapping[str, Any]], off: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Scores with the interpreter on by model and benchmark, compared with those without."""
    rows: dict[str, dict[str, Any]] = {}
    for score in scores:
        model, benchmark = score["model"], score["benchmark"]
        fields = compared(score, off[model, benchmark], ("on", "off"))
        known = {field: one for field, one in fields.items() if one}
        rows.setdefault(model, {})[benchmark] = {"score": score, "compared": known}
    return rows


def _paper(scores: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Published figures by model, of all benchmarks."""
    titles = dict.fromkeys(title for score in scores.values() for title in score["paper"])
    return [
        {
            "title": title,
            **{b: score["paper"][title] for b, score in scores.items() if title in score["paper"]},
        }
        for title in titles
    ]


def compare(
    student: Mapping[str, Mapping[str, Any]], base: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The two models task by task, by benchmark; see `paired.compared`."""
    return {name: compared(score, base[name]) for name, score in student.items()}
