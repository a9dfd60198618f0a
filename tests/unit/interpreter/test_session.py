"""A conversation: when code runs, what the model is told, and how it is stopped and taken back."""

import json
import time
from contextlib import closing

import pytest
from conversation import box, client_of, fence, says, session_of
from scripted import Raw, Slowly

from aiev.core.errors import BudgetError, EndpointError
from aiev.interpreter.session import Finished, Ran, Said
from aiev.interpreter.workspace import Run
from aiev.llm.budget import Budget


@pytest.fixture(scope="module")
def workspace():
    with box() as workspace:
        yield workspace


def hear(session, text="Go."):
    """Text, runs and the end's reason of a turn."""
    events = list(session.ask(text))
    said = "".join(event.text for event in events if isinstance(event, Said))
    runs = [event for event in events if isinstance(event, Ran)]
    assert isinstance(events[-1], Finished)
    return said, runs, events[-1].reason


def tagged(code, language="python"):
    return f"<API_RUN_START>{fence(code, language)}<API_RUN_STOP>"


@pytest.mark.parametrize("trigger", ["tokens", "fences"])
def test_an_error_is_read_and_corrected_and_files_stay(scripted, workspace, trigger):
    block = tagged if trigger == "tokens" else fence
    first = "open('a', 'w').write('7')\nprint('begun')\nprint(1 / 0)"
    second = "print(open('a').read())"
    scripted.script = says(f"Try.\n\n{block(first)}", f"Again.\n\n{block(second)}", "It is 7.")
    session = session_of(scripted, workspace, trigger)
    said, runs, reason = hear(session)
    assert [run.done.result.outcome for run in runs] == ["failed", "passed"]
    assert runs[0].shown.startswith("begun\nTraceback") and "ZeroDivisionError" in runs[0].shown
    assert runs[1].shown == "7" and said.endswith("It is 7.")
    assert session.turns[0].answer == "It is 7." and reason == "answered"
    told = [m["content"] for m in scripted.bodies[-1]["messages"] if m["role"] == "user"]
    shape = "<API_RES_START>7<API_RES_STOP>" if trigger == "tokens" else fence("7", "text")
    assert shape in told[-1]


def test_a_program_between_tokens_ends_the_answer_and_commands_before_it_do_not(
    scripted, workspace
):
    told = f"{tagged('echo shell', 'sh')} then {tagged('print(1)')}"
    scripted.script = says(f"{told} and it prints 2", "Done.")
    session = session_of(scripted, workspace, "tokens")
    said, runs, _ = hear(session)
    assert said == f"{told}Done." and session.turns[0].steps[0].said == told
    assert [run.shown for run in runs] == ["shell\n1"]
    assert runs[0].run == Run("print(1)", "echo shell")


@pytest.mark.parametrize(
    ("said", "run"),
    [
        ("Words.", None),
        ("<API_RUN_START>```py\nx\n```", Run("x")),
        ("<API_RUN_START>print(1)<API_RUN_STOP>", Run("print(1)")),
        (tagged("ls", "sh"), Run("", "ls")),
        (tagged("!pip install a\nimport a"), Run("\nimport a", "pip install a")),
        ("<API_RUN_START> <API_RUN_STOP>", None),
        (fence("x = 1"), None),
    ],
)
def test_what_stands_between_tokens_is_run_and_nothing_else(scripted, workspace, said, run):
    assert session_of(scripted, workspace, "tokens").trigger.run_of(said) == run


@pytest.mark.parametrize(
    ("said", "run"),
    [
        ("Words.", None),
        (fence("x = 1"), Run("x = 1")),
        (f"{fence('pip install a', 'sh')}\n{fence('import a')}", Run("import a", "pip install a")),
        (fence("pip install a", "bash"), Run("", "pip install a")),
        (fence("ls", "bash"), None),
        (fence("some text", "text"), None),
    ],
)
def test_the_program_of_an_answer_is_run_without_tokens(scripted, workspace, said, run):
    assert session_of(scripted, workspace).trigger.run_of(said) == run


def test_a_turn_has_so_many_runs_and_the_same_code_is_not_run_twice(scripted, workspace):
    answers = [fence(f"print({n})") for n in range(3)]
    scripted.script = says(*answers)
    session = session_of(scripted, workspace, max_runs=2)
    _, runs, reason = hear(session)
    assert len(runs) == 2 and reason == "max-runs" and session.turns[0].answer == answers[2]
    scripted.script = says(answers[0], f"Finally:\n\n{answers[0]}")
    _, runs, reason = hear(session)
    assert len(runs) == 1 and reason == "answered"
    scripted.script = says(answers[0])
    assert hear(session_of(scripted, workspace, max_runs=0))[1:] == ([], "max-runs")


def test_the_user_may_refuse_a_run_or_change_it_first(scripted, workspace):
    scripted.script = says(f"So: {fence('print(1)')}")
    session = session_of(scripted, workspace)
    session.rights.run = lambda run: None
    assert hear(session)[1:] == ([], "declined")
    session.rights.run = lambda run: run._replace(code="print(2)")
    scripted.script = says(f"So: {fence('print(1)')}", "Two.")
    assert [run.shown for run in hear(session)[1]] == ["2"]
    assert session.turns[-1].steps[0].said == f"So: {fence('print(2)')}"


def test_half_an_answer_is_not_run(scripted, workspace):
    scripted.script = says(Slowly(fence("print(1)"), finish_reason="length"))
    session = session_of(scripted, workspace)
    assert hear(session)[1:] == ([], "cut-off")


def test_thoughts_are_neither_run_nor_said_again(scripted, workspace):
    scripted.script = says(f"<think>{fence('print(1)')}</think>Four.", "Yes.")
    session = session_of(scripted, workspace)
    assert hear(session)[1:] == ([], "answered")
    hear(session)
    assert scripted.bodies[-1]["messages"][2]["content"] == "Four."


def test_an_answer_in_parts_and_counts_that_are_none(scripted, workspace):
    """As Mistral's reasoning models stream it; a thought is a part of its own."""
    deltas = [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
        {"content": [{"type": "text", "text": "Fo"}]},
        {"content": "ur."},
        {},
    ]
    chunks = [{"choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
    chunks[-1] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "model_length"}]}
    chunks.append({"choices": [], "usage": {"prompt_tokens": True, "completion_tokens": -1}})
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    scripted.script = lambda _: Raw(body.encode(), "text/event-stream")
    session = session_of(scripted, workspace)
    assert hear(session) == ("Four.", [], "cut-off")


def test_an_answer_that_is_broken_off_stops_the_model_and_stays(scripted, workspace):
    scripted.script = says(Slowly("one two three " * 50, pause=0.05), "Sorry.")
    session = session_of(scripted, workspace)
    began = time.monotonic()
    with closing(session.ask("Go.")) as events:
        text = next(events).text
    assert time.monotonic() - began < 5
    assert session.turns[0].answer == text.strip() or session.turns[0].answer == text
    assert hear(session, "Why?")[0] == "Sorry."
    assert [m["role"] for m in scripted.bodies[-1]["messages"]][1:] == ["user", "assistant", "user"]


def test_a_turn_that_is_taken_back_takes_its_files_along(scripted, workspace):
    program = "open('a', 'a').write('x'); print(len(open('a').read()))"
    session = session_of(scripted, workspace)
    for _ in range(2):
        scripted.script = says(fence(program), "Done.")
        hear(session, "Append.")
    assert dict(session.state.files) == {"a": b"xx"}
    assert session.undo() == "Append." and dict(session.state.files) == {"a": b"x"}
    assert session.undo() == "Append." and dict(session.state.files) == {}
    assert session.undo() is None


def test_a_model_that_fails_is_an_error_without_its_key(scripted, workspace):
    scripted.script = lambda body: 401
    session = session_of(scripted, workspace)
    with pytest.raises(EndpointError, match="does not answer") as caught:
        list(session.ask("Go."))
    assert "secret-key" not in str(caught.value) and "OPENAI_API_KEY" in str(caught.value)


def test_an_answer_is_charged_and_a_budget_stops_the_next_one(scripted, tmp_path):
    scripted.script = lambda body: "Words."
    budget = Budget(tmp_path, "chat", {}, {"tokens": 2000})
    client = client_of(scripted, budget=budget)
    with closing(client.stream([{"role": "user", "content": "Go."}])) as stream:
        assert "".join(stream) == "Words." and stream.finish_reason == "stop"
    assert (client.prompt_tokens, client.completion_tokens) == (7, 3)
    client.budget = Budget(tmp_path, "chat", {}, {"tokens": 1000})
    with pytest.raises(BudgetError, match="10 tokens paid"):
        client.stream([{"role": "user", "content": "Go."}])
    assert len(scripted.bodies) == 1
