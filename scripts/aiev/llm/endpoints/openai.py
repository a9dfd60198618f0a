"""Any server behind a URL that speaks the OpenAI chat API: a vendor's, a proxy, vLLM, TGI, ..."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_path
from aiev.llm.endpoints.base import API_KEY, BASE_URL, Endpoint, NoOptions, check_address
from aiev.llm.secrets import secret_from_environment


class RemoteEndpoint(Endpoint):
    """A server behind a URL. The key comes from the environment at the first question."""

    def start(self) -> None:
        """Read the key. Raises UserError when there is none, or when it would be shown."""
        address = self.base_url or os.environ.get(BASE_URL) or None
        check_address(address, f"environment variable {BASE_URL}")
        self.api_key = secret_from_environment(API_KEY)
        if not self.api_key:
            raise UserError(
                f"no API key is set for the model {self.model}, which is asked over the network",
                where=f"environment variable {API_KEY}",
                hint=f"export {API_KEY}=... (`none`, for a server that wants no key)",
            )
        for header, variable in (self.request.get("headers") or {}).items():
            value = secret_from_environment(variable)
            if not value:
                raise UserError(
                    f"no value is set for the HTTP header {header}",
                    where=f"environment variable {variable}",
                    hint=f"export {variable}=..., or remove {header} from request.headers",
                )
            self.headers[header] = value


class Kind:
    """Opens a server behind a URL; nothing is started here."""

    Config = NoOptions
    needs_weights = False

    def gpus(self, config: Mapping[str, Any]) -> int:
        return 0

    @contextmanager
    def open(
        self,
        config: Mapping[str, Any],
        weights: Path | None,
        scratch: Path,
        log: Path | None,
        conversations: int = 0,
    ) -> Iterator[Endpoint]:
        """weights: what the server is known to serve, where the job has it: a student that was
        trained again under the same name is another model."""
        yield RemoteEndpoint(
            kind="openai",
            model=config["name"],
            digest=of_path(weights) if weights else config["version"],
            base_url=config["base_url"],
            slots=config["slots"],
            request=config.get("request") or {},
        )
