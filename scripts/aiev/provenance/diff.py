"""Why something would be made again: what differs between two descriptions of how it is made."""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_CHARACTERS = 60  # that are shown of a value


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, a line each. Both have: code, params, inputs (path -> digest); and, where they
    are known, environment and parts (of the code, name -> digest)."""
    lines = [*_inputs(before["inputs"], now["inputs"])]
    lines += _params(before["params"], now["params"])
    lines += _code(before, now)
    there = before.get("environment")
    if there is not None and there != now.get("environment", there):
        lines.append("environment: another envs/lock.txt, envs/converter.txt or Python")
    return lines


def _inputs(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for path in sorted({*before, *now}):
        if path not in now:
            yield f"input {path}: no longer used"
        elif path not in before:
            yield f"input {path}: new"
        elif before[path] != now[path]:
            yield f"input {path}: {before[path][:12]} -> {now[path][:12]}"


def _params(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = flat(before), flat(now)
    for key in sorted({*old, *new}):
        if key not in new or key not in old or old[key] != new[key]:
            words = [_short(values[key]) if key in values else "absent" for values in (old, new)]
            yield f"parameter {key}: {words[0]} -> {words[1]}"


def _code(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if before["code"] == now["code"]:
        return
    old, new = before.get("parts"), now.get("parts")
    if not old or not new:
        yield f"code: {before['code'][:12]} -> {now['code'][:12]}"
        return
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            how = "gone" if name not in new else "new" if name not in old else "changed"
            yield f"code {name}: {how}"


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested objects by their dotted keys; a list, or an empty object, is a leaf."""
    if not isinstance(value, Mapping) or (prefix and not value):
        return {prefix: value}
    leaves = {}
    for key, part in value.items():
        leaves |= flat(part, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."
