"""A ledger as one file to publish, and back: `.jsonl.gz`, one entry a line, in the order of keys.

Lines and not an archive of files, for a pack then names no path: where an entry goes follows from
its own request, and nothing can be written anywhere else. gzip, for Python brings it and `zcat`
reads it everywhere; entries share prompts, and shrink to a tenth. Equal entries make equal packs,
whatever their time stamps or the order in which they came. An entry at a time is in memory.
"""

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from aiev.core.errors import UserError, hint_for
from aiev.core.files import dump_line, write_bytes
from aiev.core.log import Progress
from aiev.llm.ledger import Ledger, check_entry, keys_of, read_entry

MAX_LINE_BYTES = 64 * 2**20
"""Size of one entry. A hostile pack of a few kB can unfold to a line that fills the memory."""

MAX_DAMAGED = 1000
"""Damaged lines of a pack, after which it is no pack."""

MAX_NAMED = 5
"""Damaged entries that a message names; the others are counted."""

_FOLDER, _NAME = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{64}\.json")


def _line(data: bytes) -> tuple[tuple[str, str], bytes]:
    """An entry's keys (`keys_of`) and its one true line. Raises ValueError for one whose digest is
    another."""
    try:
        entry = json.loads(data)
        request, _ = check_entry(entry)
        wanted = {name: entry[name] for name in ("request", "answer", "digest")}
        return keys_of(request), (dump_line(wanted) + "\n").encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def pack(ledger: Path, target: Path) -> tuple[int, str]:
    """Write all entries of `ledger` into one file.

    Returns the number of entries in the file, and the digest of its uncompressed lines, which holds
    for any build of zlib, where the compressed bytes may not. Raises UserError for a ledger without
    entries, one with damaged entries, which it names, and a full disk.
    """
    expected = sum(1 for _ in entries(ledger))
    if not expected:
        hint = "do a run first, or name another ledger with --ledger"
        raise UserError("there is no ledger entry to pack", where=str(ledger), hint=hint)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    digest, count, bad = hashlib.sha256(), 0, []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            with (
                gzip.GzipFile("", "wb", 6, file, mtime=0) as out,
                Progress("pack", expected, "entry") as progress,
            ):
                for path in entries(ledger):
                    # A run at work may have added entries since they were counted.
                    line = _line_of(path, bad)
                    count += bool(line)
                    digest.update(line)
                    out.write(line)
                    progress.step()
            file.flush()
            os.fsync(file.fileno())
        if bad:
            raise _damaged(bad, str(ledger), "delete them, run again, and pack then")
        os.replace(beside, target)
    except OSError as error:
        hint = hint_for(error)
        raise UserError(f"cannot pack: {error.strerror}", where=str(target), hint=hint) from error
    finally:
        beside.unlink(missing_ok=True)
    return count, digest.hexdigest()


def entries(ledger: Path) -> Iterator[Path]:
    """Files of the entries, in the order of their keys; other files are ignored."""
    folders = ledger.iterdir() if ledger.is_dir() else ()
    for folder in sorted(f for f in folders if _FOLDER.fullmatch(f.name) and f.is_dir()):
        names = sorted(name for name in os.listdir(folder) if _NAME.fullmatch(name))
        yield from (folder / name for name in names)


def _line_of(path: Path, bad: list[str]) -> bytes:
    """The entry's line; nothing, and its path in `bad`, for a damaged one."""
    try:
        keys, line = _line(path.read_bytes())
        if path.stem in keys:
            return line
    except ValueError:
        pass
    bad.append(str(path))
    return b""


def unpack(source: Path, ledger: Ledger) -> dict[str, int]:
    """Add a pack's entries to `ledger`: {"added", "same", "different", "repaired"}.

    added: the ledger had none; same: it had the same bytes; different: it has another answer to the
    same question, which stays; repaired: the one that it had was damaged.
    Raises UserError for a damaged pack, after all intact entries before the damage are in place;
    for damaged entries, which it names, after all intact ones are in place; and at once for a
    ledger that cannot be read or written.
    """
    counts = dict.fromkeys(("added", "same", "different", "repaired"), 0)
    bad: list[str] = []
    for number, data in enumerate(_lines(source), 1):
        try:
            keys, line = _line(data)
            counts[_put(ledger.path(keys[0]), line)] += 1
        except ValueError as error:
            bad.append(f"line {number} ({error})")
        if len(bad) > MAX_DAMAGED:
            break
    in_place = f"{sum(counts.values())} others are in the ledger"
    if bad:
        raise _damaged(bad, str(source), f"get the pack again; {in_place}")
    if not any(counts.values()):
        raise UserError("the packed ledger is empty", where=str(source), hint="get the pack again")
    return counts


def _lines(source: Path) -> Iterator[bytes]:
    try:
        with (
            open(source, "rb") as packed,
            gzip.GzipFile(fileobj=packed) as file,
            Progress("unpack", max(source.stat().st_size, 1), "byte") as progress,
        ):
            while line := file.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    raise UserError(
                        f"a line of more than {MAX_LINE_BYTES} bytes",
                        where=str(source),
                        hint="name a file that `aiev ledger pack` wrote",
                    )
                yield line
                progress.step(count=packed.tell() - progress.done)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"the pack is damaged or cut off: {error}",
            where=str(source),
            hint="get the pack again; entries that are in the ledger stay",
        ) from error
    except OSError as error:
        hint = "check the path and the permissions of the file"
        raise UserError(f"cannot read: {error.strerror}", where=str(source), hint=hint) from error


def _put(path: Path, line: bytes) -> str:
    """Write the entry unless an intact one is there. Returns the key of `unpack`'s counts."""
    before = read_entry(path)
    if before is None:
        write_bytes(path, line, flush=False)
        return "added"
    if before == line:
        return "same"
    try:
        keys, there = _line(before)
        if path.stem in keys:
            return "same" if there == line else "different"
    except ValueError:
        pass
    write_bytes(path, line, flush=False)
    return "repaired"


def _damaged(bad: list[str], where: str, hint: str) -> UserError:
    more = f" and {len(bad) - MAX_NAMED} more" if len(bad) > MAX_NAMED else ""
    listed = ", ".join(bad[:MAX_NAMED]) + more
    return UserError(f"damaged ledger entries: {listed}", where=where, hint=hint)
