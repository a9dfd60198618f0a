"""Samples: what a model is asked, and the rows that its answers become."""

import asyncio
import json

import pytest
from scripted import Raw, completion

from aiev.core.errors import EndpointError
from aiev.evaluation.answers import counts, unusable
from aiev.evaluation.benchmarks.base import open_benchmark
from aiev.evaluation.generate import Decoding, generate
from aiev.evaluation.styles import Style
from aiev.llm.client import ChatClient
from aiev.llm.failures import UNANSWERABLE, ContextFull
from aiev.llm.ledger import Answer, Ledger
from aiev.llm.responses import NO_ANSWER
from aiev.rounds.duel import STYLE as DUEL

HUMANEVAL = open_benchmark("humaneval", "evalplus", {})
STYLE = Style(HUMANEVAL.prompt, HUMANEVAL.extract)


class Scripted:
    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def complete(self, messages, **how):
        self.asked.append((messages, how))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, "stop", 10, 20, key="k")


def problems(*names):
    return [
        {"task_id": f"HumanEval/{n}", "entry_point": n, "prompt": f"\ndef {n}(x):\n"} for n in names
    ]


def sampled(client, *names):
    return asyncio.run(generate(client, problems(*names), STYLE, Decoding(64)))


def test_rows_are_in_the_problems_order_and_hold_the_raw_answer():
    client = Scripted("```python\ndef a(x):\n    return 1\n```", "I cannot.")
    first, second = sampled(client, "a", "b")
    assert first == {
        "task_id": "HumanEval/a",
        "solution": "def a(x):\n    return 1",
        "answer": "```python\ndef a(x):\n    return 1\n```",
        "finish_reason": "stop",
        "asked_again": False,
        "prompt_tokens": 10,
        "completion_tokens": 20,
    }
    assert (second["answer"], second["solution"]) == ("I cannot.", "")


def test_the_question_is_evalplus_own_and_greedy():
    client = Scripted("x")
    sampled(client, "a")
    messages, how = client.asked[0]
    words = "Please provide a self-contained Python script that solves the following problem in a"
    text = f"{words} markdown code block:\n```\ndef a(x):\n```"
    assert messages == [{"role": "user", "content": text}]
    greedy = {"temperature": 0.0, "max_tokens": 64, "seed": 0, "more_room": True}
    assert how == {**greedy, "stop": ()}


def test_a_sample_has_its_problem_s_own_seed_and_temperature():
    client = Scripted("x", "y")
    decoding = Decoding(64, 0.8, seed=lambda task: len(task))
    asyncio.run(generate(client, problems("a", "bbb"), STYLE, decoding))
    assert [how["seed"] for _, how in client.asked] == [11, 13]
    assert {how["temperature"] for _, how in client.asked} == {0.8}


def test_a_problem_too_long_for_the_model_is_an_empty_sample():
    (row,) = sampled(Scripted(ContextFull("full")), "a")
    assert (row["solution"], row["finish_reason"]) == ("", "context-full")


def test_a_server_that_fails_is_reported_as_such():
    with pytest.raises(EndpointError):
        sampled(Scripted("x", EndpointError("down")), "a", "b")


CODE = "def a(x):\n    return x + 1"
DRAFT = "def a(x):\n    y = x - 1\n    y = abs(y)\n    return y"
THOUGHTS = f"First try:\n```python\n{DRAFT}\n```\nNo, that subtracts.\n"


@pytest.mark.parametrize("style", [STYLE, DUEL], ids=["benchmark", "duel"])
@pytest.mark.parametrize(
    ("answer", "solution"),
    [
        (f"<think>\n{THOUGHTS}</think>\n\n```python\n{CODE}\n```\n", CODE),
        (f"{THOUGHTS}</think>\n\n```python\n{CODE}\n```\n", CODE),
        (f"<think>\n{THOUGHTS}" + "Is it a sum?\n" * 200 + f"</think>\n```\n{CODE}\n```", CODE),
        (f"<think>\n{THOUGHTS}", ""),
    ],
    ids=["both-tags", "closing-tag-alone", "long", "cut-off"],
)
def test_thoughts_are_never_the_solution(style, answer, solution):
    asked = generate(Scripted(answer), problems("a"), style, Decoding(64))
    (row,) = asyncio.run(asked)
    assert row["solution"] == solution
    assert row["answer"] == answer


@pytest.mark.parametrize("style", [STYLE, DUEL], ids=["benchmark", "duel"])
def test_an_answer_that_is_cut_off_twice_fails_and_is_counted(
    style, scripted, endpoint_of, tmp_path
):
    """Whole as it may look: the model has not come to an end."""
    whole = f"```python\n{CODE}\n```"
    refusal = {"error": {"code": "content_filter", "message": "no"}}

    def script(body):
        text = body["messages"][0]["content"]
        if "def c" in text:
            return Raw(json.dumps(refusal).encode(), status=400)
        short = "def b" in text or ("def a" in text and body["max_tokens"] == 64)
        choice = {"index": 0, "finish_reason": "length" if short else "stop"}
        choice["message"] = {"role": "assistant", "content": whole}
        return Raw(json.dumps(completion("", choices=[choice])).encode())

    scripted.script = script
    tasks = problems("a", "b", "c", "d")

    async def run():
        async with ChatClient(endpoint_of(scripted), Ledger(tmp_path)) as chat:
            return await generate(chat, tasks, style, Decoding(64))

    rows = asyncio.run(run())
    assert [row["solution"] for row in rows] == [CODE, "", "", CODE]
    assert {*NO_ANSWER} == UNANSWERABLE.keys()
    assert [unusable(row) for row in rows] == [None, "cut-off", "refused", None]
    assert rows[1]["answer"] == whole
    assert counts(rows) == {"asked": 4, "asked-again": 2, "cut-off": 1, "refused": 1}
    assert counts([]) == {"asked": 0}
