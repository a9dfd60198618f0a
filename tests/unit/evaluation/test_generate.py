"""Samples: what a model is asked, and the rows that its answers become."""

import asyncio

import pytest

from aiev.core.errors import EndpointError
from aiev.evaluation.benchmarks.base import open_benchmark
from aiev.evaluation.generate import Decoding, Questions, generate
from aiev.llm.failures import ContextFull
from aiev.llm.ledger import Answer
from aiev.rounds.duel import QUESTIONS as DUEL

HUMANEVAL = open_benchmark("humaneval", "evalplus", {})
QUESTIONS = Questions(HUMANEVAL.prompt, HUMANEVAL.extract)


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
    return asyncio.run(generate(client, problems(*names), QUESTIONS, Decoding(64)))


def test_rows_are_in_the_problems_order_and_hold_the_raw_answer():
    client = Scripted("```python\ndef a(x):\n    return 1\n```", "I cannot.")
    first, second = sampled(client, "a", "b")
    assert first == {
        "task_id": "HumanEval/a",
        "solution": "def a(x):\n    return 1",
        "answer": "```python\ndef a(x):\n    return 1\n```",
        "finish_reason": "stop",
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
    assert how == {"temperature": 0.0, "max_tokens": 64, "seed": 0}


def test_a_sample_has_its_problem_s_own_seed_and_temperature():
    client = Scripted("x", "y")
    decoding = Decoding(64, 0.8, seed=lambda task: len(task))
    asyncio.run(generate(client, problems("a", "bbb"), QUESTIONS, decoding))
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


@pytest.mark.parametrize("questions", [QUESTIONS, DUEL], ids=["benchmark", "duel"])
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
def test_thoughts_are_never_the_solution(questions, answer, solution):
    asked = generate(Scripted(answer), problems("a"), questions, Decoding(64))
    (row,) = asyncio.run(asked)
    assert row["solution"] == solution
    assert row["answer"] == answer
