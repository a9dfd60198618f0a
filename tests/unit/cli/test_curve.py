"""`aiev curve`: which students are trained and measured, and what is not done twice."""

import json
import shutil
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import yaml
from command import ROOT

from aiev.cli.curve import curve
from aiev.cli.options import DEFAULT_CONFIG
from aiev.config.load import read_config
from aiev.core.errors import UserError
from aiev.core.files import read_jsonl, write_jsonl
from aiev.engine import codehash, environment
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

    def train(student, data, deepspeed, model, scratch, params, checkpoint_steps):
        done.append(("train", [row["id"] for row in read_jsonl(data)], params["epochs"]))
        scratch.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in scratch.iterdir())
        done[-1] += (found,)
        (scratch / "checkpoint").touch()
        if Path("killed").exists():
            raise KeyboardInterrupt
        model.mkdir(exist_ok=True)
        (model / "weights").write_bytes(data.read_bytes())
        return {"examples": 1}

    def measure(model, weights, scratch, log_path, execution, settings):
        done.append(("measure", model["name"], weights.as_posix(), settings["prompts"]))
        return {"asked": {"run": len(done)}, "not_asked": {"run": 0}, "answers": []}, []

    # With the signature of the real one: a call that it would refuse fails here too.
    stand_in = create_autospec(supervisor.train, side_effect=train)
    monkeypatch.setattr(supervisor, "train", stand_in)
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
    (_, four, epochs, _), (_, twelve, *_) = (one for one in checkout if one[0] == "train")
    assert four == twelve[:4] and sorted(twelve, key=int) == [str(n) for n in range(12)]
    assert epochs == 2


def test_what_was_measured_is_not_done_again_unless_something_changed(checkout, capsys):
    first = points(capsys, sizes="4", data=DATA)
    assert points(capsys, sizes="4", data=DATA) == first and len(checkout) == 2
    assert points(capsys, sizes="4", data=DATA[:1]) != first and len(checkout) == 4


def write_config(**sections):
    """The config of the checkout with other values."""
    config = yaml.safe_load(Path(DEFAULT_CONFIG).read_text("utf-8"))
    for name, values in sections.items():
        config[name] = config.get(name, {}) | values
    Path(DEFAULT_CONFIG).write_text(yaml.safe_dump(config), "utf-8")


def train_faster():
    write_config(training={"learning_rate": 3e-4})


def edit(path):
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n")


DEEPSPEED, STUDENT = "config/deepspeed/zero2.json", "resources/students/smollm2-135m/config.json"
CHANGES = {
    "another learning rate": train_faster,
    "the DeepSpeed file's bytes": lambda: edit(DEEPSPEED),
    "the student's bytes": lambda: edit(STUDENT),
    "a dialogue's words": lambda: write_jsonl(DATA[0], [rows_of(1)[0], *read_jsonl(DATA[0])[1:]]),
    "the code": lambda: None,
    "the environment": lambda: None,
}


def rows_of(count):
    said = [{"role": "user", "content": "In other words."}]
    return [{"id": str(n), "failed": [], "messages": said} for n in range(count)]


@pytest.fixture
def changed(monkeypatch):
    """Makes one of CHANGES; two of them are not of files in the checkout."""

    def change(name):
        CHANGES[name]()
        if name == "the code":
            monkeypatch.setattr(codehash, "code_digest", lambda script, modules=(): script.name)
        if name == "the environment":
            monkeypatch.setattr(environment, "environment", lambda: "another")

    return change


@pytest.mark.parametrize("name", CHANGES)
def test_what_decides_a_student_trains_it_again_and_does_not_go_on_from_a_stopped_training(
    name, checkout, capsys, changed
):
    points(capsys, sizes="12", data=DATA)
    changed(name)
    Path("killed").touch()
    with pytest.raises(KeyboardInterrupt):
        points(capsys, sizes="12", data=DATA)
    Path("killed").unlink()
    assert [one[3] for one in checkout if one[0] == "train"] == [[], []], "each is a new start"
    points(capsys, sizes="12", data=DATA)
    assert checkout[-2][3] == ["checkpoint"], "the same training goes on where it was stopped"
    assert checkout[-1][0] == "measure" and not Path("curve/12/scratch").exists()


def test_a_stopped_training_is_not_gone_on_with_under_another_learning_rate(checkout, capsys):
    Path("killed").touch()
    for change in (lambda: None, train_faster):
        change()
        with pytest.raises(KeyboardInterrupt):
            points(capsys, sizes="12", data=DATA)
    assert [one[3] for one in checkout] == [[], []]


def test_how_students_are_trained_decides_nothing_about_the_untrained_one(checkout, capsys):
    points(capsys, sizes="0", data=DATA)
    train_faster()
    edit(DEEPSPEED)
    points(capsys, sizes="0", data=DATA)
    assert len(checkout) == 1
    edit(STUDENT)
    points(capsys, sizes="0", data=DATA)
    assert len(checkout) == 2


def test_other_prompts_and_a_stop_before_the_measure_train_nothing_again(checkout, capsys):
    points(capsys, sizes="12", data=DATA)
    write_config(evaluation={"run_rate": {"prompts": 3}})
    points(capsys, sizes="12", data=DATA)
    assert [one[0] for one in checkout] == ["train", "measure", "measure"]
    Path("curve/12/run_rate.json").unlink()
    points(capsys, sizes="12", data=DATA)
    assert [one[0] for one in checkout][3:] == ["measure"]
    # A checkpoint that somebody changed is not measured.
    edit("curve/12/model/weights")
    Path("curve/12/run_rate.json").unlink()
    points(capsys, sizes="12", data=DATA)
    assert [one[0] for one in checkout][4:] == ["train", "measure"]


def test_how_it_is_carried_out_decides_nothing(checkout, capsys):
    points(capsys, sizes="12", data=DATA)
    write_config(execution={"training": {"checkpoint_steps": 5}, "in_flight": 2})
    points(capsys, sizes="12", data=DATA)
    assert [one[0] for one in checkout] == ["train", "measure"]


@pytest.mark.parametrize(
    ("count", "expected"), [(0, [0]), (3, [0, 3]), (10, [0, 10]), (12, [0, 10, 12])]
)
def test_by_default_the_sizes_are_those_that_there_are_and_all(count, expected, checkout, capsys):
    write_jsonl(DATA[0], rows_of(count))
    assert [one["dialogues"] for one in points(capsys, data=DATA[:1])] == expected


BAD = [
    ({"id": "0", "messages": []}, "failed missing"),
    ({"failed": [], "messages": []}, "id missing"),
    ({"id": 5, "failed": ["1"], "messages": [{"role": "user"}]}, "id, failed, messages missing"),
    ([], "id, failed, messages missing"),
]


@pytest.mark.parametrize(("row", "told"), BAD, ids=repr)
def test_a_row_that_is_no_tagged_dialogue_is_named(row, told, checkout, capsys):
    write_jsonl(DATA[1], [*rows_of(2), row])
    with pytest.raises(UserError, match=told) as caught:
        points(capsys, data=DATA)
    assert caught.value.where == "two.jsonl, row 3" and "verified.jsonl" in caught.value.hint
    assert checkout == []


@pytest.mark.parametrize("sizes", ["13", "-1", "many", ","])
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
