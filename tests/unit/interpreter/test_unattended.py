"""Tasks that are solved with the interpreter on, with nobody there to be asked."""

import asyncio
import json
import os
import re
import subprocess
import sys

import pytest
from command import ROOT
from conversation import box, client_of, fence, says
from scripted import Raw
from tiny import write_benchmark

from aiev.config.load import read_config
from aiev.core.files import read_jsonl
from aiev.core.hashing import of_json
from aiev.evaluation.answers import counts
from aiev.evaluation.benchmarks.base import benchmark_of
from aiev.evaluation.styles import record
from aiev.evaluation.with_interpreter import as_asked
from aiev.interpreter.session import Session
from aiev.interpreter.triggers import Fences, Tokens
from aiev.interpreter.unattended import Recorded, solve
from aiev.languages.markdown import fenced
from aiev.llm.client import ChatClient
from aiev.llm.failures import ContextFull
from aiev.llm.ledger import Answer, Ledger

WRONG, RIGHT = "def f(): return 1\nassert f() == 2", "def f(): return 2\nassert f() == 2"


@pytest.fixture(scope="module")
def workspace():
    with box() as workspace:
        yield workspace


def extract(text):
    """The last program of a text."""
    return ([block.text.strip() for block in fenced(text)] or [""])[-1]


def solved(scripted, workspace, ledger, trigger=None, **options):
    """What comes of one task, and the tokens that it took."""

    async def run():
        client = ChatClient(client_of(scripted).endpoint, ledger, 30)
        async with client:
            model = Recorded(client, asyncio.get_running_loop(), 64, "<|im_end|>")
            session = Session(model, workspace, trigger or Fences(), **options)
            return await asyncio.to_thread(solve, session, "Go.", extract), model.tokens

    return asyncio.run(run())


def tagged(code):
    return f"<API_RUN_START>{fence(code)}<API_RUN_STOP>"


@pytest.mark.parametrize("trigger", [Fences(), Tokens()])
def test_the_solution_is_that_of_the_last_answer_and_each_run_is_told(
    scripted, workspace, tmp_path, trigger
):
    block = fence if isinstance(trigger, Fences) else tagged
    final = f"So:\n\n{fence('def f(): return 2')}" if block is tagged else "It passes."
    answers = [block(WRONG), block(RIGHT), f"{final}<|im_end|>"]
    scripted.script = says(*answers)
    ledger = Ledger(tmp_path, "record")
    row, tokens = solved(scripted, workspace, ledger, trigger)
    # Without code in the last answer, it is what was run last.
    assert row["solution"] == ("def f(): return 2" if block is tagged else RIGHT)
    assert [run["outcome"] for run in row["runs"]] == ["failed", "passed"]
    assert "AssertionError" in row["runs"][0]["result"] and row["runs"][0]["said"] == answers[0]
    assert (row["reason"], row["answer"]) == ("answered", final) and tokens == [21, 9]
    assert {(b["temperature"], b["max_tokens"]) for b in scripted.bodies} == {(0.0, 64)}
    # All of it is on record.
    again = solved(scripted, workspace, Ledger(tmp_path, "replay"), trigger)
    assert again == (row, tokens) and len(scripted.bodies) == 3


def test_the_runs_have_an_end(scripted, workspace, tmp_path):
    scripted.script = says(*(fence(f"print({n})") for n in range(3)))
    row, _ = solved(scripted, workspace, Ledger(tmp_path, "record"), max_runs=2)
    assert (row["reason"], len(row["runs"]), row["solution"]) == ("max-runs", 2, "print(2)")


class Once:
    """A client with one answer, or with none."""

    def __init__(self, answer):
        self.answer = answer

    async def complete(self, messages, **_):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (Answer(fence("print(1)"), "length", 1, 1), "cut-off", fence("print(1)")),
        (ContextFull("too long"), "answered", ""),
    ],
)
def test_an_answer_that_was_cut_off_or_is_none_at_all_is_not_run(workspace, answer, reason, said):
    async def run():
        model = Recorded(Once(answer), asyncio.get_running_loop(), 64)
        return await asyncio.to_thread(solve, Session(model, workspace, Fences()), "Go.", extract)

    row = asyncio.run(run())
    assert (row["runs"], row["reason"], row["answer"]) == ([], reason, said)
    assert row["solution"] == ""


def first_question(ledger, words):
    """Of the request in the ledger that began the conversation about a problem."""
    entries = [json.loads(path.read_text()) for path in ledger.rglob("*.json")]
    found = {entry["request"]["messages"][1]["content"] for entry in entries}
    (question,) = [each for each in found if words in each]
    return question


def digest_on_record(params, problems, rows):
    """What score.json says of the words that were asked."""
    benchmark = benchmark_of(params["benchmark"])
    asked = as_asked(benchmark.style(params["style"]), rows)
    tasks = benchmark.load(problems)
    found = record(params["style"], asked, tasks, prefilled=False)
    assert "Run your solution" in found["prompt"]["text"] and not found["prefilled"]
    assert "of what was run" in found["extraction"]["way"]
    greedy = [{key: row[key] for key in row if key != "runs"} for row in rows]
    assert as_asked(benchmark.style("evalplus"), greedy).prefill(tasks[0])
    return found["prompt"]["sha256"]


def test_the_job_solves_a_benchmark_with_the_models_that_run_code(scripted, tmp_path):
    """A teacher by its fenced blocks: it repairs what it has seen to fail."""
    write_benchmark(tmp_path / "problems.jsonl.gz")
    config = read_config(ROOT / "config/config.yaml")

    def script(body):
        question, said = body["messages"][1]["content"], body["messages"][-1]["content"]
        name, more = re.search(r'def (\w+)\(x\):\n +"""Return x plus (\d)', question).groups()
        if "The program was run" not in said:
            return fence(f"def {name}(x):\n    return x\nassert {name}(1) == 1 + {more}")
        if name == "add_four":
            return Raw(b'{"error": {"code": "content_filter", "message": "no"}}', status=400)
        right = f"def {name}(x):\n    return x + {more}"
        return f"Repaired.\n\n{fence(right)}" if len(body["messages"]) == 4 else "Done."

    scripted.script = script
    config["execution"]["models"]["teacher"]["base_url"] = scripted.url
    config["execution"]["ledger"]["path"] = str(tmp_path / "ledger")
    model = {"role": "teacher", "kind": "openai", "name": "scripted", "version": "1"}
    params = {
        "evaluation": {"max_tokens": 64, "max_runs": 3},
        "tags": config["tags"],
        "sandbox": config["sandbox"],
        "benchmark": {"name": "humaneval", "kind": "evalplus", "config": {}},
        "model": model,
        "style": "evalplus",
    }
    command = [sys.executable, ROOT / "scripts/generate_with_interpreter.py", "--weights"]
    command += ["--problems", "problems.jsonl.gz", "--samples", "samples.jsonl"]
    command += ["--params", json.dumps(params), "--execution", json.dumps(config["execution"])]
    own = {**os.environ, "OPENAI_API_KEY": "any"}
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = read_jsonl(tmp_path / "samples.jsonl")
    assert digest_on_record(params, tmp_path / "problems.jsonl.gz", rows) == of_json(
        [first_question(tmp_path / "ledger", f"Return x plus {n}.") for n in range(1, 5)]
    )
    assert [row["task_id"] for row in rows] == [f"HumanEval/{n}" for n in range(4)]
    assert rows[1]["solution"] == "def add_two(x):\n    return x + 2"
    assert [run["outcome"] for run in rows[1]["runs"]] == ["failed", "passed"]
    assert (rows[1]["prompt_tokens"], rows[1]["completion_tokens"]) == (21, 9)
    # What it ran before is no answer of a model that then refused.
    assert rows[3]["runs"] and rows[3]["solution"] == ""
    assert counts(rows) == {"asked": 4, "refused": 1}
