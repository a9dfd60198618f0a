"""The whole pipeline with real models, small: what `make run` does, in a directory of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from aiev.digests import of_path
from aiev.records import read_json, read_jsonl

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
RESULTS = Path("results/small")
SEEDS = [
    ("count_vowels", "text", "sum(letter in 'aeiou' for letter in text)"),
    ("double_all", "numbers", "[2 * number for number in numbers]"),
    ("last_word", "text", "text.split()[-1]"),
    ("is_even", "number", "number % 2 == 0"),
    ("largest", "numbers", "max(numbers)"),
    ("reverse_text", "text", "text[::-1]"),
]


def seed_code() -> str:
    """Functions that any model can take as an inspiration."""
    parts = [
        f"def {name}({argument}):\n    # {name.replace('_', ' ')}\n    value = {argument}\n"
        f"    result = {expression.replace(argument, 'value')}\n    return result\n"
        for name, argument, expression in SEEDS
    ]
    return "\n\n".join(parts)


@pytest.fixture(scope="module")
def config():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    config["name"] = "small"
    config["seeds"] |= {
        "sources": [{"kind": "directory", "path": "code", "licence": "MIT"}],
        "shards": 1,
        "per_shard": 24,
    }
    config["dialogues"]["feedback_rounds"] = 1
    config["rounds"] = {"count": 1, "dialogues": 24, "split": {"test_share": 0.0}}
    config["training"] |= {"epochs": 1, "global_batch": 2}
    config["evaluation"]["benchmarks"]["humaneval"]["subset"] = 2
    config["evaluation"]["max_tokens"] = 128
    return config


def snakemake(folder: Path, mirror: Path) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).parent / "snakemake", "--cores", "2"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AIEV_")}
    return subprocess.run(
        [*command, "--configfile", "small.yaml", "--nocolor"],
        cwd=folder,
        env={**kept, "AUTOCODER_MIRROR": str(mirror)},
        capture_output=True,
        text=True,
        timeout=1500,
    )


def test_seeds_become_scores_and_a_second_run_has_nothing_to_do(tmp_path, config, mirror):
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    (folder / "code").mkdir()
    (folder / "code/functions.py").write_text(seed_code())
    (folder / "small.yaml").write_text(yaml.safe_dump(config))
    files = mirror("qwen2.5-coder-0.5b", "smollm2-135m", "humaneval")

    done = snakemake(folder, files)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    check_artifacts(folder)
    check_model(folder / RESULTS / "model")

    answers = len(list((folder / "ledger").rglob("*.json")))
    start = time.monotonic()
    again = snakemake(folder, files)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr
    assert len(list((folder / "ledger").rglob("*.json"))) == answers
    # A limit for hangs, not a benchmark: the README promises 10 s on a quiet machine.
    assert time.monotonic() - start < 60


def check_artifacts(folder: Path) -> None:
    results = folder / RESULTS
    dialogues = read_jsonl(results / "rounds/0/dialogues/000.jsonl")
    assert len(dialogues) == len(SEEDS)
    for dialogue in dialogues:
        assert (dialogue["verdict"] == "verified") == (dialogue["reason"] == "")
        if dialogue["verdict"] == "verified":
            assert dialogue["executions"][-1]["outcome"] == "passed"
            assert dialogue["entry_point"] in dialogue["tests"]
    scores = read_json(results / "scores.json")
    assert [row["scores"]["humaneval"]["tasks"] for row in scores["models"]] == [2, 2, 2]
    for row in scores["models"]:
        low, high = row["scores"]["humaneval"]["base"]["interval"]
        assert 0 <= low <= row["scores"]["humaneval"]["base"]["pass@1"] <= high <= 1
    manifest = read_json(results / "manifest.json")["artifacts"]
    for name, entry in manifest.items():
        assert of_path(folder / name) == entry["sha256"], name
    text = json.dumps(manifest) + (results / "scores.md").read_text() + str(dialogues)
    assert str(folder) not in text


def check_model(path: Path) -> None:
    """In a process that does not know the project."""
    code = (
        "import sys\n"
        "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T\n"
        "tokenizer = T.from_pretrained(sys.argv[1])\n"
        "names = ['<API_RUN_START>', '<API_RUN_STOP>', '<API_RES_START>', '<API_RES_STOP>']\n"
        "ids = [tokenizer.convert_tokens_to_ids(name) for name in names]\n"
        "model = M.from_pretrained(sys.argv[1])\n"
        "print(model.num_parameters(), ids, model.get_input_embeddings().num_embeddings)\n"
        "assert len(set(ids)) == 4 and max(ids) < model.get_input_embeddings().num_embeddings\n"
        "assert all(tokenizer.encode(n, add_special_tokens=False) == [i]"
        " for n, i in zip(names, ids))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
