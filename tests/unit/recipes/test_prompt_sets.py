"""Prompt sets: what each sends, and every mistake in one named with its file and key."""

import asyncio
import shutil
from pathlib import Path

import pytest

from aiev.config.load import check_config
from aiev.core.errors import UserError
from aiev.core.files import SCRIPTS
from aiev.core.hashing import of_json
from aiev.engine.codehash import code_parts
from aiev.llm.ledger import Answer
from aiev.recipes import modules_of
from aiev.recipes.aiev_instruct.compose import asserts_of
from aiev.recipes.aiev_instruct.prompt_sets import SHIPPED, load, names
from aiev.recipes.aiev_instruct.roles import Programmer, Questioner
from aiev.recipes.aiev_instruct.settings import Sampling
from aiev.recipes.verification.contract import read_contract
from aiev.sandbox.settings import PackageSettings

CONFIG = SCRIPTS.parent / "config"
SMALL = "adad06bc61f4764c3c02d0d40cd6bcbb8fca1fda0cef4a2ed498cbe7f8b6180a"
"""Digest of all that `small` sends below: recorded answers depend on each byte of it."""


class Recorder:
    """In place of a chat client: keeps what is sent, and answers two words."""

    def __init__(self):
        self.sent = []

    async def complete(self, messages, **how):
        self.sent.append([[dict(message) for message in messages], how])
        return Answer("An answer.", "stop", 1, 1)


def sent_by(prompts) -> list:
    """All turns of both roles, with all that the loop fills in."""
    chat = Recorder()
    given = (chat, Sampling(), prompts)

    async def talk():
        questioner = Questioner(*given, place=0)
        await questioner.propose("def f(x):\n    return x  # $5\n", 1)
        await questioner.describe("f(1)", "Error: $x", 2)
        await questioner.describe("f(2)", "Error", 3)
        for language in ("c++", "text"):
            await Questioner(*given, place=1).propose(" some words \n", 4, language)
        for packages in (False, True):
            programmer = Programmer(*given, 0, packages)
            await programmer.solve("A problem.", "f", 5)
            await programmer.revise("f", "Error", "In words.", 6)
            await Programmer(*given, 0, packages).vote("A problem.", "f", 7)
            await Programmer(*given, 0, packages).test("A problem.", "f", 8)
            programmer.forget()
            await programmer.solve("A problem.", "f", 9)

    asyncio.run(talk())
    return chat.sent


@pytest.fixture
def own(tmp_path) -> Path:
    """A set of a user's own, to be edited: a copy of `small`."""
    return Path(shutil.copytree(SHIPPED / "small", tmp_path / "own"))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_the_sets_that_ship():
    assert names() == ["small", "strong"]


def test_small_sends_the_bytes_that_answers_are_recorded_for():
    assert of_json(sent_by(load("small"))) == SMALL


def test_a_copy_of_a_set_sends_the_same(own):
    assert sent_by(load(str(own))) == sent_by(load("small"))


def test_strong_sends_no_grammar_and_no_examples():
    sent = sent_by(load("strong"))
    assert {how["grammar"] for _, how in sent} == {None}
    assert sum(len(messages) == 2 for messages, _ in sent) == 9, "each conversation starts bare"
    assert "$" not in str(sent).replace("# $5", "").replace("Error: $x", "")


def test_strong_tells_both_roles_of_packages_only_where_some_may_be_installed():
    prompts = load("strong")
    for role in (prompts.questioner, prompts.programmer):
        assert "package" not in prompts.system(role, packages=False)
        assert "package" in prompts.system(role, packages=True)
    allowed = PackageSettings().allow
    said = prompts.system(prompts.questioner, packages=True)
    for name in ("numpy", "pandas", "networkx", "sympy", "python-dateutil"):
        assert name in said and name in allowed


def test_the_forms_that_strong_asks_for_can_be_read():
    prompts = load("strong")
    contract = read_contract(prompts.propose("words", "text"), min_examples=1)
    assert contract.flaw == "" and contract.entry_point == "name"
    assert [example.check for example in contract.examples] == ["assert name(1, 'a') == [2]"]
    asked = prompts.fill(prompts.programmer.tests, problem="P.", function="f")
    shown = asked.partition("such as `")[2].partition("`")[0].replace("...", "2")
    assert asserts_of(f"```python\nassert {shown}\n```", "f", 8) == [
        "assert abs(f(2) - 0.5) < 1e-09"
    ]


def test_values_vary_by_the_seed_alone_and_all_are_met():
    prompts = load("strong")
    texts = [prompts.propose(f"seed {number}", "python") for number in range(200)]
    assert texts == [prompts.propose(f"seed {number}", "python") for number in range(200)]
    for each in (each for values in prompts.questioner.vary.values() for each in values):
        assert any(f": {each}." in text for text in texts)
    assert len({text.partition("Kind of problem")[2] for text in texts}) > 100, "of 192"


def test_few_shot_turns_of_the_programmer_stand_before_each_solution_and_nothing_else(own):
    examples = '\n[[programmer.examples]]\nproblem = "p.md"\nfunction = "g"\nanswer = "a.md"\n'
    with (own / "prompts.toml").open("a") as manifest:
        manifest.write(examples)
    (own / "p.md").write_text("Cost $1.\n")
    (own / "a.md").write_text("It is $2.\n")
    plain, sent = sent_by(load("small")), sent_by(load(str(own)))
    added = 0
    for (before, _), (after, _) in zip(plain, sent, strict=True):
        if before == after:
            continue
        added += 1
        assert after[1]["content"].startswith("Cost $1.\n\nWrite the function `g`")
        assert after[2] == {"role": "assistant", "content": "It is $2."}
        assert [after[0], *after[3:]] == before
    assert added == 6, "solve, revise and solve again, with packages and without"


def test_a_set_without_system_messages_sends_none(own):
    for name in ("questioner", "programmer", "programmer_packages"):
        (own / f"{name}.md").unlink()
        text = (own / "prompts.toml").read_text()
        lines = [line for line in text.splitlines() if f'"{name}.md"' not in line]
        (own / "prompts.toml").write_text("\n".join(lines))
    assert all(messages[0]["role"] == "user" for messages, _ in sent_by(load(str(own))))


MISTAKES = {
    "not TOML": ("prompts.toml", "[programmer]", "[programmer", "prompts.toml", "not TOML"),
    "unknown key": ("prompts.toml", "vote =", "votes =", "programmer.votes", "unknown key"),
    "missing key": ("prompts.toml", 'vote = "vote.md"', "", ": programmer", "'vote' is missing"),
    "a form": ("prompts.toml", '"grammar"', '"gramar"', "questioner.problem_form", "gramar"),
    "a path": ("prompts.toml", '"vote.md"', '"../vote.md"', "programmer.vote", "'../vote.md'"),
    "no file": ("prompts.toml", '"vote.md"', '"vites.md"', "programmer.vote", "no file vites.md"),
    "of an example": (
        "prompts.toml",
        '"propose_second.md"',
        '"no.md"',
        "examples.1.answer",
        "no.md",
    ),
    "unknown value": ("solve.md", "$function", "$funktion", "programmer.solve)", "$funktion"),
    "of another turn": ("vote.md", "$problem", "$problem $seed", "vote.md (prompts", "$seed"),
    "missing value": ("tests.md", "$problem", "", "tests.md", "$problem is missing"),
    "a lone dollar": ("revise.md", "Correct", "For $ 5, correct", "revise.md", "line 5 has a $"),
    "not UTF-8": ("vote.md", "$problem", "\udcff", "vote.md", "not UTF-8"),
}
"""What is edited and how; then what the error's place and message hold."""


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "message"), MISTAKES.values(), ids=MISTAKES
)
def test_a_mistake_in_a_set_is_named(file, old, new, where, message, own):
    text = (own / file).read_text("utf-8")
    assert old in text
    (own / file).write_text(text.replace(old, new, 1), "utf-8", errors="surrogateescape")
    with pytest.raises(UserError) as caught:
        check_config({"dialogues": {"prompts": str(own)}}, CONFIG)
    assert caught.value.where.startswith(str(own)) and where in caught.value.where
    assert message in caught.value.message and caught.value.hint


def test_a_file_that_the_manifest_does_not_name_is_named(own):
    (own / ".hidden").write_text("")
    load(str(own))
    (own / "vote2.md").write_text("$problem")
    with pytest.raises(UserError, match=r"no key of prompts\.toml names this file") as caught:
        load(str(own))
    assert caught.value.where == str(own / "vote2.md")


def test_a_varied_value_may_not_take_the_name_of_another(own):
    edit(own / "prompts.toml", "[programmer]", '[questioner.vary]\nseed = ["a"]\n\n[programmer]')
    with pytest.raises(UserError, match=r"\$seed has a value already") as caught:
        load(str(own))
    assert caught.value.where.endswith("questioner.vary.seed")


@pytest.mark.parametrize(
    ("name", "hint"), [("stong", "'strong'"), ("./nowhere", "use one of small, strong"), ("", "")]
)
def test_a_set_that_is_not_there_is_an_error_of_the_key(name, hint):
    with pytest.raises(UserError) as caught:
        check_config({"dialogues": {"prompts": name}}, CONFIG)
    assert caught.value.where == "config: dialogues.prompts" and hint in caught.value.hint


def test_dialogues_are_remade_for_their_own_set_alone(own):
    def parts(prompts):
        chosen = {"recipe": "aiev-instruct", "prompts": str(prompts)}
        return code_parts(SCRIPTS / "write_dialogues.py", modules_of(chosen))

    small, before = parts("small"), parts(own)
    sets = {name for name in small if "prompts/small/" in name}
    assert len(sets) == len(list((SHIPPED / "small").iterdir()))
    assert not any("prompts/strong/" in name for name in (*small, *before))
    assert small.keys() - before.keys() == sets
    edit(own / "vote.md", "nothing else", "nothing more")
    assert [name for name, _ in {*parts(own).items()} - {*before.items()}] == ["own/vote.md"]
    assert parts("small") == small
