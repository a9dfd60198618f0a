"""Rebuild a finished run without a call to a model, and compare every artifact with its manifest.

Exit status 0: all the same; 1: something differs, and the first is named; 2: it could not be tried.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from aiev.config.load import read_config
from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.core.locks import hold
from aiev.core.log import log, start_log
from aiev.engine.environment import environment
from aiev.engine.store import STORE, remove
from aiev.llm.ledger import Ledger
from aiev.llm.ledger_pack import unpack
from aiev.provenance.rebuild import Difference, Rebuild, check_shape

PLACE = STORE / "verify"


def main() -> int:
    arguments = _parse()
    start_log(None)
    log.setLevel("WARNING")  # progress is printed anyway
    start = time.monotonic()
    path, ledger = _sources(arguments)
    manifest = read_json(path)
    check_shape(manifest, path)
    if manifest["environment"] != environment():
        said = "%s was made with another envs/lock.txt, or another Python: bytes may differ"
        log.warning(said, path)
    with hold(STORE / "verify.lock", "another verification works in this directory"):
        remove(PLACE)
        rebuild = Rebuild(PLACE, manifest)
        rebuild.prepare(Path(), _unpacked(ledger))
        print(f"rebuilding {len(rebuild.artifacts)} artifacts in {PLACE}, asking no model")
        found, failed = _rebuild(rebuild, arguments.training == "yes", arguments.cores)
        if found or failed:
            _tell(rebuild, found, failed)
            return 1
        others = rebuild.other_actions()
        remove(PLACE)
    if others:
        print(f"{len(others)} files were made by other actions, with the same bytes: {others[0]}")
    print(f"verified: {len(rebuild.artifacts)} artifacts, {time.monotonic() - start:.0f} s")
    return 0


def _sources(arguments: argparse.Namespace) -> tuple[Path, Path]:
    """The manifest and the ledger: those that are named, else those of the config's run."""
    if arguments.manifest and arguments.ledger:
        return arguments.manifest, arguments.ledger
    config = read_config(arguments.config)
    own = Path("results", config["name"], "manifest.json")
    return arguments.manifest or own, arguments.ledger or Path(config["ledger"]["path"])


def _unpacked(ledger: Path) -> Path:
    """The ledger as a directory; a packed one is unpacked in the scratch directory."""
    if not ledger.exists():
        raise UserError("no such ledger", where=str(ledger), hint="give a directory or a pack")
    if ledger.is_dir():
        return ledger
    unpack(ledger, Ledger(PLACE / "ledger"))
    return PLACE / "ledger"


def _rebuild(rebuild: Rebuild, training: bool, cores: int) -> tuple[list[Difference], list[str]]:
    """What differs, and what was said by a workflow that failed."""
    difference = None if training else rebuild.take_checkpoints(Path())
    if difference:
        return [difference], []
    failed = rebuild.make(cores)
    return list(rebuild.compare()), rebuild.failures() if failed else []


def _tell(rebuild: Rebuild, found: list[Difference], failed: list[str]) -> None:
    lines: list[Any] = [f"  | {line}" for line in failed]
    if failed:
        lines.append(f"the workflow failed; all that it said: {rebuild.said}")
    lines += found[:1]
    lines.append(f"{len(found)} of {len(rebuild.artifacts)} artifacts differ; kept in {PLACE}")
    print(*lines, sep="\n", file=sys.stderr)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--manifest", type=Path, help="not the config's: of somebody else's run")
    parser.add_argument("--ledger", type=Path, help="not the config's: a directory or a pack")
    parser.add_argument("--training", choices=["yes", "no"], default="yes")
    parser.add_argument("--cores", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(f"verify: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit("verify: interrupted; run the same command again")
