"""`aiev verify`: a finished run rebuilt without a model, and compared with its manifest."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, CoresOption, check_checkout, ledger_of
from aiev.core.errors import UserError
from aiev.core.files import check_file

if TYPE_CHECKING:
    from aiev.provenance.rebuild import Difference, Rebuild

ManifestOption = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        metavar="FILE",
        help="The published manifest to check against.",
        show_default="the run's own",
    ),
]
LedgerOption = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        metavar="PATH",
        help="Its answers, packed or a directory.",
        show_default="the run's",
    ),
]
TrainingOption = Annotated[
    bool,
    typer.Option("--training/--no-training", help="Train again, or take this checkout's models."),
]


def verify(
    config: ConfigOption = DEFAULT_CONFIG,
    manifest: ManifestOption = None,
    ledger: LedgerOption = None,
    training: TrainingOption = True,
    cores: CoresOption = 2,
) -> None:
    """Rebuild a finished run without a call to a model, and compare every artifact.

    Everything is made again in a scratch directory (.aiev/verify) from seeds and recorded answers,
    and compared with the manifest. Exits with 0 if all is the same, 1 if something differs (the
    first that does is named), 2 if it could not be tried.

    \b
      aiev verify
      aiev verify --no-training
      aiev verify --manifest their-manifest.json --ledger their-answers.jsonl.gz
    """
    check_checkout()
    from aiev.core.locks import hold
    from aiev.core.log import log, start_log
    from aiev.engine.environment import check_installed
    from aiev.engine.store import STORE, remove
    from aiev.provenance.rebuild import Rebuild

    start_log(None)
    log.setLevel("WARNING")  # progress is printed anyway
    check_installed()
    start, place = time.monotonic(), STORE / "verify"
    if manifest:
        check_file(manifest, "no such manifest", "name a published manifest.json")
    path, answers = _sources(config, manifest, ledger)
    content = _read_manifest(path)
    with hold(STORE / "verify.lock", "another aiev verify is active in this directory"):
        remove(place)
        rebuild = Rebuild(place, content)
        rebuild.prepare(Path(), _unpacked(answers, place))
        print(f"rebuilding {len(rebuild.artifacts)} artifacts in {place}, asking no model")
        found, failed = _rebuild(rebuild, training, cores)
        if found or failed:
            _report(rebuild, found, failed)
            raise typer.Exit(1)
        others = rebuild.other_actions()
        remove(place)
    if others:
        print(f"{len(others)} files were made by other actions, with the same bytes: {others[0]}")
    print(f"verified: {len(rebuild.artifacts)} artifacts, {time.monotonic() - start:.0f} s")


def _sources(config: Path, manifest: Path | None, ledger: Path | None) -> tuple[Path, Path]:
    """The manifest and the ledger: those that are named, else those of the config's run."""
    if manifest and ledger:
        return manifest, ledger
    from aiev.config.load import read_config

    read = read_config(config)
    own = Path("results", read["name"], "manifest.json")
    return manifest or own, ledger or ledger_of(read)


def _read_manifest(path: Path) -> dict[str, Any]:
    """The manifest's content; says where it comes from another environment. Raises UserError."""
    from aiev.core.files import read_json
    from aiev.core.log import log
    from aiev.engine.environment import environment
    from aiev.provenance.rebuild import check_shape

    hint = "finish the run first (aiev run), or name a published manifest with --manifest FILE"
    check_file(path, "there is no manifest, which a finished run has", hint)
    content = read_json(path)
    check_shape(content, path)
    if content["environment"] != environment():
        note = "%s was made with another envs/lock.txt or another Python: bytes may differ"
        log.warning(note, path)
    return content


def _unpacked(ledger: Path, place: Path) -> Path:
    """The ledger as a directory; a packed one is unpacked in the scratch directory."""
    if not ledger.exists():
        raise UserError(
            "no such ledger", where=str(ledger), hint="name a directory or a packed ledger"
        )
    if ledger.is_dir():
        return ledger
    from aiev.llm.ledger import Ledger
    from aiev.llm.ledger_pack import unpack

    unpack(ledger, Ledger(place / "ledger"))
    return place / "ledger"


def _rebuild(
    rebuild: "Rebuild", training: bool, cores: int
) -> "tuple[list[Difference], list[str]]":
    """What differs, and the last lines of a workflow that failed."""
    difference = None if training else rebuild.take_checkpoints(Path())
    if difference:
        return [difference], []
    failed = rebuild.make(cores)
    return list(rebuild.compare()), rebuild.failures() if failed else []


def _report(rebuild: "Rebuild", found: "list[Difference]", failed: list[str]) -> None:
    lines: list[Any] = [f"  | {line}" for line in failed]
    if failed:
        lines.append(f"the workflow failed; its whole output: {rebuild.said}")
    lines += found[:1]
    lines.append(
        f"{len(found)} of {len(rebuild.artifacts)} artifacts differ; kept in {rebuild.place}"
    )
    print(*lines, sep="\n", file=sys.stderr)
