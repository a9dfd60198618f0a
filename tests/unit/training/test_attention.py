"""Which kernels compute attention, and what they need."""

from importlib import metadata

import pytest

from aiev.core.errors import UserError
from aiev.training import attention
from aiev.training.attention import check_attention, check_package, implementation
from aiev.training.packing import ATTENTION

FLASH = {
    "attention": "flash_attention_2",
    "accelerator": "cuda",
    "precision": "bfloat16",
    "packing": False,
}


def test_pytorch_s_own_need_nothing():
    plain = FLASH | {"attention": "sdpa", "accelerator": "cpu", "precision": "float32"}
    check_attention(plain)
    check_package(plain)
    assert implementation(plain) is None
    assert implementation(plain | {"packing": True}) == ATTENTION


@pytest.mark.parametrize(("key", "value"), [("accelerator", "cpu"), ("precision", "float32")])
def test_flash_attention_is_for_gpus_in_bfloat16(key, value):
    check_attention(FLASH)
    with pytest.raises(UserError, match=rf"needs training\.{key}: .*it is {value}") as caught:
        check_attention(FLASH | {key: value})
    assert caught.value.where == "config: training.attention" and "sdpa" in caught.value.hint


def test_flash_attention_needs_its_package(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(attention, "version", missing)
    with pytest.raises(UserError, match="package flash-attn, which is not installed"):
        check_package(FLASH)
    monkeypatch.setattr(attention, "version", {"flash-attn": "2.8.3"}.__getitem__)
    check_package(FLASH)


@pytest.mark.parametrize("packing", [True, False])
def test_flash_attention_reads_packed_rows_too(packing):
    assert implementation(FLASH | {"packing": packing}) == "flash_attention_2"
