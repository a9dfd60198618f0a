"""`aiev score`: anybody's samples on a benchmark's file, without a run."""

import json
import shutil

import pytest
from command import ROOT, aiev
from needs import unavailable

TASK = {
    "task_id": "HumanEval/0",
    "prompt": "def double(x):\n",
    "entry_point": "double",
    "canonical_solution": "    return [x, x]\n",
    "test": "",
    "contract": "",
    "base_input": [[1], ["a"]],
    "plus_input": [[2]],
    "atol": 0,
}

RIGHT = "def double(x):\n    return [x, x]\n"


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def scored(tmp_path, *rows, tasks=(TASK,), words=()):
    (tmp_path / "tasks.jsonl").write_text(lines(tasks))
    (tmp_path / "samples.jsonl").write_text(lines(rows))
    places = ["--samples", tmp_path / "samples.jsonl", "--tasks", tmp_path / "tasks.jsonl"]
    return aiev("score", *places, "--out", tmp_path / "out", *words, root=ROOT)


def test_a_sample_file_is_scored(tmp_path):
    done = scored(tmp_path, {"task_id": "HumanEval/0", "completion": "    return [x, x]\n"})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["benchmark"], found["tasks"]) == ("tasks", 1)
    assert found["base"]["correct"] == found["plus"]["correct"] == 1
    assert json.loads((tmp_path / "out/score.json").read_text())["plus"]["correct"] == 1
    rows = json.loads((tmp_path / "out/eval_results.json").read_text())["eval"]["HumanEval/0"]
    assert rows[0]["plus_status"] == "pass"


def test_samples_of_another_benchmark_are_refused_in_words(tmp_path):
    done = scored(tmp_path, {"task_id": "Mbpp/2", "solution": "x = 1"})
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "a sample for Mbpp/2, which the benchmark does not contain" in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_place_that_cannot_be_written_is_named_before_anything_is_judged(tmp_path):
    """Before the samples are held against the tasks, which takes a sandbox for some kinds."""
    (tmp_path / "out").write_text("taken")
    done = scored(tmp_path, {"task_id": "Mbpp/2", "solution": "x = 1"})
    assert done.returncode == 2 and "cannot write" in done.stderr and "Mbpp/2" not in done.stderr


def test_the_score_is_told_where_it_cannot_be_written_any_more(tmp_path):
    """And a solution with half a character is one that fails."""
    (tmp_path / "out/score.json/taken").mkdir(parents=True)
    done = scored(tmp_path, {"task_id": "HumanEval/0", "solution": f"{RIGHT}# \ud800\n"})
    assert done.returncode == 2 and "cannot write" in done.stderr, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["base"]["correct"] == 0
    rows = json.loads((tmp_path / "out/eval_results.json").read_text())["eval"]["HumanEval/0"]
    assert rows[0]["solution"].endswith("\ud800\n")


def test_a_file_of_a_kind_comes_with_the_kind_s_known_exceptions(tmp_path):
    """As the help shows it: the file HumanEvalPlus.jsonl.gz, of which no solution of one task
    passes."""
    odd = {**TASK, "task_id": "HumanEval/32", "entry_point": "double"}
    samples = [{"task_id": f"HumanEval/{number}", "solution": RIGHT} for number in (0, 32)]
    done = scored(tmp_path, *samples, tasks=(TASK, odd))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["exceptions"] == ["HumanEval/32"] and found["base"]["correct"] == 1


IN_PHP = {
    "name": "HumanEval_0_twice",
    "language": "php",
    "prompt": "<?php\nfunction twice($x) {\n",
    "tests": "if (twice(2) !== 4) { throw new Exception('no'); }",
    "stop_tokens": ["\nfunction"],
}


def test_a_file_of_multipl_e_says_its_language(tmp_path):
    if not shutil.which("php"):
        unavailable("needs php")
    sample = {"name": "HumanEval_0_twice", "completions": ["    return 2 * $x;\n}\n"]}
    done = scored(tmp_path, sample, tasks=(IN_PHP,), words=("--kind", "multipl-e"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["base"]["correct"] == 1 and found["evaluator"] == "MultiPL-E (PHP)"
    program = IN_PHP["prompt"] + "}\n" + IN_PHP["tests"].replace("4", "5")
    sample = {"name": "HumanEval_0_twice", "results": [{"program": program}]}
    done = scored(tmp_path, sample, tasks=(IN_PHP,), words=("--kind", "multipl-e"))
    assert (
        done.returncode == 2 and "tests are not those of this benchmark's file: 1," in done.stderr
    )


@pytest.mark.parametrize("words", [(), ("--known-tasks-only",)])
def test_a_row_without_a_task_is_named_by_its_line(tmp_path, words):
    rows = [{"task_id": "Mbpp/1", "solution": ""}, {"task_id": ["HumanEval/0"], "solution": RIGHT}]
    done = scored(tmp_path, *(rows if words else rows[1:]), words=words)
    assert done.returncode == 2 and "a sample without task_id" in done.stderr
    assert f"samples.jsonl, line {2 if words else 1}" in done.stderr
