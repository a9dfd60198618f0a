"""A student before its training: a checkpoint directory from a GGUF file or the hub's files."""

import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.core.log import log
from aiev.training.chat import set_template
from aiev.training.finished import scrub

INFERENCE_FILES = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""Files of a checkpoint that inference reads. No pickles: loading one runs code."""

INDEX = "model.safetensors.index.json"
"""Which tensor lies in which shard."""


def prepare_student(weights: Path, student: Path, dtype: str, template: Path | None = None) -> None:
    """Write the checkpoint directory `student` from `weights`.

    weights: a GGUF file, dequantised to float32 and saved as `dtype` ("bfloat16", "float32"), or a
    checkpoint directory, whose files are copied as they are.
    template: the file of its chat template; None keeps its own.
    Raises UserError when the weights are neither, or not whole, and for an unfit template.
    """
    _write(weights, student, dtype)
    if template:
        token = set_template(student, template)
        scrub(student)
        log.info("student: chat template %s, whose turns end with %s", template.name, token)


def _write(weights: Path, student: Path, dtype: str) -> None:
    if weights.is_dir():
        _copy(weights, student)
        return
    with open(weights, "rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError(
                "the student's weights are neither a GGUF file nor a checkpoint directory",
                where=str(weights),
                hint="name a .gguf file, or a directory with config.json and *.safetensors",
            )
    _dequantise(weights, student, dtype)


def files_of(source: Path) -> list[Path]:
    """The files of a checkpoint directory that inference reads, sorted."""
    return sorted(path for pattern in INFERENCE_FILES for path in source.glob(pattern))


def check_checkpoint(source: Path) -> None:
    """Raise UserError for a directory that is no checkpoint, or lacks one of its shards or bytes.

    Reads the header of each safetensors file only.
    """
    missing = [
        name
        for name in ("config.json", "*.safetensors", "tokenizer*")
        if not any(path.is_file() for path in source.glob(name))
    ]
    if missing:
        raise UserError(
            f"not a checkpoint: {', '.join(missing)} missing",
            where=str(source),
            hint="name a directory as `save_pretrained` writes it, with safetensors weights",
        )
    found: dict[str, set[str]] = {}
    for path in sorted(source.glob("*.safetensors")):
        found[path.name] = tensors_of(path)
    index = source / INDEX
    if index.is_file():
        _check_shards(index, found)


def _check_shards(index: Path, found: Mapping[str, set[str]]) -> None:
    """Each tensor of the index is in the shard that the index names."""
    placed = read_json(index).get("weight_map")
    if not isinstance(placed, dict):
        hint = "fetch it again"
        raise UserError("the index of shards has no weight_map", where=str(index), hint=hint)
    absent = sorted(set(placed.values()) - set(found))
    if absent:
        raise UserError(
            f"{len(absent)} of {len(set(placed.values()))} shards missing: {', '.join(absent[:3])}",
            where=str(index.parent),
            hint=f"fetch the files that {INDEX} names",
        )
    wrong = [name for name, shard in placed.items() if name not in found[shard]]
    if wrong:
        raise UserError(
            f"{placed[wrong[0]]} does not hold {wrong[0]}, which {INDEX} puts there",
            where=str(index.parent),
            hint="the shard and the index are of two models: fetch both again",
        )


def tensors_of(path: Path) -> set[str]:
    """Names of a safetensors file's tensors. Raises UserError for a file that is cut or damaged."""
    size = path.stat().st_size
    hint = "fetch it again"
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            if length > size - 8:
                raise ValueError
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            message = "not a safetensors file: its header cannot be read"
            raise UserError(message, where=str(path), hint=hint) from error
    if size != 8 + length + end:
        message = f"{size} bytes, and its header describes {8 + length + end}"
        raise UserError(message, where=str(path), hint=hint)
    return set(header)


def _copy(source: Path, student: Path) -> None:
    check_checkpoint(source)
    student.mkdir(parents=True)
    for path in files_of(source):
        shutil.copyfile(path, student / path.name)
    scrub(student)


def _dequantise(weights: Path, student: Path, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    # None shows its progress bar on terminals only: in a log it would be one long line.
    gguf.tqdm = partial(gguf.tqdm, disable=None)
    place, name = weights.resolve().parent, weights.name
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
        loaded = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float32)
    except (ValueError, KeyError, IndexError, RuntimeError, OSError) as error:
        raise UserError(
            f"cannot load the GGUF file: {error}",
            where=str(weights),
            hint="use a whole file of an architecture that transformers can dequantise",
        ) from error
    config = loaded.config
    # `save_pretrained` refuses a model that was quantised, although its weights no longer are.
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    model.to(getattr(torch, dtype)).save_pretrained(student)
    tokenizer.save_pretrained(student)
    scrub(student)
    log.info("student: %d parameters as %s from %s", model.num_parameters(), dtype, name)
