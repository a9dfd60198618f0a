"""Which model is talked to: a role of the config, a checkpoint, or a server at a URL."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import openai

from aiev.core.errors import UserError
from aiev.interpreter.triggers import Trigger, has_tokens, trigger_of
from aiev.llm.budget import Budget
from aiev.llm.endpoints import serve, with_server
from aiev.llm.endpoints.base import API_KEY, NO_KEY, Endpoint, check_address
from aiev.llm.failures import describe_error
from aiev.llm.http import connect
from aiev.llm.secrets import Redactor, secret_from_environment
from aiev.llm.streaming import Sampling, StreamingClient

SCRATCH = Path(".aiev/scratch/interpreter")
TriggerName = Literal["auto", "tokens", "fences"]


@dataclass(frozen=True)
class Chosen:
    """A model to talk to. model: as `serve` takes it. weights: a file or a checkpoint, None for a
    model that is served elsewhere."""

    model: Mapping[str, Any]
    weights: Path | None

    @property
    def knows_tokens(self) -> bool:
        """Whether it is a checkpoint whose tokenizer has the four tokens."""
        files = ("tokenizer.json", "tokenizer_config.json")
        paths = [self.weights / name for name in files] if self.weights else []
        return any(path.is_file() and has_tokens(path.read_text("utf-8")) for path in paths)

    @property
    def end_of_turn(self) -> str:
        """The token that ends an answer of a checkpoint; "" where it is not known."""
        path = self.weights / "tokenizer_config.json" if self.weights else None
        if not path or not path.is_file():
            return ""
        token = json.loads(path.read_text("utf-8")).get("eos_token") or ""
        return token if isinstance(token, str) else str(token.get("content", ""))


def choose(config: Mapping[str, Any], name: str, served_as: str = "") -> Chosen:
    """The model of that name. Raises UserError where there is none.

    name: teacher; student, which is the run's final checkpoint; the directory of a checkpoint; or a
    URL. served_as: the model's name at a URL, where it serves several.
    """
    if "://" in name:
        return _behind_url(config, name, served_as)
    if name == "student":
        return _checkpoint(config, Path("results") / config["name"] / "model")
    if name == "teacher":
        model = config["models"]["teacher"]
        return Chosen(_served(config, "teacher", model), _weights(config, model))
    if Path(name).is_dir():
        return _checkpoint(config, Path(name))
    raise UserError(
        f"there is no model {name!r}",
        where="--model",
        hint="name teacher, student, the directory of a checkpoint, or a URL such as "
        "http://localhost:8000/v1",
    )


@contextmanager
def open_model(
    chosen: Chosen,
    config: Mapping[str, Any],
    trigger: TriggerName,
    sampling: Sampling,
    log: Path | None,
    conversations: int = 1,
    variables: bool = False,
) -> Iterator[tuple[StreamingClient, Trigger]]:
    """The model, served for the length of the block, and how it is driven. conversations: that may
    be under way at once. variables: whether they stay from run to run."""
    execution, model = config["execution"], dict(chosen.model)
    if trigger == "auto":
        trigger = "tokens" if chosen.knows_tokens else "fences"
    layout = config["tags"]["layout"]
    extra: dict[str, Any] = {}
    if trigger == "tokens":
        # Servers leave special tokens out of answers unless they are told not to.
        model["special_tokens"] = True
        if model["kind"] == "vllm":
            extra = {"skip_special_tokens": False}
    if trigger == "tokens" and layout == "inline" and model["kind"] == "openai":
        raise UserError(
            "the layout inline needs a server that goes on with an answer",
            where="config: tags.layout",
            hint="serve the checkpoint here with kind llamacpp, or use --trigger fences",
        )
    SCRATCH.mkdir(parents=True, exist_ok=True)
    budget = Budget(
        Path(execution["ledger"]["path"]), "chat", execution["prices"], execution["budget"]
    )
    with serve(model, chosen.weights, SCRATCH, log, conversations) as endpoint:
        client = StreamingClient(
            endpoint,
            sampling,
            model["timeout_seconds"],
            budget,
            extra,
            chosen.end_of_turn,
        )
        try:
            yield client, trigger_of(trigger, layout, variables)
        finally:
            budget.close()


def _served(config: Mapping[str, Any], role: str, model: Mapping[str, Any]) -> dict[str, Any]:
    return with_server({**model, "role": role}, config["execution"])


def _weights(config: Mapping[str, Any], model: Mapping[str, Any]) -> Path | None:
    if not model["resource"]:
        return None
    path = Path("resources") / model["resource"] / config["resources"][model["resource"]]["file"]
    if not path.is_file():
        hint = "a run fetches them: aiev run --config FILE"
        raise UserError("the teacher's weights are not here", where=str(path), hint=hint)
    return path


def _checkpoint(config: Mapping[str, Any], folder: Path) -> Chosen:
    if not (folder / "config.json").is_file():
        raise UserError(
            "there is no trained model here",
            where=str(folder),
            hint="train it with `aiev run`, or name another one with --model",
        )
    return Chosen(_served(config, "student", config["models"]["student"]), folder)


def _behind_url(config: Mapping[str, Any], url: str, served_as: str) -> Chosen:
    check_address(url, "--model")
    model = {"kind": "openai", "name": served_as or _first_model(url), "version": ""}
    server = {**config["execution"]["models"]["teacher"], "base_url": url}
    return Chosen({**server, **model, "request": {}}, None)


def _first_model(url: str) -> str:
    """The only model of a server. Raises UserError where it has several, or does not answer."""
    key = secret_from_environment(API_KEY) or NO_KEY
    endpoint = Endpoint("openai", "of the server", "", url, 1, api_key=key)
    try:
        with connect(openai.OpenAI, endpoint, 30, 1) as client:
            names = [str(model.id) for model in client.models.list().data]
    except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:  # not such a list
        words = Redactor(endpoint.secrets()).redact(describe_error(error))
        hint = "name the model with --name, or start the server"
        raise UserError(f"no list of models: {words}", where=url, hint=hint) from None
    if len(names) != 1:
        raise UserError(
            f"the server has {len(names)} models: {', '.join(sorted(names)[:10])}",
            where=url,
            hint="choose one with --name",
        )
    return names[0]
