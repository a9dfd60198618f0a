"""A small project to run: the true DAG, a scripted teacher, the real sandbox."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml
from scripted import key_of, seed_source

from aiev.records import read_json

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
KEY = "a-secret-of-the-tests"
TRAIN = "results/tiny/rounds/0/train.jsonl"
DIALOGUES = "results/tiny/rounds/0/dialogues/000.jsonl"
NAMES = ("once_a", "once_bb", "mended_ccc", "mended_dddd", "never_e", "nocode_f", "vacuous_g")


class Project:
    """A copy of the workflow in `root`, with seeds of its own and a run called `tiny`."""

    def __init__(self, root: Path, base_url: str):
        self.root = root
        for name in ("rules", "scripts", "config", "profiles", "envs"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(ROOT / "Snakefile", root / "Snakefile")
        (root / "code").mkdir()
        (root / "code/functions.py").write_text(seed_source(*NAMES))
        teacher = {"name": "scripted", "kind": "openai", "base_url": base_url, "slots": 2}
        source = {"kind": "directory", "path": "code", "licence": "MIT"}
        self.config = {
            "name": "tiny",
            "models": {"teacher": {**teacher, "timeout_seconds": 10}},
            "seeds": {"sources": [source], "shards": 1, "per_shard": None},
            "rounds": {"shards": 1},
            "dialogues": {"feedback_rounds": 1, "in_flight": 3},
        }

    def start(self, *targets: str, cores: int = 2, **environment: str) -> subprocess.Popen:
        """Snakemake as a user starts it, the leader of a group of processes of its own."""
        (self.root / "tiny.yaml").write_text(yaml.safe_dump(self.config))
        command = [SNAKEMAKE, "--cores", str(cores), "--configfile", "tiny.yaml", "--nocolor"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIEV_", "PYTEST_"))}
        return subprocess.Popen(
            [*command, *(targets or (TRAIN,))],
            cwd=self.root,
            env={**kept, "OPENAI_API_KEY": KEY, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *targets: str, **environment: str) -> tuple[int, str]:
        """Exit code and all that was said."""
        process = self.start(*targets, **environment)
        try:
            said, _ = process.communicate(timeout=120)
        finally:
            end_group(process)
        return process.returncode, said

    def file(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def entries(self) -> dict[str, dict]:
        """The ledger: what was asked, as the endpoint counts it, and its entry."""
        paths = (self.root / "ledger").rglob("*.json")
        found = [read_json(p) for p in paths if not p.name.startswith(".")]
        return {key_of(entry["request"]): entry for entry in found}

    def digest(self, name: str) -> str:
        return hashlib.sha256(self.file(name)).hexdigest()


def end_group(process: subprocess.Popen) -> None:
    """End what a test's own run left; its processes are a session of their own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
