"""`aiev chat`: talk to a model that has a code interpreter, in the terminal."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiev.cli.conversing import Conversing, opened, spread
from aiev.cli.options import check_checkout
from aiev.core.errors import UserError

if TYPE_CHECKING:
    from aiev.interpreter.terminal import Input

OnceOption = Annotated[bool, typer.Option("--once", help="One question, then leave.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Run and install without asking.")]


@spread
def chat(options: Conversing, once: OnceOption = False, yes: YesOption = False) -> None:
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
    check_checkout(options.config)
    from rich.console import Console

    from aiev.config.load import read_config
    from aiev.interpreter.prompt import Lines, Piped
    from aiev.interpreter.terminal import HELP, Terminal

    piped = not sys.stdin.isatty()
    console = Console(highlight=False, markup=False)
    with opened(read_config(options.config), options) as (client, new_session):
        session = new_session(client)
        source = Piped(sys.stdin) if piped else Lines(Path(".aiev/chat-history"))

        def tokens() -> tuple[int, int]:
            return client.prompt_tokens, client.completion_tokens

        terminal = Terminal(session, console, source, tokens, yes)
        if once or piped:
            raise typer.Exit(terminal.say(_question(source)))
        trigger = type(session.trigger).__name__.lower()
        terminal.note(f"{client.endpoint.model}, driven by {trigger}. {HELP}")
        terminal.loop()


def _question(source: "Input") -> str:
    """The only message. Raises UserError where there is none."""
    try:
        return source.message()
    except EOFError:
        hint = "echo 'your question' | aiev chat --once"
        raise UserError("there is no question", where="standard input", hint=hint) from None
