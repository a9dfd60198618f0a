"""The report: rows beside the paper's, a screen that fits, a funnel in which nothing is lost."""

import copy
import json
import shutil

import pytest
from command import ROOT, aiev
from hypothesis import given
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.evaluation.stats import share
from aiev.reporting import scores_page, styles
from aiev.reporting.funnel import funnel
from aiev.reporting.scores import table
from aiev.reporting.scores_page import page
from aiev.reporting.terminal import HEIGHT, WIDTH, summary

TITLES = {"base": "base student, S", "student": "tuned student", "teacher": "teacher, T"}
REPORTS = {
    "seeds": {
        "seeds": 24,
        "snippets": {"seed": 24, "duplicate": 3, "not-sampled": 40, "too-long": 7, "too-short": 9},
    },
    "rounds": [
        {"dialogues": 12, "verified": 5, "rejected": {"vacuous": 3, "unsolved-failed": 4}}
        | {"train": 4, "test": 1, "answers": {"asked": 60, "resampled": 4, "refused": 1}},
        {"dialogues": 12, "verified": 6, "rejected": {"unsolved-failed": 6}, "train": 6, "test": 0},
    ],
    "contamination": {
        "compared": {"dialogues": 10},
        "dropped": [{"reason": "near-benchmark"}, {"reason": "test-problem"}],
        "kept": 8,
    },
    "tagged": {"dialogues": 8, "tagged": 6, "untagged": 1, "dropped": {"token-in-text": 1}},
    "training": {"dialogues": 7, "examples": 5, "dropped": {"too-long": 2}},
}


PAPER = {"AutoCoder 33B (paper)": [90.9, 78.0], "GPT-4 Turbo 2024-04 (paper)": [90.2, 86.6]}


def score(model, correct=5, tasks=20, benchmark="humaneval", plus=None, **own):
    """A score.json; the first `correct` tasks are solved."""
    ids = [f"HumanEval/{n}" for n in range(tasks)]
    return {
        "model": model,
        "benchmark": benchmark,
        "title": "HumanEval",
        "size": 164,
        "paper": PAPER,
        "evaluator": "evalplus 0.3.1",
        "tasks": tasks,
        "exceptions": [],
        "subset": {"number": 20},
        "left_out": {},
        "base": share(correct, tasks),
        "plus": None if plus is None else share(plus, tasks),
        "solved": {"base": ids[:correct], "plus": None if plus is None else ids[:plus]},
        "answers": {"asked": tasks},
        "style": {"name": "chat", "prefilled": False},
        "reached": {"code": share(tasks, tasks), "parses": share(tasks - 1, tasks), "runs": None},
        **own,
    }


SCORES = [score("teacher", 12), score("base", 1), score("student", 3)]
ROUND = {"round": 0, "stage": "teaching", "yield": share(5, 12), "problems": 0, "excluded": 0}
ROUND |= {"teacher": None, "student": None, "paired": None, "open": False}
ROUND |= {"reason": "too-few-problems", "self_learning": True, "luck": None}
DUELS = {"rounds": [ROUND], "switch": None, "luck": None}


def rate(correct, closed, ended):
    return {"run": share(correct, 40), "closed": closed, "ended": ended, "cut_off": 0}


def test_run_rates_stand_before_and_after_training():
    """And nothing is said of them where they were not measured."""
    rates = {
        "student": {"asked": rate(30, 29, 28), "not_asked": rate(1, 0, 0), "answers": []},
        "base": {"asked": rate(0, 0, 0), "not_asked": rate(0, 0, 0), "answers": []},
    }
    found = table(SCORES, TITLES, rates)
    lines = page(found, DUELS).splitlines()
    rows = lines[lines.index("## Runs of code") : lines.index("## Rounds")]
    assert [row for row in rows if row.startswith("|")] == [
        "| model | run rate when asked [95%] | run rate when not asked [95%] | closed | turn ended"
        " | prompts of each kind |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| base student, S | 0.0 [0.0, 8.8] | 0.0 [0.0, 8.8] | 0 of 0 | 0 of 0 | 40 |",
        "| tuned student | 75.0 [59.8, 85.8] | 2.5 [0.4, 12.9] | 29 of 30 | 28 of 30 | 40 |",
    ]
    assert found["run_rates"]["student"] == {k: rates["student"][k] for k in ("asked", "not_asked")}
    assert "Runs of code" not in page(table(SCORES, TITLES), DUELS)


def test_scores_with_the_interpreter_stand_apart():
    """Each beside the same model's greedy score, which no other part of the page changes for."""
    on = [score("student", 7), score("teacher", 12), score("base", 0)]
    found = table(SCORES, TITLES, None, on)
    own = found["interpreter"]["student"]["humaneval"]
    assert own["score"] == on[0] and own["compared"]["base"]["only_on"] == 4
    assert own["compared"]["base"]["only_off"] == 0 and "plus" not in own["compared"]
    lines = page(found, DUELS).splitlines()
    start, end = lines.index("## With the interpreter"), lines.index("## Rounds")
    rows = [line.split(" | ") for line in lines[start:end] if line.startswith("|")]
    assert [row[0] for row in rows[2:]] == [f"| {title}" for title in TITLES.values()]
    assert rows[3][1:3] == ["HumanEval", "35.0 [18.1, 56.7]"]
    assert rows[3][3].startswith("+20.0 [") and rows[4][3].startswith("+0.0 [")
    without = page(table(SCORES, TITLES), DUELS).splitlines()
    assert lines[:start] + lines[end:] == without


def test_how_far_the_answers_get_stands_beside_pass_at_1():
    runs = {"code": share(20, 20), "parses": share(15, 20), "runs": share(10, 20)}
    lines = page(table([score(m, reached=runs) for m in TITLES], TITLES), DUELS).splitlines()
    start, end = lines.index("## How far the answers get"), lines.index("## Student and base")
    rows = [line.split(" | ") for line in lines[start:end] if line.startswith("|")][2:]
    assert [cell.partition(" ")[0] for cell in rows[1][2:]] == ["100.0", "75.0", "50.0", "25.0"]
    unknown = [score(m, reached={**runs, "parses": None, "runs": None}) for m in TITLES]
    assert "[83.9, 100.0] | - | - | 25.0" in page(table(unknown, TITLES), DUELS)


def both(model, humaneval, mbpp, plus=None):
    """Scores of a model on HumanEval and MBPP, of 164 and 378 tasks."""
    sizes = (("humaneval", "HumanEval", 164, humaneval), ("mbpp", "MBPP", 378, mbpp))
    return [
        score(model, correct, tasks, name, plus=None if plus is None else min(plus, correct))
        | {"title": title}
        for name, title, tasks, correct in sizes
    ]


def test_humaneval_and_mbpp_are_compared_together_by_strata():
    scores = [*both("base", 20, 100, 10), *both("student", 30, 120, 15), *both("teacher", 1, 1, 1)]
    found = table(scores, TITLES)
    together = found["pooled"]
    assert together["benchmarks"] == ["humaneval", "mbpp"] and together["tasks"] == 542
    assert together["base"]["difference"] == round(30 / 542, 6)
    assert (together["base"]["only_student"], together["base"]["only_base"]) == (30, 0)
    assert together["plus"]["only_student"] == 10
    text = page(found, DUELS)
    assert "| HumanEval and MBPP, 542 tasks | 30 | 0 | +5.5 [" in text
    assert "| HumanEval+ and MBPP+, 542 tasks | 10 | 0 | +1.8 [" in text
    assert table(SCORES, TITLES)["pooled"] is None
    assert "542" not in page(table(SCORES, TITLES), DUELS)


def test_the_held_out_loss_is_shown_where_it_was_measured():
    losses = [{"step": 0, "loss": 1.5}, {"step": 3, "loss": 1.25}, {"step": 6, "loss": 1.125}]
    found = table(SCORES, TITLES, training={"test": {"examples": 7, "losses": losses}})
    assert found["held_out_loss"] == {"dialogues": 7, "before": 1.5, "after": 1.125}
    text = page(found, DUELS)
    assert "on 7 tagged dialogues" in text and "| before | 1.5000 |\n| after | 1.1250 |" in text
    for report in (None, {}, {"test": {"examples": 0, "losses": []}}):
        assert "held-out" not in page(table(SCORES, TITLES, training=report), DUELS)


def in_style(name, correct, **own):
    return score("base", correct, style={"name": name, "prefilled": name == "evalplus"}, **own)


def test_the_base_in_other_styles_stands_beside_the_student():
    """So that a format that the student has learnt is not taken for more: the base, in a style that
    it knows, is as good."""
    found = table(SCORES, TITLES, styled=[in_style("evalplus", 3), in_style("authors", 2)])
    place = found["base_styles"]["humaneval"]
    assert (place["own"], place["better"]) == ("chat", "evalplus")
    assert place["others"]["evalplus"]["compared"]["base"]["only_student"] == 0
    lines = page(found, DUELS).splitlines()
    start, end = lines.index("## The base in other prompt styles"), lines.index("## Rounds")
    rows = [line.split(" | ") for line in lines[start:end] if line.startswith("|")][2:]
    assert [row[1] for row in rows] == [
        "chat, the run's own",
        "evalplus (the base scores highest here)",
        "authors",
    ]
    assert [row[3].partition(" ")[0] for row in rows] == ["+10.0", "+0.0", "+5.0"]
    without = page(table(SCORES, TITLES), DUELS).splitlines()
    assert lines[:start] + lines[end:] == without


def test_of_equal_styles_the_run_s_own_is_the_better_one():
    found = table(SCORES, TITLES, styled=[in_style("authors", 1)])
    assert found["base_styles"]["humaneval"]["better"] == "chat"
    plus = [score(model, 5, plus=n) for n, model in enumerate(TITLES)]
    found = table(plus, TITLES, styled=[in_style("authors", 4, plus=1)])
    assert found["base_styles"]["humaneval"]["better"] == "authors", "further tests count first"


def test_the_page_says_how_the_models_were_asked():
    assert "asked in the prompt style chat, nothing prefilled." in page(
        table(SCORES, TITLES), DUELS
    )
    begun = {"name": "evalplus", "prefilled": True}
    scores = [score(m, style={**begun, "prefilled": m != "teacher"}) for m in TITLES]
    said = page(table(scores, TITLES), DUELS)
    assert "the answer's beginning prefilled but for teacher, T, whose endpoint" in said


def test_a_model_s_styles_beside_each_other():
    own = [score("teacher", 12), {**in_style("evalplus", 14), "model": "teacher"}]
    header, rows = styles.cells(styles.table(own))
    assert [row[:3] for row in rows] == [
        ["HumanEval", "chat", "no"],
        ["HumanEval", "evalplus", "yes"],
    ]
    assert rows[1][3].startswith("70.0 [") and len(header) == len(rows[0])
    with pytest.raises(UserError, match="these are of 2"):
        styles.table([*own, score("base")])


def test_rows_are_base_student_teacher_and_then_the_paper():
    lines = page(table(SCORES, TITLES), DUELS).splitlines()
    own = lines[: lines.index("## How far the answers get")]
    rows = [line for line in own if line.startswith("|")]
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| base student, S",
        "| tuned student",
        "| teacher, T",
        "| AutoCoder 33B (paper)",
        "| GPT-4 Turbo 2024-04 (paper)",
    ]
    assert rows[2] == "| base student, S | 5.0 [0.9, 23.6] | - | 20 |"
    assert rows[5] == "| AutoCoder 33B (paper) | 90.9 | 78.0 | 164 |"
    assert len({row.count("|") for row in rows}) == 1


def test_a_subset_and_its_exceptions_are_said():
    text = page(table([score(m, exceptions=["HumanEval/32"]) for m in TITLES], TITLES), DUELS)
    assert "a subset of 20 of 164 tasks, chosen by a hash" in text
    named = page(table([score(m, subset={"ids": ["HumanEval/0"]}) for m in TITLES], TITLES), DUELS)
    assert "a subset of 20 of 164 tasks, which the config names;" in named
    assert "HumanEval/32" in text
    whole = page(table([score(m, tasks=164, plus=4) for m in TITLES], TITLES), DUELS)
    assert "subset" not in whole
    assert "| 3.0 [1.3, 6.9] | 2.4 [1.0, 6.1] | 164 |" in whole


def test_answers_that_count_as_failed_are_said():
    lost = {"asked": 20, "asked-again": 6, "cut-off": 4, "refused": 1}
    student = score("student", answers=lost)
    text = page(table([SCORES[0], SCORES[1], student], TITLES), DUELS)
    words = "HumanEval: answers of tuned student counted as failed: 4 cut-off, 1 refused."
    assert f"- {words}" in text and "answers of base" not in text


def test_a_benchmark_that_the_paper_does_not_have():
    own = {"title": "own|one", "benchmark": "own", "size": None, "paper": {}}
    both = [*SCORES, *(score(model, **own) for model in TITLES)]
    text = page(table(both, TITLES), DUELS)
    assert (
        "| model | HumanEval [95%] | HumanEval+ [95%] | tasks | own\\|one [95%] | tasks |" in text
    )
    assert "| AutoCoder 33B (paper) | 90.9 | 78.0 | 164 | - | - |" in text
    assert "own|one: a subset" not in text


def test_two_benchmarks_of_one_title_are_told_apart_everywhere():
    """A run with `humaneval` and `humaneval+`: both are HumanEval."""
    names = {"humaneval": None, "humaneval+": 3}
    lost = {"asked": 20, "cut-off": 4}
    both = [score(m, 5, 20, n, plus=p, answers=lost) for m in TITLES for n, p in names.items()]
    styled = [in_style("authors", 2, benchmark=name, plus=plus) for name, plus in names.items()]
    found = table(both, TITLES, None, both, styled)
    header, *_ = [row for row in page(found, DUELS).splitlines() if row.startswith("| model | H")]
    assert header.split(" | ")[1:] == [
        "HumanEval (humaneval) [95%]",
        "HumanEval+ (humaneval) [95%]",
        "tasks",
        "HumanEval (humaneval+) [95%]",
        "HumanEval+ (humaneval+) [95%]",
        "tasks |",
    ]
    titles = {f"HumanEval ({name})" for name in names}
    plus = {*titles, "HumanEval+ (humaneval+)"}
    own = styles.table([each for each in both if each["model"] == "teacher"])
    for (_, rows), column, told in (
        (scores_page.reached_cells(found), 1, titles),
        (scores_page.comparison_cells(found), 0, plus),
        (scores_page.interpreter_cells(found), 1, plus),
        (styles.base_cells(found), 0, plus),
        (styles.cells(own), 0, titles),
    ):
        assert {row[column] for row in rows} == told
    assert {note.partition(":")[0] for note in scores_page.notes(found)[1:]} == titles


def test_student_and_base_are_compared_task_by_task():
    found = table([score("base", 2, plus=1), score("student", 8, plus=1), score("teacher")], TITLES)
    compared = found["student_vs_base"]["humaneval"]
    counts = ("both", "only_student", "only_base", "neither")
    assert [compared["base"][key] for key in counts] == [2, 6, 0, 12]
    assert compared["base"]["difference"] == 0.3 and compared["base"]["mcnemar_p"] == 0.03125
    low, high = compared["base"]["interval"]
    assert 0 < low < 0.3 < high
    assert compared["plus"]["difference"] == 0 and compared["plus"]["interval"][0] < 0
    text = page(found, DUELS)
    assert "| HumanEval | 6 | 0 | +30.0 [" in text and "| HumanEval+ | 0 | 0 | +0.0 [" in text
    assert table(SCORES, TITLES)["student_vs_base"]["humaneval"]["plus"] is None


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        ([], "no scores"),
        (SCORES[:2], "no score of student on humaneval"),
        ([*SCORES, SCORES[0]], "two scores of teacher"),
        ([*SCORES, score("other")], "other"),
    ],
)
def test_scores_that_make_no_table(scores, word):
    with pytest.raises(UserError, match=word):
        table(scores, TITLES)


def test_the_funnel_names_every_loss():
    stages = funnel(**REPORTS)["stages"]
    assert [(s["stage"], s["in"], s["kept"]) for s in stages] == [
        ("mined functions", 83, 67),
        ("deduplicated", 67, 64),
        ("sampled seeds", 64, 24),
        ("dialogues", 24, 24),
        ("verified", 24, 11),
        ("train split", 11, 10),
        ("decontaminated", 10, 8),
        ("tagged", 8, 7),
        ("trained", 7, 5),
    ]
    assert funnel(**REPORTS)["answers"] == {"asked": 60, "refused": 1, "resampled": 4}
    assert stages[4]["lost"] == {"unsolved-failed": 10, "vacuous": 3}
    assert stages[6]["lost"] == {"near-benchmark": 1, "test-problem": 1}


NUMBERS = [
    ("seeds", "seeds"),
    ("rounds", 0, "dialogues"),
    ("rounds", 1, "verified"),
    ("rounds", 0, "rejected", "vacuous"),
    ("rounds", 0, "train"),
    ("rounds", 1, "test"),
    ("contamination", "compared", "dialogues"),
    ("contamination", "kept"),
    ("tagged", "dialogues"),
    ("tagged", "untagged"),
    ("tagged", "dropped", "token-in-text"),
    ("training", "dialogues"),
    ("training", "examples"),
]


@given(st.sampled_from(NUMBERS), st.sampled_from([-2, -1, 1, 5]))
def test_any_figure_that_is_off_is_noticed(place, by):
    reports = copy.deepcopy(REPORTS)
    holder = reports
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] += by
    with pytest.raises(ValueError, match="funnel"):
        funnel(**reports)


def test_seeds_of_later_rounds_are_counted():
    stages = funnel(**{**REPORTS, "rounds": _one_round()})["stages"]
    assert stages[3]["lost"] == {"not-yet-used": 12}


def _one_round():
    train = {"verified": 10, "train": 10, "test": 0}
    return [{"dialogues": 12, "rejected": {"vacuous": 2}, **train}]


def test_the_summary_fits_a_terminal(tmp_path):
    scores, stages = table(SCORES, TITLES), funnel(**REPORTS)
    text = summary(scores, stages, DUELS, "results/laptop/scores.md")
    lines = text.splitlines()
    assert len(lines) <= HEIGHT
    assert max(map(len, lines)) <= WIDTH
    assert lines[-1] == "report: results/laptop/scores.md"
    assert "base student, S" in text
    assert "trained" in text
    long = dict.fromkeys(TITLES, "x" * 200)
    assert max(map(len, summary(table(SCORES, long), stages, DUELS, "p").splitlines())) <= WIDTH


def test_what_was_paid_stands_above_the_place_of_the_report():
    costs = "answers: $" + "1" * 99
    lines = summary(table(SCORES, TITLES), funnel(**REPORTS), DUELS, "p", costs).splitlines()
    assert lines[-2:] == [costs[:WIDTH], "report: p"] and len(lines) <= HEIGHT


def test_the_summary_says_that_the_gate_only_would_open():
    would = {**ROUND, "open": True, "reason": "student-ahead", "self_learning": False}
    duels = {"rounds": [would], "switch": None}
    text = summary(table(SCORES, TITLES), funnel(**REPORTS), duels, "p")
    assert "round 0 (teaching): gate would open, student-ahead" in text


def test_the_command_prints_the_summary(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    results = tmp_path / "results" / "laptop"
    results.mkdir(parents=True)
    (results / "scores.json").write_text(json.dumps(table(SCORES, TITLES)))
    (results / "funnel.json").write_text(json.dumps(funnel(**REPORTS)))
    (results / "rounds.json").write_text(json.dumps(DUELS))
    done = aiev("summary", root=tmp_path)
    where = "results/laptop/scores.md"
    expected = summary(table(SCORES, TITLES), funnel(**REPORTS), DUELS, where)
    assert done.stdout == expected
