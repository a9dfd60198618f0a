"""What every endpoint is: a server that speaks the OpenAI chat API, and a kind that opens it."""

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qsl, urlsplit

from aiev.core.errors import UserError
from aiev.core.settings import Section

API_KEY = "OPENAI_API_KEY"
BASE_URL = "OPENAI_BASE_URL"
PARAMETERS = ("temperature", "top_p", "max_tokens", "seed")
"""Parameters of a question that `models.<role>.request` may leave out or rename."""

UNSENT_SEED = "unsent_seed"
"""Name in a ledger key of a seed that is not sent."""

NO_KEY = "none"
"""Sent to a server that wants no key."""

SECRET_PARAMETERS = re.compile(
    r"((api|x|access|auth|bearer|client|private|subscription|functions|ocp[-_]apim)[-_]?)*"
    r"(key|token|secret|password|passwd|sig|signature|credential|auth|authorization|bearer)",
    re.IGNORECASE,
)
"""Names of parameters whose values are secrets. `prompt_cache_key` and `eos_token` are none."""


@dataclass
class Endpoint:
    """A server that answers for one model.

    kind:          name of the endpoint kind; it is part of every ledger key.
    model:         the name by which the server knows the model.
    digest:        of the weights, or a vendor's dated version.
    base_url:      None until a local server has started, and for a vendor's default address.
    slots:         requests that the server works on at once.
    conversations: how many prompts the server keeps in memory, each in a slot of its own; 0 where
                   that is not known.
    request:       the config's changes to each request: parameters left out, renamed or added.
    headers:       HTTP headers sent with each request; their values are secrets.
    served_here:   whether the server is a child of this process.
    grammars:      whether it samples under a grammar (the parameter `grammar`, in GBNF).
    goes_on:       what makes it go on with an answer whose beginning is the last message, as
                   parameters of the request; None where it cannot.
    """

    kind: str
    model: str
    digest: str
    base_url: str | None
    slots: int
    conversations: int = 0
    api_key: str = field(default=NO_KEY, repr=False)
    log_path: Path | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    served_here: ClassVar[bool] = False
    grammars: ClassVar[bool] = False
    goes_on: ClassVar[Mapping[str, Any] | None] = None
    api_defaults: ClassVar[Mapping[str, Any]] = {"top_p": 1.0}
    """Values that mean the same when they are not sent."""

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
        except ValueError:  # not a URL: the client says so
            return False
        known = host in ("localhost", "::1") or re.fullmatch(r"127(\.\d+){3}", host)
        return url.scheme == "http" and bool(known)

    def secrets(self) -> list[str]:
        """Values that must appear in no error, log or record."""
        keys = [] if self.api_key in ("", NO_KEY) else [self.api_key]
        return keys + list(self.headers.values())

    def start(self) -> None:
        """Prepare for the first question. Raises UserError when that fails."""

    def state(self) -> str:
        """Why the server cannot be reached, as far as this process knows; "" when it does not."""
        return ""


class NoOptions(Section):
    """The keys of a kind that adds none to those of all models."""


class Kind(Protocol):
    """How a kind of endpoint is configured and opened. A module defines it as its class `Kind`."""

    Config: type[Section]
    """Keys of a model that only this kind knows, beside those of all models; hashed."""

    needs_weights: bool
    """Whether a declared file with weights is served here; else a server elsewhere is asked, which
    may cost money."""

    def gpus(self, config: Mapping[str, Any]) -> int:
        """GPUs that a job needs to serve the model. Light: Snakemake's rules call it."""

    def open(
        self,
        config: Mapping[str, Any],
        weights: Path | None,
        scratch: Path,
        log: Path | None,
        conversations: int,
    ) -> AbstractContextManager[Endpoint]:
        """The endpoint for the length of a `with` block; see `aiev.llm.endpoints.serve`."""


def check_address(url: str | None, where: str) -> None:
    """Check that an address is a URL, and holds no secret: it goes into the manifest and errors.

    Raises UserError for what is no http or https URL with a host; and without showing the URL, for
    one with a user name, a password, or a query parameter that is named like a key.
    """
    if url is None:
        return
    found = ""
    if "@" in url.partition("?")[0]:
        found = "a user name or password"
    elif any(SECRET_PARAMETERS.fullmatch(name) for name, _ in _query(url)):
        found = "a key"
    if found:
        raise UserError(
            f"a URL that holds {found}, which would be written down",
            where=where,
            hint=f"take it out; a key belongs in the environment variable {API_KEY}",
        )
    if not _is_address(url):
        raise UserError(
            f"{where} is {url!r}, and not an http or https URL with a host",
            where=where,
            hint="write it as http://localhost:8000/v1 or https://api.example.com/v1",
        )


def _query(url: str) -> list[tuple[str, str]]:
    # Not by urlsplit, which refuses some of what is no URL but may hold a key.
    return parse_qsl(url.partition("?")[2].partition("#")[0], keep_blank_values=True)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # an odd port, or brackets without an address in them
        return False
    return parts.scheme in ("http", "https") and has_host and url.isprintable() and " " not in url
