"""Where the words of a conversation in the terminal come from: the keyboard, or a pipe."""

from pathlib import Path
from typing import Any, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import HTML
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import Input as Keyboard
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.output import Output

PROMPT = HTML("<b><ansigreen>&gt; </ansigreen></b>")


class Lines:
    """The keyboard, with a history that is kept in a file. Enter sends; Alt-Enter begins a line."""

    def __init__(
        self,
        history: Path | None,
        keyboard: Keyboard | None = None,
        screen: Output | None = None,
    ):
        if history:
            history.parent.mkdir(parents=True, exist_ok=True)
        self._device: dict[str, Any] = {"input": keyboard, "output": screen}
        kept = FileHistory(str(history)) if history else InMemoryHistory()
        self._messages: PromptSession[str] = PromptSession(
            history=kept, key_bindings=_keys(), prompt_continuation="  ", **self._device
        )
        self._choices: PromptSession[str] = PromptSession(**self._device)

    def message(self) -> str:
        return self._messages.prompt(PROMPT)

    def choice(self, question: str) -> str:
        return self._choices.prompt(question)

    def edited(self, text: str) -> str:
        """Many lines: Enter begins one, Alt-Enter ends the change."""
        editor: PromptSession[str] = PromptSession(multiline=True, **self._device)
        return editor.prompt("Alt-Enter when done\n", default=text)


class Piped:
    """All of a stream as one message; nobody is there to be asked."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def message(self) -> str:
        text = self.stream.read().strip()
        if not text:
            raise EOFError
        return text

    def choice(self, question: str) -> str:
        return "n"

    def edited(self, text: str) -> str:
        return text


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    return keys
