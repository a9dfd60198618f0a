"""The OpenAI-compatible server, asked by the `openai` client."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import openai
import pytest
from conversation import box, client_of, fence, says
from scripted import Slowly

from aiev.interpreter.completions import Completions, Conversations, WithoutTokens
from aiev.interpreter.server import Server
from aiev.interpreter.session import Session
from aiev.interpreter.triggers import Fences, Tokens
from aiev.interpreter.workspace import State

APPEND = "open('a', 'a').write('x'); print(len(open('a').read()))"


@pytest.fixture(scope="module")
def workspace():
    with box() as workspace:
        yield workspace


@contextmanager
def serving(scripted, workspace, trigger=None, kept=None, **options):
    """The server, in a thread of this process."""

    def new_session(model):
        return Session(model, workspace, trigger or Fences())

    completions = Completions(client_of(scripted), new_session, kept)
    with Server(("127.0.0.1", 0), completions, "scripted", **options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


def client(server, key="one"):
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=30)


def user(text):
    return {"role": "user", "content": text}


def ask(asking, *messages, **options):
    created = asking.chat.completions.create(model="scripted", messages=list(messages), **options)
    return created.choices[0].message.content


def append(body):
    """Appends to a file at each question, and says so once that has run."""
    ran = "The program was run" in body["messages"][-1]["content"]
    return "Done." if ran else fence(APPEND)


def test_the_models_are_listed(scripted, workspace):
    with serving(scripted, workspace) as server:
        assert [model.id for model in client(server).models.list().data] == ["scripted"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_comes_with_its_code_run(scripted, workspace, stream):
    scripted.script = says(f"So:\n\n{fence('print(6 * 7)')}", "It is 42.")
    with serving(scripted, workspace) as server:
        asked = {"model": "scripted", "messages": [user("6 times 7?")], "stream": stream}
        got = client(server).chat.completions.create(**asked)
        if stream:
            chunks = list(got)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            assert chunks[-1].choices[0].finish_reason == "stop"
            assert chunks[-1].usage.total_tokens == 20 and len(chunks) > 5
        else:
            text, usage = got.choices[0].message.content, got.usage
            assert (usage.prompt_tokens, usage.completion_tokens) == (14, 6)
    result = f"Result:\n\n{fence('42', 'text')}"
    assert text == f"So:\n\n{fence('print(6 * 7)')}\n\n{result}\n\nIt is 42."


def test_tokens_are_not_shown(scripted, workspace):
    block = f"<API_RUN_START>{fence('print(1)')}<API_RUN_STOP>"
    scripted.script = says(f"a < b <API {block}", "<b>One</b> <API_RUN")
    with serving(scripted, workspace, Tokens()) as server:
        text = ask(client(server), user("Go."))
    assert text.startswith(f"a < b <API {fence('print(1)')}\n\nResult:")
    assert text.endswith("<b>One</b> <API_RUN")


def test_tokens_are_taken_out_however_they_come():
    text = "a<API_RUN_START>b<<API_RUN_STOP><API_RES<c<API_RES_STOP>"
    for size in range(1, 20):
        words = WithoutTokens()
        shown = [words.add(text[n : n + size]) for n in range(0, len(text), size)]
        assert "".join(shown) + words.end() == "ab<<API_RES<c"


def test_a_conversation_that_goes_on_has_its_files_and_one_that_is_repeated_those_of_its_place(
    scripted, workspace
):
    scripted.script = append
    with serving(scripted, workspace) as server:
        asking, first = client(server), user("Append.")
        one = ask(asking, first)
        said = {"role": "assistant", "content": f"{one}\n"}  # as a front end may trim it
        two, again = (ask(asking, first, said, first) for _ in range(2))
        assert fence("1", "text") in one and fence("2", "text") in two and two == again
        told = scripted.bodies[-1]["messages"]
        # The model reads its own conversation, not what was shown.
        assert not any("Result:" in m["content"] for m in told)


def test_two_users_do_not_see_each_others_files(scripted, workspace):
    """They have said and heard the same; the credential or the `user` tells them apart."""
    scripted.script = append
    with serving(scripted, workspace) as server:
        one = ask(client(server), user("Append."))
        history = [user("Append."), {"role": "assistant", "content": one}, user("Append.")]
        own = ask(client(server), *history)
        other = ask(client(server, "two"), *history)
        third = ask(client(server), *history, user="somebody")
    assert fence("2", "text") in own
    assert fence("1", "text") in other and fence("1", "text") in third


def test_many_at_once_are_kept_apart_and_bounded(scripted, workspace):
    def script(body):
        name = body["messages"][1]["content"]
        done = len(body["messages"]) > 2
        return "Done." if done else fence(f"print({name} * 2)")

    scripted.script = script
    with (
        serving(scripted, workspace, max_busy=2) as server,
        ThreadPoolExecutor(6) as pool,
    ):
        asking = client(server)
        answers = list(pool.map(lambda n: ask(asking, user(str(n))), range(6)))
        assert [fence(str(2 * n), "text") in answer for n, answer in enumerate(answers)] == [
            True
        ] * 6
    assert scripted.most_busy <= 2


def test_a_server_that_is_busy_refuses(scripted, workspace):
    scripted.script = lambda body: Slowly("word " * 100, pause=0.05)
    with (
        serving(scripted, workspace, max_busy=1, wait_seconds=0.1) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        stream = client(server).chat.completions.create(
            model="m", messages=[user("Go.")], stream=True
        )
        next(iter(stream))
        with pytest.raises(openai.RateLimitError):
            pool.submit(ask, client(server), user("Go.")).result()
        stream.close()


def test_a_client_that_leaves_stops_the_model_and_frees_its_place(scripted, workspace):
    scripted.script = lambda body: Slowly("word " * 4000, pause=0.01)
    with serving(scripted, workspace, max_busy=1, wait_seconds=10) as server:
        stream = client(server).chat.completions.create(
            model="m", messages=[user("Go.")], stream=True
        )
        next(iter(stream))
        stream.close()
        scripted.script = lambda body: "Free."
        began = time.monotonic()
        assert ask(client(server), user("Go.")) == "Free." and time.monotonic() - began < 10
        assert len(server.completions.kept) == 1  # what nobody has heard whole is not kept


def test_the_request_chooses_its_sampling_up_to_the_servers_limit(scripted, workspace):
    scripted.script = lambda body: "Words."
    with serving(scripted, workspace) as server:
        system = {"role": "system", "content": "Be brief."}
        parts = {"role": "user", "content": [{"type": "text", "text": "Go."}]}
        ask(client(server), system, parts, temperature=0.5, max_tokens=10**6, seed=3)
    body = scripted.bodies[-1]
    assert (body["temperature"], body["max_tokens"], body["seed"]) == (0.5, 1024, 3)
    assert body["messages"][0]["content"].endswith("\n\nBe brief.")
    assert body["messages"][1:] == [user("Go.")]


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([], {}),
        ([{"role": "assistant", "content": "x"}], {}),
        ([{"role": "tool", "content": "x", "tool_call_id": "1"}], {}),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], {}),
        ([user("x" * 1_000_001)], {}),
        ([user("x")], {"n": 2}),
        ([user("x")], {"temperature": -1}),
        ([user("x")], {"max_tokens": 0}),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(scripted, workspace, messages, options):
    with serving(scripted, workspace) as server, pytest.raises(openai.BadRequestError):
        ask(client(server), *messages, **options)
    assert scripted.bodies == []


def test_a_model_that_fails_is_an_error_of_the_server(scripted, workspace):
    scripted.script = lambda body: 400
    with serving(scripted, workspace) as server:
        with pytest.raises(openai.InternalServerError, match="does not answer"):
            ask(client(server), user("Go."))
        with pytest.raises(openai.APIError, match="does not answer"):
            list(
                client(server).chat.completions.create(
                    model="m", messages=[user("Go.")], stream=True
                )
            )


def test_a_token_is_needed_where_there_is_one(scripted, workspace):
    scripted.script = lambda body: "Words."
    with serving(scripted, workspace, token="right") as server:
        assert ask(client(server, "right"), user("Go.")) == "Words."
        for wrong in ("wrong", "righ", "é"):
            with pytest.raises((openai.AuthenticationError, UnicodeEncodeError)):
                ask(client(server, wrong), user("Go."))


def raw(server, method="POST", path="/v1/chat/completions", body=b"{}", **headers):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_page_in_a_browser_cannot_use_it(scripted, workspace):
    json_type = {"Content-Type": "application/json"}
    with serving(scripted, workspace) as server:
        assert raw(server, **{"Content-Type": "text/plain"})[0] == 415
        assert raw(server, **json_type, Host="evil.example")[0] == 403
        assert raw(server, "GET", "/v1/models", None, Host="evil.example")[0] == 403
        assert raw(server, path="/v1/other", **json_type)[0] == 404
        assert raw(server, body=b"[" * 10**5, **json_type)[0] == 400
        assert raw(server, "GET", "/health", None) == (200, {"status": "ok"})
    assert scripted.bodies == []


def test_what_is_kept_is_bounded_by_number_size_and_age():
    now = [0.0]
    kept = Conversations(max_count=3, max_bytes=100, max_seconds=10, clock=lambda: now[0])
    for n in range(4):
        kept.keep(str(n), [], State({"a": bytes(20)}))
    assert [bool(kept.find(str(n))) for n in range(4)] == [False, True, True, True]
    kept.find("1")
    kept.keep("4", [], State({"a": bytes(50)}))  # the longest unused one goes, then all fit
    assert [bool(kept.find(str(n))) for n in range(5)] == [False, True, False, True, True]
    kept.keep("big", [], State({"a": bytes(101)}))
    assert len(kept) == 0
    kept.keep("5", [], State())
    now[0] = 11
    assert kept.find("5") is None
