"""Scores in several prompt styles: has a student learnt to program, or a format?"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiev.core.errors import UserError
from aiev.reporting import figure as rounds
from aiev.reporting.labels import label
from aiev.reporting.paired import FIELDS, compared

Score = Mapping[str, Any]


def base_in_styles(
    styled: Iterable[Score], base: Mapping[str, Score], student: Mapping[str, Score]
) -> dict[str, dict[str, Any]]:
    """The base in further styles, by benchmark: {"own": the style of all models, "better": the one
    in which the base has the highest pass@1, "others": {style: {"score", "compared"}}}.

    compared: the student in its own style against the base in this one; `only_student` and so on.
    styled: the base's scores in other styles. base, student: those in the run's own, by benchmark.
    """
    found: dict[str, dict[str, Any]] = {}
    for score in styled:
        name = score["benchmark"]
        place = found.setdefault(name, {"own": base[name]["style"]["name"], "others": {}})
        fields = compared(student[name], score)
        place["others"][score["style"]["name"]] = {"score": score, "compared": fields}
    for name, place in found.items():
        each = {place["own"]: base[name]}
        each |= {style: own["score"] for style, own in place["others"].items()}
        # Of equals the run's own, which comes first.
        place["better"] = max(each, key=lambda style: rate(each[style]))
    return found


def rate(score: Score) -> tuple[float, float]:
    """What a score is ranked by: further tests first, as far as there are any."""
    base: float = score["base"]["pass@1"]
    return (score["plus"]["pass@1"] if score["plus"] else base), base


def base_cells(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the base in all styles, with the student's differences from it, as text.

    scores: scores.json.
    """
    header = ["benchmark", "style of the base", "base [95%]", "difference [95%]", "McNemar's p"]
    base = next(each["scores"] for each in scores["models"] if each["model"] == "base")
    rows = []
    for name, place in scores["base_styles"].items():
        own = {"score": base[name], "compared": scores["student_vs_base"][name]}
        for style, each in {place["own"]: own, **place["others"]}.items():
            words = style + ", the run's own" * (style == place["own"])
            words += " (the base scores highest here)" * (style == place["better"])
            for suffix, field in zip(("", "+"), FIELDS, strict=True):
                if one := each["compared"][field]:
                    title = label(name, base, suffix)
                    difference = rounds.points(one["difference"], one["interval"])
                    figures = [rounds.percent(each["score"][field]), difference]
                    rows.append([title, words, *figures, f"{one['mcnemar_p']:.3f}"])
    return header, rows


def table(scores: Iterable[Score]) -> dict[str, Any]:
    """styles.json: the scores of one model, {"model", "scores": {benchmark: {style: score}}}.

    Raises UserError for none, or for scores of several models.
    """
    found: dict[str, dict[str, Score]] = {}
    models = set()
    for score in scores:
        models.add(score["model"])
        found.setdefault(score["benchmark"], {})[score["style"]["name"]] = score
    if len(models) != 1:
        message = f"scores of one model are compared, and these are of {len(models)}"
        raise UserError(message, hint="give the score.json files of one model")
    return {"model": models.pop(), "scores": found}


def cells(styles: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of styles.json as text."""
    header = ["benchmark", "style", "prefilled", "pass@1 [95%]", "with further tests [95%]"]
    header += ["cut off", "tasks"]
    rows = []
    first = {name: next(iter(each.values())) for name, each in styles["scores"].items()}
    for benchmark, each in styles["scores"].items():
        for name, score in each.items():
            prefilled = "yes" if score["style"]["prefilled"] else "no"
            figures = [rounds.percent(score[field]) for field in FIELDS]
            cut = str(score["answers"].get("cut-off", 0))
            rows.append(
                [label(benchmark, first), name, prefilled, *figures, cut, str(score["tasks"])]
            )
    return header, rows
