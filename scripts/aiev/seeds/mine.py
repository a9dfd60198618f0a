"""Seeds: snippets of open-source code, from several kinds of source through one door.

A source is a dictionary from the config, with `kind`, `licence` (SPDX) and
  wheel      {resource}                            a pinned wheel, read as an archive
  directory  {path}                                a directory of Python files
  jsonl      {path, field}                         rows whose `field` is a snippet, taken as it is
  hub        {dataset, config, revision, split, field}   the same from a hub data set
Wheels, directories and JSONL files are handed over as files, in the order of the sources; hub data
sets come after them.

A snippet's shard follows from its own text, and its record holds no line or row number, so that a
changed snippet changes one shard. Every snippet that is left out is counted under a reason.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from aiev.core.errors import UserError
from aiev.core.files import read_jsonl
from aiev.core.hashing import of_text
from aiev.core.log import Progress, log
from aiev.core.types import Seed, Source
from aiev.languages.python.functions import BROKEN, functions, normal_form

_DEFINITION = re.compile(r"^\s*(?:async\s+def|def|class)\s+(\w+)", re.MULTILINE)


@dataclass
class _Taken:
    """What one source gave: its snippets as seeds with their full digests, and the counts."""

    name: str
    licence: str
    seeds: list[tuple[str, Seed]] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)
    snippets: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, name: str, path: str) -> None:
        digest = of_text(text)
        source = Source(name=self.name, path=path, licence=self.licence)
        self.seeds.append((digest, Seed(id=digest[:16], text=text, name=name, source=source)))


def mine(
    settings: Mapping[str, Any], files: Sequence[Path], cache: Path
) -> tuple[list[list[Seed]], dict[str, Any]]:
    """Seeds of all sources, by shard, each sorted by id; and the report of counts.

    settings: {sources, licences, min_lines, max_lines, self_contained, shards, per_shard}; of each
    shard the `per_shard` seeds with the lowest digests stay, all when it is null.
    cache: a directory for downloads from the hub.
    Raises UserError for a source that is missing, empty, not UTF-8, without a usable snippet, or
    under a licence that is not allowed.
    """
    sources = settings["sources"]
    if not sources:
        raise UserError("no seed source", where="seeds.sources", hint="name at least one source")
    for source in sources:
        _check_licence(source, settings["licences"])
    remote = [source for source in sources if source["kind"] == "hub"]
    local = [source for source in sources if source["kind"] != "hub"]
    paths = [*zip(local, files, strict=True), *((source, None) for source in remote)]
    taken = []
    with Progress("mine seeds", len(sources), unit="source") as progress:
        for source, path in paths:
            taken.append(_take(source, path, settings, cache))
            progress.step(note=taken[-1].name)
    kept = _shard(_distinct(taken), settings["shards"], settings["per_shard"])
    report = _report(taken, kept)
    log.info("seeds: %s", report["snippets"])
    return [[seed for _, seed, _ in shard] for shard in kept], report


def _check_licence(source: Mapping[str, Any], allowed: Iterable[str]) -> None:
    if source["licence"] not in allowed:
        raise UserError(
            f"seed source under licence {source['licence']!r}, which is not allowed",
            where=f"seeds.sources: {_label(source)}",
            hint=f"use a source under one of {sorted(allowed)}, or allow it in seeds.licences",
        )


def _label(source: Mapping[str, Any]) -> str:
    keys = {"wheel": "resource", "directory": "path", "jsonl": "path", "hub": "dataset"}
    return f"{source['kind']} {source[keys[source['kind']]]}"


def _take(
    source: Mapping[str, Any], path: Path | None, settings: Mapping[str, Any], cache: Path
) -> _Taken:
    if path is not None and not path.exists():
        raise UserError("seed source does not exist", where=str(path), hint="mend seeds.sources")
    if source["kind"] == "hub":
        # A data set in a local directory goes by its last name: no path enters an artifact.
        name = source["dataset"]
        name = Path(name).name if Path(name).is_absolute() else name
        taken = _Taken(f"{name} {source['revision']}", source["licence"])
        _take_rows(taken, _hub_rows(source, cache), source["field"], _label(source))
    elif source["kind"] == "jsonl":
        taken = _Taken(path.name, source["licence"])
        _take_rows(taken, read_jsonl(path), source["field"], str(path))
    else:
        wheel = source["kind"] == "wheel"
        taken = _Taken(_wheel_name(path) if wheel else path.name, source["licence"])
        files = _wheel_files(path) if wheel else _directory_files(path)
        _take_functions(taken, files, path, settings)
    if not taken.seeds:
        counts = dict(taken.files + taken.snippets)
        what = f"holds no usable snippet: {counts}" if counts else "is empty"
        raise UserError(
            f"seed source {what}",
            where=str(path or _label(source)),
            hint="take it out of seeds.sources, or mend it",
        )
    return taken


def _wheel_name(path: Path) -> str:
    """`more-itertools 11.2.1` of more_itertools-11.2.1-py3-none-any.whl."""
    try:
        parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        hint = "declare it in resources.yaml as `file` under the name that its registry gives it"
        raise UserError(f"not the name of a wheel: {error}", where=str(path), hint=hint) from error
    project, version = path.name.split("-")[:2]
    return f"{project.replace('_', '-')} {version}"


def _wheel_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(path inside, bytes) of each Python file, read straight from the archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if n.endswith(".py")):
                yield name, archive.read(name)
    except zipfile.BadZipFile as error:
        raise UserError(f"not a wheel: {error}", where=str(path)) from error


def _directory_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(relative path, bytes) of each Python file below `path`, hidden directories aside."""
    names = (p.relative_to(path) for p in path.rglob("*.py") if p.is_file())
    for name in sorted(n.as_posix() for n in names if not any(q[0] == "." for q in n.parts)):
        yield name, (path / name).read_bytes()


def _take_functions(
    taken: _Taken, files: Iterable[tuple[str, bytes]], where: Path, settings: Mapping[str, Any]
) -> None:
    limits = {key: settings[key] for key in ("min_lines", "max_lines", "self_contained")}
    for name, data in files:
        if _is_test_file(name):
            taken.files["test-file"] += 1
            continue
        try:
            found = list(functions(data.decode("utf-8-sig"), **limits))
        except UnicodeDecodeError as error:
            raise UserError(
                f"seed file is not UTF-8: byte {error.start} is {data[error.start]:#04x}",
                where=f"{where}: {name}",
                hint="convert the file, or take it out of the source",
            ) from error
        except BROKEN as error:
            log.info("%s: %s: no syntax tree: %s", taken.name, name, error)
            taken.files["syntax-error"] += 1
            continue
        taken.files["read"] += 1
        for function in found:
            if function.reason:
                taken.snippets[function.reason] += 1
            else:
                taken.add(function.text, function.name, name)


def _is_test_file(name: str) -> bool:
    path = PurePosixPath(name)
    in_tests = {"test", "tests", "testing"} & {part.lower() for part in path.parts[:-1]}
    named = path.stem.startswith("test_") or path.stem.endswith("_test")
    return bool(in_tests) or named or path.name in ("test.py", "tests.py", "conftest.py")


def _take_rows(taken: _Taken, rows: Iterable[Any], key: str, where: str) -> None:
    for number, row in enumerate(rows, 1):
        text = row.get(key) if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise UserError(
                f"row {number} has no text in field {key!r}, but {text!r:.80}",
                where=where,
                hint="name the field that holds the snippets in seeds.sources",
            )
        if text.strip():
            name = _DEFINITION.search(text)
            taken.add(text, name[1] if name else "snippet", key)
        else:
            taken.snippets["empty-row"] += 1


def _hub_rows(source: Mapping[str, Any], cache: Path) -> Iterable[dict[str, Any]]:
    from datasets import load_dataset  # a second to import: only where it is used
    from datasets.exceptions import DatasetsError

    try:
        return load_dataset(
            source["dataset"],
            source.get("config"),
            split=source["split"],
            revision=source["revision"],
            cache_dir=str(cache),
        )
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise UserError(
            f"cannot load the data set: {error}",
            where=f"seeds.sources: {_label(source)}",
            hint="check its name, revision, split and config, and the network",
        ) from error


def _distinct(taken: list[_Taken]) -> Iterator[tuple[str, Seed, _Taken]]:
    """Each snippet once, from the first source that has it."""
    seen = set()
    for one in taken:
        for digest, seed in one.seeds:
            key = of_text(normal_form(seed["text"]))
            if key in seen:
                one.snippets["duplicate"] += 1
            else:
                seen.add(key)
                yield digest, seed, one


def _shard(
    found: Iterable[tuple[str, Seed, _Taken]], shards: int, per_shard: int | None
) -> list[list[tuple[str, Seed, _Taken]]]:
    by_shard: list[list[tuple[str, Seed, _Taken]]] = [[] for _ in range(shards)]
    for item in found:
        by_shard[int(item[0], 16) % shards].append(item)
    for items in by_shard:
        items.sort(key=lambda item: item[0])
        for _, _, one in items[per_shard:] if per_shard is not None else []:
            one.snippets["not-sampled"] += 1
    return [items[:per_shard] for items in by_shard]


def _report(taken: list[_Taken], kept: list[list[tuple[str, Seed, _Taken]]]) -> dict[str, Any]:
    """Counts by reason; "seed" counts what stays, so that each block adds up to all snippets."""
    for shard in kept:
        for _, _, one in shard:
            one.snippets["seed"] += 1
    total: Counter[str] = sum((one.snippets for one in taken), Counter())
    return {
        "seeds": total["seed"],
        "shards": [len(shard) for shard in kept],
        "snippets": dict(total),
        "sources": [
            {
                "name": one.name,
                "licence": one.licence,
                "files": dict(one.files),
                "snippets": dict(one.snippets),
            }
            for one in taken
        ],
    }
