"""Endpoints: anything that speaks the OpenAI chat API, started here where it is local.

An endpoint knows no prompt. Kinds:
  llamacpp  a GGUF file, or a Hugging Face checkpoint that is converted first, served on loopback
            by llama.cpp in a child process for as long as the job needs it; needs no GPU
  vllm      a Hugging Face checkpoint, served in the same way by vLLM, on GPUs
  openai    any server at `base_url` (default: OPENAI_BASE_URL, else the vendor's); the key comes
            from OPENAI_API_KEY and is written nowhere
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiev.digests import of_path
from aiev.errors import UserError

if TYPE_CHECKING:
    from aiev.endpoints.local import LocalEndpoint

API_KEY = "OPENAI_API_KEY"
BASE_URL = "OPENAI_BASE_URL"
NO_KEY = "none"
"""Sent to a server that wants no key: a word that may be shown."""


@dataclass
class Endpoint:
    """A server to ask.

    model:  the name by which it is asked; digest: of the weights, or a vendor's dated version.
    slots:  requests that it works on at once.
    conversations: how many it keeps the prompts of, each in a place of its own; 0 if not known.
    """

    kind: str
    model: str
    digest: str
    base_url: str | None
    slots: int
    conversations: int = 0
    api_key: str = field(default=NO_KEY, repr=False)
    log_path: Path | None = None

    def identity(self) -> dict[str, str]:
        """What of the endpoint decides an answer: never its address."""
        return {"kind": self.kind, "model": self.model, "digest": self.digest}

    @property
    def local(self) -> bool:
        """Whether it is on this machine, so that no proxy of the environment is asked for it."""
        address = self.base_url or os.environ.get(BASE_URL) or ""
        try:
            url = urlsplit(address)
            host = url.hostname or ""
        except ValueError:  # no URL at all: the client says so
            return False
        known = host in ("localhost", "::1") or re.fullmatch(r"127(\.\d+){3}", host)
        return url.scheme == "http" and bool(known)

    @property
    def secret(self) -> bool:
        """Whether the key is one to hide."""
        return self.api_key not in ("", NO_KEY)

    def start(self) -> None:
        """Get ready for the first question. Raises UserError when that cannot be."""

    def state(self) -> str:
        """Why the server may be unreachable, as far as this side can tell; "" when it cannot."""
        return ""


def check_address(url: str | None, where: str) -> None:
    """Raises UserError, which does not show it, for a URL with a name or password in it: the config
    goes into the manifest, and the address into errors."""
    if "@" in (url or "").partition("?")[0]:
        raise UserError(
            "a URL that holds a user name or password, which would be written down",
            where=where,
            todo=f"take it out; a key belongs into the environment variable {API_KEY}",
        )


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
    from aiev.endpoints.llamacpp import LlamaCpp
    from aiev.endpoints.vllm import VLLM

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


class RemoteEndpoint(Endpoint):
    """A server behind a URL."""

    def start(self) -> None:
        """Take the key. Raises UserError when there is none, or one where it would be shown."""
        check_address(self.base_url or os.environ.get(BASE_URL), f"environment variable {BASE_URL}")
        key = os.environ.get(API_KEY)
        if not key:
            raise UserError(
                f"the model {self.model} is asked over the network and no key is set",
                where=f"environment variable {API_KEY}",
                todo=f"export {API_KEY}=... (any word, for a server that wants none)",
            )
        self.api_key = key


def remote(settings: dict[str, Any], weights: Path | None = None) -> Endpoint:
    """The endpoint behind an OpenAI-compatible URL.

    weights: what the server is known to serve, if it is here: a student that was trained anew under
    the same name is another model.
    """
    return RemoteEndpoint(
        kind="openai",
        model=settings["name"],
        digest=of_path(weights) if weights else settings["version"],
        base_url=settings["base_url"],
        slots=settings["slots"],
    )
