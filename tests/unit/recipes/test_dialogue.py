"""The dialogue: every way in which it ends, with a scripted teacher and the real sandbox."""

import asyncio
import json

import pytest
from scripted import ENDINGS, Raw, completion, dialogues, problem, render, seed_source, solution

from aiev.core.errors import EndpointError
from aiev.core.files import dump_line
from aiev.core.hashing import of_text
from aiev.languages.interpreter import Interpreter, error_text
from aiev.llm import retries
from aiev.llm.client import ChatClient
from aiev.llm.ledger import Ledger
from aiev.recipes.aiev_instruct.dialogue import write_dialogue
from aiev.recipes.aiev_instruct.options import Settings
from aiev.recipes.aiev_instruct.prompt_sets import load
from aiev.recipes.aiev_instruct.settings import Sampling
from aiev.recipes.aiev_instruct.talk import Talk
from aiev.recipes.base import turn_seed, write_dialogues
from aiev.recipes.verification.contract import read_contract
from aiev.recipes.verification.policies import Policy, judge
from aiev.recipes.verification.separate import Parts
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.packages.service import Packages
from aiev.sandbox.request import Limits, Result

SAMPLING = Sampling(
    problem_tokens=128, solution_tokens=320, description_tokens=48, tests_tokens=384
)
SETTINGS = Settings(
    run_seed=1,
    feedback_rounds=2,
    shown_characters=600,
    answers=1,
    sampling=SAMPLING,
)
LIMITS = Limits(wall_seconds=10, memory_mib=256, processes=16)


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture
def write(scripted, endpoint_of, sandbox, tmp_path, monkeypatch):
    """Dialogues of seeds by their functions' names. Each call has a ledger of its own."""
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)
    ledgers = iter(range(100))

    def run(
        *names, in_flight=4, slots=4, settings=SETTINGS, limits=LIMITS, ledger=None, round_number=0
    ):
        root = tmp_path / (ledger or f"ledger-{next(ledgers)}")
        interpreter = Interpreter(sandbox, limits, Packages(Ledger(root), tmp_path / "layers"))

        async def all_of_them():
            chat = ChatClient(endpoint_of(scripted, slots), Ledger(root), timeout=20)
            async with chat:
                return await write_dialogues(
                    [seed(name) for name in names],
                    lambda seed, place: write_dialogue(seed, chat, interpreter, settings, place),
                    round_number,
                    "teaching",
                    in_flight,
                    done=lambda dialogue: None,
                )

        return asyncio.run(all_of_them())

    return run


def seed(name: str) -> dict:
    text = seed_source(name)
    source = {"name": "lib 1.0", "path": "a.py", "licence": "MIT"}
    known = {"id": of_text(text)[:16], "text": text, "name": name, "language": "python"}
    return known | {"source": source}


def kinds(dialogue) -> list[str]:
    return [message["kind"] for message in dialogue["messages"]]


def answer_with(program: str):
    """A script that solves with this program; it proposes, tests, describes and votes as always."""

    def script(body):
        said = dialogues(body)
        solves = "Add the numbers" in said and body["temperature"] != 0.8
        return f"Here it is.\n```python\n{program}\n```" if solves else said

    return script


def verdict(dialogue) -> str:
    return judge(dialogue["evidence"], Policy()) or "verified"


def test_each_ending(write):
    written = {d["messages"][0]["content"][18:].split("_")[0]: d for d in write(
        *(f"{ending}_a" for ending in ENDINGS)
    )}  # fmt: skip
    reasons = {name: d["reason"] for name, d in written.items()}
    stopped = {"never": "unsolved-failed", "nocode": "no-code"}
    assert reasons == {name: stopped.get(name, "") for name in ENDINGS}
    verdicts = {name: verdict(d) for name, d in written.items()}
    assert verdicts == {
        **{"once": "verified", "mended": "verified", "vacuous": "vacuous"},
        **stopped,
    }
    for name, dialogue in written.items():
        assert dialogue["verdict"] == ("rejected" if reasons[name] else "candidate")
    turn = ["stderr", "description", "revision"]
    assert kinds(written["once"]) == ["problem", "solution", "stdout"]
    assert kinds(written["mended"]) == ["problem", "solution", *turn, "stdout"]
    assert kinds(written["never"]) == ["problem", "solution", *turn, *turn, "stderr"]
    assert kinds(written["nocode"]) == ["problem", "solution"]
    assert kinds(written["vacuous"]) == ["problem", "solution", "stdout"]
    speakers = {
        "problem": "user",
        "solution": "assistant",
        "stderr": "interpreter",
        "description": "user",
        "revision": "assistant",
        "stdout": "interpreter",
    }
    for dialogue in written.values():
        assert [m["role"] for m in dialogue["messages"]] == [speakers[k] for k in kinds(dialogue)]


def test_a_repaired_dialogue_in_full(write):
    (dialogue,) = write("mended_a", round_number=3)
    assert dialogue["id"] == f"3-{seed('mended_a')['id']}" and dialogue["round"] == 3
    assert dialogue["seed"] == {"id": seed("mended_a")["id"], "source": "lib 1.0", "licence": "MIT"}
    assert dialogue["model"] == "scripted@1" and dialogue["packages"] == []
    assert [e["outcome"] for e in dialogue["executions"]] == ["failed", "passed"]
    assert [e["exit_code"] for e in dialogue["executions"]] == [1, 0]
    first, error, last = (dialogue["messages"][n]["content"] for n in (1, 2, 4))
    assert "AssertionError" in error and "x + 7" in first and "x + 8" in last
    # The tests are the same before and after: the examples, and what others confirmed.
    assert first.partition("assert")[2] == last.partition("assert")[2]
    assert dialogue["messages"][-1]["content"] == "10\nAll tests passed"
    assert dialogue["entry_point"] == "mended_a"
    assert dialogue["solution"] == "def mended_a(x):\n    return x + 8"
    asserts = [line for line in dialogue["tests"].splitlines() if line.startswith("assert")]
    assert asserts == [f"assert mended_a({x}) == {x + 8}" for x in (2, 3, 1, 10)]
    evidence = dialogue["evidence"]
    assert evidence["rounds"] == 1 and evidence["revisions"] == {"of": 1, "no_ops": 0}
    assert evidence["examples"] == {"found": 2, "held": 2, "agreed": 4, "flaw": ""}
    assert [t["agreed"] for t in evidence["tests"]] == [4] * 4
    assert evidence["inputs"]["of"] > 4
    assert all(votes == [True] * 4 for votes in evidence["inputs"]["votes"])
    assert evidence["mutants"]["killed"] == evidence["mutants"]["of"] > 0
    # A problem, a solution, tests, four votes, an error in words, a revision.
    assert evidence["answers"] == {"asked": 9}


def test_a_test_that_no_independent_solution_confirms_is_left_out(write):
    (dialogue,) = write("once_a")
    assert "'wrong'" not in str(dialogue["messages"]) and dialogue["tests"].count("assert") == 4
    evidence = dialogue["evidence"]
    (unconfirmed,) = evidence["unconfirmed_tests"]
    assert "'wrong'" in unconfirmed["text"]
    assert (unconfirmed["agreed"], unconfirmed["of"]) == (0, 3), "when the tests were settled"
    assert evidence["draft"] == {"corrected": 0, "solutions": 0, "problem": ""}


def test_a_solution_is_not_verified_by_tests_that_others_do_not_confirm(write, scripted):
    """A teacher whose answers never agree: what its problem says is not to be had."""

    def script(body):
        said = dialogues(body)
        if "Add the numbers" in said and body["temperature"] == 0.8:
            return said.replace("x + ", f"{body['seed']} + ")
        return said

    scripted.script = script
    (dialogue,) = write("once_a")
    assert dialogue["verdict"] == "rejected" and verdict(dialogue) == "unconfirmed"
    nothing = {"alike": 0, "held": 0, "voters": []}
    assert dialogue["evidence"]["solutions"] == {"of": 3, "distinct": 3, **nothing}


def test_a_wrong_example_of_a_draft_is_corrected_and_confirmed_by_others(write, scripted):
    def script(body):
        return dialogues(body).replace("`once_a(3)` returns `9`", "`once_a(3)` returns `10`")

    scripted.script = script
    (dialogue,) = write("once_a")
    assert verdict(dialogue) == "verified"
    problem = dialogue["messages"][0]["content"]
    assert "`once_a(3)` returns `9`" in problem and "`10`" not in problem
    draft = dialogue["evidence"]["draft"]
    assert (draft["corrected"], draft["solutions"]) == (1, 4)
    assert draft["problem"] == problem.replace("returns `9`", "returns `10`")
    independent = [(row["draft"], row["passes"]) for row in dialogue["independent"]]
    assert independent == [(True, None)] * 4 + [(False, True)] * 4
    votes = [b["messages"][-1]["content"] for b in scripted.bodies if b["temperature"] == 0.8]
    assert sum("returns `10`" in text for text in votes) == 4, "of the draft"
    assert all("returns `9`" in text for text in votes[4:]) and len(votes) >= 6
    # Without corrections the draft is dropped, once no more votes can save it.
    (dialogue,) = write("once_a", settings=SETTINGS.model_copy(update={"corrections": 0}))
    assert dialogue["reason"] == "unconfirmed" and kinds(dialogue) == ["problem"]


def test_independent_solutions_that_pass_and_that_do_not_are_kept(write, scripted):
    """What a preference pair is made of; an answer without a program is none."""
    votes = iter(["x", "nothing", "x + 6", "x + 6"])

    def script(body):
        said = dialogues(body)
        votes_now = "Add the numbers" in said and body["temperature"] == 0.8
        return said.replace("x + 6", next(votes)) if votes_now else said

    scripted.script = script
    (dialogue,) = write("once_a")
    kept = [
        (row["solution"].rpartition("return ")[2], row["passes"]) for row in dialogue["independent"]
    ]
    assert kept == [("x", False), ("nothing", False), ("x + 6", True), ("x + 6", True)]
    right = {"kept": True, "ran": True, "alike": True}
    wrong = {"kept": False, "ran": True, "alike": False}
    voters = [wrong, {**wrong, "ran": False}, right, right]
    solutions = dialogue["evidence"]["solutions"]
    assert solutions == {"of": 4, "distinct": 3, "alike": 2, "held": 2, "voters": voters}
    assert verdict(dialogue) == "verified", "those that break the examples have no vote"


def test_a_revision_without_a_test_of_the_first_program_is_bent():
    """No step of the loop takes one away; the record says so from what was run."""
    talk = Talk(seed("once_a"), None, None, SETTINGS, "0-a", 0)
    talk.first_tests = "assert f(1) == 2\nprint(f(1))\nassert (f(2)) == 3\n"
    talk.parts = Parts("", "assert f(2) == 3\nassert f(1) == 2\nassert f(4) == 5\n", (), "f")
    assert not talk.record("")["bent"]
    talk.parts = Parts("", "assert f(1) == 1\nassert f(2) == 3\n", (), "f")
    assert talk.record("")["bent"]


def test_no_more_independent_solutions_than_can_change_something_until_tests_pass(write, scripted):
    votes = []
    for name in ("never_a", "once_a"):
        scripted.forget()
        write(name)
        votes.append(sum(body["temperature"] == 0.8 for body in scripted.bodies))
    # Two agree on all but the wrong test, which two more could still confirm.
    assert votes == [3, 4]


@pytest.mark.parametrize(
    ("program", "stopped", "said"),
    [
        ("print('hello')", "no-code", ""),
        ("def once_a(x):\n    exit()", "", "unfinished"),
        ("import os\ndef once_a(x):\n    os._exit(0)", "", "unfinished"),
        ("from unittest.mock import ANY\ndef once_a(x):\n    return ANY", "", "unfinished"),
        (
            "print(list({'a', 'b', 'c', 'd', 'e', 'f', 'g'}))\ndef once_a(x):\n    return x + 6",
            "",
            "flaky",
        ),
        # It runs, and nests too deeply for the syntax tree to be written out again.
        (f"y = {'-' * 900}1\ndef once_a(x):\n    return x + 6 * y * y", "unparsable", ""),
        ("def once_a(x:\n    return x", "unsolved-failed", ""),
        ("import os\ndef once_a(x):\n    os.kill(os.getpid(), 9)", "unsolved-crashed", ""),
        ("def once_a(x):\n    while True: print('x' * 1000)", "unsolved-output-cut", ""),
    ],
)
def test_each_reason_of_a_program(program, stopped, said, write, scripted):
    scripted.script = answer_with(program)
    (dialogue,) = write("once_a")
    assert dialogue["reason"] == stopped
    assert verdict(dialogue) == (stopped or said)
    dump_line(dialogue).encode("utf-8")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Write a function `f(x)` that doubles `x`.", "no-contract"),
        ("Double it. For example 1 gives 2.", "no-contract"),
        ("Write `f(x)`: `f(1)` returns `2`, `f(1)` returns `3`.", "contract-broken"),
    ],
)
def test_a_problem_that_is_no_contract_is_asked_again_and_then_dropped(
    text, reason, write, scripted
):
    scripted.script = lambda body: text
    (dialogue,) = write("once_a", settings=SETTINGS.model_copy(update={"answers": 3}))
    assert dialogue["reason"] == reason and kinds(dialogue) == ["problem"]
    assert len(scripted.bodies) == 3 and len({b["seed"] for b in scripted.bodies}) == 3
    contract = read_contract(text)
    examples = {"found": len(contract.examples), "held": 0, "agreed": 0, "flaw": contract.flaw}
    assert dialogue["evidence"]["examples"] == examples


def test_a_draft_with_an_argument_of_a_few_shot_example_is_asked_again(write, scripted):
    def echoing(times):
        """Proposes with an argument that the Questioner was shown, so many times."""
        asked = []

        def script(body):
            said = dialogues(body)
            if not said.startswith("Write a function"):
                return said
            asked.append(body)
            echo = said.replace("(2)` returns `8`", "('a/b/c')` returns `8`")
            return echo if len(asked) <= times else said

        return script

    settings = SETTINGS.model_copy(update={"answers": 3})
    scripted.script = echoing(2)
    (dialogue,) = write("once_a", settings=settings)
    answers = dialogue["evidence"]["answers"]
    assert verdict(dialogue) == "verified" and "a/b/c" not in str(dialogue["messages"])
    assert (answers["echoed"], answers["resampled"]) == (2, 2)
    scripted.script = echoing(3)
    (dialogue,) = write("once_a", settings=settings)
    assert dialogue["reason"] == verdict(dialogue) == "echoed" and kinds(dialogue) == ["problem"]
    evidence = dialogue["evidence"]
    assert (evidence["answers"]["echoed"], evidence["answers"]["asked"]) == (3, 3)
    assert (evidence["examples"]["found"], evidence["examples"]["flaw"]) == (2, "")


def cut(text: str) -> Raw:
    """An answer that the token limit ended."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    body = completion(None, choices=[{**choice, "finish_reason": "length"}])
    return Raw(json.dumps(body).encode())


@pytest.mark.parametrize("part", ["Write a function", "Add the numbers", "The function returned"])
def test_an_answer_cut_by_the_token_limit_is_asked_again_and_never_used(part, write, scripted):
    def cutting(times: int):
        asked = []

        def script(body):
            said = dialogues(body)
            if part in said and body["temperature"] != 0.8:
                asked.append(body)
                return cut(said) if len(asked) <= times else said
            return said

        return script

    for times, reason in ((1, ""), (9, "cut-off")):
        scripted.script = cutting(times)
        (dialogue,) = write("mended_a", settings=SETTINGS.model_copy(update={"answers": 2}))
        assert dialogue["reason"] == reason


def test_the_model_sees_that_a_limit_ended_its_program(write, scripted):
    limits = Limits(wall_seconds=0.5, memory_mib=128, processes=16)
    settings = SETTINGS.model_copy(update={"feedback_rounds": 0})
    for program, outcome, said in (
        ("while True: pass", "timed-out", "longer than the time limit"),
        ("y = bytearray(1 << 30)", "out-of-memory", "MemoryError"),
    ):
        scripted.script = answer_with(f"def once_a(x):\n    {program}")
        (dialogue,) = write("once_a", settings=settings, limits=limits)
        assert dialogue["reason"] == f"unsolved-{outcome}"
        assert said in dialogue["messages"][-1]["content"]


def test_a_problem_whose_examples_no_independent_solution_keeps_is_dropped_first(write, scripted):
    usual = answer_with("def once_a(x):\n    return x - 1")

    def script(body):
        said = usual(body)
        votes = body["temperature"] == 0.8
        return said.replace("x + 6", f"x + {body['seed']}") if votes else said

    scripted.script = script
    (dialogue,) = write("once_a")
    assert dialogue["reason"] == verdict(dialogue) == "unconfirmed"
    assert kinds(dialogue) == ["problem"] and len(scripted.bodies) == 4  # a problem, three votes
    # Without a vote there is nothing to confirm.
    (dialogue,) = write("once_a", settings=SETTINGS.model_copy(update={"solutions": 0}))
    assert dialogue["reason"] == "unsolved-failed"


def test_the_same_solution_again_ends_the_dialogue(write, scripted):
    """It would fail as before, and so would the next ones."""
    scripted.script = answer_with("def once_a(x):\n    return x - 1")
    (dialogue,) = write("once_a")
    assert dialogue["reason"] == "unsolved-failed"
    assert kinds(dialogue) == ["problem", "solution", "stderr", "description"]
    assert dialogue["evidence"]["revisions"] == {"of": 0, "no_ops": 1}
    # The error's words once, and three answers to it.
    (dialogue,) = write("once_a", settings=SETTINGS.model_copy(update={"answers": 3}))
    assert dialogue["evidence"]["revisions"] == {"of": 0, "no_ops": 3}


def test_empty_words(write, scripted):
    scripted.script = lambda body: ""
    assert write("once_a")[0]["reason"] == "empty-problem"
    proposes = render("questioner")
    scripted.script = lambda body: (
        dialogues(body)
        if body["messages"][0]["content"] == proposes or body["temperature"] == 0.8
        else ""
    )
    (dialogue,) = write("once_a")
    assert dialogue["reason"] == "empty-answer"
    assert kinds(dialogue) == ["problem", "solution"] and dialogue["executions"] == []
    describes = "This program failed:"
    scripted.script = lambda body: (
        "" if body["messages"][-1]["content"].startswith(describes) else dialogues(body)
    )
    (dialogue,) = write("mended_a")
    assert dialogue["reason"] == "empty-description"
    assert kinds(dialogue) == ["problem", "solution", "stderr"]


def test_a_full_context_ends_one_dialogue_and_not_the_others(write, scripted):
    said = json.dumps({"error": {"message": "exceeds the context size", "code": 400}}).encode()

    def script(body):
        revising = body["messages"][-1]["content"].startswith("```\nTraceback")
        return Raw(said, status=400) if revising else dialogues(body)

    scripted.script = script
    full, sound = write("mended_a", "once_a")
    assert (full["verdict"], full["reason"]) == ("rejected", "context-full")
    assert kinds(full) == ["problem", "solution", "stderr", "description"]
    assert full["solution"].startswith("def mended_a"), "the last program stays on record"
    assert sound["verdict"] == "candidate"


def test_no_feedback_at_all(write):
    settings = SETTINGS.model_copy(update={"feedback_rounds": 0})
    once, mended = write("once_a", "mended_a", settings=settings)
    assert once["verdict"] == "candidate" and mended["reason"] == "unsolved-failed"
    assert kinds(mended) == ["problem", "solution", "stderr"]


@pytest.mark.parametrize("opening", ["<think>\n", ""], ids=["both tags", "the closing one alone"])
def test_thoughts_are_no_part_of_a_dialogue(opening, write, scripted):
    draft = "Hm, `other(x)`?\n```python\ndef once_a(x):\n    return 'a draft'\n```"
    scripted.script = lambda body: f"{opening}{draft}\n</think>\n{dialogues(body)}"
    (dialogue,) = write("once_a")
    assert dialogue["verdict"] == "candidate" and verdict(dialogue) == "verified"
    assert not any(
        "think>" in m["content"] or "draft" in m["content"] for m in dialogue["messages"]
    )
    scripted.script = lambda body: "<think>\nHm, the exercise could be about"  # cut off
    (dialogue,) = write("once_a")
    assert dialogue["reason"] == "empty-problem" and dialogue["messages"] == []


def test_a_refused_prompt_ends_one_dialogue_and_not_the_others(write, scripted):
    said = {"error": {"message": "filtered", "code": "content_filter"}}
    refusal = Raw(json.dumps(said).encode(), status=400)
    scripted.script = lambda body: refusal if "mended_a" in str(body) else dialogues(body)
    refused, sound = write("mended_a", "once_a")
    assert (refused["verdict"], refused["reason"]) == ("rejected", "refused")
    assert sound["verdict"] == "candidate"


def test_a_dialogue_depends_on_no_neighbour(write):
    names = [*(f"{ending}_a" for ending in ENDINGS), "once_b"]
    together = {d["id"]: d for d in write(*names, in_flight=len(names))}
    assert len(together) == len(names)
    (alone,) = write("mended_a", in_flight=1, slots=1)
    assert alone == together[alone["id"]]
    backwards = write(*names[::-1], in_flight=2, slots=2)
    assert backwards == list(together.values())[::-1]


def test_a_second_writing_asks_nothing(write, scripted):
    first = write("mended_a", "once_b", ledger="shared")
    scripted.forget()
    assert write("mended_a", "once_b", ledger="shared") == first
    assert scripted.bodies == []


def test_each_turn_has_its_own_seed(write, scripted):
    write("mended_a", "once_a")
    seeds = [body["seed"] for body in scripted.bodies]
    assert len(seeds) == 16 and len(set(seeds)) == 16 and all(0 <= s < 2**31 for s in seeds)
    identity = f"0-{seed('once_a')['id']}"
    assert {turn_seed(1, identity, 1), turn_seed(1, identity, 2)} <= set(seeds)
    assert turn_seed(2, identity, 1) not in seeds


def test_roles_have_their_own_sampling_and_share_their_start(write, scripted):
    write("mended_a", "never_a")
    shown = {"questioner": set(), "programmer": set()}
    for body in scripted.bodies:
        (role,) = [r for r in shown if body["messages"][0]["content"] == render(r)]
        shown[role].add((body["temperature"], body["max_tokens"]))
        assert body["top_p"] == 0.95
    assert shown["questioner"] == {(0.7, 128), (0.7, 48)}
    # Solutions are greedy, revisions and tests are sampled, votes are sampled more freely.
    assert shown["programmer"] == {(0, 320), (0.5, 320), (0.5, 384), (0.8, 320)}
    # A conversation grows: what was sent stands at the start of what is sent next.
    long = max((b["messages"] for b in scripted.bodies), key=len)
    assert sum(b["messages"] == long[: len(b["messages"])] for b in scripted.bodies) >= 2


def test_tests_and_independent_solutions_see_neither_the_solution_nor_each_other(write, scripted):
    write("once_a")
    programmer = render("programmer")
    alone = [b for b in scripted.bodies if b["messages"][0]["content"] == programmer]
    assert len(alone) == 6 and all(len(b["messages"]) == 2 for b in alone)


TABLE = """```python
class TestIt(unittest.TestCase):
    def test_it(self):
        for x, y in [(1, 7), (10, 16), (11, 18)]:
            self.assertEqual(once_a(x), y)
```"""


def test_a_dialogue_by_the_strong_prompts(write, scripted):
    """Words around the code are kept, and tests of another shape are voted on one by one."""
    asks = load("strong").system(load("strong").questioner, packages=False)

    def script(body):
        said = body["messages"]
        if said[0]["content"] == asks:
            return problem("once_a")
        if "Write eight checks" in said[-1]["content"]:
            return TABLE
        return f"First words.\n\n{solution('once_a', right=True)}\n\nLast words."

    scripted.script = script
    (dialogue,) = write("once_a", settings=SETTINGS.model_copy(update={"prompts": "strong"}))
    assert verdict(dialogue) == "verified"
    answer = dialogue["messages"][1]["content"]
    assert answer.startswith("First words.") and answer.endswith("Last words.")
    asserts = [line for line in dialogue["tests"].splitlines() if line.startswith("assert")]
    assert asserts == [f"assert once_a({x}) == {x + 6}" for x in (2, 3, 1, 10)]
    assert not any("grammar" in body for body in scripted.bodies)


def test_the_programmer_does_not_see_the_seed(write, scripted):
    write("once_a")
    programmer = [b for b in scripted.bodies if b["messages"][0]["content"] == render("programmer")]
    assert "for item in items" not in json.dumps(programmer)


def test_a_failing_server_ends_all_with_its_own_error(write, scripted):
    scripted.script = lambda body: 401 if "`never_a(x)`" in str(body) else dialogues(body)
    with pytest.raises((EndpointError, ExceptionGroup)) as caught:
        write("once_a", "never_a", "once_b", ledger="shared")
    error = caught.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, EndpointError)
    scripted.forget()
    scripted.script = None or dialogues
    written = write("once_a", "never_a", "once_b", ledger="shared")
    assert [d["reason"] for d in written] == ["", "unsolved-failed", ""]
    again = [b for b in scripted.bodies if "once_a(" in str(b["messages"])]
    assert len(again) < 7, "what was answered is not asked again"


def test_a_server_that_fails_at_one_dialogue_alone_rejects_it(write, scripted):
    scripted.script = lambda body: 500 if "`never_a(x)`" in str(body) else dialogues(body)
    written = write("once_a", "never_a", "once_b")
    assert [d["reason"] for d in written] == ["", "request-failed", ""]


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\u2028", "```", "$error $code"], ids=ascii)
def test_hostile_words_stay_words(text, write, scripted):
    def script(body):
        said = dialogues(body)
        if body["temperature"] == 0.8:
            return said
        return said.replace("Add the", f"{text} Add the").replace(
            "The function", f"{text} The function"
        )

    scripted.script = script
    (dialogue,) = write("mended_a")
    assert len(kinds(dialogue)) >= 2
    dump_line(dialogue).encode("utf-8")


def test_a_program_of_hostile_text_ends_as_a_dialogue(write, scripted):
    for program in ("x = '\x00'", "x = '\ud800'", "(" * 5000, "x = " + "-" * 50000 + "1"):
        scripted.script = answer_with(program)
        (dialogue,) = write("once_a")
        assert dialogue["verdict"] == "rejected"
        dump_line(dialogue).encode("utf-8")


def test_a_long_output_keeps_its_ends(write, scripted):
    program = "def once_a(x):\n    return x + 6\nprint('start', 'x' * 5000)\nclass End:\n    pass"
    scripted.script = answer_with(program)
    (dialogue,) = write("once_a")
    shown = dialogue["messages"][-1]["content"]
    assert shown.startswith("start") and shown.endswith("passed") and "[...]" in shown
    assert len(shown) <= 600 + len("\n[...]\n")
    assert len(dialogue["executions"][0]["stdout"]) > 5000


@pytest.mark.parametrize(
    ("outcome", "stderr", "said"),
    [
        ("failed", "", "exit code 3 and no message"),
        ("failed", "Error\n", "Error"),
        ("timed-out", "", "longer than the time limit"),
        ("out-of-memory", "MemoryError\n", "more memory"),
        ("crashed", "", "signal"),
        ("output-cut", "", "printed more"),
        ("install-failed", "No matching distribution.\n", "could not be installed"),
    ],
)
def test_every_failure_has_words(outcome, stderr, said):
    text = error_text(Result(3, outcome, "", stderr, {}, 0.1))
    assert said in text and text.startswith(stderr.strip())


def test_an_answer_without_a_program_is_sampled_again_and_no_part_of_the_dialogue(write, scripted):
    usual, asked = scripted.script, []

    def script(body):
        words = body["messages"][-1]["content"]
        if "Write the function" not in words:
            return usual(body)
        asked.append(body)
        return "I would rather not." if len(asked) < 3 else usual(body)

    scripted.script = script
    (dialogue,) = write("once_a", settings=SETTINGS.model_copy(update={"answers": 3}))
    assert dialogue["verdict"] == "candidate"
    assert len(asked) == 3 and len({body["seed"] for body in asked}) == 3
    # Greedy again would be the same answer again.
    assert [body["temperature"] for body in asked] == [0, 0.5, 0.5]
    # The same question each time: what was refused is not in the conversation.
    assert asked[0]["messages"] == asked[1]["messages"] == asked[2]["messages"]
    assert "rather not" not in str(dialogue["messages"])


def test_a_model_that_never_answers_with_a_program_is_left_after_so_many(write, scripted):
    usual, asked = scripted.script, []

    def script(body):
        words = body["messages"][-1]["content"]
        if "Write the function" not in words:
            return usual(body)
        asked.append(body)
        return "I would rather not."

    scripted.script = script
    (dialogue,) = write("once_a", settings=SETTINGS.model_copy(update={"answers": 2}))
    assert (dialogue["reason"], len(asked)) == ("no-code", 2)
