"""Samples: what is asked, and what is taken out of an answer; no answer can stop a run."""

import asyncio

import pytest
from evalplus.sanitize import code_extract
from hypothesis import given, settings
from hypothesis import strategies as st

from aiev.core.errors import EndpointError
from aiev.evaluation.generate import Decoding, benchmark_prompt, generate, longest_code, solution_of
from aiev.llm.ledger import Answer
from aiev.llm.retries import ContextFull

LINES = st.sampled_from(
    [
        *("def f(x):", "    return x", "\ty = 1", "import os", "class A:", "x = (", "1)", "0", "@"),
        *("", "  ", '"""', "Sure, here:", "```python", "```", "\u2028"),
    ]
)


@given(st.lists(LINES, max_size=9).map("\n".join))
@settings(max_examples=300, deadline=None)
def test_the_faster_search_finds_what_evalplus_finds(text):
    # Imported above, before solution_of() puts the faster one in its place.
    assert longest_code(text) == code_extract(text)


def test_code_is_taken_out_of_its_words():
    parts = ["import math", "def f(x):\n    return g(x)", "def g(x):\n    return 1"]
    code = "\n\n".join([*parts, "print(f(2))"])
    assert solution_of(f"Sure:\n```python\n{code}\n```\nIt adds.", "f") == "\n".join(parts)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "\n\n",
        "I cannot do that.",
        "\0",
        "(" * 5000,
        "def f(",
        "\ud800",
        "x = " + "-" * 99999 + "1",
    ],
)
def test_answers_without_usable_code(answer):
    assert solution_of(answer, "f") == ""


@given(st.text(max_size=200))
@settings(deadline=None)
def test_no_answer_raises(answer):
    solution_of(answer, "f")


def test_an_endless_answer_is_cut():
    assert solution_of("def f(x):\n    return x\n" + "f(1)\n" * 5000, "f").startswith("def f(x)")


class Scripted:
    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def ask(self, messages, **how):
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
    return asyncio.run(generate(client, problems(*names), benchmark_prompt, Decoding(64)))


def test_rows_keep_the_problems_order_and_the_raw_answer():
    client = Scripted("```python\ndef a(x):\n    return 1\n```", "I cannot.")
    first, second = sampled(client, "a", "b")
    assert first == {
        "task_id": "HumanEval/a",
        "completion": "```python\ndef a(x):\n    return 1\n```",
        "solution": "def a(x):\n    return 1",
        "finish_reason": "stop",
        "prompt_tokens": 10,
        "completion_tokens": 20,
    }
    assert (second["completion"], second["solution"]) == ("I cannot.", "")


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
    asyncio.run(generate(client, problems("a", "bbb"), benchmark_prompt, decoding))
    assert [how["seed"] for _, how in client.asked] == [11, 13]
    assert {how["temperature"] for _, how in client.asked} == {0.8}


def test_a_problem_too_long_for_the_model_is_an_empty_sample():
    (row,) = sampled(Scripted(ContextFull("full")), "a")
    assert (row["solution"], row["finish_reason"]) == ("", "context-full")


def test_a_server_that_fails_is_reported_as_such():
    with pytest.raises(EndpointError):
        sampled(Scripted("x", EndpointError("down")), "a", "b")
