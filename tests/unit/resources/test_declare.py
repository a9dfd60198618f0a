"""Declarations of external files: what is refused, and that the shipped ones are valid."""

from pathlib import Path

import pytest
import yaml

from aiev.core.errors import UserError
from aiev.resources.declare import check_declaration, declared, is_snapshot

CONFIG = Path(__file__).parents[3] / "config" / "resources.yaml"


def declare(*mirrors, **changes):
    value = {"file": "model.bin", "sha256": "0" * 64, "bytes": 9, "licence": "MIT"}
    return declared({**value, "mirrors": list(mirrors), **changes})


def url(address):
    return {"kind": "url", "url": address}


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 63},
        {"sha256": "A" * 64},
        {"bytes": 0},
        {"bytes": "12"},
        {"bytes": True},
        {"file": "../escape"},
        {"file": ".."},
        {"file": ""},
        {"file": "{name}.bin"},
        {"file": "a}.bin"},
        {"file": "a\n.bin"},
        {"file": "a\x00.bin"},
        {"file": "x" * 201},
        {"file": "é" * 101},
        {"licence": ""},
        {"mirrors": []},
        {"mirrors": "https://a.test"},
        {"mirrors": [{"kind": "torrent"}]},
        {"mirrors": [{"kind": "url", "url": "https://a.test", "shaa": 1}]},
        {"mirrors": [{"kind": "registry", "parts": [{"project": "a"}]}]},
        {"mirrors": [{"kind": "registry", "parts": []}]},
        {"mirrors": [{"kind": "registry", "parts": None}]},
        {"mirrors": [{"kind": "registry", "parts": ["seedy 1.0"]}]},
        {"mirrors": [{"kind": "registry", "parts": [{"project": "a", "version": 1.0}]}]},
        {"mirrors": [{"kind": ["hub"]}]},
        {"mirrors": [{"kind": "url", "url": 3}]},
        {"extra": 1},
        {"shape": "llama"},
    ],
)
def test_a_bad_declaration_is_refused(changes):
    with pytest.raises(UserError, match="wrong declaration"):
        declare(url("https://a.test"), **changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sha256": "abc"}, "sha256 of model.bin is 'abc', not 64 hexadecimal digits"),
        ({"bytes": "12"}, "bytes of model.bin is '12', not a whole number above 0"),
        ({"licence": ""}, "licence of model.bin is missing or empty"),
        ({"mirrors": []}, "model.bin has no list of mirrors"),
        ({"mirrors": [{"kind": "url", "ulr": "https://a.test"}]},
         "a mirror of kind url needs exactly the keys kind, url; found kind, ulr"),
        ({"mirrors": [{"kind": "torrent"}]},
         "a mirror of model.bin needs a kind, one of hub, registry, url"),
        ({"extra": 1}, "needs exactly the keys bytes, file, licence, mirrors, sha256; found bytes"),
    ],
)  # fmt: skip
def test_a_bad_declaration_says_what_is_needed(changes, told):
    with pytest.raises(UserError) as caught:
        declare(url("https://a.test"), **changes)
    assert told in caught.value.message and "resources.yaml explains the keys" in caught.value.hint


def test_the_shipped_declarations_are_valid():
    shipped = yaml.safe_load(CONFIG.read_text("utf-8"))
    for name, value in shipped.items():
        check_declaration(value, name)
    files = [value["file"] for value in shipped.values() if not is_snapshot(value)]
    assert len(set(files)) == len(files)
