"""`make plan`: what a run would do, and a bound that the run then keeps."""

import re

import pytest
from command import aiev
from matrix import prepared
from project import Project
from scripted import scripted_endpoint
from tiny import answers

from aiev.core.files import read_jsonl
from aiev.llm.costs import Costs

pytestmark = pytest.mark.workflow

RUN = "results/tiny"
PRICE = {"prompt_usd_per_million": 1, "completion_usd_per_million": 10}


def plan(project: Project) -> str:
    (project.root / "tiny.yaml").write_text(project.dump(project.config))
    done = aiev("plan", "--config", "tiny.yaml", root=project.root)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 100, "one screen"
    return done.stdout


def row(said: str, rule: str, model: str) -> list[float]:
    """Questions, tokens read and written, dollars."""
    (line,) = re.findall(rf"^{rule} +{model}  +(.*)$", said, re.MULTILINE)
    return [float(number.replace(",", "")) for number in line.split()]


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
    said = plan(fresh)
    # A round of two shards of 8 seeds: a problem, 3 x 3 programs, 2 errors put into words. Each may
    # be cut off, and asked for again with twice as many tokens.
    questions, written = 2 * 16 * (1 + 9 + 2), 3 * 16 * (10 + 900 + 2)
    usd = round((questions * 1000 + 10 * written) / 1e6, 4)
    assert row(said, "write_dialogues", "teacher") == [questions, questions * 1000, written, usd]
    # How many of the 16 are test problems is not known yet.
    assert row(said, "run_duel", "teacher")[:3] == [160, 160_000, 12_000]
    assert row(said, "run_duel", "student") == [160, 160 * 4096, 12_000, 0]
    assert row(said, "generate_samples", "base")[:3] == [4, 4 * 4096, 6 * 768]
    rows = [line.split() for line in said.splitlines() if re.match("write_|run_d|gen", line)]
    assert row(said, "all", "all")[0] == sum(int(cells[2].replace(",", "")) for cells in rows)
    assert re.search(r"\b2 write_dialogues\b.*\n", said) and "3 generate_samples" in said
    assert "counted as $0: base-tiny, student-tiny" in said
    assert "nothing was paid for so far" in said and "1,000,000 tokens" in said
    assert not (fresh.root / RUN).exists() and not (fresh.root / "ledger").exists()


def test_a_benchmark_of_a_size_that_is_not_known(fresh):
    fresh.config["evaluation"]["benchmarks"]["humaneval"]["subset"] = None
    fresh.config["rounds"] = {"dialogues": 8, "count": 2}
    fresh.config["dialogues"]["answers"] = 1
    said = plan(fresh)
    assert "not in the sum: humaneval" in said and "generate_samples  base" not in said
    assert row(said, "write_dialogues", "teacher or student")[0] == 2 * 8 * (1 + 2 * 1 + 1)


@pytest.mark.slow
def test_a_bound_is_kept_and_a_finished_run_has_nothing_to_do(fresh, endpoint):
    fresh.config["execution"]["prices"] = {"scripted": PRICE}
    before, asked = plan(fresh), len(endpoint.bodies)
    code, said = fresh.run("all", seconds=600)
    assert code == 0, said
    assert len(endpoint.bodies) - asked > 0
    paid = Costs(fresh.root / "ledger").tally().paid
    for (stage, model), sums in paid.items():
        rule = {"dialogues": "write_dialogues", "duel": "run_duel", "samples": "generate_samples"}
        role = "teacher" if model == "scripted" else model.partition("-")[0]
        found = row(before, rule[stage], role)
        assert all(a <= b for a, b in zip(sums, found[:3], strict=True)), (stage, model)
    said = plan(fresh)
    assert "nothing to do" in said and "would" not in said
    assert (
        re.search(r"^scripted +\d+ ", said, re.MULTILINE) and "budget, over all runs: none" in said
    )
    # Now the number of test problems is known.
    fresh.config["duel"] = {"max_tokens": 50}
    problems = len(read_jsonl(fresh.root / RUN / "rounds/0/test.jsonl"))
    assert row(plan(fresh), "run_duel", "teacher")[0] == 2 * problems < 32


def test_a_config_with_a_mistake(fresh):
    fresh.config["nmae"] = "tiny"
    with pytest.raises(AssertionError, match="plan: unknown key"):
        plan(fresh)
