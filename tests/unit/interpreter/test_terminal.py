"""The chat in the terminal: what is shown, asked and kept, with real key presses."""

import io
import json
from contextlib import contextmanager

import pytest
from conversation import box, fence, says, session_of
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console
from scripted import Slowly

from aiev.interpreter.prompt import Lines, Piped
from aiev.interpreter.terminal import Terminal


@pytest.fixture(scope="module")
def workspace():
    with box() as workspace:
        yield workspace


@contextmanager
def terminal(scripted, workspace, keys="", tty=False, **options):
    """A terminal whose user presses these keys; `.written()` is what the screen got."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=tty, width=80, highlight=False, markup=False)
    with create_pipe_input() as keyboard:
        keyboard.send_text(keys)
        lines = Lines(None, keyboard, DummyOutput())
        session = session_of(scripted, workspace)
        made = Terminal(session, console, lines, lambda: (7, 3), **options)
        made.written = screen.getvalue
        yield made


def test_code_and_results_are_set_apart(scripted, workspace):
    scripted.script = says(f"So:\n\n{fence('print(6 * 7)')}\n", "It is 42.")
    with terminal(scripted, workspace, tty=True, yes=True) as made:
        assert made.say("What is 6 times 7?") == 0
    written = made.written()
    assert "\x1b[36mprint(" in written and "\x1b[2m```python" in written
    assert "result: passed" in written and "\x1b[32m" in written and "It is 42." in written


def test_neither_model_nor_program_steers_the_terminal(scripted, workspace):
    """It would set the title or the clipboard, or write over what was shown."""
    escape = "\x1b]0;title\x07 \x1b[2J \x9b2J \r over \x08"
    program = f"print({escape!r})"
    scripted.script = says(f"Words {escape}\n\n{fence(program)}", f"{escape} End.")
    with terminal(scripted, workspace, yes=True) as made:
        made.say("Go.")
    assert "over" in made.written() and "End." in made.written()
    assert not any(c in made.written() for c in "\x1b\x07\x08\x9b\r")


def test_an_answer_is_written_whole_however_it_comes(scripted, workspace):
    """Fences, tokens and code in any pieces; no character is lost or written twice."""
    text = f"Use `x` < 3.\n<b> {fence('a = 1')}\nThe ~ end `y`"
    for size in (1, 2, 5, 100):
        scripted.script = says(Slowly(text, size=size, finish_reason="length"))
        with terminal(scripted, workspace) as made:
            made.say("Go.")
        assert made.written().startswith(f"{text}\n")


def test_the_user_is_asked_and_may_change_the_code(scripted, workspace):
    scripted.script = says(fence("print(1)"), "Two.")
    keys = "Go.\re\r\x7f\x7f2)\x1b\ry\r/exit\r"
    with terminal(scripted, workspace, keys) as made:
        made.loop()
    assert made.session.turns[0].steps[0].result == "2"
    scripted.script = says(fence("print(1)"))
    with terminal(scripted, workspace, "Go.\rn\r\x04") as made:
        made.loop()
    assert made.session.turns[0].steps == () and "not run" in made.written()


def test_after_always_no_code_needs_approval(scripted, workspace):
    scripted.script = says(fence("print(1)"), fence("print(2)"), "Done.")
    with terminal(scripted, workspace, "Go.\ra\r/exit\r") as made:
        made.loop()
    assert [step.result for step in made.session.turns[0].steps] == ["1", "2"] and made.yes


def test_ctrl_c_stops_the_answer_and_not_the_chat(scripted, workspace, monkeypatch):
    scripted.script = says("One two.", "Again.")
    with terminal(scripted, workspace, "/exit\r") as made:

        def interrupted(event):
            raise KeyboardInterrupt

        monkeypatch.setattr(made, "show", interrupted)
        assert made.say("Go.") == 0
        monkeypatch.undo()
        assert made.session.turns[0].answer and "stopped" in made.written()
        assert made.say("Again?") == 0 and made.session.turns[1].answer == "Again."
        made.loop()


def test_commands(scripted, workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = "open('a.txt', 'w').write('x' * 3)\nprint('fine')"
    scripted.script = says(fence(program), "Done.")
    with terminal(scripted, workspace, yes=True) as made:
        made.say("Write a file.")
        for line in ("/files", "/files a.txt", "/files a.txt", "/files b", "/tokens"):
            made.command(line)
        for line in ("/save c.json", "/save c.md", "/save c.ipynb", "/save c.exe", "/nothing"):
            made.command(line)
        written = made.written()
        assert "3  a.txt" in written and "7 read, 3 written" in written
        assert (tmp_path / "a.txt").read_text() == "xxx" and "File exists" in written
        assert "no file 'b'" in written and "no format" in written and "Ctrl-C" in written
        made.command("/undo")
        assert made.session.turns == [] and dict(made.session.state.files) == {}
        made.command("/load c.json")
        assert made.session.turns[0].answer == "Done."
        assert dict(made.session.state.files) == {"a.txt": b"xxx"}
        made.command("/reset")
        assert made.session.turns == []
        (tmp_path / "bad.json").write_text('{"turns": 3}')
        made.command("/load bad.json")
        made.command("/load none.json")
        assert "not a conversation" in made.written() and "cannot read" in made.written()
    text = (tmp_path / "c.md").read_text()
    assert text.index("Write a file.") < text.index("print('fine')") < text.index("```text\nfine")
    cells = json.loads((tmp_path / "c.ipynb").read_text())["cells"]
    code = next(cell for cell in cells if cell["cell_type"] == "code")
    assert code["source"] == program and code["outputs"][0]["text"] == "fine"


def test_a_model_that_fails_is_said_and_the_question_taken_back(scripted, workspace):
    scripted.script = lambda body: 400
    with terminal(scripted, workspace) as made:
        assert made.say("Go.") == 3
    assert "does not answer" in made.written() and made.session.turns == []


def test_a_pipe_is_one_message_and_allows_no_run():
    assert Piped(io.StringIO("one\ntwo\n")).message() == "one\ntwo"
    assert Piped(io.StringIO()).choice("Run it?") == "n"
    with pytest.raises(EOFError):
        Piped(io.StringIO(" \n")).message()
