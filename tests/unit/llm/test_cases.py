"""Inputs from public reports: what each must come to."""

import asyncio
import base64
import datetime
import hashlib
import html
import json
import os
import random
import re
import string
import subprocess
import sys
import textwrap
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scripted import Raw, completion

from aiev.core.errors import EndpointError, UserError
from aiev.core.process_group import ProcessGroup
from aiev.core.settings import checked
from aiev.llm import retries
from aiev.llm.client import ChatClient
from aiev.llm.failures import Refused, ServerError, Unanswerable
from aiev.llm.ledger import Ledger, key_of
from aiev.llm.responses import answer_of, is_cut_off
from aiev.llm.secrets import Redactor, secret_from_environment
from aiev.llm.settings import Request
from aiev.llm.thoughts import final_text
from aiev.llm.waiting import retry_after_seconds

ERRORS = [
    (400, {"error": {"message": "The response was filtered", "code": "content_filter"}}, "refused"),
    (400, {"error": {"message": "Content Exists Risk"}}, "refused"),
    (400, {"error": {"code": "data_inspection_failed", "message": "no"}}, "refused"),
    (400, {"error": {"message": "prompt is too long: 21 tokens > 20 maximum"}}, "context-full"),
    (400, {"detail": "Input is longer than the context length"}, "context-full"),
    (400, {"message": "This model's maximum context length is 4096 tokens."}, "context-full"),
    (400, {"error": {"message": "'seed' is not supported in this context."}}, "configuration"),
    (422, {"error": "`top_p` must be > 0.0 and < 1.0"}, "configuration"),
    (429, {"error": {"code": "insufficient_quota", "message": "no"}}, "configuration"),
    (429, {"error": {"message": "Rate limit exceeded"}}, "busy"),
    (408, {"error": {"message": "request timeout"}}, "busy"),
    (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, "busy"),
    (401, {"error": {"message": "no"}}, "configuration"),
    (500, {"error": {"message": "oops"}}, "unknown"),
    (451, {"error": {"message": "no"}}, "refused"),
    (503, {"error": {"message": "no", "code": "content_filter"}}, "refused"),
    (400, {"error": {"code": "InputTextSensitiveContentDetected"}}, "refused"),
    (400, {"base_resp": {"status_code": 1026, "status_msg": "no"}}, "refused"),
    (400, {"error": {"message": "rejected because it was considered high risk"}}, "refused"),
    (403, {"error": {"message": "The response was blocked."}}, "refused"),
    (403, {"error": {"message": "You do not have access: usage policies"}}, "configuration"),
    (422, {"detail": [{"type": "string_too_long", "loc": ["body", "messages"]}]}, "context-full"),
    (400, {"error": {"message": "litellm.ContextWindowExceededError: x"}}, "context-full"),
    (
        400,
        {"error": {"message": "prompt tokens (9) and max_tokens (5) must be less than 12"}},
        "context-full",
    ),
    (
        400,
        {
            "message": "'max_tokens' is too large: 4000. This model's maximum context length is "
            "4096 tokens and your request has 900 input tokens (4000 > 4096 - 900)."
        },
        "context-full",
    ),
    (500, {"error": {"message": "context deadline exceeded (Client.Timeout)"}}, "unknown"),
    (500, {"error": {"message": "Jinja Exception: System role not supported"}}, "configuration"),
    (500, {"error": {"message": "Conversation roles must alternate user/a"}}, "configuration"),
    (400, {"error": {"message": "'top_k' is not a permitted parameter"}}, "configuration"),
    (400, {"error": {"message": "Invalid 'temperature': maximum prompt is 1"}}, "configuration"),
    (400, {"error": {"message": "Invalid max_tokens value, [1, 8192]"}}, "configuration"),
    (407, "Proxy Authentication Required", "configuration"),
    (500, {"error": {"message": "Loading model", "type": "unavailable_error"}}, "busy"),
    # Refusals of gateways and of vendors elsewhere.
    (446, {"error": {"message": "Prompt was blocked by guardrails"}}, "refused"),
    (400, {"error": {"message": "Guardrail raised an exception", "code": "400"}}, "refused"),
    (400, {"error_code": 336104, "error_msg": "the content of message is unsafe"}, "refused"),
    (400, {"error": {"message": "no", "code": "policy_violation"}}, "refused"),
    (400, {"error": {"message": "SAFETY"}}, "refused"),
    (400, {"error": {"message": "请求内容存在安全风险"}}, "refused"),
    # An error inside of another one's text.
    (502, {"error": {"metadata": {"raw": '{"error": {"code": "content_filter"}}'}}}, "refused"),
    (400, '{"error": {"message": "", "code": "context_length_exceeded"}}', "context-full"),
    # Prompts that are too long.
    (400, {"error": {"code": "1261", "message": "Prompt 超长"}}, "context-full"),
    (400, {"error": "the model is loaded with context length of only 4096 tokens"}, "context-full"),
    (400, {"base_resp": {"status_code": 1039, "status_msg": "token limit"}}, "context-full"),
    (400, {"error_msg": "the max length of current question is 2000"}, "context-full"),
    (400, {"error": {"message": "This model only supports up to 4096 tokens"}}, "context-full"),
    (400, {"error": {"message": "Conversation too long"}}, "context-full"),
    # Parameters, roles, models and accounts.
    (400, {"error": {"message": "max_tokens: 300000 > 64000"}}, "configuration"),
    (
        400,
        {"error": {"message": "max_tokens (9) exceeds the maximum number of tokens allowed (4)"}},
        "configuration",
    ),
    (400, {"error": {"message": "`temperature` is deprecated for this model"}}, "configuration"),
    (400, {"error": {"message": "temperature may only be set to 1"}}, "configuration"),
    (400, {"error": {"message": "Unrecognized key(s) in object: 'seed'"}}, "configuration"),
    (400, {"error": {"message": "Parameter seed not supported"}}, "configuration"),
    (400, {"error": {"message": "The following parameters are invalid: x"}}, "configuration"),
    (400, {"error": {"message": "num_ctx is not a valid option in context"}}, "configuration"),
    (400, {"error": {"message": "enable_thinking must be set to false"}}, "configuration"),
    (400, {"error": {"message": "This model only supports stream mode"}}, "configuration"),
    (500, {"error": {"message": "Only user and assistant roles are supported!"}}, "configuration"),
    (400, {"error": {"message": "Role 'system' is not supported"}}, "configuration"),
    (400, {"error": {"message": 'messages: Unexpected role "system".'}}, "configuration"),
    (422, {"error": "Template error: template not found"}, "configuration"),
    (400, {"error": {"message": "tokenizer.chat_template is not set"}}, "configuration"),
    (400, {"error": {"message": "Unknown model: m"}}, "configuration"),
    (400, {"error": {"message": "m is not a valid model ID"}}, "configuration"),
    (400, {"error": {"message": "Access denied", "code": "Arrearage"}}, "configuration"),
    (400, {"error": {"message": "Your organization must be verified"}}, "configuration"),
    (403, {"error": {"message": "You don't have access: content policy"}}, "configuration"),
    # Servers that are busy.
    (400, {"error": {"message": "no", "code": "Throttling.User"}}, "busy"),
    (500, {"error": {"message": "当前分组上游负载已饱和,请稍后再试"}}, "busy"),
    (423, {"error": {"message": "locked, try again in 5 seconds"}}, "busy"),
    (498, {"error": {"message": "Flex tier capacity exceeded"}}, "busy"),
]


@pytest.mark.parametrize(("status", "body", "meaning"), ERRORS)
def test_what_an_error_means(status, body, meaning):
    assert ServerError(status, body).meaning == meaning


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "30"}, "", 30),
        ({"retry-after-ms": "1500"}, "", 1.5),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:40 GMT"}, "", 20),
        ({"x-ratelimit-reset-tokens": "6m0s"}, "", 360),
        ({}, "Please try again in 1m30.5s.", 90.5),
        ({}, '{"retryDelay": "34s"}', 34),
        ({"Retry-After": "soon"}, "", 0),
        ({"Retry-After": "30 seconds"}, "", 30),
        ({"Retry-After": "PT1M30S"}, "", 90),
        ({"Retry-After": "30, 60"}, "", 30),
        ({"Retry-After": "1700000030"}, "", 30),
        ({"Retry-After": "2023-11-14T22:13:50Z"}, "", 30),
        ({"Retry-After": "Tuesday, 14-Nov-23 22:13:50 GMT"}, "", 30),
        ({"Retry-After": "Tue Nov 14 22:13:50 2023"}, "", 30),
        ({"x-ms-retry-after-ms": "700"}, "", 0.7),
        ({"RateLimit": '"default";r=0;t=30'}, "", 30),
        ({"RateLimit": "limit=100, remaining=0, reset=30"}, "", 30),
        ({"X-RateLimit-Reset-After": "30"}, "", 30),
        (
            {
                "x-ratelimit-reset-requests-day": "33000",
                "x-ratelimit-remaining-requests-day": "9",
                "x-ratelimit-reset-tokens-minute": "11.5",
                "x-ratelimit-remaining-tokens-minute": "0",
            },
            "",
            11.5,
        ),
        ({}, "Retry after: 30", 30),
        ({}, "Expected available in 8 seconds.", 8),
        ({}, "Please try again in 1d2h", 93600),
        ({}, "Please try again at 2023-11-14T22:13:50Z", 30),
        ({}, '{"error": {"retry_after_ms": 1500}}', 1.5),
        ({}, '{"raw": "{\\"retry_after\\": 30}"}', 30),
        ({}, '{"headers": {"X-RateLimit-Reset": "1700000030000"}}', 30),
        ({}, "Try again in 5 models", 0),
        ({"Retry-After": '"30"'}, "", 30),
        ({"Retry-After": "00:01:30"}, "", 90),
        ({"Retry-After-Seconds": "2"}, "", 2),
        ({"x-retry-after-ms": "2000", "Retry-After": "3"}, "", 2),
        ({"retry-after-ms": "2000 ms"}, "", 2),
        ({"x-retry-in": "2s"}, "", 2),
        ({}, '{"retry_after": "2023-11-14T22:13:54Z"}', 34),
        ({}, '{"retry_after": 1700000034}', 34),
        ({}, '{"retryDelay": {"seconds": 34}}', 34),
        ({}, '{"wait_seconds": 34}', 34),
        ({}, '{"retry_after": null, "message": "retry in 34s"}', 34),
        ({}, "Please try again in one minute.", 60),
        ({}, "The rate limit resets in 20 seconds", 20),
        ({}, "Cooldown: 20 seconds", 20),
        ({}, "Try again at 2023-11-14 22:13:50 UTC", 30),
        ({}, "Try again at Tue, 14 Nov 2023 22:13:50 GMT", 30),
        ({}, "Limit: 20 requests per 60 seconds", 0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers, body, seconds):
    assert retry_after_seconds(headers, body, now=1_700_000_000) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\n```python\ndraft\n```\n</think>\n\nAnswer", "Answer"),
        ("A thought.\n</think>\n\nAnswer", "Answer"),
        ("<think>cut off in the mid", ""),
        ("The tag `<think>` and `</think>`", "The tag `<think>` and `</think>`"),
        ("x = text.split('</think>')\n", "x = text.split('</think>')\n"),
        ("[THINK]hm[/THINK]Answer", "Answer"),
        (" as it is \n", " as it is \n"),
        # Other tags, and other spellings of them.
        ("<think >x</think >Answer", "Answer"),
        ("<mm:think>x</mm:think>Answer", "Answer"),
        ("<think>x</ think>Answer", "Answer"),
        ("<thoughts>x</thoughts>Answer", "Answer"),
        ("<thinking>x<reflection>y</reflection>z</thinking>Answer", "Answer"),
        ("<|think|>x<|/think|>Answer", "Answer"),
        ("<unused94>thought\nx<unused95>Answer", "Answer"),
        ("<|START_THINKING|>x<|END_THINKING|><|START_RESPONSE|>Answer<|END_RESPONSE|>", "Answer"),
        (
            "<|begin_of_thought|>x<|end_of_thought|>\n<|begin_of_solution|>Answer"
            "<|end_of_solution|>",
            "Answer",
        ),
        (
            "<|channel|>commentary<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>"
            "Answer<|return|>",
            "Answer",
        ),
        # Thoughts that quote the tags, and that leave a fence open.
        ("The tag `<think>` begins them.\n</think>\nAnswer", "Answer"),
        ("<think>\nOr is '</think>' its end?\n</think>\nAnswer", "Answer"),
        ("Draft:\n```python\nx = 1\n</think>\nAnswer", "Answer"),
        # Code and text about the tags.
        ("Use re.sub(r'<think>.*?</think>', '', s).", "Use re.sub(r'<think>.*?</think>', '', s)."),
        (
            "```python\n# Strip <think> and </think> tags.\nx = 1\n```",
            "```python\n# Strip <think> and </think> tags.\nx = 1\n```",
        ),
        (
            "```html\n<think>\nhello\n</think>\n```\nDone",
            "```html\n<think>\nhello\n</think>\n```\nDone",
        ),
    ],
)
def test_thoughts_are_no_part_of_an_answer(text, answer):
    assert final_text(text) == answer


@pytest.mark.parametrize(
    "word",
    ["length", "MAX_TOKENS", "maxTokens", "FINISH_REASON_MAX_TOKENS", "FinishReason.MAX_TOKENS"],
)
def test_a_cut_off_answer_is_known_in_any_spelling(word):
    assert is_cut_off(word) and not is_cut_off("stop")


@pytest.mark.parametrize("word", ["contentFilter", "content-filter", "SPII", "FinishReason.SAFETY"])
def test_a_filter_is_known_in_any_spelling(word, scripted, endpoint_of, tmp_path):
    body = completion("x")
    body["choices"][0]["finish_reason"] = word
    scripted.script = lambda _: Raw(json.dumps(body).encode())
    chat = ChatClient(endpoint_of(scripted), Ledger(tmp_path), 5.0)
    with pytest.raises(Refused):
        asyncio.run(chat.complete([{"role": "user", "content": "Hello"}]))


def test_many_tags_are_read_in_time():
    start = time.monotonic()
    assert final_text("<think>" * 9000 + "x" + "</think>" * 9000) == ""
    final_text("```\n<think>\n" * 9000)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("content", "text", "reason"),
    [
        (["Good ", "day"], "Good day", "stop"),
        ([{"text": "Good day"}], "Good day", "stop"),
        ({"type": "text", "text": "Good day"}, "Good day", "stop"),
        ([{"type": "text", "text": {"value": "Good day", "annotations": []}}], "Good day", "stop"),
        ([{"type": "reasoning", "text": "Hm"}, {"type": "text", "text": "Good"}], "Good", "stop"),
        ([{"type": "refusal", "refusal": "No."}], "", "refusal"),
        ([], "", "stop"),
    ],
)
def test_parts_in_other_shapes(content, text, reason):
    choice = SimpleNamespace(message=SimpleNamespace(content=content), finish_reason="stop")
    answer = answer_of(SimpleNamespace(choices=[choice], usage=None))
    assert (answer.text, answer.finish_reason) == (text, reason)


def test_content_in_parts_and_impossible_token_counts():
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Good day"}]
    choice = SimpleNamespace(message=SimpleNamespace(content=parts), finish_reason="stop")
    usage = SimpleNamespace(prompt_tokens=True, completion_tokens=-1)
    answer = answer_of(SimpleNamespace(choices=[choice], usage=usage))
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("Good day", 0, 0)


def test_a_line_end_after_a_key_is_stripped_and_one_inside_is_not_shown(monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-proj-SECRET123\r\n")
    assert secret_from_environment("A_KEY") == "sk-proj-SECRET123"
    monkeypatch.setenv("A_KEY", "sk-proj\nSECRET123")
    with pytest.raises(UserError) as caught:
        secret_from_environment("A_KEY")
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=60)
FORMS = {
    "raw": lambda key: key,
    "bearer": lambda key: f"Bearer {key}",
    "repr": repr,
    "repr of bytes": lambda key: repr(key.encode()),
    "JSON": json.dumps,
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "percent": lambda key: quote(key, safe=""),
    "form": quote_plus,
    "every character": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "percent, twice": lambda key: quote(quote(key, safe="")),
    "HTML": html.escape,
    "HTML, every character": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "escapes of JavaScript": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "hexadecimal": lambda key: key.encode().hex(),
    "upper case": str.upper,
    "URL": lambda key: f"https://user:{quote(key, safe='')}@example.com/v1",
    "base64": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "start": lambda key: f"{key[:8]}...",
    "end": lambda key: f"...{key[-8:]}",
}


def _traces(key: str) -> set[str]:
    """What of a key must not be left: its first 8 and last 8 characters, in any spelling."""
    parts = {key[:8], key[-8:]}
    return parts | {quote(part, safe="") for part in parts} | {json.dumps(p)[1:-1] for p in parts}


@settings(max_examples=100)
@given(KEYS, st.sampled_from(sorted(FORMS)))
@example('000000"000001000', "JSON in JSON")
def test_no_form_of_a_key_is_left(key, form):
    left = Redactor([key]).redact(f"before {FORMS[form](key)} after")
    assert FORMS[form](key)[:8] not in left or form in ("bearer", "URL", "base64", "end")
    assert not [trace for trace in _traces(key) if trace in left]
    assert left.startswith("before ") and left.endswith(" after")


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_a_key_that_a_server_repeats_is_in_no_error_log_or_record(
    status, scripted, endpoint_of, tmp_path, monkeypatch, caplog
):
    """In an answer, too: it would be written down, trained on and run in the sandbox."""
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)
    random_keys = random.Random(status)
    for number, form in enumerate(("raw", "repr", "JSON", "percent", "HTML", "base64", "start")):
        key = "".join(random_keys.choices(KEY_CHARACTERS, k=24))
        said = f"no such key: {FORMS[form](key)}"
        body = completion(said) if status == 200 else {"error": {"message": said}}
        scripted.script = lambda _, body=body: Raw(json.dumps(body).encode(), status=status)
        ledger = Ledger(tmp_path / str(number))
        chat = ChatClient(endpoint_of(scripted, api_key=key), ledger, 5.0, max_wait=0.0)
        with caplog.at_level("DEBUG", "aiev"):
            shown = asyncio.run(_answer_or_error(chat))
        written = [path.read_text() for path in ledger.root.rglob("*") if path.is_file()]
        everywhere = "".join([shown, caplog.text, *written])
        assert not [trace for trace in _traces(key) if trace in everywhere], form
    assert "no such key: " in everywhere or status == 200


KEY_CHARACTERS = string.ascii_letters + string.digits + "-_+/=%'\"\\"


async def _answer_or_error(chat: ChatClient) -> str:
    async with chat:
        try:
            return (await chat.complete([{"role": "user", "content": "Hello"}])).text
        except (EndpointError, Unanswerable) as error:
            return "".join(traceback.format_exception(error))


def test_a_short_key_does_not_garble_errors():
    text = "max_tokens exceeds the maximum for this example"
    assert Redactor(["x"]).redact(text) == text


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"seed": 5}, "5 is not a valid parameter name for seed"),
        ({"temperature": 0.2}, "0.2 is not a valid parameter name for temperature"),
        ({"max_tokens": True}, "True is not a valid parameter name"),
        ({"max_tokens": ""}, "'' is not a valid parameter name"),
        ({"seed": 10**5000}, "an integer of more than 64 bits is not a valid parameter name"),
        ({"max_tokens": "seed"}, "cannot be sent as 'seed'"),
        ({"max_tokens": "messages"}, "cannot be sent as 'messages'"),
        ({"top_k": 10**400}, "top_k holds an integer of more than 64 bits"),
        ({"min_p": float("nan")}, "min_p holds the number nan"),
        ({"since": datetime.date(2026, 1, 1)}, "of type date"),
        ({"bias": {5: 1}}, "the key 5"),
        ({"extra_body": {"max_tokens": 9}}, "max_tokens: 9 cannot be added"),
        ({"extra_body": {"messages": []}}, "messages: [] cannot be added"),
        ({"n": 2}, "n: 2 cannot be added"),
        ({"min_p": None}, "min_p: None cannot be added"),
        ({"headers": {"X Team": "TEAM"}}, "'X Team' is not a valid HTTP header name"),
        ({"headers": {"X-Key": "sk-SECRET"}}, "must be the name of an environment variable"),
        ({"api_key": "sk-SECRET"}, "api_key would be written down"),
        ({"x_api_key": "sk-SECRET"}, "x_api_key would be written down"),
        ({"extra_body": {"providers": [{"access_token": "sk-SECRET"}]}}, "access_token would be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "request",
)
def test_an_odd_value_of_a_request_is_refused_in_words(request_, words):
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        checked(Request, request_)
    assert caught.value.hint and "SECRET" not in str(caught.value)


def test_keys_of_answers_stay_as_they_were():
    request = {"kind": "openai", "model": "m", "top_p": 1.0, "temperature": 0.5, "seed": 1}
    text = '{"kind":"openai","model":"m","seed":1,"temperature":0.5,"top_p":1.0}'
    assert key_of(request) == hashlib.sha256(text.encode()).hexdigest()
    assert key_of({**request, "top_p": 1}) == key_of(request)


CHILDREN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, __file__, "child"])
    print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_children_that_ignore_the_signal_end_with_their_server(tmp_path):
    program = tmp_path / "server.py"
    program.write_text(CHILDREN)
    group = ProcessGroup([sys.executable, str(program)], stdout=subprocess.PIPE)
    child = int(group.leader.stdout.readline())
    assert alive(child) and group.stop(term_seconds=0.3)
    assert not alive(child) and not alive(group.leader.pid)


def test_children_end_with_a_job_that_is_killed(tmp_path):
    program = tmp_path / "server.py"
    program.write_text(CHILDREN)
    job = textwrap.dedent(f"""
        import os, signal, subprocess, sys
        from aiev.core.process_group import ProcessGroup
        group = ProcessGroup([sys.executable, {str(program)!r}], stdout=subprocess.PIPE)
        print(int(group.leader.stdout.readline()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    scripts = str(Path(__file__).parents[3] / "scripts")
    environment = {**os.environ, "PYTHONPATH": scripts}
    done = subprocess.run([sys.executable, "-c", job], capture_output=True, env=environment)
    child, deadline = int(done.stdout), time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)
