"""Prompt styles: what exactly a model is asked in each, and how its code is found."""

import asyncio
import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from evalplus.provider.utility import EOS, make_raw_chat_prompt

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import open_benchmark
from aiev.evaluation.chosen_styles import base_styles, check_styles, own_style
from aiev.evaluation.generate import Decoding, generate
from aiev.evaluation.styles import record
from aiev.llm.client import ChatClient
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.ledger import Ledger
from aiev.llm.requests import Question, request_of

RECORDED = Path(__file__).parents[2] / "answers/laptop.jsonl.gz"
INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem in a markdown "
    "code block:"
)
RESPONSE = (
    "Below is a Python script with a self-contained function that solves the problem and passes "
    "corresponding tests:"
)
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": '\ndef f(x):\n    """Add."""\n',
    "entry_point": "f",
}
MBPP = {
    "task_id": "Mbpp/2",
    "prompt": '"""\nWrite a function to add.\nassert add(1, 2) == 3\n"""\n',
    "entry_point": "add",
    "assertion": "import math\n\nassert add(1, 2) == 3\nassert add(0, 0) == 0\n",
}
CPP = {
    "task_id": "HumanEval_0",
    "prompt": "#include<assert.h>\n// Adds.\nlong f(long x) {\n",
    "stop_tokens": ["\n}"],
    "language": "cpp",
    "tests": "}\nint main() {}\n",
}
PANDAS = {"task_id": "DS-1000/0", "prompt": "Problem:\nSum it.\nA:\n<code>\nBEGIN SOLUTION\n"}


def style(name, kind="evalplus", **config):
    return open_benchmark("b", kind, config).style(name)


def asked(name, task, goes_on=True, kind="evalplus", **config):
    """(question, prefill, stop strings) of a task."""
    chosen = style(name, kind, **config).where(goes_on)
    return chosen.prompt(task), chosen.prefill(task), list(chosen.stop(task))


class ChatML:
    """What of a tokenizer EvalPlus uses."""

    chat_template = "chatml"

    @staticmethod
    def apply_chat_template(messages, tokenize):
        assert not tokenize
        return "".join(f"<{m['role']}>{m['content']}</{m['role']}>" for m in messages)


def test_the_style_evalplus_is_what_evalplus_sends():
    """Its own function is asked for the very prompt, and its own list for the stop strings."""
    question, begun, stop = asked("evalplus", HUMANEVAL)
    theirs = make_raw_chat_prompt(HUMANEVAL["prompt"], INSTRUCTION, RESPONSE, ChatML)
    assert f"<user>{question}</user><assistant>{begun}" == theirs
    assert begun == f"{RESPONSE}\n```python\n"
    assert sorted(stop) == sorted([*EOS, "\n```\n"])


def test_the_style_evalplus_where_an_answer_cannot_be_begun():
    """As EvalPlus asks APIs: other words, nothing prefilled, no stop strings."""
    words = f"{INSTRUCTION}\n```python\n{HUMANEVAL['prompt'].strip()}\n```"
    assert asked("evalplus", HUMANEVAL, goes_on=False) == (words, "", [])


def test_the_style_authors():
    content = (
        "Write a solution to the following problem:\n        ```python\n"
        '        def f(x):\n    """Add."""\n        ```'
    )
    assert asked("authors", HUMANEVAL) == (content, "", [])
    content = (
        "Write a function to add.\n"
        "                Your code should satisfy the following assertion:\n"
        "                ```python\n"
        "                ['assert add(1, 2) == 3', 'assert add(0, 0) == 0']\n"
        "                ```\n                "
    )
    assert asked("authors", MBPP) == (content, "", [])
    content = (
        "Please Help me to finish the following code completion and Place the executable code "
        "between <code> \n                and </code> tags, without any other non-executable "
        f"things.\n            {PANDAS['prompt'].strip()}\n            "
    )
    assert asked("authors", PANDAS, kind="ds1000") == (content, "", [])


def test_the_style_completion_goes_on_behind_the_signature():
    words = (
        "Complete this C++ function. Answer with the whole function in one code block, without "
        f"tests and without a main function:\n```cpp\n{CPP['prompt'].strip()}\n```"
    )
    kind = {"kind": "multipl-e", "language": "cpp"}
    begun = f"```cpp\n{CPP['prompt']}"
    assert asked("completion", CPP, **kind) == (words, begun, ["\n}", "\n```"])
    assert asked("completion", CPP, goes_on=False, **kind) == (words, "", [])
    assert asked("chat", CPP, **kind) == (words, "", [])


def test_the_style_chat_is_what_the_recorded_laptop_run_asked():
    """Byte for byte, with all that is in the ledger's key."""
    lines = gzip.decompress(RECORDED.read_bytes()).decode().splitlines()
    requests = [json.loads(line)["request"] for line in lines]
    start = f"{INSTRUCTION}\n```\n"
    known = [
        each
        for each in requests
        if each.get("messages") and each["messages"][0]["content"].startswith(start)
    ]
    assert len(known) >= 40
    for request in known:
        prompt = request["messages"][0]["content"].removeprefix(start).removesuffix("\n```")
        question, begun, stop = asked("chat", {**HUMANEVAL, "prompt": prompt})
        assert not begun
        messages = [{"role": "user", "content": question}]
        tokens = request["max_tokens"]
        identity = ("kind", "model", "digest")
        endpoint = LlamaLike(*(request[name] for name in identity), None, 4)
        made = request_of(endpoint, Question(messages, 0.0, 1.0, tokens, 0, stop=stop))
        assert made == {key: each for key, each in request.items() if key != "format"}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("def f(x):\n    return x + 1\n", "def f(x):\n    return x + 1"),
        ("def f(x):\n    return x + 1\n```\nIt adds one.", "def f(x):\n    return x + 1"),
        ("def f(x):\n\treturn x\n\n```\n", "def f(x):\n    return x"),
        (
            "def f(x):\n    return 1\nprint(f(2))\ndef f(x):\n    return 2",
            "def f(x):\n    return 1",
        ),
        ("", ""),
        ("I cannot.", ""),
    ],
    ids=["whole", "closed", "tabs", "stop-string", "empty", "words"],
)
def test_code_is_found_in_an_answer_that_begins_inside_the_fence(answer, found):
    assert style("evalplus").extract(answer, HUMANEVAL) == found


def test_a_completion_ends_at_its_stop_string_or_with_the_fence():
    extract = style("completion", "multipl-e", language="cpp").extract
    whole = f"{CPP['prompt']}  return x;"
    assert extract("  return x;\n}\nint main() {", CPP) == whole
    assert extract("  return x;\n```\nIt adds.", CPP) == whole
    again = f"```cpp\n{CPP['prompt']}  return x;\n}}\n```"
    assert style("chat", "multipl-e", language="cpp").extract(again, CPP) == f"{whole}\n"


def test_the_authors_take_the_first_block_of_an_answer_to_mbpp():
    extract = style("authors").extract
    two = "Sure:\n```python\ndef add(a, b):\n    return a + b\n```\n```python\nadd(1, 2)\n```"
    assert extract(two, MBPP) == "def add(a, b):\n    return a + b"
    assert extract("```\nx = 1\n```", MBPP) == extract("```python\nx = 1", MBPP) == ""
    code = "def f(x):\n    return 1"
    assert extract(f"```python\n{code}\n```", HUMANEVAL) == code


def test_the_authors_cut_answers_to_ds_1000_as_its_own_evaluation_does():
    extract = style("authors", "ds1000").extract
    assert extract("<code>\ndf = df.sum()\n</code> done", PANDAS) == "\ndf = df.sum()\n"


@dataclass
class LlamaLike(Endpoint):
    goes_on: ClassVar[Any] = {}


@dataclass
class VLLMLike(Endpoint):
    goes_on: ClassVar[Any] = {"continue_final_message": True, "add_generation_prompt": False}


@pytest.mark.parametrize("kind", [Endpoint, LlamaLike, VLLMLike])
def test_an_endpoint_is_asked_as_it_can_be(kind, scripted, tmp_path):
    """An answer is kept as it was written, beside what was prefilled; one that repeats the prefill
    is read without it."""
    code = "def f(x):\n    return '<think>'\n"
    scripted.script = lambda body: f"{RESPONSE}\n```python\n{code}```"
    endpoint = kind("llamacpp", "m", "1", scripted.url, 4)
    chosen = style("evalplus").where(endpoint.goes_on is not None)

    async def run():
        async with ChatClient(endpoint, Ledger(tmp_path)) as chat:
            return await generate(chat, [HUMANEVAL], chosen, Decoding(64))

    (row,) = asyncio.run(run())
    (body,) = scripted.bodies
    assert row["solution"] == code.strip()
    if kind is Endpoint:
        assert "stop" not in body and len(body["messages"]) == 1 and "prefill" not in row
        return
    assert body["messages"][1] == {"role": "assistant", "content": row["prefill"]}
    assert row["prefill"] == f"{RESPONSE}\n```python\n" and row["answer"] == f"{code}```"
    assert "\n```\n" in body["stop"]
    assert {name: body.get(name) for name in kind.goes_on} == kind.goes_on


def test_what_is_on_record():
    tasks = [HUMANEVAL, {**HUMANEVAL, "prompt": "def g(x):\n"}]
    chosen = style("evalplus")
    found = record("evalplus", chosen, tasks, prefilled=True)
    assert (found["name"], found["prefilled"]) == ("evalplus", True)
    assert found["prompt"]["text"] == f"{INSTRUCTION}\n```\n$prompt\n```\n"
    assert found["prefill"]["text"] == f"{RESPONSE}\n```python\n"
    assert "\n```\n" in found["stop"]["strings"]
    assert found["extraction"]["way"] == "evalplus.sanitize"
    alone = record("evalplus", chosen, tasks, prefilled=False)
    assert (
        not alone["prefilled"] and alone["prefill"]["text"] == "" and not alone["stop"]["strings"]
    )
    assert alone["prompt"] == record("evalplus", chosen.alone, tasks, False)["prompt"]
    fewer = record("evalplus", chosen, tasks[:1], prefilled=True)
    assert fewer["prompt"]["text"] == found["prompt"]["text"]
    assert fewer["prompt"]["sha256"] != found["prompt"]["sha256"]
    digests = [found[part]["sha256"] for part in ("prompt", "prefill", "stop", "extraction")]
    assert len({*digests}) == 4 and {len(each) for each in digests} == {64}


@pytest.mark.parametrize(
    ("kind", "task", "words"),
    [("ds1000", PANDAS, "Sum it"), ("evalplus", HUMANEVAL, "def "), ("evalplus", MBPP, "assert ")],
)
def test_a_task_s_own_words_are_not_on_record(kind, task, words):
    """DS-1000's authors ask that its problems are not put online."""
    for name in ("chat", "authors"):
        found = record(name, style(name, kind), [task], False)
        assert words not in json.dumps(found["prompt"]), name


def test_a_comment_in_the_extraction_changes_no_record(tmp_path):
    """It remakes no score either."""
    plain = "import ast\n\nimport json\n\n\ndef f(answer, task):\n    return answer\n"
    said = (
        '"""Says so."""\n\nimport json\n\n\ndef f(answer, task):\n    # Why.\n    return answer\n'
    )
    found = []
    for number, text in enumerate((plain, said, plain.replace("return answer", "return ''"))):
        path = tmp_path / f"{number}.py"
        path.write_text(text)
        chosen = replace(style("chat"), code=(str(path),))
        found.append(record("chat", chosen, [HUMANEVAL], False)["extraction"]["sha256"])
    assert found[0] == found[1] != found[2]


EVALUATION = {
    "style": "chat",
    "base_styles": ["evalplus", "authors", "chat"],
    "benchmarks": {
        "humaneval": {"kind": "evalplus", "style": None},
        "mbpp": {"kind": "evalplus", "style": "authors", "plus": False},
        "cpp": {"kind": "multipl-e", "style": None, "language": "cpp"},
    },
}


def test_one_benchmark_may_have_a_style_of_its_own():
    check_styles(EVALUATION)
    assert own_style(EVALUATION, "mbpp") == "authors" and own_style(EVALUATION, "cpp") == "chat"
    assert base_styles(EVALUATION) == {
        "humaneval": ["authors", "evalplus"],
        "mbpp": ["chat", "evalplus"],
        "cpp": [],
    }


@pytest.mark.parametrize(
    ("changes", "told", "hint"),
    [
        ({"style": "evalplus"}, "the benchmark cpp has no prompt style 'evalplus'", "cpp.style"),
        ({"style": "chatt"}, "no prompt style 'chatt'", "did you mean 'chat'"),
        ({"base_styles": ["author"]}, "has a prompt style 'author'", "did you mean 'authors'"),
    ],
)
def test_a_style_that_a_benchmark_does_not_have_is_named(changes, told, hint):
    with pytest.raises(UserError, match=told) as raised:
        check_styles({**EVALUATION, **changes})
    assert hint in raised.value.hint and raised.value.where.startswith("config: evaluation.")


def test_the_key_of_a_benchmark_that_names_a_style_it_lacks():
    benchmarks = {"cpp": {**EVALUATION["benchmarks"]["cpp"], "style": "authors"}}
    with pytest.raises(UserError, match="no prompt style 'authors'") as raised:
        check_styles({**EVALUATION, "base_styles": [], "benchmarks": benchmarks})
    assert raised.value.where == "config: evaluation.benchmarks.cpp.style"
