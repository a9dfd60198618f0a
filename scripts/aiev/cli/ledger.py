"""`aiev ledger`: a ledger in one file to publish, and back."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, ledger_of
from aiev.core.errors import UserError

PackArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The packed ledger, .jsonl.gz.")]
LedgerOption = Annotated[
    Path | None,
    typer.Option(
        "--ledger", metavar="DIR", help="The ledger's directory.", show_default="the config's"
    ),
]
KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="An answer's key, or the start of one.")
]


def pack(
    file: PackArgument, config: ConfigOption = DEFAULT_CONFIG, ledger: LedgerOption = None
) -> None:
    """Put all answers of a ledger into one file to publish.

    Equal ledgers make files of equal bytes. Prints the number of answers and the contents' digest.

    \b
      aiev ledger pack answers.jsonl.gz --config config/mine.yaml
    """
    from aiev.core.log import start_log
    from aiev.llm.ledger_pack import pack as pack_entries

    start_log(None)
    count, digest = pack_entries(_directory(ledger, config), file)
    print(f"{file}: {count} entries, contents sha256 {digest}")


def unpack(
    file: PackArgument, config: ConfigOption = DEFAULT_CONFIG, ledger: LedgerOption = None
) -> None:
    """Add the answers of a packed ledger to a ledger. Existing answers are kept.

    \b
      aiev ledger unpack answers.jsonl.gz --config config/mine.yaml
    """
    from aiev.core.log import start_log
    from aiev.llm.ledger import Ledger
    from aiev.llm.ledger_pack import unpack as unpack_entries

    start_log(None)
    directory = _directory(ledger, config)
    counts = unpack_entries(file, Ledger(directory))
    print(f"{directory}: {', '.join(f'{count} {name}' for name, count in counts.items())}")
    if counts["different"]:
        print("where answers differ, those that the ledger already had were kept")


def show(
    key: KeyArgument, config: ConfigOption = DEFAULT_CONFIG, ledger: LedgerOption = None
) -> None:
    """Print what was asked and answered under a key, as JSON. `aiev why FILE` names keys.

    \b
      aiev ledger show 3f9a01
    """
    if not re.fullmatch(r"[0-9a-f]{2,64}", key):
        hint = "a key is 64 hexadecimal digits; at least its first two are needed"
        raise UserError(f"not a key: {key!r}", hint=hint)
    directory = _directory(ledger, config)
    found = sorted((directory / key[:2]).glob(f"{key}*.json"))
    if not found:
        hint = "aiev why FILE lists the keys behind a file; --ledger names another ledger"
        raise UserError(f"no answer has the key {key}", where=str(directory), hint=hint)
    if len(found) > 1:
        names = ", ".join(path.stem[: len(key) + 6] for path in found[:5])
        raise UserError(f"{len(found)} keys start with {key}", hint=f"give more digits: {names}")
    from aiev.core.files import read_json

    print(json.dumps(read_json(found[0]), indent=2, ensure_ascii=False))


def _directory(ledger: Path | None, config: Path) -> Path:
    from aiev.config.load import read_config

    return ledger or ledger_of(read_config(config))
