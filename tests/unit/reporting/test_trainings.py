"""What a plan says of trainings, and the rates of earlier runs that it reckons with."""

import json
from pathlib import Path

import pytest

from aiev.config.load import read_config
from aiev.core.files import write_json
from aiev.engine.events import Job
from aiev.llm.costs import Costs
from aiev.reporting.bounds import STAGES
from aiev.reporting.plan import between, money, short
from aiev.reporting.rates import PAPER_USD, LaptopRates, Rates, rates_of
from aiev.reporting.trainings import trainings

ROOT = Path(__file__).parents[3]
SHAPE = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "vocab_size": 32256,
}
PARAMETERS = 6_740_512_768
STUDENT = {"name": "s", "resource": "s", "dtype": "bfloat16", "checkpoint": ""}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def config(**plan):
    reckoned = {"accelerator_gib": None, "accelerator_tflops": None, "mfu": 0.5}
    return {
        "models": {
            "student": {"name": "s", "resource": "s", "dtype": "bfloat16", "checkpoint": ""}
        },
        "resources": {"s": {"shape": SHAPE}},
        "rounds": {"dialogues": 1000, "split": {"test_share": 0.1}},
        "training": {
            "deepspeed": str(ROOT / "config/deepspeed/zero3.json"),
            "precision": "bfloat16",
            "micro_batch": 1,
            "max_tokens": 1000,
            "epochs": 2.0,
            "accelerators": 8,
            "activation_checkpointing": False,
            "lora": None,
        },
        "execution": {"plan": {**reckoned, **plan}, "training": {"checkpoint_steps": 0}},
    }


def jobs(*rounds):
    return [Job("train_student", {"wildcards": {"round": str(number)}}) for number in rounds]


def test_hours_follow_from_tokens_operations_and_the_share_of_the_peak():
    rates = Rates(verified=0.5, tokens=200)
    found = trainings(config(accelerator_tflops=100), jobs(0, 1), rates)
    first, second = found.each
    # All dialogues so far, twice.
    assert first.tokens == (1000 * 0.5 * 0.9 * 200 * 2, 1000 * 1000 * 2)
    assert second.tokens == tuple(2 * each for each in first.tokens)
    assert first.accelerator_hours[1] == pytest.approx(first.operations[1] / (50e12 * 3600))
    assert first.hours[1] == pytest.approx(first.accelerator_hours[1] / 8)
    assert found.total("tokens")[1] == 3 * first.tokens[1]


def test_nothing_is_expected_without_an_earlier_run():
    (one,) = trainings(config(), jobs(0), Rates()).each
    assert one.tokens == (None, 2e6) and one.accelerator_hours == (None, None)


def test_a_model_that_does_not_fit_says_by_how_much():
    whole = trainings(config(accelerator_gib=80), jobs(0), Rates())
    assert whole.too_much == 0
    small = trainings(config(accelerator_gib=16), jobs(0), Rates())
    assert small.too_much == small.memory.total - 16 * 2**30 > 0


@pytest.mark.parametrize(
    ("name", "parameters", "accelerators"),
    [("autocoder-s-6.7b", PARAMETERS, 8), ("autocoder-33b", 33_342_991_360, 40)],
)
def test_the_paper_s_models_fit_the_gpus_of_their_configs(
    name, parameters, accelerators, monkeypatch
):
    monkeypatch.chdir(ROOT)
    paper = read_config(ROOT / f"config/{name}.yaml")
    assert paper["training"]["accelerators"] == accelerators
    found = trainings(paper, jobs(0, 92), Rates())
    assert (found.parameters, found.too_much) == (parameters, 0)
    paper["execution"]["plan"]["accelerator_gib"] = 16
    assert trainings(paper, jobs(0), Rates()).too_much > 0


@pytest.mark.parametrize(
    ("name", "parameters", "accelerators", "asked"),
    [("autocoder-s-6.7b", PARAMETERS, 8, 64000), ("autocoder-33b", 33_342_991_360, 40, 128000)],
)
def test_the_memory_that_docs_ask_of_a_node_is_enough(
    name, parameters, accelerators, asked, monkeypatch
):
    monkeypatch.chdir(ROOT)
    found = trainings(read_config(ROOT / f"config/{name}.yaml"), jobs(0), Rates())
    # The whole model on one of eight processes, and on each its part in float32.
    part = 4 * parameters // accelerators
    assert found.host_bytes == pytest.approx(2 * parameters + 8 * (2 * 2**30 + part), abs=64)
    assert found.processes == 8
    assert 0.75 * asked < found.host_bytes / 2**20 < asked
    assert f"`mem_mb: attempt * {asked}`" in (ROOT / "docs/cluster.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["autocoder-s-6.7b", "autocoder-33b"])
def test_the_paper_s_configs_are_for_gpus(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    paper = read_config(ROOT / f"config/{name}.yaml")
    own, student = paper["execution"], paper["execution"]["models"]["student"]
    assert paper["training"]["test_steps"] == 50, "the loss on held-out dialogues is measured"
    assert own["scoring_slots"] == 16
    assert student["slots"] == 64 * student["data_parallel"], "a vLLM takes so many at once"
    assert own["in_flight"] > own["models"]["teacher"]["slots"], "some wait for the sandbox"
    paid = paper["seeds"]["shards"] * paper["seeds"]["per_shard"] * PAPER_USD
    assert own["budget"]["usd"] > 2 * paid, "the run is not stopped half-way"


def test_what_is_offloaded_is_in_the_host_s_memory(tmp_path):
    here, away = config(), config()
    file = json.loads(Path(here["training"]["deepspeed"]).read_text())
    file["zero_optimization"]["offload_optimizer"] = {"device": "cpu"}
    write_json(tmp_path / "offload.json", file)
    away["training"]["deepspeed"] = str(tmp_path / "offload.json")
    less, more = (trainings(each, jobs(0), Rates()).host_bytes for each in (here, away))
    assert more - less == pytest.approx(12 * PARAMETERS, rel=1e-6)


def test_disk():
    found = trainings(config(), jobs(0, 1), Rates())
    assert found.model_bytes == 2 * PARAMETERS == found.largest_file
    # Two students and the final model, and both trainings' in the action store.
    assert found.disk_bytes == 5 * found.model_bytes
    saving = config()
    saving["execution"]["training"]["checkpoint_steps"] = 10
    assert trainings(saving, jobs(0), Rates()).work_bytes == 3 * 14 * PARAMETERS


def test_a_prepared_student_counts_before_its_declaration(tmp_path):
    write_json(tmp_path / "resources/students/s/config.json", SHAPE | {"num_hidden_layers": 1})
    assert trainings(config(), jobs(0), Rates()).parameters < PARAMETERS


def test_a_student_in_a_directory(tmp_path):
    write_json(tmp_path / "here/config.json", SHAPE | {"num_hidden_layers": 2})
    own = config()
    own["models"] = {"student": STUDENT | {"resource": "", "checkpoint": "here"}}
    assert trainings(own, jobs(0), Rates()).parameters < PARAMETERS


def test_no_training():
    assert trainings(config(), [Job("train_model", {"wildcards": {}})], Rates()) is None


def run(name, writer, answered=("a", "b"), dialogues=4):
    place = Path("results", name)
    path = place / "rounds/0/dialogues/000.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"model": f"{writer}@"}) + "\n")
    write_json(place / "rounds/0/report.json", {"dialogues": dialogues, "verified": 1})
    write_json(place / "training.json", {"examples": 2, "tokens": 300})
    return {path: list(answered)}


def test_rates_are_those_of_the_answers_that_runs_of_this_teacher_used(tmp_path):
    used = run("one", "t") | run("two", "t", ("b", "c")) | run("other", "u", ("d",))
    account = tmp_path / "ledger/spending.jsonl"
    account.parent.mkdir()
    calls = {"a": [10, 1], "b": [20, 3], "c": [30, 5], "d": [900, 900], "unused": [900, 900]}
    lines = [
        json.dumps({"paid": key, "stage": "dialogues", "model": "t", "tokens": tokens})
        for key, tokens in calls.items()
    ]
    account.write_text("\n".join([*lines, '{"paid": "a", "sta']))
    rates = rates_of("t", Costs(tmp_path / "ledger"), used.get)
    assert rates.runs == ("one", "two")
    assert (rates.calls, rates.verified, rates.tokens) == (4 / 8, 2 / 8, 150)
    assert rates.of_call("dialogues", "t") == (20, 3) and rates.of_call("duel", "t") is None


def test_a_round_of_which_a_record_is_gone_gives_no_calls(tmp_path):
    run("one", "t")
    rates = rates_of("t", Costs(tmp_path / "ledger"), lambda path: None)
    assert rates.calls is None and rates.verified == 1 / 4


def test_files_of_other_makers_are_no_runs(tmp_path):
    used = run("one", "t")
    Path("results/one/training.json").write_text("{")
    Path("results/one/rounds/0/report.json").write_text('{"dialogues": "many"}')
    Path("results/notes.txt").write_text("")
    rates = rates_of("t", Costs(tmp_path / "ledger"), used.get)
    assert rates == LaptopRates() and rates.runs == ()


def test_without_a_run_of_this_teacher_the_laptop_run_is_what_is_expected(tmp_path):
    """By stage, whatever the model's name; and every dialogue counts as verified."""
    used = run("other", "u")
    rates = rates_of("t", Costs(tmp_path / "ledger"), used.get)
    assert isinstance(rates, LaptopRates) and rates.verified == 1 and rates.tokens is None
    assert rates.of_call("dialogues", "t") == rates.of_call("dialogues", "u")
    assert all(rates.of_call(stage, "t") for stage in set(STAGES.values()) - {"interpreter"})
    assert rates.of_call("chat", "t") is None


def test_cells():
    numbers = (0, 7, 999.4, 999.6, 12_345, 4.56e6, 9.99e9, 1.5e13)
    shown = ["0", "7", "999", "1K", "12.3K", "4.56M", "9.99G", "15T"]
    assert [short(number) for number in numbers] == shown
    assert between(None, 5, short) == "5" and between(5, 5, short) == "5"
    assert between(2, 5, short) == "2 - 5" and between(2, None, short) == "?"
    assert money(0.5) == "0.5000" and money(1234.5) == "1,234.50"
