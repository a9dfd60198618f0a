"""A server that fails in every way of the table, each at one question in ten, by a seed.

The run is started again until it finishes, as a user would: a wrong configuration and a server that
stays busy end it. Every item is then accounted for, and a second run from the start is the same.
"""

import asyncio
import json
import random
import re
from collections import Counter

import pytest
from scripted import CLOSE, Raw, completion, dialogues, key_of, scripted_endpoint, seed_source

from aiev.core.errors import EndpointError
from aiev.core.files import dump_line
from aiev.core.hashing import of_text
from aiev.languages.interpreter import Interpreter
from aiev.llm import retries
from aiev.llm.client import ChatClient
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.ledger import Ledger
from aiev.recipes.aiev_instruct.dialogue import write_dialogue
from aiev.recipes.aiev_instruct.options import Settings
from aiev.recipes.aiev_instruct.settings import Sampling
from aiev.recipes.base import write_dialogues
from aiev.rounds.splits import split_round
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.packages.service import Packages
from aiev.sandbox.request import Limits

SAMPLING = Sampling(
    problem_tokens=128, solution_tokens=320, description_tokens=48, tests_tokens=384
)
SETTINGS = Settings(
    run_seed=1, feedback_rounds=1, answers=2, shown_characters=600, sampling=SAMPLING
)
NAMES = [f"once_{letter}" for letter in "abcdefghijklmnopqrst"]


def error(status: int, message: str, code: str | None = None, *headers) -> Raw:
    body = {"error": {"message": message, "code": code}}
    return Raw(json.dumps(body).encode(), status=status, headers=headers)


def cut_off(body) -> Raw:
    found = completion("Write a function that")
    found["choices"][0]["finish_reason"] = "length"
    return Raw(json.dumps(found).encode())


ALWAYS = {
    "refused": lambda body: error(400, "Content Exists Risk"),
    "context-full": lambda body: error(400, "prompt is too long: 9 tokens > 8 maximum"),
    "request-failed": lambda body: error(500, "an oops of this question alone"),
    "cut-off": cut_off,
}
"""Failures of a question, however often it is asked."""

AT_FIRST = {
    "limited": lambda body: error(429, "slow down", None, ("Retry-After", "0.01")),
    "busy": lambda body: error(503, "overloaded"),
    "closed": lambda body: CLOSE,
    "no JSON": lambda body: Raw(b"<html>Bad gateway</html>", "text/html"),
    "wrong key": lambda body: error(401, "Incorrect API key provided"),
}
"""Failures of the first attempt; the question is answered at the second."""


class Failing:
    """A script: what becomes of a dialogue's nth question follows from the seed, the dialogue's
    function and n."""

    def __init__(self, seed: int):
        self.seed, self.attempts, self.met = seed, Counter(), Counter()
        self.asked: dict[str, list[str]] = {name: [] for name in NAMES}

    def __call__(self, body):
        found = re.findall(r"\bonce_[a-t]\b", str(body["messages"]))
        if not found:  # asked by the client, to tell whose fault it is
            return "OK"
        key = key_of({**body, "max_tokens": 0})  # with more room it is the same question
        asked = self.asked[found[-1]]
        if key not in asked:
            asked.append(key)
        self.attempts[key] += 1
        chosen = random.Random(f"{self.seed} {found[-1]} {asked.index(key)}").random()
        failures = {**ALWAYS, **AT_FIRST}
        name = [*failures, "none"][int(10 * chosen)]
        if name in ALWAYS or (name in AT_FIRST and self.attempts[key] == 1):
            self.met[name] += 1
            return failures[name](body)
        return dialogues(body)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


def seed_of(name: str) -> dict:
    text = seed_source(name)
    source = {"name": "lib 1.0", "path": "a.py", "licence": "MIT"}
    known = {"id": of_text(text)[:16], "text": text, "name": name, "language": "python"}
    return known | {"source": source}


def finish(sandbox, root, script) -> tuple[list[dict], int]:
    """The dialogues of a run that is started until it finishes, and how often it was started."""
    ledger = Ledger(root / "ledger")
    interpreter = Interpreter(
        sandbox, Limits(wall_seconds=10, memory_mib=256), Packages(ledger, root / "layers")
    )

    async def once(url: str):
        endpoint = Endpoint("openai", "scripted", "1", url, slots=4, api_key="secret-key")
        async with ChatClient(endpoint, ledger, timeout=20.0) as chat:
            return await write_dialogues(
                [seed_of(name) for name in NAMES],
                lambda seed, place: write_dialogue(seed, chat, interpreter, SETTINGS, place),
                *(0, "teaching", 4),
                done=lambda dialogue: None,
            )

    with scripted_endpoint(script) as server:
        for started in range(1, 100):
            try:
                return asyncio.run(once(server.url)), started
            except ExceptionGroup as group:
                if group.split(EndpointError)[1]:
                    raise
    raise AssertionError("it never finishes")


def test_every_item_is_accounted_for_twice_the_same(sandbox, tmp_path):
    written = []
    for number in range(2):
        script = Failing(seed=218)
        found, started = finish(sandbox, tmp_path / str(number), script)
        assert set(script.met) == {*ALWAYS, *AT_FIRST}, "each failure was met"
        assert started > 1, "a wrong key ends a run"
        written.append([dump_line(dialogue) for dialogue in found])
    assert written[0] == written[1]
    assert [d["seed"]["id"] for d in found] == [seed_of(name)["id"] for name in NAMES]
    reasons = Counter(d["reason"] for d in found)
    assert reasons.keys() <= {*ALWAYS, "", "unconfirmed", "no-contract", "unsolved-failed"}
    for reason in ("refused", "context-full", "request-failed"):
        assert reasons[reason]
    judged = [{**d, "verdict": "rejected" if d["reason"] else "verified"} for d in found]
    answers = split_round(judged, 0.1, "s").report["answers"]
    assert answers["asked"] > len(NAMES) and answers["cut-off"] and answers["resampled"]
    assert answers["refused"] == reasons["refused"]
