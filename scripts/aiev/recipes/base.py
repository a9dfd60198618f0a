"""What all recipes share: the registry, seeds for sampling, and the writing of many dialogues."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiev.core.hashing import of_json
from aiev.core.types import Dialogue, Seed


@dataclass(frozen=True)
class Place:
    """Where a dialogue stands in a run: its round and stage, and the place of its conversations in
    the server's memory (the number)."""

    round_number: int
    stage: str
    number: int = 0

    def dialogue_id(self, seed: Seed) -> str:
        return f"{self.round_number}-{seed['id']}"


def turn_seed(run_seed: int, dialogue_id: str, turn: int) -> int:
    """Sampling seed of one turn, 31 bits."""
    return int(of_json([run_seed, dialogue_id, turn])[:8], 16) & 0x7FFFFFFF


async def write_dialogues(
    seeds: Sequence[Seed],
    write: Callable[[Seed, Place], Awaitable[Dialogue]],
    round_number: int,
    stage: str,
    in_flight: int,
    done: Callable[[Dialogue], None],
) -> list[Dialogue]:
    """A dialogue for each seed, `in_flight` at once, in the order of the seeds.

    One failed server ends all: what was answered is in the ledger.
    """
    # A dialogue keeps its place in the server's memory to its end, and then the next one has it.
    places: asyncio.Queue[int] = asyncio.Queue()
    for number in range(in_flight):
        places.put_nowait(number)

    async def one(seed: Seed) -> Dialogue:
        number = await places.get()
        dialogue = await write(seed, Place(round_number, stage, number))
        places.put_nowait(number)
        done(dialogue)
        return dialogue

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(seed)) for seed in seeds]
    return [task.result() for task in tasks]
