"""Any server behind a URL."""

import os
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_path
from aiev.llm.endpoints.base import API_KEY, BASE_URL, Endpoint, check_address


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
                hint=f"export {API_KEY}=... (any word, for a server that wants none)",
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
