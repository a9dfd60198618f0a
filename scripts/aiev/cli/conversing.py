"""What chat, serve and web share: the options of a conversation with a model, and the model."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout
from aiev.core.errors import UserError

if TYPE_CHECKING:
    from aiev.interpreter.listening import Listener
    from aiev.interpreter.session import Session
    from aiev.llm.streaming import StreamingClient

TOKEN = "AUTOCODER_TOKEN"
"""Environment variable with the token that clients of a server have to send."""

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", help="teacher, student, a checkpoint's folder, or a URL.", metavar="MODEL"
    ),
]
NameOption = Annotated[
    str,
    typer.Option("--name", help="The model's name at a URL that serves several.", metavar="NAME"),
]
TriggerOption = Annotated[
    Literal["auto", "tokens", "fences"],
    typer.Option("--trigger", help="What is run: auto follows from the model's tokens."),
]
RunsOption = Annotated[
    int, typer.Option("--max-runs", min=0, help="Runs for one question.", metavar="N")
]
LengthOption = Annotated[
    int, typer.Option("--max-tokens", min=1, help="Tokens of one answer.", metavar="N")
]
TemperatureOption = Annotated[
    float, typer.Option("--temperature", min=0, help="0 is greedy.", metavar="T")
]
VariablesOption = Annotated[
    bool, typer.Option("--variables", help="Variables stay for the next run, as in a notebook.")
]
HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.", metavar="ADDRESS")]
PortOption = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="0 for a free one.", metavar="PORT")
]
BusyOption = Annotated[
    int, typer.Option("--max-busy", min=1, help="Answers at the same time.", metavar="N")
]


@dataclass(frozen=True)
class Conversing:
    """The options of a conversation."""

    config: ConfigOption = DEFAULT_CONFIG
    model: ModelOption = "student"
    name: NameOption = ""
    trigger: TriggerOption = "auto"
    max_runs: RunsOption = 8
    max_tokens: LengthOption = 1024
    temperature: TemperatureOption = 0.0
    variables: VariablesOption = False


@dataclass(frozen=True)
class Serving(Conversing):
    """The options of a server of conversations."""

    host: HostOption = "127.0.0.1"
    port: PortOption = 8000
    max_busy: BusyOption = 4


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of the dataclass that its first parameter takes.

    Typer reads options from a signature only, so that each command would have to repeat them.
    """
    first, *own = inspect.signature(command).parameters.values()
    kind, known = first.annotation, get_type_hints(first.annotation, include_extras=True)
    shared = [
        inspect.Parameter(f.name, first.KEYWORD_ONLY, default=f.default, annotation=known[f.name])
        for f in fields(kind)
    ]
    own = [parameter.replace(kind=first.KEYWORD_ONLY) for parameter in own]

    @wraps(command)
    def spread_out(**given: Any) -> None:
        command(kind(**{f.name: given.pop(f.name) for f in fields(kind)}), **given)

    spread_out.__signature__ = inspect.Signature([*shared, *own])
    spread_out.__annotations__ = {p.name: p.annotation for p in [*shared, *own]}
    return spread_out


@contextmanager
def opened(
    config: Mapping[str, Any], options: Conversing, conversations: int = 1
) -> Iterator[tuple["StreamingClient", Callable[["StreamingClient"], "Session"]]]:
    """For a block: the model that the options name, with its sandbox, and what begins a session
    with it. conversations: so many at a time."""
    from aiev.interpreter.models import choose, open_model
    from aiev.interpreter.session import Session
    from aiev.interpreter.workspace import Workspace
    from aiev.languages.interpreter import open_interpreter
    from aiev.llm.streaming import Sampling
    from aiev.sandbox.api import with_containers

    trigger, variables = options.trigger, options.variables
    execution = config["execution"]
    # What a conversation installs is resolved anew: it is no part of a run that is replayed.
    ledger = {**execution["ledger"], "mode": "record"}
    sandbox = with_containers(config["sandbox"], execution)
    log = Path("logs") / config["name"] / "chat.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    chosen = choose(config, options.model, options.name)
    sampling = Sampling(temperature=options.temperature, max_tokens=options.max_tokens)
    with (
        open_interpreter(sandbox, ledger, Path(".aiev/layers")) as interpreter,
        open_model(chosen, config, trigger, sampling, log, conversations, variables) as driven,
    ):
        client, how = driven
        workspace = Workspace(interpreter, variables)

        def new_session(client: "StreamingClient") -> Session:
            limit, runs = config["tags"]["result_chars"], options.max_runs
            return Session(client, workspace, how, max_runs=runs, result_chars=limit)

        yield client, new_session


@contextmanager
def ready(
    command: str, options: Serving
) -> Iterator[tuple["StreamingClient", Callable[["StreamingClient"], "Session"]]]:
    """As `opened`, for a server: with a log, and the model started."""
    check_checkout(options.config)
    from aiev.config.load import read_config
    from aiev.core.log import start_log

    config = read_config(options.config)
    start_log(Path("logs") / config["name"] / f"{command}.log")
    with opened(config, options, options.max_busy) as (client, new_session):
        client.start()
        yield client, new_session


def listening(server: type["Listener"], options: Serving, *served: Any) -> "Listener":
    """The server at the options' address. Raises UserError where the address cannot be had."""
    host, port, max_busy = options.host, options.port, options.max_busy
    try:
        return server((host, port), *served, token=token_for(host), max_busy=max_busy)
    except OSError as error:
        raise UserError(
            f"cannot listen: {error.strerror}",
            where=f"{host}:{port}",
            hint="choose another --host or --port",
        ) from None


def token_for(host: str) -> str:
    """The token that clients have to send: that of the environment, or a new one; "" on loopback
    where none is set."""
    import secrets

    from aiev.interpreter.listening import LOOPBACK
    from aiev.llm.secrets import secret_from_environment

    token = secret_from_environment(TOKEN)
    return token or ("" if host in LOOPBACK else secrets.token_urlsafe(24))
