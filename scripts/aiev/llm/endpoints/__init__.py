"""Endpoints: anything that speaks the OpenAI chat API, started here where it is local.

An endpoint knows no prompt. Kinds:
  llamacpp  a GGUF file, or a Hugging Face checkpoint that is converted first, served on loopback
            by llama.cpp in a child process for as long as the job needs it; needs no GPU
  vllm      a Hugging Face checkpoint, served in the same way by vLLM, on GPUs
  openai    any server at `base_url` (default: OPENAI_BASE_URL, else the vendor's); the key comes
            from OPENAI_API_KEY and is written nowhere
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_path
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.endpoints.openai import remote

if TYPE_CHECKING:
    from aiev.llm.endpoints.local import LocalEndpoint


@contextmanager
def serve(
    settings: dict[str, Any],
    weights: Path | None,
    scratch: Path,
    log: Path | None,
    conversations: int = 0,
) -> Iterator[Endpoint]:
    """An endpoint for the length of the block; a local server is then stopped. It starts, and a key
    is needed, only for a first question (`Endpoint.start`): answers on record need neither.

    settings: one of the config's `models`. weights: a GGUF file or a checkpoint directory, for the
    local kinds. scratch: where a converted file may be left for the next start. conversations: how
    many are under way at once; a local server keeps a place for each.
    """
    if settings["kind"] == "openai":
        yield remote(settings, weights)
        return
    if weights is None:
        raise UserError("a local model needs its weights", where=f"models: {settings['name']}")
    endpoint = local_endpoint(settings, weights, scratch, log, conversations)
    try:
        yield endpoint
    finally:
        endpoint.stop()


def local_endpoint(
    settings: dict[str, Any],
    weights: Path,
    scratch: Path,
    log: Path | None,
    conversations: int = 0,
) -> "LocalEndpoint":
    """The endpoint that will serve `weights` here; the caller stops it."""
    from aiev.llm.endpoints.llamacpp import LlamaCpp
    from aiev.llm.endpoints.vllm import VLLM

    many = {
        # A place for each conversation. vLLM keeps prompts by what they hold, and needs none.
        "llamacpp": (LlamaCpp, max(conversations, settings["slots"])),
        "vllm": (VLLM, 0),
    }
    kind, places = many[settings["kind"]]
    return kind(
        kind=settings["kind"],
        model=settings["name"],
        digest=of_path(weights),
        base_url=None,
        slots=settings["slots"],
        conversations=places,
        log_path=log.with_suffix(".server.log") if log else Path(os.devnull),
        settings=settings,
        weights=weights,
        scratch=scratch,
    )


def with_server(model: Mapping[str, Any], execution: Mapping[str, Any]) -> dict[str, Any]:
    """A model of a job's parameters with the keys of its server, as `serve` takes it.

    model: has the key `role`, which names its section in `execution.models`.
    """
    return {**model, **execution["models"][model["role"]]}
