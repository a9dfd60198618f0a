"""The client: every way in which a server fails, and what the caller and the ledger see of it."""

import asyncio
import json
import socket
import time
import traceback

import pytest
from scripted import CLOSE, HANG, Raw, completion, scripted_endpoint

from aiev.core.errors import EndpointError
from aiev.llm import retries
from aiev.llm.client import PROBE_TRIES, ChatClient
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.failures import ContextFull, Refused, RequestFailed
from aiev.llm.ledger import Ledger
from aiev.llm.retries import ATTEMPTS, TIMEOUTS

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


def entries(ledger):
    return [json.loads(path.read_text("utf-8")) for path in sorted(ledger.root.rglob("*.json"))]


def ask(endpoint: Endpoint, ledger: Ledger, *questions: str, timeout=5.0, max_wait=5.0, **options):
    """The answers to the questions, asked at once."""

    async def all_of_them():
        chat = ChatClient(endpoint, ledger, timeout, max_wait=max_wait)
        try:
            messages = [[{"role": "user", "content": q}] for q in questions or ("Hello",)]
            return await asyncio.gather(*(chat.complete(m, **options) for m in messages))
        finally:
            await chat.close()

    return asyncio.run(all_of_them())


def raw(**fields) -> Raw:
    return Raw(json.dumps(completion("Hello", **fields)).encode())


def label(value) -> str:
    """A short name for a failure."""
    if not isinstance(value, Raw):
        return "closed" if value is CLOSE else str(value)
    text = value.body.decode("utf-8", "replace")
    return text.partition('"choices": ')[2].partition(', "usage"')[0] or text or "nothing"


def test_an_answer_and_its_counts(scripted, endpoint_of, ledger):
    scripted.script = lambda body: "Good day"
    (answer,) = ask(endpoint_of(scripted), ledger, temperature=0.3, seed=5)
    assert (answer.text, answer.finish_reason) == ("Good day", "stop")
    assert (answer.prompt_tokens, answer.completion_tokens) == (7, 3)
    (body,) = scripted.bodies
    assert body["model"] == "scripted" and body["messages"] == HELLO
    assert (body["temperature"], body["seed"], body["max_tokens"]) == (0.3, 5, 512)
    assert "kind" not in body and "digest" not in body


def test_what_is_on_record_is_not_asked_again(scripted, endpoint_of, ledger):
    scripted.script = lambda body: "Good day"
    first = ask(endpoint_of(scripted), ledger)
    again = ask(endpoint_of(scripted), ledger)
    assert first == again and len(scripted.bodies) == 1


def test_no_proxy_is_asked_for_a_server_on_this_machine(scripted, endpoint_of, ledger, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    scripted.script = lambda body: "Good day"
    (answer,) = ask(endpoint_of(scripted), ledger)
    assert answer.text == "Good day"


@pytest.mark.parametrize(
    ("address", "local"),
    [
        *(("http://localhost:8000/v1", True), ("http://127.0.0.1/v1", True)),
        *(("http://[::1]:8000/v1", True), ("http://10.0.0.1/v1", False), (None, False)),
        *(("http://localhost.example/v1", False), ("http://[1/v1", False)),
        *(("http://127.0.0.1.example.com/v1", False), ("https://localhost/v1", False)),
    ],
)
def test_what_is_on_this_machine(address, local, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert Endpoint("openai", "m", "v", address, slots=1).local == local


def test_another_address_is_the_same_model(scripted, endpoint_of, ledger):
    scripted.script = lambda body: "Good day"
    first = ask(endpoint_of(scripted), ledger)
    assert ask(endpoint_of("http://127.0.0.1:9/v1", api_key="other"), ledger) == first


def test_another_model_or_version_is_asked(scripted, endpoint_of, ledger):
    scripted.script = lambda body: "Good day"
    for change in ({}, {"model": "b"}, {"digest": "2"}, {"kind": "llamacpp"}):
        ask(endpoint_of(scripted, **change), ledger)
    assert len(scripted.bodies) == 4


@pytest.mark.parametrize(
    "failure",
    [
        500,
        503,
        429,
        CLOSE,
        Raw(b"<html>Bad gateway</html>", "text/html", 502),
        Raw(b"<html>Welcome</html>", "text/html"),
        Raw(b"{not json"),
        Raw(b""),
        Raw(b"null"),
        Raw(b"[1, 2]"),
        Raw(b'{"hello": "world"}'),
        Raw(b"\xff\xfe\x00"),
        raw(choices=[]),
        raw(choices=None),
        raw(choices="abc"),
        raw(choices=[None]),
        raw(choices=[{"index": 0, "message": None, "finish_reason": "stop"}]),
        raw(choices=[{"index": 0, "message": "Hello", "finish_reason": "stop"}]),
        raw(choices=[{"index": 0, "message": {"content": [5]}, "finish_reason": "stop"}]),
        raw(choices=[{"index": 0, "message": {"content": 5}, "finish_reason": "stop"}]),
    ],
    ids=label,
)
def test_a_failure_is_asked_again_until_it_is_an_answer(failure, scripted, endpoint_of, ledger):
    replies = [failure, failure]
    scripted.script = lambda body: replies.pop() if replies else "Good day"
    (answer,) = ask(endpoint_of(scripted), ledger)
    assert answer.text == "Good day" and len(scripted.bodies) == 3
    assert [entry["answer"]["text"] for entry in entries(ledger)] == ["Good day"]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (500, "scripted 500"),
        (CLOSE, "Connection error"),
        (Raw(b"<html>Welcome</html>", "text/html"), "not a chat completion"),
        (raw(choices=[]), "not a chat completion"),
    ],
    ids=label,
)
def test_a_server_that_only_fails_is_named(failure, told, scripted, endpoint_of, ledger):
    scripted.script = lambda body: failure
    with pytest.raises(EndpointError, match=told) as caught:
        ask(endpoint_of(scripted), ledger)
    assert len(scripted.bodies) == ATTEMPTS + PROBE_TRIES.failed and entries(ledger) == []
    assert caught.value.exit_code == 3
    assert scripted.url in caught.value.where and "run the same command" in caught.value.hint
    assert "Traceback" not in str(caught.value)


def test_a_server_that_never_answers_is_left(scripted, endpoint_of, ledger):
    scripted.script = lambda body: HANG
    with pytest.raises(EndpointError, match="timed out"):
        ask(endpoint_of(scripted), ledger, timeout=0.2)
    asked = TIMEOUTS + PROBE_TRIES.timed_out
    assert len(scripted.bodies) == asked and entries(ledger) == []


def test_a_slow_server_of_ours_is_no_fault_of_the_question(scripted, ledger):
    """A busy machine must not decide which dialogues there are: it answers others meanwhile."""

    class Ours(Endpoint):
        served_here = True

    slow = Ours("llamacpp", "tiny", "1", scripted.url, 4)
    long = [{"role": "user", "content": "long"}]
    scripted.script = lambda body: HANG if body["messages"] == long else "yes"
    with pytest.raises(EndpointError, match="timed out") as caught:
        ask(slow, ledger, "long", "short", timeout=0.3)
    assert "timeout_seconds" in caught.value.hint
    assert [entry["answer"]["text"] for entry in entries(ledger)] == ["yes"]


def test_a_refused_connection(endpoint_of, ledger):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(EndpointError, match="Connection error") as caught:
            ask(endpoint_of(address), ledger)
    assert address in caught.value.where


def test_a_local_server_that_died_is_not_asked_five_times(scripted, ledger, tmp_path):
    class Dead(Endpoint):
        def state(self):
            return "the model server ended with exit code -9"

    log = tmp_path / "server.log"
    dead = Dead("llamacpp", "tiny", "1", scripted.url, 4, log_path=log)
    scripted.script = lambda body: CLOSE
    with pytest.raises(EndpointError, match="exit code -9") as caught:
        ask(dead, ledger)
    assert len(scripted.bodies) == 1 and str(log) in caught.value.where


@pytest.mark.parametrize("content", ["", None])
def test_an_empty_message_is_an_answer(content, scripted, endpoint_of, ledger):
    scripted.script = lambda body: content if content is not None else raw_of_none()
    (answer,) = ask(endpoint_of(scripted), ledger)
    assert answer.text == "" and len(entries(ledger)) == 1
    ask(endpoint_of(scripted), ledger)
    assert len(scripted.bodies) == 1


def raw_of_none() -> Raw:
    return Raw(json.dumps(completion(None)).encode())


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, "many"], ids=str)
def test_a_server_that_does_not_count_tokens(usage, scripted, endpoint_of, ledger):
    scripted.script = lambda body: raw(usage=usage)
    (answer,) = ask(endpoint_of(scripted), ledger)
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("Hello", 0, 0)


def test_a_conversation_that_is_too_long(scripted, endpoint_of, ledger):
    said = {"error": {"message": "the request exceeds the available context size", "code": 400}}
    scripted.script = lambda body: Raw(json.dumps(said).encode(), status=400)
    with pytest.raises(ContextFull, match="context size"):
        ask(endpoint_of(scripted), ledger)
    assert len(scripted.bodies) == 1

    # In replay mode nothing is sent; in record mode it is asked again, at no cost.
    with pytest.raises(ContextFull):
        ask(endpoint_of(scripted), Ledger(ledger.root, "replay"))
    assert len(scripted.bodies) == 1
    scripted.script = lambda body: "The context is larger now"
    assert ask(endpoint_of(scripted), ledger)[0].text == "The context is larger now"
    assert ask(endpoint_of(scripted), Ledger(ledger.root, "replay"))[0].text.endswith("now")


@pytest.mark.parametrize("code", ["content_filter", "invalid_prompt"])
def test_a_prompt_that_the_vendor_refuses(code, scripted, endpoint_of, ledger):
    said = {"error": {"message": "the prompt triggered the filter", "code": code}}
    scripted.script = lambda body: Raw(json.dumps(said).encode(), status=400)
    for mode in ("record", "replay"):
        with pytest.raises(Refused):
            ask(endpoint_of(scripted), Ledger(ledger.root, mode))
    assert len(scripted.bodies) == 1


def limited(wait: str, code: str = "rate_limit_exceeded") -> Raw:
    body = json.dumps({"error": {"message": "too many", "code": code}}).encode()
    return Raw(body, status=429, headers=(("Retry-After", wait),))


def test_a_rate_limit_is_waited_out(scripted, endpoint_of, ledger):
    """As long as the server asks, and more often than a failure is put up with."""
    replies = [limited("0.1")] * (ATTEMPTS + 2)
    scripted.script = lambda body: replies.pop() if replies else "Good day"
    start = time.monotonic()
    assert ask(endpoint_of(scripted), ledger)[0].text == "Good day"
    assert time.monotonic() - start >= 0.1 * (ATTEMPTS + 2)


def test_an_error_that_nobody_knows_is_tried_again_when_the_server_says(
    scripted, endpoint_of, ledger
):
    replies = [Raw(b"{}", status=500, headers=(("Retry-After", "0.4"),))]
    scripted.script = lambda body: replies.pop() if replies else "Good day"
    start = time.monotonic()
    assert ask(endpoint_of(scripted), ledger)[0].text == "Good day"
    assert time.monotonic() - start >= 0.4


def test_an_empty_account_is_not_waited_for(scripted, endpoint_of, ledger):
    scripted.script = lambda body: limited("1", "insufficient_quota")
    with pytest.raises(EndpointError, match="too many"):
        ask(endpoint_of(scripted), ledger)
    assert len(scripted.bodies) == 1


@pytest.mark.parametrize("wait", ["soon", "nan", "-1", ""])
def test_a_rate_limit_that_does_not_say_how_long(wait, scripted, endpoint_of, ledger, caplog):
    """It is waited for, with longer and longer pauses, and the wait is on the screen."""
    replies = [limited(wait)] * 7
    scripted.script = lambda body: replies.pop() if replies else "Good day"
    with caplog.at_level("WARNING", "aiev"):
        assert ask(endpoint_of(scripted), ledger)[0].text == "Good day"
    (notice,) = caplog.messages
    assert "scripted is busy (HTTP 429: too many): waiting" in notice


def test_a_rate_limit_without_end(scripted, endpoint_of, ledger):
    scripted.script = lambda body: limited("0.1")
    with pytest.raises(EndpointError, match="busy for 0 s: HTTP 429: too many") as caught:
        ask(endpoint_of(scripted), ledger, max_wait=0.25)
    asked = [body["messages"][0]["content"] for body in scripted.bodies]
    assert asked.count("Hello") == 4 and "execution.max_wait_seconds" in caught.value.hint


def test_a_question_that_always_takes_a_gateway_too_long_is_given_up(scripted, endpoint_of, ledger):
    """Cloudflare's 524, say: a run that ended here would end here each time."""

    def script(body):
        slow = body["messages"][0]["content"] == "slow"
        return Raw(b"", "text/plain", 524) if slow else "Good day"

    scripted.script = script
    for _ in range(2):
        with pytest.raises(RequestFailed, match="524"):
            ask(endpoint_of(scripted), ledger, "slow", max_wait=0.01)
    scripted.script = lambda body: Raw(b"", "text/plain", 524)
    with pytest.raises(EndpointError, match="524") as caught:
        ask(endpoint_of(scripted), ledger, "other", max_wait=0.01)
    assert "execution.max_wait_seconds" in caught.value.hint


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_question_for_which_alone_the_server_is_always_busy_is_given_up(
    status, scripted, endpoint_of, ledger
):
    """A prompt of more tokens than the limit of a minute, say: no run could finish."""
    scripted.script = lambda body: (
        Raw(b"", "text/plain", status) if body["messages"][0]["content"] == "long" else "Good day"
    )
    with pytest.raises(RequestFailed, match=str(status)):
        ask(endpoint_of(scripted), ledger, "long", max_wait=0.01)
    # A limit that is gone once another question is answered was no fault of this one.
    scripted.script = lambda body: Raw(b"", "text/plain", status) if not other() else "Good day"

    def other():
        return any("OK" in body["messages"][0]["content"] for body in scripted.bodies)

    scripted.forget()
    assert ask(endpoint_of(scripted), ledger, "later", max_wait=0.01)[0].text == "Good day"


def test_a_prompt_that_a_firewall_stops_is_given_up(scripted, endpoint_of, ledger):
    """Firewalls stop prompts with code in them, by a 403 that says nothing of a key."""
    page = Raw(b"<style>p {}</style><p>Sorry, you have been blocked</p>", "text/html", 403)
    scripted.script = lambda body: page if "Hello" in str(body["messages"]) else "OK"
    with pytest.raises(RequestFailed, match="HTTP 403: Sorry, you have been blocked"):
        ask(endpoint_of(scripted), ledger)
    scripted.script = lambda body: page
    with pytest.raises(EndpointError, match="you have been blocked") as caught:
        ask(endpoint_of(scripted), ledger, "other")
    assert "OPENAI_API_KEY" in caught.value.hint


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_key_follows_no_redirect(status, scripted, endpoint_of, ledger):
    with scripted_endpoint(lambda body: "Good day") as elsewhere:
        to = ("Location", f"{elsewhere.url}/chat/completions")
        scripted.script = lambda body: Raw(b"", "text/plain", status, (to,))
        with pytest.raises(EndpointError, match=f"redirects to {elsewhere.url}") as caught:
            ask(endpoint_of(scripted), ledger)
        assert elsewhere.bodies == [] and len(scripted.bodies) == 1
    assert "base_url" in caught.value.hint


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "odd://127.0.0.1:9", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_named(proxy, endpoint_of, ledger, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(EndpointError) as caught:
        ask(endpoint_of("http://server.invalid/v1"), ledger)
    assert "ALL_PROXY" in str(caught.value)


DEEP = 900
"""Lists or objects in one another, which Python's parser still reads."""


@pytest.mark.parametrize(
    "failure",
    [
        Raw(b"[" * 200_000 + b"]" * 200_000),
        Raw(b'{"error":' * DEEP + b'"x"' + b"}" * DEEP, status=400),
        Raw(b"[" * DEEP + b'"x"' + b"]" * DEEP, status=400),
        Raw(b"{}", status=400, headers=(("Content-Encoding", "gzip"),)),
    ],
    ids=["answer", "objects", "lists", "no gzip"],
)
def test_an_unreadable_body_is_a_failure_like_others(failure, scripted, endpoint_of, ledger):
    replies = [failure]
    scripted.script = lambda body: replies.pop() if replies else "Good day"
    assert ask(endpoint_of(scripted), ledger)[0].text == "Good day"


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Rate limit exceeded"},
        {"error": {"message": "Rate limit exceeded", "code": 429}},
        {"object": "error", "message": "Rate limit exceeded", "code": 50002},
    ],
)
def test_an_error_in_an_answer_of_status_200_is_one(body, scripted, endpoint_of, ledger):
    replies = [Raw(json.dumps(body).encode())] * (ATTEMPTS + 1)
    scripted.script = lambda body: replies.pop() if replies else "Good day"
    assert ask(endpoint_of(scripted), ledger)[0].text == "Good day"


def test_a_date_far_away_is_waited_for_up_to_the_limit_only(scripted, endpoint_of, ledger):
    replies = [limited("Wed, 01 Jan 2031 00:00:20 GMT")]
    scripted.script = lambda body: replies.pop() if replies else "Good day"
    assert ask(endpoint_of(scripted), ledger, max_wait=0.2)[0].text == "Good day"


def test_another_bad_request_is_no_full_context(scripted, endpoint_of, ledger):
    said = {"error": {"message": "top_p must be positive", "code": 400}}
    scripted.script = lambda body: Raw(json.dumps(said).encode(), status=400)
    with pytest.raises(EndpointError, match="top_p must be positive"):
        ask(endpoint_of(scripted), ledger)
    assert len(scripted.bodies) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_sent_again_and_not_shown(status, scripted, endpoint_of, ledger):
    said = {"error": {"message": "Incorrect API key provided: secret-key"}}
    scripted.script = lambda body: Raw(json.dumps(said).encode(), status=status)
    with pytest.raises(EndpointError) as caught:
        ask(endpoint_of(scripted), ledger)
    assert "OPENAI_API_KEY" in caught.value.hint and str(status) in str(caught.value)
    assert len(scripted.bodies) == 1
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 422, 429, 500, 503])
@pytest.mark.parametrize("where", ["message", "context", "body"])
def test_no_answer_of_a_server_shows_the_key(where, status, scripted, endpoint_of, ledger, caplog):
    said = {"error": {"message": f"{where} of Bearer secret-key"}}
    body = json.dumps(said) if where != "body" else "<html>secret-key</html>"
    scripted.script = lambda _: Raw(body.encode(), status=status)
    with caplog.at_level("INFO", "aiev"), pytest.raises((EndpointError, ContextFull)) as caught:
        ask(endpoint_of(scripted), ledger, max_wait=0.05)
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret-key" not in shown + caplog.text


def test_an_unknown_model_is_named(scripted, endpoint_of, ledger):
    scripted.script = lambda body: 404
    with pytest.raises(EndpointError, match="404") as caught:
        ask(endpoint_of(scripted, model="no-such-model"), ledger)
    assert "no-such-model" in str(caught.value) and len(scripted.bodies) == 1


def test_no_more_requests_at_once_than_slots(scripted, endpoint_of, ledger):
    scripted.delay, scripted.script = 0.03, lambda body: "Good day"
    ask(endpoint_of(scripted, slots=3), ledger, *map(str, range(12)))
    assert scripted.most_busy == 3 and len(scripted.bodies) == 12


def test_an_answer_is_on_record_before_its_caller_sees_it(scripted, endpoint_of, ledger):
    scripted.script = lambda body: f"Good day, {body['messages'][0]['content']}"

    async def look():
        chat = ChatClient(endpoint_of(scripted), ledger)
        for name in ("Ann", "Bob"):
            answer = await chat.complete([{"role": "user", "content": name}])
            assert ledger.path(answer.key).is_file()
            assert answer.text in [entry["answer"]["text"] for entry in entries(ledger)]
        await chat.close()

    asyncio.run(look())


@pytest.mark.parametrize("failure", [500, CLOSE, Raw(b"odd", status=418)], ids=["500", "-", "418"])
def test_a_question_at_which_alone_the_server_fails_is_given_up(
    failure, scripted, endpoint_of, ledger
):
    """The other answers stay, and the run goes on: it would end at the same question each time."""
    scripted.script = lambda body: (
        failure if body["messages"][0]["content"] == "bad" else "Good day"
    )
    endpoint = endpoint_of(scripted, slots=1)
    ask(endpoint, ledger, "a", "b")
    with pytest.raises(RequestFailed):
        ask(endpoint, ledger, "bad")
    with pytest.raises(RequestFailed):
        ask(endpoint, Ledger(ledger.root, "replay"), "bad")
    scripted.forget()
    scripted.script = lambda body: "Good day"
    ask(endpoint, ledger, "a", "b", "bad")
    assert [body["messages"][0]["content"] for body in scripted.bodies] == ["bad"]


def test_questions_that_fail_end_the_run_above_a_share(scripted, endpoint_of, ledger):
    scripted.script = lambda body: (
        500 if body["messages"][0]["content"].startswith("bad") else "Good day"
    )

    async def all_of_them(share: float) -> list:
        async with ChatClient(endpoint_of(scripted), ledger, max_unknown_failures=share) as chat:
            asked = []
            for number in range(12):
                question = [
                    {"role": "user", "content": f"{'bad' if number % 2 else 'good'} {number}"}
                ]
                asked += await asyncio.gather(chat.complete(question), return_exceptions=True)
            return [type(one).__name__ for one in asked]

    assert asyncio.run(all_of_them(0.5))[1::2] == ["RequestFailed"] * 6
    # Known from that run, they are in no share: the same command can finish.
    assert asyncio.run(all_of_them(0.25))[1::2] == ["RequestFailed"] * 6


def test_a_run_that_too_many_failures_ended_can_finish(scripted, endpoint_of, ledger):
    scripted.script = lambda body: (
        500 if body["messages"][0]["content"].startswith("bad") else "Good day"
    )

    async def once() -> list[str]:
        async with ChatClient(endpoint_of(scripted), ledger) as chat:
            asked = []
            for number in range(12):
                question = f"{'bad' if number % 2 else 'good'} {number}"
                messages = [{"role": "user", "content": question}]
                asked += await asyncio.gather(chat.complete(messages), return_exceptions=True)
            return [type(one).__name__ for one in asked]

    assert asyncio.run(once())[1::2] == ["RequestFailed"] * 5 + ["EndpointError"]
    assert asyncio.run(once())[1::2] == ["RequestFailed"] * 6


def test_a_seed_that_is_not_sent_tells_samples_apart(scripted, endpoint_of, ledger):
    """Or four votes on a test would be one answer, read four times."""
    replies = iter(("one", "two", "three"))
    scripted.script = lambda body: next(replies)
    endpoint = endpoint_of(scripted, request={"seed": None})
    found = [ask(endpoint, ledger, seed=seed)[0].text for seed in (1, 2, 1)]
    assert found == ["one", "two", "one"]
    assert all("seed" not in str(sorted(body)) for body in scripted.bodies)


def test_the_same_question_twice_at_once_is_asked_once(scripted, endpoint_of, ledger):
    scripted.delay, scripted.script = 0.03, lambda body: "Good day"
    first, second = ask(endpoint_of(scripted), ledger, "same", "same")
    assert first == second and len(scripted.bodies) == 1


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00", "\u2028", "𝄞", "\r\n"], ids=ascii)
def test_hostile_text_goes_there_and_back(text, scripted, endpoint_of, ledger):
    """Lone surrogates cannot travel as UTF-8: they become question marks on either way."""
    scripted.script = lambda body: text
    (answer,) = ask(endpoint_of(scripted), ledger, f"a{text}b")
    sent = scripted.bodies[0]["messages"][0]["content"]
    valid = text.encode("utf-8", "replace").decode()
    assert (answer.text, sent) == (valid, f"a{valid}b")
    assert ask(endpoint_of(scripted), ledger, f"a{text}b")[0] == answer


def test_the_key_is_sent_and_written_nowhere(scripted, endpoint_of, ledger):
    scripted.script = lambda body: "Good day"
    ask(endpoint_of(scripted), ledger)
    assert set(scripted.credentials) == {"Bearer secret-key"}
    for path in ledger.root.rglob("*"):
        assert "secret-key" not in path.name
        assert path.is_dir() or b"secret-key" not in path.read_bytes()
    assert "secret-key" not in repr(endpoint_of(scripted))


def cut(**fields) -> Raw:
    return raw(
        choices=[
            {
                "index": 0,
                "finish_reason": "length",
                "message": {"role": "assistant", "content": "Half"},
            }
        ],
        **fields,
    )


def test_an_answer_that_was_cut_off_is_asked_for_once_more(scripted, endpoint_of, ledger):
    scripted.script = lambda body: cut() if body["max_tokens"] == 8 else "Whole"
    (answer,) = ask(endpoint_of(scripted), ledger, max_tokens=8, more_room=True)
    assert (answer.text, answer.cut_off, answer.asked_again) == ("Whole", False, True)
    scripted.script = lambda body: cut()
    (answer,) = ask(endpoint_of(scripted), ledger, max_tokens=9, more_room=True)
    assert (answer.text, answer.cut_off, answer.asked_again) == ("Half", True, True)
    assert [body["max_tokens"] for body in scripted.bodies] == [8, 16, 9, 18]
    (answer,) = ask(endpoint_of(scripted), ledger, max_tokens=9)
    assert (answer.cut_off, answer.asked_again) == (True, False)
    assert [path for path in ledger.root.rglob("*.json") if "asked_again" in path.read_text()] == []


def test_a_model_that_cannot_write_twice_as_many_tokens_does_not_end_the_run(
    scripted, endpoint_of, ledger
):
    """8192 tokens, asked for first, are all that some models write; no run could finish."""
    words = "max_tokens is too large: 16. This model supports at most 8 completion tokens"
    no = json.dumps({"error": {"message": words}}).encode()
    scripted.script = lambda body: cut() if body["max_tokens"] == 8 else Raw(no, status=400)
    for mode in ("record", "replay"):
        ledger.mode = mode
        (answer,) = ask(endpoint_of(scripted), ledger, max_tokens=8, more_room=True)
        assert (answer.text, answer.cut_off) == ("Half", True)
    with pytest.raises(EndpointError, match="at most 8 completion tokens"):
        ask(endpoint_of(scripted), Ledger(ledger.root), max_tokens=16)
