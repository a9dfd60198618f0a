"""`aiev curve`: which students are trained and measured, and what is not done twice."""

import json
import shutil
from pathlib import Path

import pytest
from command import ROOT

from aiev.cli.curve import curve
from aiev.cli.options import DEFAULT_CONFIG
from aiev.config.load import read_config
from aiev.core.errors import UserError
from aiev.core.files import read_jsonl, write_jsonl
from aiev.evaluation import run_rate
from aiev.training import supervisor

DATA = [Path("one.jsonl"), Path("two.jsonl")]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a prepared student and twelve tagged dialogues in two files; what is trained
    and measured there is noted."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "Snakefile").touch()
    student = tmp_path / "resources/students/smollm2-135m"
    student.mkdir(parents=True)
    (student / "config.json").write_text("{}")
    rows = [{"id": str(n), "tagged": True, "failed": [], "messages": []} for n in range(12)]
    write_jsonl(tmp_path / "one.jsonl", rows[:8])
    write_jsonl(tmp_path / "two.jsonl", rows[4:])
    monkeypatch.chdir(tmp_path)
    done = []

    def train(student, data, model, params, **_):
        done.append(("train", [row["id"] for row in read_jsonl(data)], params["epochs"]))
        return {"examples": 1}

    def measure(model, weights, scratch, log_path, execution, settings):
        done.append(("measure", model["name"], weights.as_posix(), settings["prompts"]))
        return {"asked": {"run": len(done)}, "not_asked": {"run": 0}, "answers": []}, []

    monkeypatch.setattr(supervisor, "train", train)
    monkeypatch.setattr(run_rate, "measure", measure)
    return done


def points(capsys, **options):
    curve(**options)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_smaller_number_is_part_of_a_larger_one_and_0_is_the_untrained_student(checkout, capsys):
    found = points(capsys, sizes="12,0,4", data=DATA)
    assert [point["dialogues"] for point in found] == [0, 4, 12]
    measured = [one for one in checkout if one[0] == "measure"]
    prompts = read_config(DEFAULT_CONFIG)["evaluation"]["run_rate"]["prompts"]
    assert measured[0][1:] == ("curve-0-smollm2-135m", "resources/students/smollm2-135m", prompts)
    assert [one[2] for one in measured[1:]] == ["curve/4/model", "curve/12/model"]
    (_, four, epochs), (_, twelve, _) = (one for one in checkout if one[0] == "train")
    assert four == twelve[:4] and sorted(twelve, key=int) == [str(n) for n in range(12)]
    assert epochs == 2


def test_what_was_measured_is_not_done_again_unless_something_changed(checkout, capsys):
    first = points(capsys, sizes="4", data=DATA)
    assert points(capsys, sizes="4", data=DATA) == first and len(checkout) == 2
    assert points(capsys, sizes="4", data=DATA[:1]) != first and len(checkout) == 4


@pytest.mark.parametrize("sizes", ["13", "-1", "many", ""])
def test_more_dialogues_than_there_are_and_no_number(checkout, capsys, sizes):
    with pytest.raises(UserError, match="from 0 to the 12"):
        points(capsys, sizes=sizes, data=DATA)
    assert checkout == []


def test_what_is_missing_is_named(checkout, capsys):
    with pytest.raises(UserError, match="no tagged dialogues here"):
        points(capsys)
    shutil.rmtree("resources")
    with pytest.raises(UserError, match="not prepared"):
        points(capsys, sizes="4", data=DATA)
