"""Resolves and downloads packages with pip: wheels only, from the indexes that the user's pip uses.

pip runs in a process that cannot start another one. Build scripts, and tools such as git, would
need that, so none is run, whatever an index or a package's metadata says.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from aiev.core.errors import UserError
from aiev.core.process import die_with_parent

MIB = 1 << 20
MEMORY = 4096 * MIB
"""Bytes of address space for a process that reads what a package holds."""
LIMITED = """
import resource, runpy, sys
def refuse(event, arguments):
    if event in REFUSED:
        raise PermissionError("build scripts are not run")
REFUSED = {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}
sys.addaudithook(refuse)
for limit in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE):
    most = int(sys.argv.pop(1))
    resource.setrlimit(limit, (most, most))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
# Where pip's settings are found, and how the network is reached; no API key.
PASSED_ON = (
    *("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_CACHE_HOME", "PATH", "NETRC"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
# A failure that says nothing about the packages: the network, the index, the disk or pip itself.
# An index that answers with a client error (4xx: some say 403 for what they lack) has answered;
# 408, 425 and 429 ask to come back later, and 407 comes from a proxy of this machine.
_REFUSED = r"4(?!07|08|25|29)\d\d"
UNREACHABLE = re.compile(
    rf"^.*(?:Could not fetch URL(?!.*\b{_REFUSED} )|HTTP error (?!{_REFUSED})"
    r"|Max retries exceeded|ReadTimeoutError|\[Errno 28\]|No module named pip).*$",
    re.MULTILINE,
)
RETRYING = re.compile(r"^.*Retrying \(Retry.*$", re.MULTILINE)
_VERSIONS = re.compile(r"\(from versions: (?:[^()]*, )?((?:[^(),]+, ){2}[^(),]+)\)")
MAX_REASON = 1000
"""Characters of a reason."""


class InstallFailed(Exception):
    """Packages cannot be installed; the message is the reason, as a model may see it."""


class Pip:
    """pip, working in the folder `work` (absolute), until `deadline` (monotonic clock); no file
    grows above max_mib. Raises InstallFailed when the time is up."""

    def __init__(self, work: Path, deadline: float, seconds: int, max_mib: int):
        self.work, self.deadline = work, deadline
        self.seconds, self.max_mib = seconds, max_mib

    def resolve(self, requirements: Sequence[str]) -> list[dict[str, str]]:
        """Name, version and sha256 of the wheels that fulfil the requirements, by name.

        Raises InstallFailed with pip's reason, UserError where the index cannot be reached.
        """
        report = self.work / "report.json"
        self.run("install", "--dry-run", "--ignore-installed", "--report", report, *requirements)
        found = json.loads(report.read_text("utf-8"))["install"]
        return sorted((_package(item) for item in found), key=lambda package: package["name"])

    def fetch(self, packages: Sequence[dict[str, str]]) -> list[Path]:
        """The wheels, their digests compared by pip, by file name."""
        listed = self.work / "packages.txt"
        lines = [f"{p['name']}=={p['version']} --hash=sha256:{p['sha256']}\n" for p in packages]
        listed.write_text("".join(lines), "utf-8")
        wheels = self.work / "wheels"
        self.run("download", "--no-deps", "--require-hashes", "--dest", wheels, "-r", listed)
        return sorted(wheels.glob("*.whl"))

    def run(self, command: str, *arguments: str | Path) -> None:
        """Run one of pip's commands. Raises InstallFailed or UserError where it fails."""
        # Only verbose output tells an index that is down from one without the package.
        options = [command, "-vv", "--only-binary", ":all:", "--no-input", "--no-color"]
        options += ["--progress-bar", "off", "--disable-pip-version-check"]
        own = {**environment(), "TMPDIR": str(self.work)}
        words = [*options, *map(str, arguments)]
        log = self.work / f"{command}.log"
        try:
            failed = run_module(
                "pip", words, self.max_mib, self.deadline, log, cwd=self.work, env=own
            )
        except subprocess.TimeoutExpired:
            timeout = f"ERROR: The installation took more than {self.seconds} seconds."
            raise self._failure(f"{_read(log)}\n{timeout}", RETRYING) from None
        if failed:
            raise self._failure(_read(log), UNREACHABLE)

    def _failure(self, log: str, machine: re.Pattern) -> Exception:
        """UserError if `machine`, a fault of this machine, is in the log; else InstallFailed."""
        if "[Errno 27]" in log:
            return InstallFailed(f"A package is larger than {self.max_mib} MiB.")
        if found := machine.search(log):
            return UserError(
                f"packages cannot be fetched: {found[0].strip()}",
                where="pip",
                hint="see that `pip download` works here, or set sandbox.packages.allow to []",
            )
        return InstallFailed(reason(log))


def run_module(
    name: str, words: Sequence[str], max_mib: int, deadline: float, log: Path, **options
) -> int:
    """Exit status of the module's main, in a process that starts no other, dies with this thread
    and writes no file above max_mib; its output is in `log`. Raises subprocess.TimeoutExpired."""
    start = [sys.executable, "-I", "-X", "utf8", "-c", LIMITED, str(MEMORY), str(max_mib * MIB)]
    with open(log, "wb") as output:
        return subprocess.run(
            [*start, name, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=max(0.01, deadline - time.monotonic()),
            preexec_fn=die_with_parent,
            **options,
        ).returncode


def environment() -> dict[str, str]:
    """The part of this process's environment that pip gets."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.lower() in PASSED_ON or name.startswith("PIP_")
    }
    return {**passed, "LC_ALL": "C.UTF-8"}


def _read(log: Path) -> str:
    return log.read_text("utf-8", "replace")


def _package(item: dict) -> dict[str, str]:
    about, archive = item["metadata"], item["download_info"].get("archive_info", {})
    digest = archive.get("hashes", {}).get("sha256")
    name = canonicalize_name(about["name"])
    if item.get("is_direct") or not digest:
        raise InstallFailed(f"{name} does not come from the package index with a SHA-256 digest.")
    return {"name": name, "version": about["version"], "sha256": digest}


def reason(log: str) -> str:
    """pip's error messages, without addresses and paths, which differ between machines."""
    lines, in_conflict = [], False
    for line in log.splitlines():
        if line.startswith("The conflict is caused by:"):
            in_conflict = True
        elif in_conflict and not line.strip():
            in_conflict = False
        if in_conflict or line.startswith("ERROR: "):
            lines.append(line.removeprefix("ERROR: "))
    text = "\n".join(line for line in lines if "for help visit" not in line)
    text = _VERSIONS.sub(r"(from versions: ..., \1)", text)
    text = re.sub(r"\w+://\S+", "<url>", text)
    text = re.sub(r"(?<![\w.])/[^\s:'\"]+", "<path>", text)
    if "(from versions: none)" in text:
        text += "\nOnly wheels for Python {}.{} are installed.".format(*sys.version_info)
    return text[:MAX_REASON].strip() or "pip failed without a reason."
