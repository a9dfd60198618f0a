"""The dialogue, as a state machine: propose, solve, run, and up to n rounds of feedback.

METHOD 1, after AIEV-Instruct (arXiv 2405.14906). A dialogue depends on its seed, the model and the
settings, and on nothing else: not on its neighbours, the shard or the order of work.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiev.core.hashing import of_json
from aiev.core.types import Dialogue, Seed
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter, script_of
from aiev.languages.python.program import take_apart
from aiev.llm.client import Chat
from aiev.llm.retries import NoAnswer
from aiev.recipes.aiev_instruct.roles import Programmer, Questioner, Sampling
from aiev.recipes.verification.checks import flaw, is_testable
from aiev.sandbox.request import Result

EMPTY = Script("")


@dataclass(frozen=True)
class Settings:
    """feedback_rounds: most revisions. run_seed: from which all sampling seeds derive.
    shown_characters: how much of a run's output a message shows. answers: most answers sampled
    for a turn of the Programmer until one holds a program with tests. packages: whether the
    Programmer may have packages installed."""

    run_seed: int
    feedback_rounds: int
    shown_characters: int
    sampling: Sampling
    answers: int = 1
    packages: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Settings":
        """From the config's keys `seed`, `dialogues` and `sandbox.packages`."""
        chosen = config["dialogues"]
        return cls(
            run_seed=config["seed"],
            feedback_rounds=chosen["feedback_rounds"],
            shown_characters=chosen["shown_characters"],
            sampling=Sampling(**chosen["sampling"]),
            answers=chosen["answers"],
            packages=bool(config["sandbox"]["packages"]["allow"]),
        )


class Rejected(Exception):
    """The dialogue ends here; the message is its reason in the record."""


def turn_seed(run_seed: int, dialogue_id: str, turn: int) -> int:
    """Sampling seed of one turn, 31 bits."""
    return int(of_json([run_seed, dialogue_id, turn])[:8], 16) & 0x7FFFFFFF


@dataclass
class _Talk:
    """One dialogue under way."""

    seed: Seed
    chat: Chat
    interpreter: Interpreter
    settings: Settings
    id: str
    place: int
    messages: list[dict[str, str]] = field(default_factory=list)
    executions: list[dict[str, Any]] = field(default_factory=list)
    script: Script = EMPTY
    installed: tuple[str, ...] = ()
    turn: int = 0

    def next_seed(self) -> int:
        self.turn += 1
        return turn_seed(self.settings.run_seed, self.id, self.turn)

    def say(self, role: str, kind: str, content: str) -> str:
        self.messages.append({"role": role, "kind": kind, "content": content})
        return content

    async def write(self) -> None:
        """All steps in order. Raises Rejected with the reason where it fails."""
        questioner = Questioner(self.chat, self.settings.sampling, self.place)
        told = self.settings.packages
        programmer = Programmer(self.chat, self.settings.sampling, self.place, told)
        problem = await questioner.propose(self.seed["text"], self.next_seed())
        if not problem:
            raise Rejected("empty-problem")
        self.say("user", "problem", problem)
        answer = await self.sample(programmer, partial(programmer.solve, problem))
        self.say("assistant", "solution", answer)
        for left in range(self.settings.feedback_rounds, -1, -1):
            result = await self.execute(answer)
            if result.outcome == "passed":
                break
            error = self.say("interpreter", "stderr", self.shown(error_text(result)))
            if not left:
                raise Rejected(f"unsolved-{result.outcome}")
            words = await questioner.describe(self.script.code, error, self.next_seed())
            if not words:
                raise Rejected("empty-description")
            self.say("user", "description", words)
            answer = await self.sample(programmer, partial(programmer.revise, error, words))
            self.say("assistant", "revision", answer)
        await self.verify(result)
        self.say("interpreter", "stdout", self.shown(result.stdout))

    async def sample(self, programmer: Programmer, ask: Callable[[int], Awaitable[str]]) -> str:
        """An answer that can be run and tells something; the last one, if none can.

        One without a program or without tests gives no error to learn from. It is sampled again,
        and is no part of the dialogue.
        """
        for left in range(self.settings.answers - 1, -1, -1):
            answer = await ask(self.next_seed())
            if not left or is_testable(answer):
                break
            programmer.forget()
        return answer

    async def execute(self, answer: str) -> Result:
        script = script_of(answer, self.installed)
        if script is None:
            raise Rejected("no-code" if answer else "empty-answer")
        script = self.script = await asyncio.to_thread(self.interpreter.prepare, script)
        result = await asyncio.to_thread(self.interpreter.run, script)
        if result.outcome != "install-failed":
            self.installed = script.requirements
        self.executions.append(
            {
                "exit_code": result.exit_code,
                "outcome": result.outcome,
                "stdout": result.stdout,
                "stderr": result.stderr,
            }
        )
        return result

    async def verify(self, passed: Result) -> None:
        try:
            program = take_apart(self.script.code)
            reason = await asyncio.to_thread(flaw, self.script, program, passed, self.interpreter)
        except SyntaxError:
            # It ran, but nests too deeply to be taken apart or stubbed.
            reason = "unparsable"
        if reason:
            raise Rejected(reason)

    def packages(self) -> list[dict[str, str]]:
        """What was installed in the end: name, version, sha256 of each."""
        layer = self.interpreter.layer(self.installed)
        return layer.packages if layer else []

    def shown(self, text: str) -> str:
        """The ends of a long output: a traceback says where at its end, what ran at its start."""
        most = self.settings.shown_characters
        text = text.rstrip()
        if len(text) <= most:
            return text
        return f"{text[: most // 4]}\n[...]\n{text[-(most - most // 4) :]}"


_SAYS = {
    "timed-out": "The program was stopped: it ran longer than the time limit.",
    "out-of-memory": "The program was stopped: it used more memory than the limit.",
    "crashed": "The program was killed by a signal.",
    "output-cut": "The program was stopped: it printed more than the limit.",
    "install-failed": "The packages could not be installed, and the program did not run.",
}


def error_text(result: Result) -> str:
    """What the interpreter says of a run that failed; stderr, and why it was stopped."""
    said = _SAYS.get(result.outcome, "")
    if not result.stderr.strip() and not said:
        said = f"The program ended with exit code {result.exit_code} and no message."
    return "\n".join(part for part in (result.stderr.strip("\n"), said) if part)


async def write_dialogue(
    seed: Seed,
    chat: Chat,
    interpreter: Interpreter,
    settings: Settings,
    round_number: int,
    stage: str,
    place: int,
) -> Dialogue:
    """One dialogue from one seed, whatever comes of it; `place` is where the server keeps its two
    conversations. Raises EndpointError only."""
    model = chat.endpoint
    talk = _Talk(seed, chat, interpreter, settings, f"{round_number}-{seed['id']}", place)
    verdict, reason = "verified", ""
    try:
        await talk.write()
    except Rejected as rejected:
        verdict, reason = "rejected", str(rejected)
    except NoAnswer as none:
        verdict, reason = "rejected", none.reason
    try:
        program = take_apart(talk.script.code)
        parts = program.solution, program.tests, program.entry_point
    except SyntaxError:
        parts = talk.script.code, "", ""
    return {
        "id": talk.id,
        "seed": {
            "id": seed["id"],
            "source": seed["source"]["name"],
            "licence": seed["source"]["licence"],
        },
        "round": round_number,
        "stage": stage,
        "model": f"{model.model}@{model.digest}",
        "messages": talk.messages,
        "solution": parts[0],
        "tests": parts[1],
        "entry_point": parts[2],
        "packages": await asyncio.to_thread(talk.packages),
        "executions": talk.executions,
        "verdict": verdict,
        "reason": reason,
    }


async def write_dialogues(
    seeds: Sequence[Seed],
    chat: Chat,
    interpreter: Interpreter,
    settings: Settings,
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
    for place in range(in_flight):
        places.put_nowait(place)

    async def one(seed: Seed) -> Dialogue:
        place = await places.get()
        dialogue = await write_dialogue(
            seed, chat, interpreter, settings, round_number, stage, place
        )
        places.put_nowait(place)
        done(dialogue)
        return dialogue

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(seed)) for seed in seeds]
    return [task.result() for task in tasks]
