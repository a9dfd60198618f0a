"""The DeepSpeed configuration that `training.deepspeed` names, read and checked before a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import check_file, read_json
from aiev.training.batch import accumulation

AUTO = "auto"
SECTIONS = ("zero_optimization", "optimizer", "optimizer.params", "scheduler", "scheduler.params")
SECTIONS += ("bf16", "fp16", "zero_optimization.offload_optimizer")
SIZES = ("reduce_bucket_size", "sub_group_size", "stage3_max_live_parameters")


def read_deepspeed(path: str) -> dict[str, Any]:
    """The configuration as it stands in the file.

    Raises UserError for what is no JSON object, and for a part of the wrong kind.
    """
    where = f"config: training.deepspeed: {path}"
    hint = "name a DeepSpeed configuration, a JSON file such as config/deepspeed/zero2.json"
    try:
        check_file(Path(path), "no such file", hint)
        found = read_json(Path(path))
    except UserError as error:
        raise UserError(error.message, where=where, hint=error.hint) from None
    if not isinstance(found, dict):
        what = "not a DeepSpeed configuration: a JSON object is needed"
        raise UserError(what, where=where, hint=hint)
    for name in SECTIONS:
        if not isinstance(_at(found, name, {}), dict):
            raise UserError(f"{name} should be an object", where=where, hint="correct the file")
    zero = found.get("zero_optimization") or {}
    if zero.get("stage", 0) not in (0, 1, 2, 3):
        what = f"zero_optimization.stage is {zero['stage']!r}"
        raise UserError(what, where=where, hint="use 0, 1, 2 or 3")
    for name in SIZES:
        size = zero.get(name, 0)
        if not isinstance(size, int | float) and (name, size) != ("reduce_bucket_size", AUTO):
            what = f"zero_optimization.{name} is {size!r}, and a number is needed"
            raise UserError(what, where=where, hint="correct the file")
    return found


def check_deepspeed(params: Mapping[str, Any]) -> None:
    """Raise UserError for a configuration that contradicts the config's section `training`: with it
    transformers would end the training at its start, when all dialogues are paid for."""
    path = params["deepspeed"]
    found = read_deepspeed(path)
    for name, value in _decided(params).items():
        fixed = _at(found, name, AUTO)
        if fixed not in (AUTO, value):
            decided = "the number of dialogues decides it" if value is None else f"not {value!r}"
            raise UserError(
                f"{name} is {fixed!r}, and {decided}",
                where=f"config: training.deepspeed: {path}",
                hint=f'write "{AUTO}" in its place, for the value that follows from the config',
            )


def _decided(params: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key of DeepSpeed -> the value that transformers computes from its own arguments, and
    compares; None for one that the data decide."""
    return {
        "train_micro_batch_size_per_gpu": params["micro_batch"],
        "gradient_accumulation_steps": accumulation(params),
        "train_batch_size": params["global_batch"],
        # Of transformers: no key of ours sets these four.
        "gradient_clipping": 1.0,
        "optimizer.params.betas": [0.9, 0.999],
        "optimizer.params.eps": 1e-8,
        "fp16.enabled": False,
        "bf16.enabled": params["precision"] == "bfloat16",
        "optimizer.params.lr": params["learning_rate"],
        "optimizer.params.weight_decay": params["weight_decay"],
        "scheduler.params.warmup_max_lr": params["learning_rate"],
        "scheduler.params.warmup_num_steps": None,
        "scheduler.params.total_num_steps": None,
    }


def _at(config: Any, name: str, otherwise: Any) -> Any:
    """The value at a dotted key; `otherwise` where there is none, or null."""
    for part in name.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return otherwise if config is None else config
