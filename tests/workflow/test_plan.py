"""`make plan`: what a run would do, and a bound that the run then keeps."""

import json
import re
from pathlib import Path

import pytest
import yaml
from command import aiev_here
from matrix import prepared
from project import Project
from scripted import scripted_endpoint
from tiny import answers

from aiev.core.files import read_json, read_jsonl
from aiev.engine import events
from aiev.llm.costs import Costs

pytestmark = pytest.mark.workflow

RUN = "results/tiny"
PRICE = {"prompt_usd_per_million": 1, "completion_usd_per_million": 10}


@pytest.fixture(autouse=True)
def one_dry_run(monkeypatch):
    """Snakemake is asked once as long as the config stays, for the text and for the numbers."""
    known: dict[tuple[Path, str], events.DryRun] = {}
    dry_run = events.dry_run

    def remembered(config: str) -> events.DryRun:
        key = Path.cwd(), Path(config).read_text("utf-8")
        known[key] = known.get(key) or dry_run(config)
        return known[key]

    monkeypatch.setattr(events, "dry_run", remembered)


def output(project: Project, *words: str) -> str:
    (project.root / "tiny.yaml").write_text(project.dump(project.config))
    done = aiev_here("plan", "--config", "tiny.yaml", *words, root=project.root)
    assert done.returncode == 0, done.stderr
    return done.stdout


def plan(project: Project) -> str:
    text = output(project)
    lines = text.splitlines()
    assert len(lines) <= 32 and max(map(len, lines)) <= 110, "one screen"
    return text


def numbers(project: Project) -> dict:
    """The same plan as JSON."""
    return json.loads(output(project, "--json"))


def row(found: dict, rule: str, model: str, column: str = "most") -> list[float]:
    """Calls, tokens read and written, dollars."""
    (one,) = (each for each in found["asked"] if (each["rule"], each["model"]) == (rule, model))
    return [one[column][name] for name in ("calls", "read", "written", "usd")]


@pytest.fixture(scope="module")
def endpoint():
    with scripted_endpoint(answers) as endpoint:
        yield endpoint


@pytest.fixture
def fresh(endpoint, tmp_path):
    return prepared(tmp_path / "project", endpoint.url, tmp_path / "mirror")


def test_a_run_that_is_to_come(fresh):
    fresh.config["execution"]["prices"] = {"scripted": PRICE}
    fresh.config["dialogues"] |= {"feedback_rounds": 2, "answers": 3}
    sizes = {"problem_tokens": 10, "solution_tokens": 100, "description_tokens": 1}
    fresh.config["dialogues"]["sampling"] = sizes
    fresh.config["models"]["teacher"]["context_tokens"] = 1000
    fresh.config["duel"] = {"samples": 4, "max_tokens": 50}
    fresh.config["execution"]["budget"] = {"tokens": 10**6}
    fresh.config["execution"]["plan"] = {"accelerator_gib": 1e-4, "accelerator_tflops": 1}
    fresh.config["execution"]["plan"]["tokens_per_second"] = 10
    said, found = plan(fresh), numbers(fresh)
    # A round of two shards of 8 seeds. Each dialogue: 3 problems, 3 solutions, 2 x 4 independent
    # ones, tests, and 2 x 3 descriptions and revisions; each call again if its answer is cut off.
    calls, written = 16 * 2 * (3 + 3 + 8 + 1 + 12), 16 * 3 * (3 * 10 + 17 * 100 + 512 + 6 * 1)
    usd = (calls * 1000 + 10 * written) / 1e6
    assert row(found, "write_dialogues", "teacher") == [calls, calls * 1000, written, usd]
    # How many of the 16 are test problems is not known yet.
    assert row(found, "run_duel", "teacher")[:3] == [160, 160_000, 12_000]
    assert row(found, "run_duel", "student") == [160, 160 * 4096, 12_000, 0]
    assert row(found, "generate_samples", "base")[:3] == [4, 4 * 4096, 6 * 768]
    # No run of this teacher is there: the laptop run's rates, under this config's limits.
    assert not found["rates"]["of_this_teacher"] and "no round with this teacher" in said
    # A paid teacher costs what a strong one did, and not what the laptop's would have.
    assert found["rates"]["paper_usd"] == pytest.approx(16 * 28_600 / 185_900)
    assert "1,000 for 6,500 dialogues: $2 for these 16" in said
    expected = row(found, "write_dialogues", "teacher", "expected")
    mean = (3 * 10 + 17 * 100 + 512 + 6 * 1) / 27  # fewer than the 111 that were measured
    assert expected[:3] == pytest.approx([16 * 7.5, 16 * 7.5 * 248, 16 * 7.5 * mean])
    asked, _, written, _ = row(found, "run_duel", "teacher", "expected")
    assert 0 < written == 50 * asked, "no more than duel.max_tokens each"
    assert found["hours_of_answers"][1] > written / 10 / 2 / 3600
    assert re.search(r"\b2 write_dialogues\b.*\n", said) and "3 generate_samples" in said
    assert "counted as $0: base-tiny, student-tiny" in said
    assert "nothing was paid for so far" in said and "1,000,000 tokens" in said
    assert "1 training of tiny" in said and re.search(r"of 0.0001, \d+\.\d too much", said)
    training = found["training"]
    assert training["too_much"] == training["memory"]["total"] - int(1e-4 * 2**30)
    assert training["each"][0]["hours"][1] > 0 and training["each"][0]["hours"][0] is None
    assert not (fresh.root / RUN).exists() and not (fresh.root / "ledger").exists()


def test_what_is_measured_beside_the_scores(fresh):
    """Each question is asked once: an answer that was cut off counts as it is."""
    more = {"interpreter": True, "max_runs": 4, "run_rate": {"prompts": 3, "max_tokens": 20}}
    fresh.config["evaluation"] |= more
    found = numbers(fresh)
    assert found["rates"]["paper_usd"] is None, "this teacher has no price"
    assert row(found, "measure_run_rate", "student")[:3] == [6, 6 * 4096, 6 * 20]
    # An answer to each of two tasks, and one after each run.
    interpreted = row(found, "generate_with_interpreter", "base")
    assert interpreted[:3] == [2 * 5, 2 * 5 * 4096, 2 * 5 * 768]


def test_the_base_in_other_prompt_styles(fresh):
    """Two tasks in each of two styles; the run's own is none of them."""
    fresh.config["evaluation"]["base_styles"] = ["authors", "evalplus", "chat"]
    assert row(numbers(fresh), "generate_in_style", "base")[:3] == [8, 8 * 4096, 3 * 4 * 768]


def test_a_benchmark_of_a_size_that_is_not_known(fresh):
    fresh.config["evaluation"]["benchmarks"]["humaneval"]["subset"] = None
    fresh.config["rounds"] = {"dialogues": 8, "count": 2}
    fresh.config["dialogues"]["answers"] = 1
    said = plan(fresh)
    assert "not in the sum: humaneval" in said and "generate_samples  base" not in said
    assert row(numbers(fresh), "write_dialogues", "teacher or student")[0] == 8 * 2 * (
        2 + 8 + 1 + 2
    )


def test_a_benchmark_of_listed_tasks(fresh):
    own = fresh.config["evaluation"]["benchmarks"]["humaneval"]
    own |= {"subset": None, "subset_ids": [f"HumanEval/{number}" for number in range(3)]}
    assert row(numbers(fresh), "generate_samples", "base")[0] == 2 * 3


def test_a_student_whose_size_is_not_declared(fresh):
    path = fresh.root / "config/resources.yaml"
    resources = yaml.safe_load(path.read_text())
    del resources["tiny-student"]["shape"]
    path.write_text(yaml.safe_dump(resources))
    said = plan(fresh)
    assert "the student's size is not declared (config/resources.yaml: tiny-student.shape)" in said
    assert "1 training of" not in said


@pytest.mark.slow
def test_a_bound_is_kept_and_a_finished_run_has_nothing_to_do(fresh, finished_copy, tmp_path):
    before = numbers(fresh)
    fresh = finished_copy(tmp_path / "finished")
    fresh.config["execution"]["prices"] = {"scripted": PRICE}
    paid = Costs(fresh.root / "ledger").tally().paid
    assert {stage for stage, _ in paid} == {"dialogues", "duel", "samples"}
    for (stage, model), sums in paid.items():
        rule = {"dialogues": "write_dialogues", "duel": "run_duel", "samples": "generate_samples"}
        role = "teacher" if model == "scripted" else model.partition("-")[0]
        found = row(before, rule[stage], role)
        assert all(a <= b for a, b in zip(sums, found[:3], strict=True)), (stage, model)
    said = plan(fresh)
    assert "nothing to do" in said and "would" not in said
    # Another run of the same config, without the answers: the rates of this one are exact.
    fresh.config["name"], fresh.config["seed"] = "again", 2
    again = numbers(fresh)
    fresh.config["name"], fresh.config["seed"] = "tiny", 1
    assert again["rates"]["runs"] == ["tiny"] and again["rates"]["paper_usd"] is None
    expected = row(again, "write_dialogues", "teacher", "expected")[:3]
    # A plan is for full shards: 16 dialogues, of which this run had seeds for a few only.
    shards = (fresh.root / RUN / "rounds/0/dialogues").glob("*.jsonl")
    written = sum(len(read_jsonl(path)) for path in shards)
    full = [16 / written * each for each in paid["dialogues", "scripted"]]
    assert 0 < written < 16 and expected == pytest.approx(full, rel=0.15)
    trained = read_json(fresh.root / RUN / "training.json")
    assert again["rates"]["tokens"] == trained["tokens"] / trained["examples"]
    (one,) = again["training"]["each"]
    assert 0 < one["tokens"][0] < one["tokens"][1]
    assert (
        re.search(r"^scripted +\d+ ", said, re.MULTILINE) and "budget, over all runs: none" in said
    )
    # Now the number of test problems is known.
    fresh.config["duel"] = {"max_tokens": 50}
    problems = len(read_jsonl(fresh.root / RUN / "rounds/0/test.jsonl"))
    assert row(numbers(fresh), "run_duel", "teacher")[0] == 2 * problems < 32


def test_a_config_with_a_mistake(fresh):
    fresh.config["nmae"] = "tiny"
    with pytest.raises(AssertionError, match="plan: unknown key"):
        plan(fresh)
