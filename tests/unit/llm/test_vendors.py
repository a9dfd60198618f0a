"""Servers of vendors: settings as docs/vendors.md has them, replies as their pages document them.

tests/vendors/<name>.json: `heading` of the example in docs/vendors.md; `pages` of the vendor;
`sent`: names in the body of a question; `replies` by name, each with the HTTP answer, what it
`means`, and the seconds that it asks to `wait`.
"""

import asyncio
import json
import re

import pytest
import yaml
from command import ROOT
from scripted import Raw

from aiev.config.run import RunConfig
from aiev.core.errors import EndpointError
from aiev.core.settings import checked
from aiev.llm import retries
from aiev.llm.client import ChatClient
from aiev.llm.failures import ContextFull, Refused, RequestFailed, ServerError
from aiev.llm.ledger import Ledger

FIXTURES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "tests/vendors").glob("*.json"))
}
WANTED = ("answer", "refusal", "too-long", "rate-limit", "server-error")
REPLIES = [(vendor, name) for vendor, each in FIXTURES.items() for name in each["replies"]]
EVERY_VENDOR = pytest.mark.parametrize("vendor", FIXTURES)
PAGE = (ROOT / "docs/vendors.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)


def example(vendor: str) -> dict:
    """The vendor's settings in docs/vendors.md, as a checked config."""
    heading = re.escape(FIXTURES[vendor]["heading"])
    block = re.search(rf"^## {heading}\n.*?```yaml\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)[1]
    return checked(RunConfig, yaml.safe_load(block)).filled()


def as_http(reply: dict) -> Raw:
    body = reply["body"] if isinstance(reply["body"], str) else json.dumps(reply["body"])
    kind = "text/plain" if isinstance(reply["body"], str) else "application/json"
    return Raw(body.encode(), kind, reply["status"], tuple(reply.get("headers", {}).items()))


def ask(endpoint, tmp_path, **options):
    async def one():
        chat = ChatClient(endpoint, Ledger(tmp_path / "ledger"), 5.0, max_wait=0.0)
        async with chat:
            return await chat.complete([{"role": "user", "content": "Hello"}], **options)

    return asyncio.run(one())


@EVERY_VENDOR
def test_each_vendor_has_its_replies_and_its_pages(vendor):
    fixture = FIXTURES[vendor]
    assert set(WANTED) <= fixture["replies"].keys()
    assert fixture["pages"] and all(page.startswith("https://") for page in fixture["pages"])


def test_each_example_of_the_page_has_a_fixture():
    shown = {
        heading
        for heading, text in re.findall(r"^## (.+)\n([^#]*)", PAGE, re.M)
        if "```yaml" in text
    }
    assert shown == {each["heading"] for each in FIXTURES.values()}


@EVERY_VENDOR
def test_what_the_example_sends(vendor, scripted, endpoint_of, tmp_path):
    model = example(vendor)["models"]["teacher"]
    scripted.script = lambda body: "Good day"
    endpoint = endpoint_of(scripted, model=model["name"], request=model["request"])
    ask(endpoint, tmp_path, temperature=0.7, top_p=0.95, max_tokens=99, seed=5)
    (body,) = scripted.bodies
    assert sorted(body) == FIXTURES[vendor]["sent"]
    assert body["model"] == model["name"]


@pytest.mark.parametrize(("vendor", "name"), REPLIES, ids=map("-".join, REPLIES))
def test_what_becomes_of_a_reply(vendor, name, scripted, endpoint_of, tmp_path):
    """Asked with a server that says nothing else, but for the short question in between."""
    reply = FIXTURES[vendor]["replies"][name]
    scripted.script = lambda body: "OK" if "OK" in str(body["messages"]) else as_http(reply)
    endpoint = endpoint_of(scripted)
    if reply["means"] == "answer":
        assert ask(endpoint, tmp_path).text == reply.get("text", "Good day")
    elif reply["means"] == "cut-off":
        answer = ask(endpoint, tmp_path)
        assert answer.text == "" and answer.cut_off
    else:
        with pytest.raises(OUTCOMES[reply["means"]]):
            ask(endpoint, tmp_path)
    if "wait" in reply:
        error = ServerError(reply["status"], reply["body"], reply.get("headers", {}))
        assert error.retry_after == pytest.approx(reply["wait"])


OUTCOMES = {
    "refused": Refused,
    "context-full": ContextFull,
    # After no wait at all. It may be this question alone that a gateway gives up on.
    "busy": (EndpointError, RequestFailed),
    "configuration": EndpointError,
    "unknown": RequestFailed,
}


def test_each_status_means_what_the_page_says():
    (rows,) = re.findall(r"^\| status \| means \|\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    known = {
        int(status): meaning
        for statuses, meaning in re.findall(r"\| ([\d, ]+) \| `(.*)` \|", rows)
        for status in statuses.split(", ")
    }
    assert len(known) > 20
    for status in range(300, 600):
        assert ServerError(status, "").meaning == known.get(status, "unknown"), status


SAYINGS = re.findall(r"^\| (\d{3}) \| `(.+?)` \| `(.+?)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("status", "said", "meaning"), SAYINGS)
def test_each_example_of_an_error_means_what_the_page_says(status, said, meaning):
    error = {"code": said} if re.fullmatch(r"[a-z_]+", said) else {"message": said}
    assert ServerError(int(status), {"error": error}).meaning == meaning
    assert len(SAYINGS) > 20
