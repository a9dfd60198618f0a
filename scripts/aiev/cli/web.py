"""`aiev web`: the interpreter in a browser."""

from pathlib import Path

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
from aiev.cli.serve import BusyOption, HostOption, PortOption, listening, token_for


def web(
    config: ConfigOption = DEFAULT_CONFIG,
    model: ModelOption = "student",
    name: NameOption = "",
    trigger: TriggerOption = "auto",
    max_runs: RunsOption = 8,
    max_tokens: LengthOption = 1024,
    temperature: TemperatureOption = 0.0,
    variables: VariablesOption = False,
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
    max_busy: BusyOption = 4,
) -> None:
    """Talk to a model with the code interpreter in a browser: code and results set apart, plots as
    pictures, files up and down, and the conversation as JSON, Markdown or a notebook.

    It listens on loopback. On another address the page needs a token, which is part of the printed
    URL: that of the environment variable AUTOCODER_TOKEN, or one that is made up.

    \b
      aiev web --model teacher
    """
    check_checkout(config)
    from aiev.config.load import read_config
    from aiev.core.log import start_log
    from aiev.interpreter.session import Session
    from aiev.interpreter.web import WebServer

    read = read_config(config)
    start_log(Path("logs") / read["name"] / "web.log")
    options = (model, name, trigger, max_tokens, temperature, variables, max_busy)
    with opened(read, *options) as (client, how, workspace):
        client.start()

        def new_session() -> Session:
            limit = read["tags"]["result_chars"]
            return Session(client, workspace, how, max_runs=max_runs, result_chars=limit)

        token = token_for(host)
        served = new_session, client.endpoint.model
        with listening(WebServer, host, port, *served, token=token, max_busy=max_busy) as server:
            place = f"http://{host}:{server.server_address[1]}/"
            print(f"open {place}{f'#token={token}' if token else ''}", flush=True)
            server.serve_forever()
