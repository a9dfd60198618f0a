"""METHOD 3: what a tagged dialogue looks like, and what never becomes one."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aiev.dataset.layout import parts_of
from aiev.dataset.tags import (
    AFTER_INSTALL,
    CLOSINGS,
    LEAD_INS,
    REQUESTS,
    TOKENS,
    Dropped,
    is_untagged,
    tag_dialogue,
    tag_dialogues,
)
from aiev.languages.interpreter import script_of
from aiev.languages.markdown import fenced

CODE = "def one():\n    return 1\n\nassert one() == 1"
SOLUTION = "def one():\n    return 1\n"
FENCED = f"```python\n{CODE}\n```"


def message(role, kind, content):
    return {"role": role, "kind": kind, "content": content}


def dialogue(rounds=0, **changes):
    messages = [
        message("user", "problem", "Write one()."),
        message("assistant", "solution", f"Here it is.\n\n{FENCED}\n\nIt returns {{1}}."),
    ]
    for number in range(rounds):
        messages += [
            message("interpreter", "stderr", f"AssertionError {number}\n"),
            message("user", "description", f"It fails {number}."),
            message("assistant", "revision", f"Changed {number}.\n\n{FENCED}"),
        ]
    messages.append(message("interpreter", "stdout", "fine\n"))
    record = {"id": "d1", "verdict": "verified", "messages": messages, "solution": SOLUTION}
    return record | changes


INSTALL = "```sh\npip install numpy attrs==23.1\n```"


def test_a_dialogue_with_one_round_and_a_package_has_the_shape_of_the_method():
    record = dialogue(rounds=1)
    record["messages"][1]["content"] = f"Here it is.\n\n{INSTALL}\n\n{FENCED}\n\nIt returns {{1}}."
    row = tag_dialogue(record, 0, 100)
    assert row["id"] == "d1" and row["tagged"] and row["failed"] == [1]
    user, first, error, second, result, last = row["messages"]
    assert [m["role"] for m in row["messages"]] == ["user", "assistant"] * 3
    assert user["content"] in [r.replace("{problem}", "Write one().") for r in REQUESTS]
    start = f"Here it is.\n\n<API_RUN_START>{INSTALL}<API_RUN_STOP>\n\n"
    run = f"<API_RUN_START>{FENCED}<API_RUN_STOP>"
    assert first["content"] in [f"{start}{words}\n\n{run}" for words in AFTER_INSTALL]
    shown = "<API_RES_START>AssertionError 0<API_RES_STOP>\n\nIt fails 0."
    assert error == {"role": "user", "content": shown}
    assert second["content"] in [f"Changed 0.\n\n{lead_in}\n\n{run}" for lead_in in LEAD_INS]
    assert result["content"] == "<API_RES_START>fine<API_RES_STOP>"
    assert last["content"] in [f"{closing}\n\n{CLEAN}" for closing in CLOSINGS]


def test_inline_has_each_result_in_the_answer_that_goes_on_after_it():
    row = tag_dialogue(dialogue(rounds=1), 0, 100, "inline")
    run = f"<API_RUN_START>{FENCED}<API_RUN_STOP>"
    _, first, error, second = row["messages"]
    assert row["failed"] == [1]
    assert first["content"].endswith(f"{run}<API_RES_START>AssertionError 0<API_RES_STOP>")
    assert error == {"role": "user", "content": "It fails 0."}
    _, _, end = second["content"].partition(f"{run}<API_RES_START>fine<API_RES_STOP>\n\n")
    assert end in [f"{closing}\n\n{CLEAN}" for closing in CLOSINGS]


def test_words_stay_where_the_model_wrote_them():
    """Behind the program it had not seen the result yet: those words go behind the solution, and
    what was said about tests or about a program that failed is left out."""
    after = "As shown above, all asserts hold.\n\nThe tests pass.\n\nIt takes no time."
    record = dialogue(rounds=1)
    for message in record["messages"]:
        if message["role"] == "assistant":
            message["content"] = f"First.\n\n{INSTALL}\n\nThen.\n\n{FENCED}\n\n{after}"
    _, first, _, second, _, last = (m["content"] for m in tag_dialogue(record, 0, 100)["messages"])
    run = f"<API_RUN_START>{FENCED}<API_RUN_STOP>"
    assert first == second == f"First.\n\n<API_RUN_START>{INSTALL}<API_RUN_STOP>\n\nThen.\n\n{run}"
    assert last.endswith(f"{CLEAN}\n\nIt takes no time.") and "hold" not in last


@pytest.mark.parametrize("language", ["sh", "bash", "shell"])
def test_a_shell_block_is_run_only_before_the_program(language):
    block = f"```{language}\npython main.py\n```"
    record = dialogue()
    record["messages"][1]["content"] = f"{FENCED}\n\nCall it so:\n\n{block}"
    messages = tag_dialogue(record, 0, 100)["messages"]
    assert messages[1]["content"].endswith(f"\n\n<API_RUN_START>{FENCED}<API_RUN_STOP>")
    assert messages[3]["content"].endswith(f"{CLEAN}\n\nCall it so:\n\n{block}")
    record["messages"][1]["content"] = f"{block}\n{FENCED}"
    content = tag_dialogue(record, 0, 100)["messages"][1]["content"]
    assert content.startswith("<API_RUN_START>```sh\npython main.py\n```<API_RUN_STOP>\n\n")


@pytest.mark.parametrize("language", ["python", "py", "Python", "python3", ""])
def test_the_block_that_was_run_is_the_one_that_is_tagged(language):
    answer = f"So:\n\n   ```{language}\n{CODE}\n   ```\n"
    if language:
        answer += "\nIt prints:\n\n```\n" + 9 * "a long line of output\n" + "```"
    record = dialogue()
    record["messages"][1]["content"] = answer
    content = tag_dialogue(record, 0, 100)["messages"][1]["content"]
    assert script_of(answer).code == CODE
    assert content.count(CODE) == 1 and f"<API_RUN_START>{FENCED}<API_RUN_STOP>" in content


@settings(deadline=None)
@given(st.lists(st.sampled_from([
    "Words.\n", "```python\nx = 1\n```\n", "```py\nlonger = 1\n```\n", "```\n12\n```\n",
    "```sh\nls\n```\n", "```\r\nprint(123)\r\n```\r\n", "```python\nprint(1234567)",
]), max_size=6))  # fmt: skip
def test_nothing_is_tagged_as_run_that_was_not(pieces):
    answer = "".join(pieces)
    record = dialogue()
    record["messages"][1]["content"] = answer
    try:
        content = tag_dialogue(record, 0, 100)["messages"][1]["content"]
    except Dropped:
        return
    *_, block = (fenced(part.text)[0] for part in parts_of(content) if part.is_run)
    assert block.language == "python" and block.text == f"{script_of(answer).code}\n"


CLEAN = f"```python\n{SOLUTION}```"


def answer_of(record):
    row = tag_dialogue(record, 1, 100)
    assert not row["tagged"]
    user, assistant = row["messages"]
    assert user == {"role": "user", "content": "Write one()."}
    return assistant["content"]


@pytest.mark.parametrize("rounds", [0, 2])
def test_an_untagged_dialogue_is_the_problem_and_a_clean_answer(rounds):
    """The revisions changed the tests alone, so that the first answer's words still fit."""
    assert answer_of(dialogue(rounds)) == f"Here it is.\n\n{CLEAN}\n\nIt returns {{1}}."


def test_words_about_another_solution_or_about_an_error_are_not_in_a_clean_answer():
    record = dialogue(rounds=1, solution=SOLUTION.replace("1", "0 + 1"))
    assert answer_of(record) == CLEAN.replace("1", "0 + 1")


def test_words_about_tests_are_not_in_a_clean_answer():
    record = dialogue()
    words = "Here is `one`.\n\nI also wrote **tests** for it.\n\nIt is short.\n\n"
    record["messages"][1]["content"] = f"{words}{FENCED}\n\nAll assertions hold.\n\nBye."
    assert answer_of(record) == f"Here is `one`.\n\nIt is short.\n\n{CLEAN}\n\nBye."


def test_prints_at_the_top_level_are_not_in_a_clean_answer():
    code = "def show(x):\n    print(x)\n\nprint(\n    1,\n)\ny = 2; print(y)\n# why\nz = 3\n"
    clean = "def show(x):\n    print(x)\n\ny = 2; print(y)\n# why\nz = 3\n"
    assert answer_of(dialogue(solution=code)) == f"```python\n{clean}```"


def test_a_package_that_is_needed_stays_in_a_clean_answer():
    record = dialogue()
    record["messages"][1]["content"] = f"First:\n\n{INSTALL}\n\nThen:\n\n{FENCED}"
    assert answer_of(record) == f"First:\n\n{INSTALL}\n\nThen:\n\n{CLEAN}"


def test_a_fence_in_the_code_does_not_end_a_clean_answer():
    code = 'def doc():\n    return """\n```\n"""\n'
    assert answer_of(dialogue(solution=code)) == f"````python\n{code}````"


def test_the_untagged_share_is_stable_and_about_as_asked():
    ids = [f"dialogue-{n}" for n in range(2000)]
    chosen = {id for id in ids if is_untagged(id, 0.2)}
    assert 0.16 < len(chosen) / len(ids) < 0.24
    assert chosen <= {id for id in ids if is_untagged(id, 0.3)}
    assert not any(is_untagged(id, 0) for id in ids) and all(is_untagged(id, 1) for id in ids)


def test_a_round_tags_only_what_earlier_rounds_have_not():
    """What is known is taken as it is; of the dialogues that are left, in their order."""
    bad = dialogue(id="3", verdict="rejected")
    rounds = [[dialogue(id="1"), dialogue(1, id="2"), bad], [dialogue(2, id="0")]]
    first, _ = tag_dialogues(rounds[0], 0.5, 100)
    both = [*rounds[0], *rounds[1]]
    assert tag_dialogues(both, 0.5, 100, known=first) == tag_dialogues(both, 0.5, 100)
    marked = [{**row, "messages": ["known"]} for row in first]
    rows, report = tag_dialogues(both[1:], 0.5, 100, known=marked)
    assert [row["id"] for row in rows] == ["2", "0"]
    assert [row["messages"] == ["known"] for row in rows] == [True, False]
    assert report["dropped"] == {"not-verified": 1}


def test_phrases_depend_on_the_id_alone_and_all_are_used():
    rows, _ = tag_dialogues([dialogue(id=str(n)) for n in range(400)], 0, 100)
    again, _ = tag_dialogues([dialogue(id=str(n)) for n in reversed(range(400))], 0, 100)
    assert rows == again[::-1]
    assert len({row["messages"][0]["content"] for row in rows}) == len(REQUESTS)
    assert len({row["messages"][1]["content"] for row in rows}) == len(LEAD_INS)
    assert len({row["messages"][3]["content"] for row in rows}) == len(CLOSINGS)


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(20, 100))
def test_a_result_keeps_its_ends_and_its_limit(text, limit):
    assume(not any(token in text for token in TOKENS))
    record = dialogue()
    record["messages"][-1]["content"] = text
    content = tag_dialogue(record, 0, limit)["messages"][2]["content"]
    result = content.partition("<API_RES_START>")[2].partition("<API_RES_STOP>")[0]
    bare = text.strip("\n")
    assert result == bare if len(bare) <= limit else len(result) <= limit
    assert result[:4] == bare[:4] and result[-4:] == bare[-4:]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("share", [0, 1])
def test_a_token_in_anyones_text_drops_the_dialogue(token, position, share):
    record = dialogue(rounds=1)
    record["messages"][position]["content"] += f" {token}"
    assert tag_dialogues([record], share, 100)[1]["dropped"] == {"token-in-text": 1}


@settings(deadline=None)
@given(st.lists(st.sampled_from(["<", "API_", "RES_", "RUN_", "START", "STOP", ">", "\n"])))
def test_pieces_of_tokens_never_make_more_tags_than_the_layout_has(pieces):
    record = dialogue()
    record["messages"][-1]["content"] = "".join(pieces)
    try:
        row = tag_dialogue(record, 0, 30)
        text = "".join(message["content"] for message in row["messages"])
    except Dropped:
        return
    assert [text.count(token) for token in TOKENS] == [1, 1, 1, 1]


def without_block(record):
    record["messages"][1]["content"] = "I cannot."


def with_two_blocks(record):
    record["messages"][1]["content"] = f"{FENCED}\n\nor\n\n{FENCED}"


def test_a_function_and_its_tests_in_two_blocks_are_tagged_as_the_program_that_was_run():
    record = dialogue()
    tests = "assert one() == 1"
    content = f"The function:\n\n```python\n{SOLUTION}```\n\nIts tests:\n\n```py\n{tests}\n```"
    record["messages"][1]["content"] = content
    answer = tag_dialogue(record, 0, 100)["messages"][1]["content"]
    code = script_of(content).code
    assert code == f"{SOLUTION}\n\n{tests}"
    assert answer.startswith("The function:\n\nIts tests:\n\n")
    assert answer.endswith(f"<API_RUN_START>```python\n{code}\n```<API_RUN_STOP>")
    assert answer.count("```") == 2


def without_stdout(record):
    record["messages"].pop()


def without_messages(record):
    record["messages"].clear()


def with_empty_problem(record):
    record["messages"][0]["content"] = " \n"


def with_empty_description(record):
    record["messages"] = dialogue(rounds=1)["messages"]
    record["messages"][3]["content"] = "\n"


def rejected(record):
    record["verdict"] = "rejected"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_block, "no-code-block"),
        (with_two_blocks, "several-code-blocks"),
        (without_stdout, "not-in-order"),
        (without_messages, "not-in-order"),
        (with_empty_problem, "empty-problem"),
        (with_empty_description, "empty-description"),
        (rejected, "not-verified"),
    ],
)
def test_what_cannot_be_tagged_is_counted_under_its_reason(change, reason):
    bad = dialogue()
    change(bad)
    rows, report = tag_dialogues([dialogue(), bad], 0, 100)
    assert [row["id"] for row in rows] == ["d1"]
    assert report == {"dialogues": 2, "tagged": 1, "untagged": 0, "dropped": {reason: 1}}


def test_a_fence_inside_the_code_does_not_end_the_block():
    code = 'def doc():\n    """Use ```python x``` here."""\n    return "```"'
    record = dialogue()
    record["messages"][1]["content"] = f"```python\n{code}\n```"
    content = tag_dialogue(record, 0, 100)["messages"][1]["content"]
    assert content.endswith(f"<API_RUN_START>````python\n{code}\n````<API_RUN_STOP>")
