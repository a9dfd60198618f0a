"""How busy the dialogue stage keeps the model server, and what that gains over a plain loop."""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aiev.config.load import read_config
from aiev.core.errors import UserError
from aiev.core.files import read_json, read_jsonl
from aiev.languages.interpreter import open_interpreter
from aiev.llm.client import ChatClient
from aiev.llm.endpoints import serve, with_server
from aiev.llm.ledger import Ledger
from aiev.recipes.aiev_instruct import Recipe
from aiev.recipes.base import write_dialogues
from aiev.sandbox.api import with_containers
from benches import report

SEEDS = 12
"""Dialogues of each benchmark: enough for several full loads of four slots."""


def dialogue_saturation() -> None:
    """The dialogue stage's completion tokens per second, against four clients that put the same
    questions to the same server without ever pausing."""
    config = _config()
    seeds = _seeds(config)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with _teacher(config, work, "stage") as chat:
            stage = asyncio.run(_stage(chat, seeds, config, config["execution"]["in_flight"]))
        talks = _conversations(work / "stage")
        with _teacher(config, work, "endless") as chat:
            endless = asyncio.run(_endless(chat, talks, clients=chat.endpoint.slots))
    unit = "completion tokens/s"
    report("dialogue_saturation", stage, unit, "four endless clients", endless, stage / endless)


def dialogues() -> None:
    """The dialogue stage's completion tokens per second, against a plain loop that writes one
    dialogue after another, with as many slots of the same server."""
    config = _config()
    seeds = _seeds(config)
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, in_flight in (("stage", config["execution"]["in_flight"]), ("loop", 1)):
            with _teacher(config, Path(folder), name) as chat:
                rates[name] = asyncio.run(_stage(chat, seeds, config, in_flight))
    stage, loop = rates["stage"], rates["loop"]
    report("dialogues", stage, "completion tokens/s", "one after another", loop, stage / loop)


def _seeds(config) -> list[dict]:
    shard = Path("results") / config["name"] / "seeds" / "000.jsonl"
    if not shard.exists():
        raise UserError("no seeds of the laptop run here", where=str(shard), hint="make run")
    return read_jsonl(shard)[:SEEDS]


@contextmanager
def _teacher(config, work: Path, name: str) -> Iterator[ChatClient]:
    """A fresh server of the teacher, and a client with the ledger `work`/`name`."""
    teacher = with_server({**config["models"]["teacher"], "role": "teacher"}, config["execution"])
    resource = config["resources"][teacher["resource"]]
    weights = Path("resources") / teacher["resource"] / resource["file"]
    places = 2 * config["execution"]["in_flight"]
    with serve(teacher, weights, work, work / f"{name}.log", places) as endpoint:
        yield ChatClient(endpoint, Ledger(work / name), teacher["timeout_seconds"])


async def _stage(chat: ChatClient, seeds, config, in_flight: int) -> float:
    """Tokens per second while at least as many dialogues are left as the server has slots: the
    last ones of a shard leave slots idle whatever the stage does; a longer shard has no more."""
    recipe = Recipe(config)
    execution = config["execution"]
    sandbox, ledger = with_containers(config["sandbox"], execution), execution["ledger"]
    start, left, rate = time.monotonic(), len(seeds), 0.0

    def done(_) -> None:
        nonlocal left, rate
        left -= 1
        if left == chat.endpoint.slots:
            rate = chat.completion_tokens / (time.monotonic() - start)

    with open_interpreter(sandbox, ledger, Path(".aiev/layers")) as interpreter:
        async with chat:
            await write_dialogues(
                seeds,
                partial(recipe.write, chat, interpreter),
                0,
                "teaching",
                in_flight,
                done,
            )
    return rate


def _conversations(ledger: Path) -> list[list[dict]]:
    """The requests on record by conversation, each in its order."""
    talks = defaultdict(list)
    requests = [read_json(path)["request"] for path in sorted(ledger.rglob("*.json"))]
    # All of both roles start with an example; the first message after it tells them apart.
    example = min(len(request["messages"]) for request in requests) - 1
    for request in requests:
        system, first = request["messages"][0], request["messages"][example]
        talks[system["content"], first["content"]].append(request)
    return [sorted(talk, key=lambda r: len(r["messages"])) for _, talk in sorted(talks.items())]


async def _endless(chat: ChatClient, talks: list[list[dict]], clients: int) -> float:
    """Tokens per second of clients that take one conversation after another, until one finds none:
    all of them are busy all the time."""
    waiting, ended = list(talks), asyncio.Event()
    start = time.monotonic()

    async def client(number: int) -> None:
        while waiting and not ended.is_set():
            for request in waiting.pop(0):
                keep = ("temperature", "top_p", "max_tokens", "seed")
                how = {k: request[k] for k in keep}
                await chat.complete(request["messages"], conversation=number, **how)
        ended.set()

    tasks = [asyncio.create_task(client(number)) for number in range(clients)]
    await ended.wait()
    rate = chat.completion_tokens / (time.monotonic() - start)
    await asyncio.gather(*tasks)
    await chat.close()
    return rate


def _config() -> dict:
    return read_config(Path("config/config.yaml"))
