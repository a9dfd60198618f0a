"""`aiev chat`: talk to a model that has a code interpreter, in the terminal."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout

if TYPE_CHECKING:
    from aiev.interpreter.terminal import Input
    from aiev.interpreter.triggers import Trigger
    from aiev.interpreter.workspace import Workspace
    from aiev.llm.streaming import StreamingClient

ModelOption = Annotated[
    str,
    typer.Option("--model", help="teacher, student, a checkpoint's folder, or a URL."),
]
NameOption = Annotated[
    str, typer.Option("--name", help="The model's name at a URL that serves several.")
]
TriggerOption = Annotated[
    str, typer.Option("--trigger", help="What is run: tokens, fences, or auto.", metavar="WHAT")
]
RunsOption = Annotated[int, typer.Option("--max-runs", min=0, help="Runs for one question.")]
LengthOption = Annotated[int, typer.Option("--max-tokens", min=1, help="Tokens of one answer.")]
TemperatureOption = Annotated[float, typer.Option("--temperature", min=0, help="0 is greedy.")]
VariablesOption = Annotated[
    bool, typer.Option("--variables", help="Variables stay for the next run, as in a notebook.")
]
OnceOption = Annotated[bool, typer.Option("--once", help="One question, then leave.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Run and install without asking.")]


def chat(
    config: ConfigOption = DEFAULT_CONFIG,
    model: ModelOption = "student",
    name: NameOption = "",
    trigger: TriggerOption = "auto",
    max_runs: RunsOption = 8,
    max_tokens: LengthOption = 1024,
    temperature: TemperatureOption = 0.0,
    variables: VariablesOption = False,
    once: OnceOption = False,
    yes: YesOption = False,
) -> None:
    """Talk to a model. The code in its answers runs in the sandbox, once you allow it, and the
    model reads the result.

    Nothing runs outside of the sandbox; packages are installed from the list in the config.
    /help lists what can be done in a conversation. Where the input is a pipe, it is one question;
    code then runs with --yes only.

    \b
      aiev chat --model teacher
      aiev chat --model http://localhost:8000/v1 --name deepseek-coder
      echo 'What is 2 to the power of 99?' | aiev chat --model teacher --once --yes
    """
    check_checkout(config)
    from rich.console import Console

    from aiev.config.load import read_config
    from aiev.interpreter.prompt import Lines, Piped
    from aiev.interpreter.session import Session
    from aiev.interpreter.terminal import HELP, Terminal

    read = read_config(config)
    piped = not sys.stdin.isatty()
    console = Console(highlight=False, markup=False)
    options = (model, name, trigger, max_tokens, temperature, variables)
    with opened(read, *options) as (client, how, workspace):
        session = Session(client, workspace, how, max_runs=max_runs)
        session.result_chars = read["tags"]["result_chars"]
        source = Piped(sys.stdin) if piped else Lines(Path(".aiev/chat-history"))
        terminal = Terminal(
            session,
            console,
            source,
            lambda: (client.prompt_tokens, client.completion_tokens),
            yes,
        )
        if once or piped:
            raise typer.Exit(terminal.say(_question(source)))
        terminal.note(f"{client.endpoint.model}, driven by {type(how).__name__.lower()}. {HELP}")
        terminal.loop()


def _question(source: "Input") -> str:
    """The only message. Raises UserError where there is none."""
    from aiev.core.errors import UserError

    try:
        return source.message()
    except EOFError:
        hint = "echo 'your question' | aiev chat --once"
        raise UserError("there is no question", where="standard input", hint=hint) from None


@contextmanager
def opened(
    config: Mapping[str, Any],
    model: str,
    name: str,
    trigger: str,
    max_tokens: int,
    temperature: float,
    variables: bool,
    conversations: int = 1,
) -> Iterator[tuple["StreamingClient", "Trigger", "Workspace"]]:
    """The model that the options name, how it is driven, and the sandbox, for a block."""
    from aiev.core.errors import UserError
    from aiev.interpreter.models import choose, open_model
    from aiev.interpreter.workspace import Workspace
    from aiev.languages.interpreter import open_interpreter
    from aiev.llm.streaming import Sampling
    from aiev.sandbox.api import with_containers

    if trigger not in ("auto", "tokens", "fences"):
        raise UserError(
            f"there is no trigger {trigger!r}", where="--trigger", hint="auto, tokens or fences"
        )
    execution = config["execution"]
    # What a conversation installs is resolved anew: it is no part of a run that is replayed.
    ledger = {**execution["ledger"], "mode": "record"}
    sandbox = with_containers(config["sandbox"], execution)
    log = Path("logs") / config["name"] / "chat.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    chosen = choose(config, model, name)
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
    with (
        open_interpreter(sandbox, ledger, Path(".aiev/layers")) as interpreter,
        open_model(chosen, config, trigger, sampling, log, conversations, variables) as driven,
    ):
        yield *driven, Workspace(interpreter, variables)
