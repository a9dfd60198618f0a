"""The page's server: what it answers, keeps apart and refuses. The page itself is tried in a
browser by tests/real/test_page.py."""

import http.client
import json
import threading
import time
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from conversation import box, fence, says, session_of
from scripted import Slowly

from aiev.interpreter.page import FOLDER
from aiev.interpreter.web import Handler, WebServer


@pytest.fixture(scope="module")
def workspace():
    with box() as workspace:
        yield workspace


class Page:
    """What the page asks, over its own connection each time."""

    def __init__(self, server, token=""):
        self.server, self.token = server, token
        self.session = f"/api/sessions/{self.call('POST', '/api/sessions', {})[1]['id']}"

    def open(self, method, path, body=None, **headers):
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        headers = {"Content-Type": kind, **headers}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(*self.server.server_address[:2], timeout=30)
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, sent, headers)
        return connection.getresponse()

    def call(self, method, path, body=None, **headers):
        answer = self.open(method, path, body, **headers)
        return answer.status, json.loads(answer.read())

    def say(self, text, asks=False, answer=lambda event: None):
        """The events of a turn; `answer` may react to each."""
        events = []
        stream = self.open("POST", f"{self.session}/messages", {"text": text, "asks": asks})
        for line in stream:
            events.append(json.loads(line))
            answer(events[-1])
        return events

    def allow(self, **said):
        assert self.call("POST", f"{self.session}/allow", said)[0] == 200


@contextmanager
def serving(scripted, workspace, **options):
    def new_session():
        return session_of(scripted, workspace)

    with WebServer(("127.0.0.1", 0), new_session, "scripted", **options) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def said(events):
    return "".join(event.get("said", "") for event in events)


def ran(events):
    return [event["ran"] for event in events if "ran" in event]


def test_the_page_is_our_own_and_runs_no_other_script(scripted, workspace):
    with serving(scripted, workspace) as server:
        page = Page(server)
        for path in ("/", "/app.js", "/app.css"):
            answer = page.open("GET", path)
            assert answer.status == 200
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'; script-src 'self'" in policy and "unsafe" not in policy
            assert b"//" not in answer.read().replace(b"// ", b"")
        assert page.open("GET", "/..%2fweb.py").status == 404
    script = (FOLDER / "app.js").read_text()
    assert not any(word in script for word in ("innerHTML", "insertAdjacent", "eval(", "write("))


def test_an_answer_comes_event_by_event_with_its_files(scripted, workspace):
    program = "open('plot.png', 'wb').write(b'png'); print(1)"
    scripted.script = says(f"So: {fence(program)}", "Done.")
    with serving(scripted, workspace) as server:
        page = Page(server)
        events = page.say("Go.")
        assert said(events) == f"So: {fence(program)}Done." and events[-1] == {"ended": "answered"}
        (run,) = ran(events)
        assert (run["outcome"], run["shown"]) == ("passed", "1")
        assert run["files"] == [{"name": "plot.png", "size": 3, "changed": True}]
        answer = page.open("GET", f"{page.session}/files/plot.png")
        assert answer.read() == b"png" and answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for name in ("json", "md", "ipynb"):
            assert b"Go." in page.open("GET", f"{page.session}/export.{name}").read()


def test_the_user_is_asked_and_may_change_or_refuse(scripted, workspace):
    scripted.script = says(fence("print(1)"), "Two.")
    with serving(scripted, workspace) as server:
        page = Page(server)

        def change(event):
            if "run" in event:
                page.allow(allowed=True, text="print(2)")

        assert ran(page.say("Go.", True, change))[0]["shown"] == "2"
        scripted.script = says(fence("print(1)"))

        def refuse(event):
            if "run" in event:
                page.allow(allowed=False)

        assert page.say("Go.", True, refuse)[-1] == {"ended": "declined"}
        scripted.script = says(f"{fence('pip install demo', 'sh')}\n{fence('1')}", "No.")

        def run_and_not_install(event):
            if "run" in event or "install" in event:
                page.allow(allowed="run" in event, text="1")

        events = page.say("Go.", True, run_and_not_install)
        assert {"install": ["demo"]} in events and "did not allow" in ran(events)[0]["shown"]


def test_an_answer_is_stopped(scripted, workspace):
    scripted.script = lambda body: Slowly("word " * 1000, pause=0.02)
    with serving(scripted, workspace) as server:
        page = Page(server)

        def stop(event):
            page.call("POST", f"{page.session}/stop", {})

        began = time.monotonic()
        assert page.say("Go.", False, stop)[-1] == {"ended": "stopped"}
        assert time.monotonic() - began < 10
        scripted.script = says(fence("print(1)"))

        def stop_at_the_question(event):
            if "run" in event:
                page.call("POST", f"{page.session}/stop", {})

        assert ran(page.say("Go.", True, stop_at_the_question)) == []


def test_a_conversation_goes_on_from_an_earlier_place(scripted, workspace):
    program = "open('a', 'a').write('x'); print(len(open('a').read()))"
    with serving(scripted, workspace) as server:
        page = Page(server)
        for _ in range(2):
            scripted.script = says(fence(program), "Done.")
            events = page.say("Append.")
        assert ran(events)[0]["shown"] == "2"
        files = page.call("POST", f"{page.session}/back", {"turn": 1})[1]["files"]
        assert [file["size"] for file in files] == [1]
        assert page.call("POST", f"{page.session}/back", {"turn": 0})[1]["files"] == []
        assert page.call("POST", f"{page.session}/back", {"turn": -1})[0] == 400


def test_a_file_goes_up_is_read_and_cannot_leave_its_conversation(scripted, workspace):
    scripted.script = says(fence("print(open('a b/é.txt').read())"), "Done.")
    with serving(scripted, workspace) as server:
        page, other = Page(server), Page(server)

        def put(name, content=b"mine"):
            return page.call("PUT", f"{page.session}/files/{quote(name, safe='')}", content)

        assert put("a b/é.txt")[1]["files"][0]["size"] == 4
        assert ran(page.say("Read it."))[0]["shown"] == "mine"
        for name in ("../x", "/etc/x", "a\0b", ".", "a b", "a b/é.txt/c", "n" * 300):
            assert put(name)[0] == 400, name
        assert put("big", bytes(workspace.max_bytes))[0] == 400
        assert other.open("GET", f"{other.session}/files/a%20b%2F%C3%A9.txt").status == 404
        assert other.open("GET", "/api/sessions/wrong/files/a").status == 404


def test_an_error_of_the_model_is_an_event_and_the_question_is_taken_back(scripted, workspace):
    scripted.script = lambda body: 400
    with serving(scripted, workspace) as server:
        page = Page(server)
        assert "does not answer" in page.say("Go.")[-1]["error"]["message"]
        assert json.loads(page.open("GET", f"{page.session}/export.json").read())["turns"] == []


def test_one_answer_at_a_time_in_a_conversation(scripted, workspace):
    scripted.script = lambda body: Slowly("word " * 40, pause=0.01)
    with serving(scripted, workspace) as server:
        page = Page(server)
        found = []

        def meanwhile(event):
            if not found:
                asked = {"text": "And?"}
                found.append(page.call("POST", f"{page.session}/messages", asked)[0])
                found.append(page.call("POST", f"{page.session}/back", {"turn": 0})[0])
                found.append(page.call("PUT", f"{page.session}/files/a", b"")[0])

        page.say("Go.", False, meanwhile)
        assert found == [409, 409, 409]


def test_a_request_that_follows_at_once_finds_the_conversation_free(
    scripted, workspace, monkeypatch
):
    """Once an answer was sent, nothing of its request holds the conversation."""
    held, send = [], Handler.send_value
    with serving(scripted, workspace) as server:
        page = Page(server)
        talk = server.conversations.find(page.session.rpartition("/")[2])

        def sending(handler, *values):
            held.append(talk.busy.locked())
            send(handler, *values)

        monkeypatch.setattr(Handler, "send_value", sending)
        assert page.call("PUT", f"{page.session}/files/a", b"")[0] == 200
        assert page.call("POST", f"{page.session}/back", {"turn": 0})[0] == 200
    assert held == [False, False]


def test_conversations_are_bounded(scripted, workspace):
    with serving(scripted, workspace, max_conversations=2) as server:
        pages = [Page(server) for _ in range(3)]
        found = [page.call("POST", f"{page.session}/back", {"turn": 0})[0] for page in pages]
        assert found == [404, 200, 200]


def test_other_pages_and_clients_without_the_token_are_refused(scripted, workspace):
    with serving(scripted, workspace, token="right") as server:
        page = Page(server, "right")
        assert page.open("GET", "/").status == 200
        assert page.call("POST", f"{page.session}/stop", {}, Host="evil.example")[0] == 403
        kind = {"Content-Type": "text/plain"}
        assert page.call("POST", f"{page.session}/stop", {}, **kind)[0] == 415
        page.token = "wrong"
        assert page.call("POST", f"{page.session}/stop", {})[0] == 401
        assert page.open("GET", f"{page.session}/export.json").status == 401
        assert page.open("OPTIONS", f"{page.session}/stop").status == 501
