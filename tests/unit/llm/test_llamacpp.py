"""Whose answers a local model's are: what is in the key of the ledger."""

from aiev.llm.endpoints import serve
from aiev.llm.endpoints.llamacpp import OUTTYPE

SETTINGS = {"kind": "llamacpp", "name": "student", "slots": 2}


def identity(weights, folder):
    with serve(SETTINGS, weights, folder, None) as endpoint:
        return endpoint.identity()


def test_a_checkpoint_is_known_with_what_it_is_converted_to(tmp_path):
    checkpoint, file = tmp_path / "checkpoint", tmp_path / "model.gguf"
    checkpoint.mkdir()
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    file.write_bytes(b"weights")
    assert identity(checkpoint, tmp_path)["format"] == OUTTYPE
    assert "format" not in identity(file, tmp_path)
