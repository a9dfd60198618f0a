"""Problem files: the inputs of HumanEval's tests, bad files, and subsets."""

import gzip
import json

import pytest

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import dump_tasks
from aiev.evaluation.evalplus.humaneval import convert, tolerance
from aiev.evaluation.evalplus.problems import is_evalplus, read_problems
from aiev.evaluation.subsets import choose, size_of
from aiev.sandbox.api import Limits, open_sandbox


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


def problem(
    task_id="HumanEval/0", body="    return x + 1\n", test="assert candidate(1) == 2", **own
):
    return {
        "task_id": task_id,
        "prompt": 'def f(x):\n    """Words."""\n',
        "entry_point": "f",
        "canonical_solution": body,
        "test": f"def check(candidate):\n    {test}\n",
        **own,
    }


def recorded(sandbox, *problems, max_inputs=100):
    converted = convert(list(problems), sandbox, Limits(), max_inputs)
    return [p["base_input"] for p in converted]


def test_inputs_are_those_of_the_tests_in_order_and_once(sandbox):
    test = "\n    ".join(f"assert candidate({n}) == {n + 1}" for n in (3, 1, 3))
    assert recorded(sandbox, problem(test=test)) == [[[3], [1]]]


def test_one_and_true_are_two_inputs(sandbox):
    test = "candidate(1), candidate(True), candidate(1.0)"
    assert json.dumps(recorded(sandbox, problem(test=test))) == "[[[1], [true], [1.0]]]"


def test_inputs_are_copied_before_the_call_changes_them(sandbox):
    body = "    x.clear()\n    return x\n"
    assert recorded(sandbox, problem(body=body, test="assert candidate([1, 2]) == []")) == [
        [[[1, 2]]]
    ]


def test_a_recursive_solution_does_not_record_itself(sandbox):
    body = "    return f(x - 1) + 1 if x else 0\n"
    assert recorded(sandbox, problem(body=body, test="assert candidate(3) == 3")) == [[[3]]]


def test_random_tests_draw_the_same_inputs_and_are_capped(sandbox):
    test = "import random\n    for _ in range(50): candidate(random.randint(0, 10**9))"
    first, second = (recorded(sandbox, problem(test=test), max_inputs=20) for _ in range(2))
    assert first == second
    assert len(first[0]) == 20


def test_tuples_stay_where_lists_do_as_well_and_sets_do_not(sandbox):
    test = "candidate((1, 2)), candidate({1}), candidate({1: 2}), candidate(None)"
    body = "    return x if isinstance(x, (set, dict)) else str(x)[1:-1]\n"
    assert recorded(sandbox, problem(body=body, test=test)) == [[[[1, 2]], [None]]]


def test_the_order_of_a_dictionary_is_part_of_the_input(sandbox):
    (inputs,) = recorded(
        sandbox, problem(body="    return x\n", test="candidate({'b': 1, 'a': 2})")
    )
    assert list(inputs[0][0]) == ["b", "a"]
    line = dump_tasks([problem(base_input=inputs)])
    assert list(json.loads(line)["base_input"][0][0]) == ["b", "a"]


@pytest.mark.parametrize("test", ["assert candidate(1) == 3", "pass", "raise SystemError"])
def test_a_problem_whose_own_test_fails_or_asks_nothing_is_named(sandbox, test):
    bad = problem("HumanEval/9", test=test)
    with pytest.raises(UserError, match="HumanEval/9"):
        convert([problem(), bad], sandbox, Limits(), 5)


def test_a_test_that_never_ends_is_stopped(sandbox):
    with pytest.raises(UserError, match="timed-out"):
        convert([problem(test="while True: pass")], sandbox, Limits(wall_seconds=0.5), 5)


def test_evalplus_files_are_taken_as_they_are(tmp_path, sandbox):
    own = problem("Mbpp/2", contract="", base_input=[[float("nan")]], plus_input=[[1]], atol=0)
    path = tmp_path / "given.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(own).encode()))
    problems = read_problems(path)
    assert is_evalplus(problems[0])
    assert convert(problems, sandbox, Limits(), 5) is problems
    (tmp_path / "out.jsonl").write_text(dump_tasks(problems))
    assert "NaN" in (tmp_path / "out.jsonl").read_text()
    assert dump_tasks(read_problems(tmp_path / "out.jsonl")) == dump_tasks(problems)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "no problem"),
        (b"{", "not a readable"),
        (b"\x1f\x8bnot gzip", "not a readable"),
        (gzip.compress(b"{}" * 50, mtime=0)[:-10], "not a readable"),
        (b"\xff\xfe", "not a readable"),
        (b"[1]\n", "not a benchmark problem"),
        (b'{"task_id": "HumanEval/0"}\n', "no prompt, entry_point"),
        ((json.dumps(problem()) + "\n").encode() * 2, "HumanEval/0"),
    ],
)
def test_files_that_are_no_benchmark(tmp_path, data, word):
    path = tmp_path / "given.jsonl"
    path.write_bytes(data)
    with pytest.raises(UserError, match=word) as raised:
        read_problems(path)
    assert "given.jsonl" in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="not a readable"):
        read_problems(tmp_path / "none.jsonl")


def test_subsets_follow_from_ids_alone_and_hold_smaller_ones():
    problems = [problem(f"HumanEval/{n}") for n in range(164)]
    ten, twenty = choose(problems, {"number": 10}), choose(problems, {"number": 20})
    assert [p for p in twenty if p in ten] == ten
    assert twenty != problems[:20]
    ids = {p["task_id"] for p in twenty}
    assert {p["task_id"] for p in choose(problems[::-1], {"number": 20})} == ids
    assert choose(problems, {}) == choose(problems, {"number": 164}) == problems
    assert choose(problems, {"share": 20 / 164}) == twenty
    assert len(choose(problems, {"share": 0.001})) == 1
    named = {"ids": ["HumanEval/9", "HumanEval/3", "HumanEval/9"]}
    assert choose(problems, named) == [problems[3], problems[9]]
    assert [size_of(each, 164) for each in ({}, {"share": 0.5}, named)] == [164, 82, 2]
    assert [size_of(each, None) for each in ({}, {"share": 0.5}, {"number": 3})] == [None, None, 3]


@pytest.mark.parametrize("size", [0, -1, 3])
def test_impossible_subsets(size):
    with pytest.raises(UserError, match="a subset of") as raised:
        choose([problem("HumanEval/1"), problem("HumanEval/2")], {"number": size}, "own")
    assert raised.value.where == "config: evaluation.benchmarks.own.subset"


def test_an_id_that_the_benchmark_lacks_is_named():
    named = {"ids": ["HumanEval/2", "HumanEvall/1", "Mbpp/2"]}
    with pytest.raises(UserError, match="not contain: HumanEvall/1, Mbpp/2") as raised:
        choose([problem("HumanEval/1"), problem("HumanEval/2")], named, "own")
    assert raised.value.where == "config: evaluation.benchmarks.own.subset_ids"
    assert raised.value.hint == "did you mean 'HumanEval/1'?"


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("def check(c):\n    assert abs(c(1.5) - 0.5) < 1e-6", 1e-6),
        ("def check(c):\n    assert abs(c(1)) <= 1e-4 and abs(c(2)) < 1e-6", 1e-4),
        ("def check(c):\n    assert c(1) < 5.0", 0),
        ("def check(c):\n    assert c(1) == 1e-6", 0),
    ],
)
def test_tolerances_come_from_the_tests(test, expected):
    assert tolerance(test) == expected
