"""Config keys of models: which model is asked, and how it is served and paid for."""

import math
import re
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from aiev.core.chosen import Chosen
from aiev.core.errors import UserError
from aiev.core.settings import Section, invalid
from aiev.llm.endpoints import KINDS
from aiev.llm.endpoints.base import (
    PARAMETERS,
    SECRET_PARAMETERS,
    UNSENT_SEED,
    check_address,
)

PIPELINE_OWN = ("model", "messages", "stream", "n", "kind", "digest", UNSENT_SEED)
"""What a request, or its key in the ledger, holds under these names is not for a config to say."""

MAX_INTEGER = 2**63 - 1
"""Servers read integers in 64 bits."""

_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HEADER = re.compile(r"[!#$%&'*+.^`|~\w-]+", re.ASCII)


class Request(Section):
    """`models.*.request`: how requests differ from those of OpenAI's API.

    Any other key is a parameter that is added to each request, such as `reasoning_effort: low`.
    """

    model_config = ConfigDict(extra="allow")

    temperature: str | None = Field(
        "temperature", description="Name under which it is sent; null leaves it out."
    )
    top_p: str | None = Field(
        "top_p", description="Name under which it is sent; null leaves it out."
    )
    max_tokens: str | None = Field(
        "max_tokens",
        description="Name under which it is sent, such as max_completion_tokens; null leaves it "
        "out.",
    )
    seed: str | None = Field(
        "seed", description="Name under which it is sent, such as random_seed; null leaves it out."
    )
    send_defaults: bool = Field(
        False,
        description="Whether a top_p of 1.0, the API's default, is sent, too: for servers with "
        "another default, such as llama.cpp and vLLM.",
    )
    extra_body: dict[str, Any] = Field(
        {}, description="More parameters that are added to each request, as they are."
    )
    headers: dict[str, str] = Field(
        {},
        description="HTTP headers that are added to each request: name of the header to name of "
        "the environment variable with its value, which is a secret and written nowhere.",
    )

    @field_validator(*PARAMETERS, mode="before")
    @classmethod
    def _check_name(cls, value: Any, info: Any) -> Any:
        """A name, and not a value: `temperature: 0.2` is what a user writes who wants 0.2."""
        if value is None or (isinstance(value, str) and _NAME.fullmatch(value)):
            return value
        raise invalid(
            f"{_shown(value)} is not a valid parameter name for {info.field_name}",
            "null leaves the parameter out; its value is set where the questions are described: "
            "dialogues.sampling, duel, evaluation",
        )

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, variable in headers.items():
            if not _HEADER.fullmatch(name):
                raise invalid(f"{name!r} is not a valid HTTP header name", "such as X-Team")
            if not _VARIABLE.fullmatch(variable):  # perhaps the secret itself
                raise invalid(
                    f"the value of {name!r} must be the name of an environment variable in upper "
                    "case (it is not shown)",
                    "write it as `X-Team: TEAM_TOKEN`, and export TEAM_TOKEN with the value",
                )
        return headers

    @model_validator(mode="after")
    def _check_added(self) -> "Request":
        sent = [name for name in (getattr(self, each) for each in PARAMETERS) if name]
        for name in sent:
            if name in PIPELINE_OWN or sent.count(name) > 1:
                raise invalid(
                    f"a parameter cannot be sent as {name!r}",
                    "give each of temperature, top_p, max_tokens and seed a name of its own",
                )
        added = {**(self.model_extra or {}), **self.extra_body}
        for name, value in added.items():
            if secret := _secret_in({name: value}):
                raise invalid(
                    f"{secret} would be written down with every request (it is not shown)",
                    "a key belongs in OPENAI_API_KEY, others into `headers`",
                )
            if value is None or name in PIPELINE_OWN or name in sent:
                raise invalid(
                    f"{name}: {_shown(value)} cannot be added to a request",
                    "null leaves out temperature, top_p, max_tokens or seed; what is sent under "
                    "one of their names is set by the questions; model, messages, stream and n "
                    "are the pipeline's own",
                )
            if wrong := _not_json(value):
                raise invalid(
                    f"{name} holds {wrong}, which cannot be sent as JSON",
                    "use text, finite numbers of at most 64 bits, true, false, lists and mappings",
                )
        return self


def _secret_in(value: Any) -> str:
    """The first name in a value, however deep, under which a secret would stand; "" for none."""
    if isinstance(value, dict):
        named = (str(name) for name in value if SECRET_PARAMETERS.fullmatch(str(name)))
        return next(named, "") or _secret_in(list(value.values()))
    if isinstance(value, list):
        return next(filter(None, map(_secret_in, value)), "")
    return ""


def _not_json(value: Any) -> str:
    """What in a value no server could read, in words; "" for nothing."""
    if isinstance(value, dict):
        names = [f"the key {_shown(key)}" for key in value if not isinstance(key, str)]
        return next(filter(None, [*names, *map(_not_json, value.values())]), "")
    if isinstance(value, list):
        return next(filter(None, map(_not_json, value)), "")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "an integer of more than 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return f"the number {value}"
    known = value is None or isinstance(value, str | bool | int | float)
    return "" if known else f"{_shown(value)}, of type {type(value).__name__}"


def _shown(value: Any) -> str:
    """The value, cut where it is long."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "an integer of more than 64 bits"  # Python refuses to print one of 5,000 digits
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


class Model(Section):
    """`models.teacher` and `models.student`: what decides a model's answers."""

    name: str = Field(
        min_length=1,
        description="Name of the model in records, and of the student in file names. A teacher of "
        "kind openai is asked by this name, a student as base-NAME and student-NAME.",
    )
    request: Request = Field(
        Request(), description="How requests differ from those of OpenAI's API."
    )
    resource: str = Field(
        "", description='Declared file with the weights; "" for a model that is served elsewhere.'
    )
    version: str = Field(
        "", description="Dated version of a model that is served elsewhere; part of ledger keys."
    )
    context_tokens: int = Field(
        4096,
        ge=256,
        description="Maximum length of a conversation in tokens, of a model that is served here; "
        "for others, what `aiev plan` counts for each question.",
    )


class Student(Model):
    """`models.student`."""

    dtype: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="Number format of the student's checkpoint."
    )
    checkpoint: str = Field(
        "",
        description="Directory with the student's checkpoint (config.json, safetensors, tokenizer) "
        "in the place of a resource; its files are copied as they are, in their own dtype.",
    )
    chat_template: str = Field(
        "",
        description="Chat template of a base model that has none: chatml, deepseek, or the path of "
        'a .jinja file; its last token ends each turn. "" keeps the model\'s own.',
    )


TEACHER = Chosen(KINDS, "kind", "llamacpp", Model)
STUDENT = Chosen(KINDS, "kind", "llamacpp", Student)


class Server(Section):
    """`execution.models.*`: where a model is served and how fast. It decides no answer."""

    base_url: str | None = Field(
        None,
        description="Address of an openai endpoint; null for OPENAI_BASE_URL or the vendor's own.",
    )
    slots: int = Field(4, ge=1, description="Number of requests that are sent at the same time.")
    threads: int = Field(2, ge=1, description="CPU threads of a server that runs here.")
    gpu_layers: int = Field(
        0,
        ge=-1,
        description="Layers that llamacpp puts on a GPU; 0 for none, -1 for all. Needs another "
        "build of xllamacpp than the pinned one, which has no GPU support.",
    )
    tensor_parallel: int = Field(
        1, ge=1, description="Number of GPUs over which vllm spreads the model."
    )
    data_parallel: int = Field(
        1,
        ge=1,
        description="Number of copies of the model among which vllm shares the requests, each on "
        "tensor_parallel GPUs.",
    )
    timeout_seconds: float = Field(
        600,
        gt=0,
        description="Maximum time for one answer, in seconds. After the second timeout a question "
        "is given up; where this machine serves the model, the run ends, and can go on later.",
    )

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str | None) -> str | None:
        try:
            check_address(url, "base_url")
        except UserError as error:
            raise invalid(error.message, error.hint) from None
        return url


class Ledger(Section):
    """`execution.ledger`: the store of all answers of models."""

    path: str = Field("ledger", min_length=1, description="Directory of the ledger.")
    mode: Literal["record", "replay"] = Field(
        "record",
        description="record asks for answers that are not in the ledger; replay asks nothing, and "
        "a missing answer is an error.",
    )


class Price(Section):
    """`execution.prices.*`: what one model costs."""

    prompt_usd_per_million: float = Field(
        0, ge=0, description="Dollars for a million prompt tokens."
    )
    completion_usd_per_million: float = Field(
        0, ge=0, description="Dollars for a million completion tokens."
    )


class Budget(Section):
    """`execution.budget`: the maximum that may be spent through this ledger, over all runs."""

    usd: float | None = Field(
        None,
        ge=0,
        description="Maximum in dollars; null for no limit. The run stops before the call that "
        "could exceed it.",
    )
    tokens: int | None = Field(
        None,
        ge=0,
        description="Maximum number of tokens, of prompts and completions, local models included; "
        "null for no limit.",
    )
