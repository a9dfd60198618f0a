"""Benchmarks: `python scripts/bench.py [NAME]`, one JSON object a line.

Each line: name, value, unit, peer (what it is measured against, in the same run), peer_value, and
ratio, above 1 where it is better than the peer.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import yaml

from aiev.chat import Chat
from aiev.configuration import check_config
from aiev.dialogue import Settings, write_dialogues
from aiev.endpoints import serve
from aiev.errors import UserError
from aiev.ledger import Ledger
from aiev.records import read_json, read_jsonl
from aiev.roles import Sampling
from aiev.sandbox import Limits, Request, open_sandbox

SEEDS = 12
"""Dialogues of the saturation benchmark: enough for several full loads of four slots."""


def report(name: str, value: float, unit: str, peer: str, peer_value: float, ratio: float) -> None:
    line = {"name": name, "value": round(value, 3), "unit": unit, "peer": peer}
    print(json.dumps({**line, "peer_value": round(peer_value, 3), "ratio": round(ratio, 3)}))


def dialogue_saturation() -> None:
    """The dialogue stage's completion tokens per second, against four clients that put the same
    questions to the same server without ever pausing."""
    config = _config()
    seeds = read_jsonl(Path("results") / config["name"] / "seeds" / "000.jsonl")[:SEEDS]
    teacher = config["models"]["teacher"]
    resource = config["resources"][teacher["resource"]]
    weights = Path("resources") / teacher["resource"] / resource["file"]
    places = 2 * config["dialogues"]["in_flight"]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with serve(teacher, weights, work, work / "stage.log", places) as endpoint:
            chat = Chat(endpoint, Ledger(work / "ledger"), teacher["timeout_seconds"])
            stage = asyncio.run(_stage(chat, seeds, config))
        talks = _conversations(work / "ledger")
        with serve(teacher, weights, work, work / "endless.log", places) as endpoint:
            chat = Chat(endpoint, Ledger(work / "other"), teacher["timeout_seconds"])
            endless = asyncio.run(_endless(chat, talks, clients=endpoint.slots))
    unit = "completion tokens/s"
    report("dialogue_saturation", stage, unit, "four endless clients", endless, stage / endless)


async def _stage(chat: Chat, seeds, config) -> float:
    """Tokens per second while at least as many dialogues are left as the server has slots: the
    last ones of a shard leave slots idle whatever the stage does; a longer shard has no more."""
    chosen = config["dialogues"]
    settings = Settings(
        run_seed=config["seed"],
        feedback_rounds=chosen["feedback_rounds"],
        shown_characters=chosen["shown_characters"],
        sampling=Sampling(**chosen["sampling"]),
        limits=Limits(**config["sandbox"]["limits"]),
        answers=chosen["answers"],
    )
    start, left, rate = time.monotonic(), len(seeds), 0.0

    def done(_) -> None:
        nonlocal left, rate
        left -= 1
        if left == chat.endpoint.slots:
            rate = chat.completion_tokens / (time.monotonic() - start)

    with open_sandbox(config["sandbox"]["backend"]) as sandbox:
        await write_dialogues(
            seeds, chat, sandbox, settings, 0, "teaching", chosen["in_flight"], done
        )
    await chat.close()
    return rate


def _conversations(ledger: Path) -> list[list[dict]]:
    """The requests on record by conversation, each in its order."""
    talks = defaultdict(list)
    for path in sorted(ledger.rglob("*.json")):
        request = read_json(path)["request"]
        # Conversations of a role share their example; the first message after it tells them apart.
        first = next(m for m in request["messages"][5:] if m["role"] == "user")
        talks[request["messages"][0]["content"], first["content"]].append(request)
    return [sorted(talk, key=lambda r: len(r["messages"])) for _, talk in sorted(talks.items())]


async def _endless(chat: Chat, talks: list[list[dict]], clients: int) -> float:
    """Tokens per second of clients that take one conversation after another, until one finds none:
    all of them are busy all the time."""
    waiting, ended = list(talks), asyncio.Event()
    start = time.monotonic()

    async def client(number: int) -> None:
        while waiting and not ended.is_set():
            for request in waiting.pop(0):
                keep = ("temperature", "top_p", "max_tokens", "seed")
                how = {k: request[k] for k in keep}
                await chat.ask(request["messages"], conversation=number, **how)
        ended.set()

    tasks = [asyncio.create_task(client(number)) for number in range(clients)]
    await ended.wait()
    rate = chat.completion_tokens / (time.monotonic() - start)
    await asyncio.gather(*tasks)
    await chat.close()
    return rate


def sandbox_bubblewrap() -> None:
    """Wall time of a trivial program in the sandbox, against the bare interpreter."""
    import subprocess

    command = [str(Path(sys.base_prefix) / "bin" / "python3"), "-I", "-c", "pass"]
    with open_sandbox("bubblewrap") as sandbox:
        request = Request({"main.py": "pass\n"}, ("python", "main.py"))
        boxed, bare = [], []
        for _ in range(60):
            boxed.append(_seconds(lambda: sandbox.run(request)))
            bare.append(_seconds(lambda: subprocess.run(command, check=True)))
    ours, peer = sorted(boxed)[30] * 1000, sorted(bare)[30] * 1000
    report("sandbox_bubblewrap", ours, "ms", "bare interpreter", peer, peer / ours)


def _seconds(work) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _config() -> dict:
    config = yaml.safe_load(Path("config/config.yaml").read_text("utf-8"))
    check_config(config, Path("config"))
    return config


BENCHES = {bench.__name__: bench for bench in (dialogue_saturation, sandbox_bubblewrap)}


def main() -> None:
    names = sys.argv[1:] or list(BENCHES)
    for name in names:
        if name not in BENCHES:
            raise UserError(f"no benchmark is called {name!r}", todo=f"one of {', '.join(BENCHES)}")
        BENCHES[name]()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"bench: {error}")
