"""A tiny model is really trained, through DeepSpeed's own launcher, on the CPU."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.core.files import read_json, write_jsonl
from aiev.core.hashing import of_directory
from aiev.dataset.tokens import TOKENS
from aiev.training import worker
from aiev.training.batch import accumulation
from aiev.training.checkpoints import prepare_student
from aiev.training.examples import Examples
from aiev.training.supervisor import train

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PARAMS = {
    "seed": 7,
    "epochs": 8,
    "learning_rate": 3e-3,
    "warmup_ratio": 0.0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "scheduler": "constant",
    "micro_batch": 2,
    "global_batch": 4,
    "packing": False,
    "max_tokens": 200,
    "too_long": "drop",
    "learn": "all",
    "lora": None,
    "attention": "sdpa",
    "precision": "float32",
    "accelerator": "cpu",
    "accelerators": 1,
    "threads": 1,
    "test_steps": 0,
    "activation_checkpointing": False,
    "deterministic": False,
}


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A random Llama of a million parameters, and a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    folder = tmp_path_factory.mktemp("hub") / "snapshot"
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "training_args.bin").write_bytes(b"a pickle that nobody should load")
    prepared = folder.parent / "student"
    prepare_student(folder, prepared, "bfloat16")
    return prepared


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten tagged dialogues, and one that is too long."""
    path = tmp_path_factory.mktemp("data") / "tagged.jsonl"
    rows = []
    for number in range(11):
        code = f"print({number})" * (1 if number < 10 else 40)
        answer = (
            f"<API_RUN_START>```python\n{code}\n```<API_RUN_STOP>"
            f"<API_RES_START>{number}<API_RES_STOP> Done."
        )
        messages = [
            {"role": "user", "content": f"Print {number}."},
            {"role": "assistant", "content": answer},
        ]
        rows.append({"id": str(number), "tagged": True, "failed": [], "messages": messages})
    write_jsonl(path, rows)
    return path


def run(student, data, folder, zero="zero2", test=None, **changes):
    return train(
        test=test,
        student=student,
        data=data,
        deepspeed=ROOT / "config" / "deepspeed" / f"{zero}.json",
        model=folder / "model",
        scratch=folder / "scratch",
        params=PARAMS | changes,
    )


def command(student, data, folder, checkpoint_steps=0, **changes):
    execution = {"training": {"checkpoint_steps": checkpoint_steps}}
    return [
        *(sys.executable, str(ROOT / "scripts" / "train_model.py"), "--student", str(student)),
        *("--data", str(data), "--test", "--model", str(folder / "model")),
        *("--deepspeed", str(ROOT / "config" / "deepspeed" / "zero2.json")),
        *("--execution", json.dumps(execution)),
        *("--digest", str(folder / "model.sha256"), "--report", str(folder / "training.json")),
        *("--params", json.dumps({"training": PARAMS | changes}), "--log", str(folder / "log")),
    ]


@pytest.fixture(scope="module")
def trained(student, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return folder, run(student, data, folder)


def test_the_model_loads_without_our_code_and_knows_the_tokens(trained, student):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, report = trained
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    ids = tokenizer.convert_tokens_to_ids(list(TOKENS))
    before = read_json(student / "config.json")["vocab_size"]
    assert ids == list(range(before, before + 4))
    assert model.config.vocab_size == before + 4 == model.get_input_embeddings().num_embeddings
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert str(model.dtype) == "torch.bfloat16" and tokenizer.chat_template == TEMPLATE
    assert model.config.use_cache
    assert report["added_tokens"] == 4
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert_distinct(model.get_input_embeddings().weight[ids])


def assert_distinct(rows):
    import torch

    unit = torch.nn.functional.normalize(rows.float(), dim=1)
    cosines = (unit @ unit.T).fill_diagonal_(0)
    assert cosines.max() < 0.9


def test_token_rows_that_were_equal_before_stop_the_training_with_an_explanation(
    trained, data, tmp_path
):
    """A student of an older version of this project, whose four tokens are one vector."""
    from safetensors.torch import load_file, save_file

    other = tmp_path / "student"
    shutil.copytree(trained[0] / "model", other)
    weights = load_file(other / "model.safetensors")
    weights["model.embed_tokens.weight"][-4:] = weights["model.embed_tokens.weight"][-1].clone()
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"have embedding rows with cosine 1\.000"):
        run(other, data, tmp_path)


def test_a_loss_that_is_not_finite_stops_the_training(student, data, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "student"
    shutil.copytree(student, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="the loss of step 1 is nan") as caught:
        run(broken, data, tmp_path)
    assert "training.learning_rate" in caught.value.hint
    assert not (tmp_path / "model").exists()


def test_entries_that_are_no_checkpoints_are_ignored(student, data, tmp_path):
    checkpoints = tmp_path / "scratch" / "checkpoints"
    (checkpoints / "checkpoint-5-tmp").mkdir(parents=True)
    (checkpoints / "checkpoint-6").write_text("a file")
    (checkpoints / "checkpoint-7").mkdir()  # half-written: without its marker
    report = run(student, data, tmp_path, epochs=1)
    assert len(report["steps"]) == 3
    assert (checkpoints / "checkpoint-5-tmp").is_dir()
    assert not (checkpoints / "checkpoint-7").exists()


def test_the_report_counts_tokens_in_the_loss_and_the_loss_falls(trained):
    _, report = trained
    assert (report["dialogues"], report["examples"]) == (11, 10)
    assert report["dropped"] == {"too-long": 1}
    assert report["too_long"] == {"rounds": {"0": 1}, "shortened": {}}
    assert [step["step"] for step in report["steps"]] == list(range(1, 25))
    losses = [step["loss"] for step in report["steps"]]
    # A random model of some 260 tokens starts near ln 260 = 5.6.
    assert 4.5 < losses[0] < 6.5 and losses[-1] < losses[0] - 1
    assert report["tokens_read"] == 8 * report["tokens"] > report["loss_tokens"] > 0


def test_what_is_left_holds_no_place_of_this_machine_and_no_pickle(trained):
    folder, _ = trained
    names = {path.name for path in (folder / "model").iterdir()}
    assert names == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    for path in (folder / "model").iterdir():
        assert str(folder.parent).encode() not in path.read_bytes()


def test_results_are_not_in_the_labels_that_were_trained_on(trained):
    folder, _ = trained
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    examples = Examples(folder / "scratch" / "examples")
    assert len(examples) == 10
    for number in range(10):
        in_loss = tokenizer.decode([label for label in examples[number]["labels"] if label >= 0])
        assert in_loss == (
            f"<API_RUN_START>```python\nprint({number})\n```<API_RUN_STOP> Done.<|im_end|>"
        )


def test_zero_3_in_bfloat16_follows_the_losses_of_float32(trained, student, data, tmp_path):
    """Its file has the gradients of the micro batches of a step summed in float32."""
    _, report = trained
    found = run(student, data, tmp_path, zero="zero3", precision="bfloat16", epochs=2)["steps"]
    for exact, rounded in zip(report["steps"], found, strict=False):
        assert rounded["loss"] == pytest.approx(exact["loss"], abs=0.1)


def test_gradients_are_clipped_as_the_config_says(trained, student, data, tmp_path):
    """Far below what Adam adds to its denominator, so that next to nothing is learnt."""
    _, report = trained
    clipped = run(student, data, tmp_path, max_grad_norm=1e-12, epochs=2)["steps"]
    first, last = clipped[0]["loss"], clipped[-1]["loss"]
    assert first == report["steps"][0]["loss"]
    assert last > first - 0.1 > report["steps"][len(clipped) - 1]["loss"]


def test_zero_3_saves_whole_weights_and_follows_the_same_losses(trained, student, data, tmp_path):
    from safetensors import safe_open

    folder, report = trained
    other = run(student, data, tmp_path, zero="zero3")
    for one, two in zip(report["steps"], other["steps"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=0.05)

    def shapes(path):
        with safe_open(path / "model" / "model.safetensors", "pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118

    assert shapes(tmp_path) == shapes(folder)


def test_packing_follows_the_same_losses_and_saves_the_same_kind_of_model(
    trained, student, data, tmp_path
):
    folder, report = trained
    other = run(student, data, tmp_path, packing=True)
    for one, two in zip(report["steps"], other["steps"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-3)
    assert other["tokens_read"] == report["tokens_read"]
    assert read_json(tmp_path / "model" / "config.json") == read_json(
        folder / "model" / "config.json"
    )


def test_two_processes_train_on_what_one_does(student, data, tmp_path):
    """Ten dialogues in micro batches of two: one process has nothing left for its last one."""
    one, two = (
        run(student, data, tmp_path / str(count), accelerators=count, epochs=2, learning_rate=5e-5)
        for count in (1, 2)
    )
    assert len(one["steps"]) == len(two["steps"]) == 6
    for alone, together in zip(one["steps"], two["steps"], strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-5)


LORA = {"rank": 8, "alpha": 16, "dropout": 0.0, "target_modules": "all-linear"}


@pytest.fixture(scope="module")
def lora_trained(student, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora")
    return folder, run(student, data, folder, lora=LORA)


def weights_of(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_lora_saves_a_whole_model_that_differs_where_it_was_trained(lora_trained, student, trained):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, report = lora_trained
    losses = [step["loss"] for step in report["steps"]]
    assert losses[-1] < losses[0] - 0.5
    names = [{path.name for path in (where / "model").iterdir()} for where in (folder, trained[0])]
    assert names[0] == names[1]
    config = [read_json(where / "model" / "config.json") for where in (folder, trained[0])]
    assert config[0] == config[1]
    before, after = weights_of(student), weights_of(folder / "model")
    assert after.keys() == weights_of(trained[0] / "model").keys()
    changed = {
        name for name in before if not torch.equal(before[name], after[name][: len(before[name])])
    }
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    embedding = "model.embed_tokens.weight"
    assert changed == {embedding} | {name for name in before if "_proj" in name}
    rows = (before[embedding] != after[embedding][:-4]).any(dim=1).nonzero().flatten().tolist()
    assert rows == [tokenizer.convert_tokens_to_ids("<|im_end|>")]
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    assert_distinct(model.get_input_embeddings().weight[-4:])


@pytest.mark.nightly
def test_lora_with_zero_3_two_processes_and_packing_follows_the_same_losses(
    lora_trained, student, data, tmp_path
):
    folder, report = lora_trained
    other = run(student, data, tmp_path, "zero3", accelerators=2, packing=True, lora=LORA)
    for one, two in zip(report["steps"], other["steps"], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-3)
    one, two = (weights_of(each / "model") for each in (folder, tmp_path))
    assert {name: each.shape for name, each in one.items()} == {
        name: each.shape for name, each in two.items()
    }


def test_the_loss_on_the_test_split_is_measured_and_changes_nothing(
    trained, student, data, tmp_path
):
    folder, report = trained
    measured = run(student, data, tmp_path, test=data, test_steps=5)
    found = measured.pop("test")
    assert of_directory(tmp_path / "model") == of_directory(folder / "model")
    assert measured == report
    assert found["examples"] == 10 and found["dropped"] == {"too-long": 1}
    assert [each["step"] for each in found["losses"]] == [0, 5, 10, 15, 20, 24]
    losses = [each["loss"] for each in found["losses"]]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0] - 1


@pytest.mark.nightly
def test_two_processes_with_zero_3_measure_what_one_does(student, data, tmp_path):
    rate = {"epochs": 1, "learning_rate": 5e-5, "test": data, "test_steps": 1}
    one = run(student, data, tmp_path / "1", **rate)["test"]["losses"]
    two = run(student, data, tmp_path / "2", "zero3", accelerators=2, **rate)["test"]["losses"]
    assert len(one) == len(two) == 4
    for alone, together in zip(one, two, strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-4)


@pytest.fixture(scope="module")
def killed(student, data, tmp_path_factory):
    """The place of a run by its main that was killed after its first checkpoint."""
    folder = tmp_path_factory.mktemp("killed")
    kill_after_a_checkpoint(command(student, data, folder, checkpoint_steps=5), folder)
    return folder


def kill_after_a_checkpoint(arguments, folder):
    process = subprocess.Popen(arguments, cwd=folder, stderr=subprocess.DEVNULL)
    scratch = wait_for(lambda: next(folder.glob(".aiev/scratch/*"), None))
    wait_for(lambda: next(scratch.glob(f"checkpoints/*/{worker.COMPLETE}"), None))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not processes_with(str(scratch / "spec.json")), seconds=20)


def test_a_resume_that_fails_is_an_error_and_no_new_start(killed, student, data, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(killed, folder)
    for path in folder.glob(".aiev/scratch/*/checkpoints/*/global_step*/*optim_states.pt"):
        path.write_bytes(path.read_bytes()[:1000])
    arguments = command(student, data, folder, checkpoint_steps=5)
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2 and not (folder / "model").exists()
    assert (
        "training cannot resume from checkpoint-" in done.stderr and "hint: remove" in done.stderr
    )


def test_a_killed_run_goes_on_and_ends_with_the_bytes_of_one_that_was_not(
    killed, trained, student, data
):
    """Also where checkpoints are written at other steps meanwhile."""
    arguments = command(student, data, killed, checkpoint_steps=7)
    done = subprocess.run(arguments, cwd=killed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = (killed / "log").read_text()
    assert "resuming from the checkpoint of step" in log and "step/s" in log
    assert "loss" in done.stderr
    folder, report = trained
    assert read_json(killed / "training.json") == report
    assert (killed / "model.sha256").read_text() == of_directory(folder / "model") + "\n"


@pytest.mark.nightly
def test_a_killed_run_with_lora_ends_with_the_bytes_of_one_that_was_not(student, data, tmp_path):
    """Dropout too draws the same numbers."""
    lora = LORA | {"dropout": 0.1}
    report = run(student, data, tmp_path / "whole", lora=lora)
    arguments = command(student, data, tmp_path, checkpoint_steps=5, lora=lora)
    kill_after_a_checkpoint(arguments, tmp_path)
    # What is not trained is in no checkpoint.
    (checkpoint,) = tmp_path.glob(".aiev/scratch/*/checkpoints/checkpoint-5/global_step5")
    states = sum(path.stat().st_size for path in checkpoint.iterdir())
    assert states < 16 * 10**6 / 4
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "resuming from the checkpoint of step" in (tmp_path / "log").read_text()
    assert read_json(tmp_path / "training.json") == report
    digest = of_directory(tmp_path / "whole" / "model")
    assert (tmp_path / "model.sha256").read_text() == digest + "\n"


def wait_for(what, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def processes_with(text):
    """Processes that have `text` on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path("/proc", pid, "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in line:
            found.append(pid)
    return found


def test_nothing_to_train_on_is_an_error_with_its_cause(student, data, tmp_path):
    empty = tmp_path / "tagged.jsonl"
    empty.write_text("")
    with pytest.raises(UserError, match="no training dialogues"):
        run(student, empty, tmp_path)
    with pytest.raises(UserError, match=r"none of 11 dialogues .*: 11 too-long") as caught:
        run(student, data, tmp_path, max_tokens=20)
    assert caught.value.hint == "raise training.max_tokens, which is 20"


def test_a_worker_that_fails_is_shown_with_its_last_lines(student, data, tmp_path):
    broken = tmp_path / "student"
    shutil.copytree(student, broken)
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"training failed; the last lines:(.|\n)*Error"):
        run(broken, data, tmp_path)


def test_a_global_batch_that_does_not_divide_is_named():
    assert accumulation(PARAMS | {"global_batch": 12}) == 6
    with pytest.raises(UserError, match="global_batch is 5"):
        accumulation(PARAMS | {"global_batch": 5})


@pytest.mark.parametrize("name", ["model.gguf", "folder"])
def test_weights_that_are_no_checkpoint_are_refused(name, tmp_path):
    weights = tmp_path / name
    if name == "folder":
        weights.mkdir()
    else:
        weights.write_bytes(b"no model")
    with pytest.raises(UserError, match=r"neither a GGUF|not a checkpoint"):
        prepare_student(weights, tmp_path / "student", "bfloat16")
