"""The run rate: what is asked, and what counts as a run."""

import re

import pytest

from aiev.dataset.tags import REQUESTS as TRAINED_ON
from aiev.evaluation.run_rate import measure, report, run_in, tasks
from aiev.evaluation.run_rate_prompts import PROBLEMS, REQUESTS
from aiev.evaluation.settings import RunRateSettings
from aiev.llm.endpoints import showing_special_tokens

RUN = "Let us see.\n\n<API_RUN_START>```python\nprint(1)\n```<API_RUN_STOP>"


def test_each_problem_is_asked_with_a_request_to_run_and_without():
    asked = tasks(40)
    assert len(asked) == 80 == len({task["prompt"] for task in asked})
    for problem, (with_request, plain) in zip(
        PROBLEMS, zip(asked[::2], asked[1::2], strict=True), strict=True
    ):
        assert plain["prompt"] == problem and problem in with_request["prompt"]
        assert (with_request["kind"], plain["kind"]) == ("asked", "not_asked")
    assert all(request.count("{problem}") == 1 for request in REQUESTS)
    assert not re.search(r"\b(run|execute|try|tests?)\b", " ".join(PROBLEMS))


def test_the_requests_are_none_that_training_has_seen():
    def words(request):
        return request.replace("{problem}", "").strip()

    assert not {words(r) for r in REQUESTS} & {words(r) for r in TRAINED_ON}


def test_there_are_as_many_problems_as_the_config_may_ask_for():
    most = RunRateSettings.model_fields["prompts"].metadata
    assert len(PROBLEMS) in [getattr(bound, "le", None) for bound in most]
    for count in (0, 41):
        with pytest.raises(ValueError, match="of 40 problems"):
            tasks(count)


@pytest.mark.parametrize(
    ("answer", "finish_reason", "run", "closed", "ended"),
    [
        (RUN, "stop", True, True, True),
        (f"{RUN}<|im_end|>", "stop", True, True, True),
        (f"{RUN}\n<\uff5cend\uff5c>\n", "stop", True, True, True),
        (RUN, "length", True, True, False),
        (RUN, "end_turn", True, True, True),
        (f"{RUN} It prints 1.", "stop", True, True, False),
        (f"{RUN} Then: {RUN}", "stop", True, True, True),
        ("<API_RUN_START>print(1)", "length", True, False, False),
        ("<API_RUN_STOP><API_RUN_START>", "stop", True, False, False),
        ("```python\nprint(1)\n```", "stop", False, False, False),
        ("<API_RUN_STOP>", "stop", False, False, False),
        ("", "context-full", False, False, False),
    ],
)
def test_what_counts_as_a_run(answer, finish_reason, run, closed, ended):
    row = {"task_id": "asked/0", "answer": answer, "finish_reason": finish_reason}
    plain = {"task_id": "not_asked/0", "answer": "", "finish_reason": "stop"}
    found = report([{**one, "completion_tokens": 3} for one in (row, plain)])
    assert found["asked"]["run"]["correct"] == run
    assert (found["asked"]["closed"], found["asked"]["ended"]) == (closed, ended)
    assert found["not_asked"]["run"]["correct"] == 0
    assert found["answers"][0]["answer"] == answer


@pytest.mark.parametrize("word", ["length", "max_tokens", "MAX_TOKENS"])
def test_an_answer_that_is_cut_off_counts_in_any_spelling(word):
    row = {"answer": "", "finish_reason": word, "completion_tokens": 3}
    found = report([{**row, "task_id": f"{kind}/0"} for kind in ("asked", "not_asked")])
    assert found["asked"]["cut_off"] == found["not_asked"]["cut_off"] == 1


def test_the_code_of_a_run_is_what_stands_in_it():
    assert run_in(RUN) == "```python\nprint(1)\n```"
    assert run_in("<API_RUN_START>half") == "half" and run_in("none") == ""


def test_a_model_is_asked_once_and_its_answers_are_on_record(scripted, tmp_path, monkeypatch):
    """One that runs code where it is asked to, and once where it is not."""
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    plain = set(PROBLEMS[1:])
    scripted.script = lambda body: "No." if body["messages"][0]["content"] in plain else RUN
    server = {"base_url": scripted.url, "slots": 4, "timeout_seconds": 10}
    ledger = {"path": str(tmp_path / "ledger"), "mode": "record"}
    execution = {"models": {"student": server}, "ledger": ledger, "prices": {}, "budget": {}}
    model = {"role": "student", "kind": "openai", "name": "scripted", "version": "1"}
    asked = (model, None, tmp_path, None, execution, {"prompts": 10, "max_tokens": 9})
    measured, keys = measure(*asked)
    assert measured["asked"]["run"]["pass@1"] == 1.0 and measured["asked"]["ended"] == 10
    assert measured["not_asked"]["run"]["correct"] == 1
    assert len(keys) == len(scripted.bodies) == 20
    assert {(b["temperature"], b["max_tokens"]) for b in scripted.bodies} == {(0.0, 9)}
    ledger["mode"] = "replay"
    assert measure(*asked) == (measured, keys) and len(scripted.bodies) == 20


def test_servers_are_told_to_show_special_tokens():
    model = {"kind": "llamacpp", "request": {"min_p": 0.1}}
    assert showing_special_tokens(model) == {**model, "special_tokens": True}
    shown = showing_special_tokens({**model, "kind": "vllm"})
    assert shown["request"] == {"min_p": 0.1, "skip_special_tokens": False}
