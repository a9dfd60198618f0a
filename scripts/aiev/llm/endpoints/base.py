"""What every endpoint is: a server that speaks the OpenAI chat API."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiev.core.errors import UserError

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
            hint=f"take it out; a key belongs into the environment variable {API_KEY}",
        )
