"""Decontamination: what is near a benchmark problem goes, what is not stays."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.dataset.decontaminate import decontaminate, squeeze, texts_of
from aiev.evaluation.benchmarks.base import open_benchmark

PROMPT = '''def truncate_number(number: float) -> float:
    """ Given a positive floating point number, it can be decomposed into
    an integer part and decimals. Return the decimal part of the number.
    >>> truncate_number(3.5)
    0.5
    """
'''
BODY = "    whole = int(number)\n    return number - whole if number >= 0 else whole - number\n"
PROBLEM = {
    "task_id": "HumanEval/2",
    "prompt": PROMPT,
    "canonical_solution": BODY,
    "entry_point": "truncate_number",
}
DOCSTRING = PROMPT.split('"""')[1]
BARE = "def truncate_number(number: float) -> float:\n" + BODY


def dialogue(name="1-a", problem="Write a program.", code="print('something else entirely')"):
    return {
        "id": name,
        "messages": [
            {"role": "user", "kind": "problem", "content": problem},
            {"role": "assistant", "kind": "solution", "content": f"So:\n```python\n{code}\n```\n."},
        ],
        "solution": code,
    }


OTHER = dialogue("0-far")
HUMANEVAL = open_benchmark("humaneval", "evalplus", {})


def texts(*problems):
    return [(p["task_id"], field, text) for p in problems for field, text in HUMANEVAL.texts(p)]


def run(*dialogues, problems=(PROBLEM,), tests=(), threshold=0.9):
    return decontaminate([OTHER, *dialogues], texts(*problems), tests, threshold)


def dropped(**parts):
    _, report = run(dialogue(**parts))
    return report["dropped"]


@pytest.mark.parametrize(
    ("parts", "field", "text"),
    [
        ({"problem": PROMPT}, "prompt", "problem"),
        ({"problem": DOCSTRING}, "docstring", "problem"),
        ({"code": PROMPT + BODY}, "prompt+solution", "solution code"),
        ({"code": BARE}, "function", "solution code"),
        ({"code": f"import math\n\n\n{PROMPT}{BODY}\n\nX = 'more' * 9\n"}, "function", None),
        ({"code": BODY}, "canonical_solution", "solution code"),
        ({"problem": "See:\n```\n" + BARE + "```\n" + "and tell why " * 30}, "function", None),
    ],
)
def test_each_field_of_a_problem_is_looked_for(parts, field, text):
    (row,) = dropped(**parts)
    assert (row["id"], row["task_id"], row["field"]) == ("1-a", "HumanEval/2", field)
    assert row["similarity"] >= 0.9
    assert text in (None, row["text"])


@pytest.mark.parametrize(
    "words", [PROMPT, DOCSTRING, DOCSTRING.partition(">>>")[0], " ".join(DOCSTRING.upper().split())]
)
def test_a_problem_that_holds_a_benchmark_s_is_dropped_however_long_it_is(words):
    """Case 26."""
    before = "Our accountants round numbers all day, and want a function that they can trust. " * 3
    (row,) = dropped(problem=f"{before}\n\n{words}\n\nTell what each step of it costs. " * 2)
    assert (row["task_id"], row["text"], row["similarity"]) == ("HumanEval/2", "problem", 1)


def test_a_few_words_of_a_benchmark_are_anybody_s():
    short = PROBLEM | {"prompt": 'def add(x, y):\n    """Add two numbers x and y"""\n'}
    short |= {"entry_point": "add", "canonical_solution": "    return x + y\n"}
    problem = "Add two numbers x and y, which are matrices, and tell the rank of the sum." * 2
    _, report = run(dialogue(problem=problem), problems=[short])
    assert report["dropped"] == []


@pytest.mark.parametrize(
    "code",
    [
        BARE.replace("    ", "\t"),
        BARE.replace("number", "numbr"),
        BARE.replace("\n", "\n\n\n"),
        "# My own words\n" + BARE.replace("int(number)", "int(number)  # to zero, of course"),
        BARE.replace(":\n", ':\n    """Entirely other words about it, at some length."""\n', 1),
    ],
)
def test_layout_comments_and_small_edits_do_not_hide_a_copy(code):
    assert dropped(code=code)


@pytest.mark.parametrize(
    ("mark", "first"),
    [
        ("@staticmethod", ""),
        ("@classmethod", "cls, "),
        ("@cache", "self, "),
        ("", "self, "),
        ("", "self, /, "),
    ],
)
def test_a_method_does_not_hide_a_copy(mark, first):
    short = PROBLEM | {"prompt": "def add(x, y):\n", "canonical_solution": "    return x + y\n"}
    short["entry_point"] = "add"
    lines = [mark, f"def add({first}x, y):", '    """In words."""', "    return x + y"]
    body = "\n".join(f"    {line}" for line in lines)
    more = "\n\n    def other(self):\n        return [self.add(n, 2) for n in range(20)]\n"
    _, report = run(dialogue(code=f"class Solution:\n{body}{more}"), problems=[short])
    (row,) = report["dropped"]
    assert (row["text"], row["similarity"]) == ("solution function", 1)


def test_a_function_in_a_function_does_not_hide_a_copy():
    inner = "".join(f"    {line}\n" for line in BARE.splitlines())
    lines = [f"    print('entirely other work, part {n}')\n" for n in range(9)]
    assert dropped(code=f"def solve():\n{inner}{''.join(lines)}    return truncate_number(1)\n")


@pytest.mark.parametrize(
    "fence", ["~~~python\n{}\n~~~", "````python\n{}\n````", "1. So:\n\n   ```python\n{}\n   ```"]
)
def test_a_copy_is_found_in_any_kind_of_fence(fence):
    record = dialogue()
    indent = "   " if fence.startswith("1.") else ""
    code = "\n".join(indent + line for line in BARE.rstrip().split("\n"))
    record["messages"][1]["content"] = fence.format(code)
    kept, _ = run(record)
    assert kept == [OTHER]


def test_a_decorated_benchmark_function_is_compared_bare_too():
    marked = PROBLEM | {"prompt": "@cache\n" + PROMPT}
    _, report = run(dialogue(code=BARE + "\n\nX = 'more' * 9\n"), problems=[marked])
    assert [row["similarity"] for row in report["dropped"]] == [1]


OTHER_CODE = "def add(x):\n    # Why.\n    return x + 1\n"
TEST = dialogue("0-test", "Write `add(x)`, please, as short as you can.", OTHER_CODE)


@pytest.mark.parametrize(
    ("parts", "field", "similarity"),
    [
        ({"problem": "Write `add(x)`,\n\n  please, as short as you can."}, "problem", 1),
        ({"problem": "Write `add(x)`, please, as short as you can!"}, "problem", 43 / 44),
        ({"problem": "write `add(x)` please, as short as you can"}, "problem", 41 / 44),
        ({"code": 'def add(x):\n    "One more."\n\n    return (x + 1)'}, "solution", 1),
        ({"code": "def add(y):\n    return y + 1"}, "solution", 22 / 24),
        (
            {"code": "LIMIT = 100\nNAMES = ['a', 'b']\n\n\ndef add(x):\n    return x + 1\n"},
            "function",
            1,
        ),
    ],
)
def test_a_dialogue_that_nearly_repeats_a_test_problem_is_dropped(parts, field, similarity):
    test = TEST | {"entry_point": "add"}
    kept, report = run(dialogue(**parts), tests=[test])
    assert [d["id"] for d in kept] == ["0-far"]
    (row,) = report["dropped"]
    assert (row["id"], row["reason"], row["test"]) == ("1-a", "test-problem", "0-test")
    assert (row["field"], row["similarity"]) == (field, pytest.approx(similarity))
    assert report["compared"]["tests"] == 1 and report["kept"] == 1


def test_the_threshold_is_the_benchmarks():
    one = dialogue(problem="Write `add(x)`, please, as short as you can!")
    assert len(run(one, tests=[TEST], threshold=0.95)[0]) == 1
    assert len(run(one, tests=[TEST], threshold=0.99)[0]) == 2


def test_another_problem_with_another_solution_is_trained_on():
    one = dialogue("1-a", "Write `add(x, y)`, please.", OTHER_CODE.replace("x + 1", "sum(x) - 7"))
    assert len(run(one, tests=[TEST])[0]) == 2
    with pytest.raises(UserError, match="repeat a test problem"):
        decontaminate([TEST], texts(PROBLEM), [TEST], 0.9)


def test_a_program_that_does_not_parse_is_compared_as_text():
    test, one = dialogue("0-test", "One.", "def f(:\n  1"), dialogue("1-a", "Two.", "def  f(: 1")
    assert len(run(one, tests=[test])[0]) == 1


def test_empty_texts_repeat_nothing():
    test, one = dialogue("0-test", "", ""), dialogue("1-a", "", "")
    assert len(run(one, tests=[test])[0]) == 2


def test_type_hints_do_not_hide_a_copy():
    bare = BARE.replace(": float", "").replace(" -> float", "")
    short = PROBLEM | {"canonical_solution": "    return number % 1.0\n"}
    code = "def truncate_number(number):\n    return number % 1.0\n"
    _, report = run(dialogue(code=bare), dialogue("2", code=code), problems=[PROBLEM, short])
    assert [row["similarity"] for row in report["dropped"]] == [1, 1]


def test_revisions_and_the_final_solution_are_looked_at_too():
    one, two = dialogue("1-a"), dialogue("1-b")
    revision = f"```python\n{BARE}```\nand\n```\nnothing\n```"
    one["messages"].append({"role": "assistant", "kind": "revision", "content": revision})
    two["solution"] = BARE
    kept, report = run(one, two)
    assert [d["id"] for d in kept] == ["0-far"]
    assert [row["text"] for row in report["dropped"]] == ["revision code", "solution code"]


def test_what_is_far_stays_in_its_order_and_is_counted():
    near = "def truncate(x):\n    return x - int(x)\n"
    kept, report = run(dialogue("2-b", code=near), dialogue("1-c", code=BARE))
    assert [d["id"] for d in kept] == ["0-far", "2-b"]
    assert report["compared"] == {"problems": 1, "texts": 6, "tests": 0, "dialogues": 3}
    assert report["kept"] + len(report["dropped"]) == 3
    assert sum(report["nearest_of_kept"].values()) == report["kept"]


def test_an_empty_text_is_near_nothing():
    empty = {"task_id": "x", "prompt": "", "canonical_solution": " \n", "entry_point": "f"}
    kept, _ = run(dialogue(problem="", code=""), problems=[PROBLEM, empty])
    assert len(kept) == 2


def test_broken_code_is_compared_as_text():
    assert dropped(code=BARE + ")")
    assert not dropped(code="def f(:\n")


def test_no_problems_or_no_dialogues_left_are_errors():
    with pytest.raises(UserError, match="no benchmark problem"):
        run(problems=[])
    with pytest.raises(
        UserError,
        match=r"all 1 dialogues repeat a test problem or a benchmark's \(similarity of 0\.9",
    ):
        decontaminate([dialogue(code=BARE)], texts(PROBLEM), [], 0.9)


words = st.text(alphabet="abc", min_size=1, max_size=6)
a_round = st.tuples(st.lists(words, max_size=4), st.lists(words, max_size=2))


@given(st.lists(a_round, min_size=1, max_size=4), words, st.sampled_from([0.5, 0.7, 0.8, 1.0]))
def test_round_by_round_it_is_as_all_at_once(rounds, prompt, threshold):
    """Each round's report is known to the next; only which test a dialogue repeats may differ."""
    item = {"task_id": "t", "prompt": prompt, "canonical_solution": "", "entry_point": "f"}
    dialogues, tests, known = [dialogue("0-far", "Z" * 40, "Z" * 40)], [], None
    for number, (train, test) in enumerate(rounds):
        dialogues += [dialogue(f"{number}-{n}", t, f"# {n}") for n, t in enumerate(train)]
        tests += [dialogue(f"{number}-t{n}", t, "T" * 60) for n, t in enumerate(test)]
        kept, report = decontaminate(dialogues, texts(item), tests, threshold, known)
        whole, at_once = decontaminate(dialogues, texts(item), tests, threshold)
        assert kept == whole
        rows = [[(row["id"], row["reason"]) for row in r["dropped"]] for r in (report, at_once)]
        assert rows[0] == rows[1]
        same = ("compared", "kept", "nearest_of_kept")
        assert [report[key] for key in same] == [at_once[key] for key in same]
        known = report


def test_what_was_compared_before_is_not_compared_again():
    """A report that says so is believed: of the first round's dialogue, which repeats a benchmark
    and the first test, only the second test is found."""
    copy, second = (
        dialogue("0-a", TEST["messages"][0]["content"], BARE),
        dialogue("1-b", "Two.", "b = 2"),
    )
    _, known = decontaminate([OTHER], texts(PROBLEM), [dialogue("0-t", "No.", "no")], 0.9)
    kept, _ = decontaminate([copy, second], texts(PROBLEM), [TEST], 0.9, known)
    assert kept == [copy, second]
    kept, report = decontaminate([copy, second], texts(PROBLEM), [OTHER, TEST], 0.9, known)
    assert kept == [second] and report["dropped"][0]["test"] == "0-test"


def distance(a: str, b: str) -> int:
    """Levenshtein distance by its definition."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


letters = st.text(alphabet="ab \n\u00e9\U0001f600", min_size=1, max_size=40)


@given(letters, letters, st.sampled_from([0.5, 0.7, 0.8, 0.9, 0.95, 1.0]))
def test_it_drops_exactly_what_the_definition_says(problem, prompt, threshold):
    item = {"task_id": "t", "prompt": prompt, "canonical_solution": "", "entry_point": "f"}
    a, b = squeeze(problem), squeeze(prompt)
    if not b:
        return
    longest = max(len(a), len(b))
    near = bool(a) and 1 - Fraction(distance(a, b), longest) >= Fraction(str(threshold))
    one = dialogue(problem=problem, code="Z" * 200)
    kept, _ = decontaminate(
        [dialogue("0-far", "Z" * 200, "Z" * 200), one], texts(item), [], threshold
    )
    assert (len(kept) == 1) == near


@given(st.integers(1, 60), st.data())
def test_exactly_nine_tenths_is_dropped_and_one_edit_more_is_not(tens, data):
    text = "".join(chr(0x4E00 + place) for place in range(tens * 10))
    places = data.draw(st.permutations(range(len(text))))
    item = {"task_id": "t", "prompt": text, "canonical_solution": "", "entry_point": "f"}
    for edits, drops in ((tens, True), (tens + 1, False)):
        changed = list(text)
        for place in places[:edits]:
            changed[place] = "Z"
        kept, _ = decontaminate([OTHER, dialogue(problem="".join(changed))], texts(item), [], 0.9)
        assert (len(kept) == 1) == drops


@given(st.text(max_size=80), st.text(max_size=80))
def test_hostile_texts_break_nothing(problem, code):
    one = dialogue(problem=problem + "\ud800", code=code + "\ud800\0")
    kept, _ = run(one)
    assert one in kept
    assert all(text == squeeze(text) != "" for _, text in texts_of(one))
