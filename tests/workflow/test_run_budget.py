"""A budget ends a run before it is passed; what was paid for is kept, and a higher one goes on."""

import json
import os

import pytest
from command import aiev
from project import DIALOGUES, TRAIN
from scripted import Raw, completion, dialogues

from aiev.llm.costs import Costs

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

PRICE = {"prompt_usd_per_million": 1000, "completion_usd_per_million": 1000}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
"""Of every call, as the endpoint counts: the budget of `LIMIT` tokens lasts for less than ten."""

LIMIT = 12_000


def paid(project) -> list[int]:
    """Calls, prompt tokens, completion tokens."""
    tally = Costs(project.root / "ledger").tally()
    assert not tally.open, "every call that was made has ended"
    return [sum(column) for column in zip(*tally.paid.values(), strict=True)] or [0] * 3


def costs(project):
    return aiev("costs", "--config", "tiny.yaml", root=project.root)


def test_a_budget_is_reached_and_raised(project, scripted, undisturbed):
    """Two shards share it, each with several calls under way: one in tokens, then as much in
    dollars."""
    project.config["seeds"]["shards"], project.config["rounds"]["dialogues"] = 2, 16
    project.config["execution"]["prices"] = {"scripted": PRICE}
    project.config["execution"]["budget"] = {"tokens": LIMIT}
    scripted.script = lambda body: Raw(
        json.dumps(completion(dialogues(body), usage=USAGE)).encode()
    )
    code, said = project.run()
    assert code == 4, said
    assert "is reached" in said and "config: execution.budget.tokens" in said
    assert "every answer paid for is kept" in said and "Traceback" not in said
    calls, *tokens = paid(project)
    assert calls == len(scripted.bodies) == len(project.entries()) > 0
    assert sum(tokens) == calls * 1100 <= LIMIT
    assert not (project.root / TRAIN).exists()

    # The same command stops again: what is there is recalled, and stays below the budget.
    project.config["execution"]["budget"] = {"usd": LIMIT / 1000}
    code, said = project.run()
    assert code == 4 and "config: execution.budget.usd" in said, said
    assert paid(project)[0] == len(scripted.bodies) <= LIMIT // 1100
    assert set(scripted.answered.values()) == {1}

    project.config["execution"]["budget"] = {"tokens": None, "usd": None}
    code, said = project.run()
    assert code == 0, said
    assert set(project.entries()) == undisturbed[1] == set(scripted.answered)
    assert set(scripted.answered.values()) == {1}, "paid for twice"
    calls = len(scripted.bodies)
    assert paid(project) == [calls, 1000 * calls, 100 * calls]

    done = costs(project)
    assert done.returncode == 0 and f"{calls * 1.1:,.4f}" in done.stdout.splitlines()[-1]
    for word in ("dialogues", "scripted", "all"):
        assert word in done.stdout


def test_budget_and_prices_make_nothing_stale(project, scripted):
    code, said = project.run()
    assert code == 0, said
    before = project.file(DIALOGUES)
    scripted.forget()
    project.config["execution"]["prices"] = {"scripted": PRICE}
    project.config["execution"]["budget"] = {"usd": 0, "tokens": 0}
    code, said = project.run()
    assert code == 0 and "Nothing to be done" in said and scripted.bodies == []

    # Answers on record are free, whatever the budget.
    os.rename(project.root / ".aiev", project.root / "lost")
    os.rename(project.root / "results", project.root / "lost/results")
    code, said = project.run()
    assert code == 0, said
    assert scripted.bodies == [] and project.file(DIALOGUES) == before


def test_a_price_that_is_missing(project, scripted):
    project.config["execution"]["budget"] = {"usd": 1}
    code, said = project.run()
    assert code != 0 and "no price for 'scripted'" in said and "tiny.yaml: execution.prices" in said
    assert scripted.bodies == [] and "Traceback" not in said


def test_a_replay_names_the_entry_that_is_damaged(project, scripted):
    code, said = project.run()
    assert code == 0, said
    scripted.forget()
    entry = sorted((project.root / "ledger").rglob("*.json"))[0]
    right = entry.read_bytes()
    (project.root / ".aiev").rename(project.root / "lost")
    (project.root / DIALOGUES).unlink()
    entry.write_bytes(right[: len(right) // 2])
    project.config["execution"]["ledger"] = {"mode": "replay"}
    code, said = project.run(DIALOGUES)
    assert code != 0 and "replay: this ledger entry is damaged" in said and entry.name in said
    assert scripted.bodies == [] and "Traceback" not in said

    project.config["execution"]["ledger"] = {"mode": "record"}
    code, said = project.run(DIALOGUES)
    assert code == 0, said
    assert len(scripted.bodies) == 1 and entry.read_bytes() == right
