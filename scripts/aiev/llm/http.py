"""HTTP clients for one endpoint."""

from typing import TypeVar

import openai

from aiev.core.errors import EndpointError
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.secrets import Redactor

Client = TypeVar("Client", openai.OpenAI, openai.AsyncOpenAI)


def connect(kind: type[Client], endpoint: Endpoint, timeout: float, retries: int = 0) -> Client:
    """A client that asks the endpoint, which has started.

    retries: how often it tries a failed request again by itself.

    No redirect is followed: a key goes where the config says, and nowhere else. A proxy of the
    environment is not asked for a server on this machine.

    Raises EndpointError where the environment's settings of proxies cannot be used.
    """
    http = openai.DefaultHttpxClient if kind is openai.OpenAI else openai.DefaultAsyncHttpxClient
    try:
        return kind(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key,
            timeout=timeout,
            max_retries=retries,
            default_headers=endpoint.headers,
            http_client=http(trust_env=not endpoint.local, follow_redirects=False),
        )
    except Exception as error:  # of whatever library: a proxy's scheme, port, or missing package
        words = Redactor(endpoint.secrets()).redact(f"{type(error).__name__}: {error}")
        raise EndpointError(
            f"the model {endpoint.model} cannot be asked: {words}",
            where="environment variables HTTPS_PROXY, HTTP_PROXY and ALL_PROXY",
            hint="correct or unset them; NO_PROXY names hosts that are asked without a proxy",
        ) from None
