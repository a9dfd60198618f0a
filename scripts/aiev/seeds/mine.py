"""Seeds: snippets of open-source code from the config's sources, each once, in shards.

A snippet's shard follows from its own text, and its record holds no line or row number, so that a
changed snippet changes one shard. Every snippet and file that is left out is counted under a
reason.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_text
from aiev.core.log import Progress, log
from aiev.core.types import Seed, Source
from aiev.languages.python.functions import normal_form
from aiev.seeds.sources import SOURCES
from aiev.seeds.sources.base import Snippet, Tally


@dataclass
class _Mined:
    """What one source holds: its snippets as seeds with their full digests, and the counts."""

    name: str
    licence: str
    seeds: list[tuple[str, Seed]] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)
    snippets: Counter[str] = field(default_factory=Counter)

    def add(self, item: Snippet | Tally) -> None:
        if isinstance(item, Tally):
            counts = self.files if item.unit == "file" else self.snippets
            counts[item.reason] += 1
            return
        digest = of_text(item.text)
        source = Source(name=self.name, path=item.path, licence=self.licence)
        seed = Seed(
            id=digest[:16],
            text=item.text,
            name=item.name,
            language=item.language,
            source=source,
        )
        self.seeds.append((digest, seed))


def mine(
    settings: Mapping[str, Any], paths: Sequence[Path], cache: Path
) -> tuple[list[list[Seed]], dict[str, Any]]:
    """Mine the seeds of all sources: by shard, each sorted by id; and the report of counts.

    settings: the config's `seeds`; of each shard the `per_shard` seeds with the lowest digests
    stay, all when it is null.
    paths: the files of each source, one source after another; see `paths_of`.
    cache: a directory for downloads.
    Raises UserError for a source that is missing, has nothing that can be used, or is under a
    licence that is not allowed.
    """
    sources = settings["sources"]
    if not sources:
        raise UserError("no seed source", where="seeds.sources", hint="name at least one source")
    for place, source in enumerate(sources):
        _check_licence(source, settings["licences"], f"seeds.sources.{place}.licence")
    mined, rest = [], iter(paths)
    with Progress("mine seeds", len(sources), unit="source") as progress:
        for place, source in enumerate(sources):
            own = list(islice(rest, len(paths_of(source))))
            mined.append(_mine_source(source, own, settings, cache, f"seeds.sources.{place}"))
            progress.step(note=mined[-1].name)
    chosen = _shard(_distinct(mined), settings["shards"], settings["per_shard"])
    report = _report(mined, chosen)
    log.info("seeds: %s", report["snippets"])
    return [[seed for _, seed, _ in shard] for shard in chosen], report


def paths_of(source: Mapping[str, Any], resource: Path | None = None) -> list[Path]:
    """All that a source reads on this machine: its declared file, if it has one, and its inputs.

    resource: where the declared file lies.
    """
    declared = [resource or Path(source["resource"])] if source.get("resource") else []
    return declared + SOURCES.get(source["kind"]).inputs(source)


def check_source(source: Mapping[str, Any], licences: Iterable[str], key: str) -> None:
    """Raise UserError for a licence that is not allowed, and for a file or directory that the
    source reads and that does not exist. A declared file is fetched later.

    source: with all keys of its kind. key: its place in the config.
    """
    _check_licence(source, licences, f"{key}.licence")
    for path in SOURCES.get(source["kind"]).inputs(source):
        if not path.exists():
            named = next((name for name, value in source.items() if value == str(path)), None)
            raise UserError(
                f"seed source does not exist: {path}",
                where=f"{key}.{named}" if named else key,
                hint="correct the path; it starts at the directory of the workflow",
            )


def _check_licence(source: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    if source["licence"] not in allowed:
        raise UserError(
            f"seed source under licence {source['licence']!r}, which is not allowed",
            where=where,
            hint=f"use a source under one of {sorted(allowed)}, or allow it in seeds.licences",
        )


def _mine_source(
    source: Mapping[str, Any],
    paths: Sequence[Path],
    settings: Mapping[str, Any],
    cache: Path,
    key: str,
) -> _Mined:
    for path in paths:
        if not path.exists():
            raise UserError("seed source does not exist", where=str(path), hint=f"correct {key}")
    kind = SOURCES.get(source["kind"])
    rest = {k: v for k, v in source.items() if k not in ("kind", "licence")}
    config = kind.Config.model_validate(rest).model_dump()
    mined = _Mined(kind.label(config, paths), source["licence"])
    for item in kind.snippets(config, paths, settings, cache):
        mined.add(item)
    if not mined.seeds:
        counts = dict(mined.files + mined.snippets)
        raise UserError(
            f"seed source holds no usable snippet: {counts}" if counts else "seed source is empty",
            where=str(paths[0]) if paths else f"{key}: {mined.name}",
            hint=f"change {key}, or leave it out",
        )
    return mined


def _distinct(mined: list[_Mined]) -> Iterator[tuple[str, Seed, _Mined]]:
    """Each snippet once, from the first source that has it."""
    seen = set()
    for one in mined:
        for digest, seed in one.seeds:
            text, python = seed["text"], seed["language"] == "python"
            key = of_text(normal_form(text) if python else " ".join(text.split()))
            if key in seen:
                one.snippets["duplicate"] += 1
            else:
                seen.add(key)
                yield digest, seed, one


def _shard(
    found: Iterable[tuple[str, Seed, _Mined]], shards: int, per_shard: int | None
) -> list[list[tuple[str, Seed, _Mined]]]:
    by_shard: list[list[tuple[str, Seed, _Mined]]] = [[] for _ in range(shards)]
    for item in found:
        by_shard[int(item[0], 16) % shards].append(item)
    for items in by_shard:
        items.sort(key=lambda item: item[0])
        for _, _, one in items[per_shard:] if per_shard is not None else []:
            one.snippets["not-sampled"] += 1
    return [items[:per_shard] for items in by_shard]


def _report(mined: list[_Mined], chosen: list[list[tuple[str, Seed, _Mined]]]) -> dict[str, Any]:
    """Counts by reason; "seed" counts what stays, so that each block adds up to all snippets."""
    languages: Counter[str] = Counter()
    for shard in chosen:
        for _, seed, one in shard:
            one.snippets["seed"] += 1
            languages[seed["language"]] += 1
    total: Counter[str] = sum((one.snippets for one in mined), Counter())
    return {
        "seeds": total["seed"],
        "shards": [len(shard) for shard in chosen],
        "languages": dict(sorted(languages.items())),
        "snippets": dict(total),
        "sources": [
            {
                "name": one.name,
                "licence": one.licence,
                "files": dict(one.files),
                "snippets": dict(one.snippets),
            }
            for one in mined
        ],
    }
