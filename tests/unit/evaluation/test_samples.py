"""Sample files: the format that other harnesses write is read, and bad ones are refused."""

import gzip
import json

import pytest

from aiev.core.errors import UserError
from aiev.evaluation.samples import read_samples, samples_digest, samples_of, solutions_of

TASKS = [{"task_id": f"HumanEval/{n}", "prompt": "def f(x):\n"} for n in range(2)]
ROW = {"task_id": "HumanEval/0", "solution": "def f(x):\n    return x\n"}
OTHER = {"task_id": "HumanEval/1", "completion": "    return x\n"}


def placed(rows):
    return [(f"samples.jsonl, line {number}", row) for number, row in enumerate(rows, 1)]


def read(tmp_path, data):
    path = tmp_path / "samples.jsonl"
    path.write_bytes(data)
    return read_samples(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_solutions_and_completions_are_read(tmp_path, pack):
    text = json.dumps(ROW) + "\n\n" + json.dumps(OTHER)
    found = solutions_of(read(tmp_path, pack(text.encode())), TASKS, "samples.jsonl")
    assert found == {"HumanEval/0": ROW["solution"], "HumanEval/1": ROW["solution"]}


def test_stock_evalplus_reads_what_we_write(tmp_path):
    """Rows as `generate` makes them, with keys of our own beside EvalPlus's."""
    from evalplus.data import load_solutions

    row = {**ROW, "answer": "Sure.", "finish_reason": "stop", "prompt_tokens": 1}
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (found,) = load_solutions(str(path))
    assert (found["task_id"], found["solution"]) == (ROW["task_id"], ROW["solution"])


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\xff\xfe", "not a sample file"),
        (b"\x1f\x8bnot gzip", "not a sample file"),
        (gzip.compress(b"{}" * 50, mtime=0)[:-10], "not a sample file"),
        (b"{}\n{", "line 2"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, data, word):
    with pytest.raises(UserError, match=word):
        read(tmp_path, data)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="not a sample file"):
        read_samples(tmp_path / "none.jsonl")


def test_a_large_solution_is_read(tmp_path):
    large = {**ROW, "solution": "#" * 10_000_000}
    assert len(read(tmp_path, json.dumps(large).encode())[0][1]["solution"]) == 10_000_000


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([ROW], "no sample for HumanEval/1"),
        ([ROW, ROW], "second sample for HumanEval/0"),
        ([{**ROW, "task_id": "Mbpp/2"}], "a sample for Mbpp/2, which the benchmark does not"),
        ([{"task_id": "HumanEval/0"}], "line 1"),
        ([{**ROW, "solution": None}], "line 1"),
        ([{**ROW, "solution": 3, "completion": "x"}], "line 1"),
        ([{"solution": "x"}], "without task_id"),
        ([{**ROW, "task_id": ["HumanEval/0"]}], "without task_id"),
        (["text"], "line 1"),
        ([], "HumanEval/0, HumanEval/1"),
    ],
)
def test_samples_that_are_not_one_for_each_task(rows, word):
    with pytest.raises(UserError) as raised:
        solutions_of(placed(rows), TASKS, "samples.jsonl")
    assert word in str(raised.value)
    assert "samples.jsonl" in str(raised.value)


def test_many_missing_tasks_are_counted():
    tasks = [{"task_id": f"HumanEval/{n}"} for n in range(164)]
    with pytest.raises(UserError, match="and 159 more"):
        solutions_of([], tasks, "samples.jsonl")


def test_several_samples_a_task_are_as_many_for_each():
    rows = placed([ROW, OTHER, ROW, OTHER])
    found = samples_of(rows, TASKS, "samples.jsonl", each=2)
    assert found == {task: [ROW["solution"]] * 2 for task in ("HumanEval/0", "HumanEval/1")}
    with pytest.raises(UserError, match="fewer than 2 samples for HumanEval/1"):
        samples_of(rows[:3], TASKS, "samples.jsonl", each=2)
    with pytest.raises(UserError, match="more than 2 samples for HumanEval/0"):
        samples_of([*rows, *placed([ROW])], TASKS, "samples.jsonl", each=2)


def test_a_complete_program_is_a_solution():
    rows = placed([{"task_id": "HumanEval/0", "program": "x = 1"}])
    assert solutions_of(rows, TASKS[:1], "samples.jsonl") == {"HumanEval/0": "x = 1"}


def test_blank_lines_count_in_the_place_of_a_row(tmp_path):
    bad = {"task_id": "HumanEval/1"}
    rows = read(tmp_path, f"{json.dumps(ROW)}\n\n\n{json.dumps(bad)}".encode())
    with pytest.raises(UserError, match="no solution for HumanEval/1") as raised:
        samples_of(rows, TASKS, "samples.jsonl")
    assert raised.value.where == f"{tmp_path / 'samples.jsonl'}, line 4"


def test_a_directory_of_files_with_one_document_each_is_read(tmp_path):
    """What was judged counts, where there is any; an error names its file."""
    for number in range(2):
        text = json.dumps({"name": f"P_{number}", "completions": ["x"]}, indent=1)
        (tmp_path / f"P_{number}.json.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "log.txt").write_text("no samples")
    before = samples_digest(tmp_path)
    places = [str(tmp_path / f"P_{number}.json.gz") for number in range(2)]
    assert [place for place, _ in read_samples(tmp_path)] == places
    (tmp_path / "P_0.results.json").write_text('{"name": "P_0", "results": []}')
    assert samples_digest(tmp_path) != before
    ((_, row),) = read_samples(tmp_path)
    assert row == {"name": "P_0", "results": []}
    (tmp_path / "P_0.results.json").write_text('{"name": "P_0",\n')
    with pytest.raises(UserError, match="not JSON") as raised:
        read_samples(tmp_path)
    assert raised.value.where == f"{tmp_path / 'P_0.results.json'}, line 1"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no sample file in this directory"):
        read_samples(tmp_path / "empty")
