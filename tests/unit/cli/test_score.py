"""`aiev score`: anybody's samples on a benchmark's file, without a run."""

import json

from command import ROOT, aiev

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


def scored(tmp_path, *rows):
    (tmp_path / "tasks.jsonl").write_text(json.dumps(TASK) + "\n")
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    places = ["--samples", tmp_path / "samples.jsonl", "--tasks", tmp_path / "tasks.jsonl"]
    return aiev("score", *map(str, places), "--out", str(tmp_path / "out"), root=ROOT)


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
