"""One short question to a model before anything is paid for.

Its parameters are those of the run's own questions, so that a wrong key, model name or parameter,
or a chat template that refuses a system message, ends the run in its first seconds. The answer is
on record: a later run with the same model and parameters asks nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiev.core.errors import EndpointError
from aiev.llm.client import ChatClient
from aiev.llm.failures import Unanswerable

SYSTEM = {"role": "system", "content": "You answer with one word."}
QUESTION = {"role": "user", "content": "Reply with the word OK."}


@dataclass(frozen=True)
class Check:
    """What is asked of one model.

    parameters: keywords of `ChatClient.complete`, as the run's questions have them.
    system:     whether the run's questions begin with a system message.
    """

    parameters: Mapping[str, Any]
    system: bool


async def check_model(client: ChatClient, check: Check) -> None:
    """Ask the client's model the question; any answer will do, a cut-off one too.

    Raises EndpointError, with the server's own words, where the run's questions would fail too.
    """
    messages = [SYSTEM, QUESTION] if check.system else [QUESTION]
    async with client:
        try:
            await client.complete(messages, **check.parameters)
        except Unanswerable as error:
            raise EndpointError(
                f"the model {client.endpoint.model} does not answer a short question "
                f"({error.reason}): {error}",
                where=client.endpoint.base_url or "the vendor's default address",
                hint="check the model's `request` and the maximum tokens of its answers, then run "
                "the same command; execution.preflight: false skips this question",
            ) from None
