"""A conversation in the terminal: answers as they are written, code and results set apart."""

import re
import shlex
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from aiev.core.errors import UserError, hint_for
from aiev.interpreter import transcript
from aiev.interpreter.session import Event, Finished, Ran, Said, Session
from aiev.interpreter.workspace import Run

HELP = """\
/undo          take back the last question, its answer and what its runs did to the files
/reset         start over: no messages, files or packages
/files         the files of the conversation; /files NAME writes one to the current directory
/save FILE     write the conversation: .json, .md or .ipynb
/load FILE     go on with one that was saved as .json
/tokens        tokens read and written so far
/exit          leave; Ctrl-D does the same
Ctrl-C stops the answer or the run, and not the chat. Alt-Enter begins a new line."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What steers a terminal: its title, its clipboard, what was written before."""

ENDS = {
    "max-runs": "stopped: the limit of runs is reached; say something to go on",
    "cut-off": "cut off at the limit of tokens; raise --max-tokens",
    "declined": "not run: it was not allowed (--yes allows all)",
}


class Input(Protocol):
    """Where the user's words come from. Each raises EOFError at their end, KeyboardInterrupt where
    the user breaks off."""

    def message(self) -> str:
        """The next message."""

    def choice(self, question: str) -> str:
        """A short answer to a question."""

    def edited(self, text: str) -> str:
        """The text as the user changes it."""


class Painter:
    """Writes an answer as it comes. Lines that may turn out to be a fence or a token wait until
    they are whole; what stands between fences is code."""

    def __init__(self, console: Console):
        self.console, self.line, self.shown, self.fence = console, "", 0, ""

    def add(self, text: str) -> None:
        for piece in text.splitlines(keepends=True):
            self.line += piece
            if self.line.endswith("\n"):
                self._end_line()
            elif not self.line.lstrip().startswith(("`", "~", "<")):
                self._write(self.line[self.shown :])
                self.shown = len(self.line)

    def finish(self) -> None:
        if self.line:
            self._end_line()
            self.console.print()

    def _end_line(self) -> None:
        mark = self.line.strip().partition(">")[2] or self.line.strip()
        opens = not self.fence and "```" in mark
        closes = bool(self.fence) and self.line.lstrip().startswith(self.fence)
        if opens:
            self.fence = "`" * (len(mark) - len(mark.lstrip("`"))) or "```"
        elif closes:
            self.fence = ""
        self._write(self.line[self.shown :], "dim" if opens or closes else None)
        self.line, self.shown = "", 0

    def _write(self, text: str, style: str | None = None) -> None:
        style = style or ("cyan" if self.fence else "")
        self.console.print(shown(text, style), end="", soft_wrap=True)


def shown(text: str, style: str = "") -> Text:
    """Text that a model, a program or a server wrote, for the screen: without what would steer the
    terminal."""
    return Text(CONTROL.sub("\ufffd", text.replace("\r\n", "\n")), style)


class Terminal:
    """Talks with the user. tokens: those read and written so far. yes: run without asking."""

    def __init__(
        self,
        session: Session,
        console: Console,
        source: Input,
        tokens: Callable[[], tuple[int, int]],
        yes: bool = False,
    ):
        self.session, self.console, self.source = session, console, source
        self.tokens, self.yes = tokens, yes
        session.rights.run, session.rights.install = self.allow_run, self.allow_install
        self.painter = Painter(console)

    def loop(self) -> None:
        """Until the user leaves."""
        while True:
            try:
                text = self.source.message().strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if text in ("/exit", "/quit"):
                return
            if text.startswith("/"):
                self.command(text)
            elif text:
                self.say(text)

    def say(self, text: str) -> int:
        """Ask the model, and show what comes of it; the exit code of a chat that ends here."""
        self.painter = Painter(self.console)
        try:
            with closing(self.session.ask(text)) as events:
                for event in events:
                    self.show(event)
        except KeyboardInterrupt:
            self.painter.finish()
            self.note("stopped")
        except UserError as error:
            self.painter.finish()
            self.session.undo()
            self.note(str(error), "red")
            return error.exit_code
        return 0

    def show(self, event: Event) -> None:
        if isinstance(event, Said):
            self.painter.add(event.text)
            return
        self.painter.finish()
        if isinstance(event, Ran):
            self._show_run(event)
        elif isinstance(event, Finished) and event.reason in ENDS:
            self.note(ENDS[event.reason])

    def _show_run(self, event: Ran) -> None:
        done = event.done
        passed = done.result.outcome == "passed"
        title = f"result: {done.result.outcome}, {done.result.seconds:.1f} s"
        output = event.shown or "(no output)"
        if self.console.is_terminal:
            style = "green" if passed else "red"
            self.console.print(Panel(shown(output), title=title, border_style=style))
        else:
            self.console.print(shown(f"[{title}]\n{output}\n"), soft_wrap=True)
        if done.kept and done.state.files:
            self.note("files: " + ", ".join(sorted(done.state.files)))
        elif not done.kept and done.result.outcome != "install-failed":
            self.note("the files are those from before this run, which was stopped")

    def allow_run(self, run: Run) -> Run | None:
        """Ask whether the code may run; the user may change it first."""
        if self.yes:
            return run
        self.painter.finish()
        while True:
            try:
                said = self.source.choice("Run it? [Y]es, [e]dit, [n]o, [a]lways ").strip().lower()
            except (KeyboardInterrupt, EOFError):
                return None
            if said[:1] == "a":
                self.yes = True
            if said[:1] in ("", "y", "a"):
                return run
            if said[:1] == "n":
                return None
            if said[:1] == "e":
                run = self._edited(run)
                self.console.print(shown(run.text, "cyan"), soft_wrap=True)

    def _edited(self, run: Run) -> Run:
        try:
            text = self.source.edited(run.code or run.shell)
        except (KeyboardInterrupt, EOFError):
            return run
        return run._replace(code=text) if run.code else run._replace(shell=text)

    def allow_install(self, requirements: tuple[str, ...]) -> bool:
        """Ask whether these packages may be installed."""
        if self.yes:
            self.note("installing " + " ".join(requirements))
            return True
        try:
            said = self.source.choice(f"Install {' '.join(requirements)}? [Y]es, [n]o ")
        except (KeyboardInterrupt, EOFError):
            return False
        return said.strip().lower()[:1] in ("", "y")

    def command(self, text: str) -> None:
        """Carry out a line that begins with a slash."""
        try:
            name, *words = shlex.split(text)
            self._command(name, words)
        except (UserError, ValueError) as error:
            self.note(str(error), "red")

    def _command(self, name: str, words: list[str]) -> None:
        match name, words:
            case "/undo", []:
                asked = self.session.undo()
                self.note("there is nothing to take back" if asked is None else f"undone: {asked}")
            case "/reset", []:
                self.session.reset()
                self.note("a new conversation")
            case "/files", []:
                files = sorted(self.session.state.files.items())
                listed = [f"{len(content):>10,}  {name}" for name, content in files]
                self.note("\n".join(listed) or "there are no files")
            case "/files", [file]:
                self.note(f"written: {self._write_file(file)}")
            case "/save", [file]:
                transcript.save(self.session, Path(file))
                self.note(f"written: {file}")
            case "/load", [file]:
                transcript.load(self.session, Path(file))
                self.note(f"{len(self.session.turns)} questions and their answers")
            case "/tokens", []:
                read, written = self.tokens()
                self.note(f"{read:,} read, {written:,} written")
            case _:
                self.note(HELP)

    def _write_file(self, name: str) -> Path:
        """Write a file of the conversation to the current directory, where none has its name."""
        content, path = self.session.state.files.get(name), Path(Path(name).name)
        if content is None:
            raise UserError(f"the conversation has no file {name!r}", hint="/files lists them")
        try:
            with open(path, "xb") as file:
                file.write(content)
        except OSError as error:
            hint = hint_for(error)
            raise UserError(f"cannot write: {error.strerror}", where=str(path), hint=hint) from None
        return path

    def note(self, text: str, style: str = "dim") -> None:
        self.console.print(shown(text, style), soft_wrap=True)
