"""Endpoints: servers that speak the OpenAI chat API, started here where they are local.

Each kind is a module of this package with a class `Kind` (see `base.Kind`):

  llamacpp  a GGUF file, or a Hugging Face checkpoint that is converted first, served on loopback by
            llama.cpp in a child process; needs no GPU
  vllm      a Hugging Face checkpoint, served in the same way by vLLM, on GPUs
  openai    any server at a URL; the key comes from an environment variable and is written nowhere

A kind of your own is a Python file outside the package; the config names its path.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from aiev.core.registry import Registry
from aiev.llm.endpoints.base import Endpoint

KINDS = Registry("endpoint kind", "aiev.llm.endpoints", "Kind")


def serve(
    model: Mapping[str, Any],
    weights: Path | None,
    scratch: Path,
    log: Path | None,
    conversations: int = 0,
) -> AbstractContextManager[Endpoint]:
    """Serve a model for the length of the `with` block; a local server is then stopped.

    The server starts, and an API key is needed, only at the first question that is not on record.

    model:         one of the config's `models`, with the keys of its server (`with_server`).
    weights:       a GGUF file or a checkpoint directory; None for a model behind a URL.
    scratch:       where a converted file is left for the next start.
    log:           the job's log; a local server's own goes beside it.
    conversations: how many are open at once; llama.cpp keeps the prompt of each in memory.
    """
    return KINDS.get(model["kind"])().open(model, weights, scratch, log, conversations)


def with_server(model: Mapping[str, Any], execution: Mapping[str, Any]) -> dict[str, Any]:
    """A model of a job's parameters with the keys of its server, as `serve` takes it.

    model: has the key `role`, which names its section in `execution.models`.
    """
    return {**model, **execution["models"][model["role"]]}


def showing_special_tokens(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model whose answers show special tokens, such as those around a run. Servers leave them
    out unless they are told not to."""
    shown = {"skip_special_tokens": False} if model["kind"] == "vllm" else {}
    return {**model, "special_tokens": True, "request": {**(model.get("request") or {}), **shown}}


def needs_weights(model: Mapping[str, Any]) -> bool:
    """Whether the model is served here, from a declared file with its weights."""
    return KINDS.get(model["kind"]).needs_weights


def gpus_of(model: Mapping[str, Any]) -> int:
    """GPUs that a job needs to serve the model."""
    return KINDS.get(model["kind"])().gpus(model)
