"""A small project to run: the true DAG, a scripted teacher, the real sandbox."""

import copy
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml
from command import AIEV
from scripted import key_of, seed_source
from tiny import SHAPE, declaration, write_benchmark, write_student
from wheels import wheel

from aiev.core.files import read_json

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
KEY = "a-secret-of-the-tests"
TRAIN = "results/tiny/rounds/0/train.jsonl"
DIALOGUES = "results/tiny/rounds/0/dialogues/000.jsonl"
NAMES = ("once_a", "once_bb", "mended_ccc", "mended_dddd", "never_e", "nocode_f", "vacuous_g")
WHOLE = (*NAMES, "once_ii")
"""With these, four shards hold three, two, two seeds and one."""


class Project:
    """A copy of the workflow in `root`, with seeds of its own and a run called `tiny`."""

    def __init__(self, root: Path, base_url: str):
        self.root, self.mirror = root, None
        self.environment: dict[str, str] = {}
        self.dump = yaml.safe_dump
        for name in ("rules", "scripts", "config", "profiles", "envs"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(ROOT / "Snakefile", root / "Snakefile")
        (root / "code").mkdir()
        (root / "code/functions.py").write_text(seed_source(*NAMES))
        server = {"base_url": base_url, "slots": 2, "timeout_seconds": 10}
        source = {"kind": "directory", "path": "code", "licence": "MIT"}
        self.config = {
            "name": "tiny",
            "models": {"teacher": {"name": "scripted", "kind": "openai"}},
            "seeds": {"sources": [source], "shards": 1, "per_shard": 8},
            "rounds": {"dialogues": 8},
            "dialogues": {"feedback_rounds": 1},
            # Without the preflight, which needs the student: most tests stop at the dialogues.
            "execution": {"preflight": False, "in_flight": 3, "models": {"teacher": server}},
        }

    def make_whole(self, mirror: Path) -> None:
        """Let the run go from seeds to scores, with a student and a benchmark of some kilobytes.

        mirror: a directory for the two files, which the run fetches from there.
        """
        self.mirror = mirror
        write_student(mirror / "tiny.gguf")
        write_benchmark(mirror / "tiny.jsonl.gz")
        declared = {
            "tiny-student": {**declaration(mirror / "tiny.gguf"), "shape": SHAPE},
            "tiny-benchmark": declaration(mirror / "tiny.jsonl.gz"),
        }
        with open(self.root / "config/resources.yaml", "a", encoding="utf-8") as file:
            file.write("\n" + yaml.safe_dump(declared))
        teacher = self.config["models"]["teacher"]
        self.config["models"]["student"] = {**teacher, "name": "tiny", "resource": "tiny-student"}
        servers = self.config["execution"]["models"]
        servers["student"] = dict(servers["teacher"])
        (self.root / "code/functions.py").write_text(seed_source(*WHOLE))
        self.config["seeds"]["shards"] = 4
        self.config["rounds"] = {"dialogues": 16}
        # At once at full rate, so that a single step learns something.
        learning = {"learning_rate": 1e-3, "warmup_ratio": 0.0, "epochs": 1}
        self.config["training"] = {**learning, "max_tokens": 4096, "threads": 1}
        benchmark = {"resource": "tiny-benchmark", "subset": 2}
        self.config["evaluation"] = {"benchmarks": {"humaneval": benchmark}}

    def offer_package(self, name: str, index: Path) -> None:
        """Let dialogues install a package of that name, from an index that holds nothing else."""
        wheel(index, name)
        self.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
        self.config.setdefault("sandbox", {})["packages"] = {"allow": [name]}

    def copy_to(self, root: Path) -> "Project":
        """The same project elsewhere, times of files included, to be changed on its own."""
        subprocess.run(["cp", "-a", self.root, root], check=True)
        other = copy.copy(self)
        other.root, other.config = root, copy.deepcopy(self.config)
        return other

    def start(self, *targets: str, cores: int = 2, **environment: str) -> subprocess.Popen:
        """Snakemake as a user starts it, the leader of a group of processes of its own."""
        (self.root / "tiny.yaml").write_text(self.dump(self.config))
        command = [SNAKEMAKE, "--cores", str(cores), "--configfile", "tiny.yaml", "--nocolor"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIEV_", "PYTEST_"))}
        kept |= {"AUTOCODER_MIRROR": str(self.mirror)} if self.mirror else {}
        return subprocess.Popen(
            [*command, *(targets or (TRAIN,))],
            cwd=self.root,
            env={**kept, "OPENAI_API_KEY": KEY, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *targets: str, seconds: float = 120, cores: int = 2, **environment: str
    ) -> tuple[int, str]:
        """Exit code and all that was said."""
        process = self.start(*targets, cores=cores, **environment)
        try:
            said, _ = process.communicate(timeout=seconds)
        finally:
            end_group(process)
        return process.returncode, said

    def aiev(self, *words: str, root: Path | None = None) -> tuple[int, str]:
        """Exit code of a command and all that it said, without a key. root: of another checkout."""
        root = root or self.root
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(root / "scripts"),
            "AUTOCODER_MIRROR": str(self.mirror),
            **self.environment,
        }
        done = subprocess.run(
            [*AIEV, *words],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        return done.returncode, done.stdout + done.stderr

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
