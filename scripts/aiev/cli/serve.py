"""`aiev serve`: an OpenAI-compatible server whose answers come with their code already run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiev.cli.chat import (
    LengthOption,
    ModelOption,
    NameOption,
    RunsOption,
    TemperatureOption,
    TriggerOption,
    VariablesOption,
    opened,
)
from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout

if TYPE_CHECKING:
    from aiev.interpreter.listening import Listener

TOKEN = "AUTOCODER_TOKEN"

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for a free one.")]
BusyOption = Annotated[int, typer.Option("--max-busy", min=1, help="Answers at the same time.")]


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    model: ModelOption = "student",
    name: NameOption = "",
    trigger: TriggerOption = "auto",
    max_runs: RunsOption = 8,
    max_tokens: LengthOption = 1024,
    temperature: TemperatureOption = 0.0,
    variables: VariablesOption = False,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    max_busy: BusyOption = 4,
) -> None:
    """Serve a model with the code interpreter by the OpenAI chat API, for any chat front end. Code
    in answers runs in the sandbox without asking; packages are installed from the config's list.

    It listens on loopback. On another address clients have to send a token as their API key: that
    of the environment variable AUTOCODER_TOKEN, or one that is made up and printed.

    \b
      aiev serve --model teacher
      aiev serve --model results/laptop/model --host 0.0.0.0 --port 8080
    """
    check_checkout(config)
    from aiev.config.load import read_config
    from aiev.core.log import start_log
    from aiev.interpreter.completions import Completions
    from aiev.interpreter.server import Server
    from aiev.interpreter.session import Session

    read = read_config(config)
    start_log(Path("logs") / read["name"] / "serve.log")
    options = (model, name, trigger, max_tokens, temperature, variables, max_busy)
    with opened(read, *options) as (client, how, workspace):
        client.start()

        def new_session(answering) -> Session:
            limit = read["tags"]["result_chars"]
            return Session(answering, workspace, how, max_runs=max_runs, result_chars=limit)

        served_as = client.endpoint.model
        token = token_for(host)
        served = Completions(client, new_session), served_as
        options = {"token": token, "max_busy": max_busy}
        with listening(Server, host, port, *served, **options) as server:
            place = f"http://{host}:{server.server_address[1]}/v1"
            print(f"serving {served_as} at {place}", flush=True)
            if token:
                print(f"clients have to send this API key: {token}", flush=True)
            server.serve_forever()


def listening(server: type["Listener"], host: str, port: int, *options: Any, **more: Any) -> Any:
    """The server at that address. Raises UserError where the address cannot be had."""
    from aiev.core.errors import UserError

    try:
        return server((host, port), *options, **more)
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
