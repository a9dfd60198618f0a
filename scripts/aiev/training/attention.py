"""Which kernels compute attention in a training (`training.attention`)."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from aiev.core.errors import UserError

Attention = Literal["sdpa", "flash_attention_2"]
FLASH = "flash_attention_2"
PACKAGE = "flash-attn"
_WHERE = "config: training.attention"


def check_attention(params: Mapping[str, Any]) -> None:
    """Raise UserError for kernels that cannot compute what the config's `training` asks for."""
    if params["attention"] != FLASH:
        return
    for key, needed in (("accelerator", "cuda"), ("precision", "bfloat16")):
        if params[key] != needed:
            raise UserError(
                f"{FLASH} needs training.{key}: {needed}, and it is {params[key]}",
                where=_WHERE,
                hint=f"set training.{key} to {needed}, or training.attention to sdpa",
            )


def check_package(params: Mapping[str, Any]) -> None:
    """Raise UserError where the kernels' package is not installed."""
    if params["attention"] != FLASH:
        return
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        raise UserError(
            f"{FLASH} needs the package {PACKAGE}, which is not installed",
            where=_WHERE,
            hint=f".venv/bin/pip install --no-build-isolation {PACKAGE}, where there is a GPU and "
            "CUDA's compiler; or set training.attention to sdpa",
        ) from None


def implementation(params: Mapping[str, Any]) -> str | None:
    """The name in transformers of what computes attention; None for a model's default.

    FlashAttention finds the borders of a packed row itself, where positions begin anew.
    """
    from aiev.training.packing import register_attention

    if params["attention"] == FLASH:
        return FLASH
    return register_attention() if params["packing"] else None
