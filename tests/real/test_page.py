"""The interpreter's page in a real browser: an error, its fix, a plot, an install and a stop."""

import json
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from browser import chromium
from scripted import Slowly

from aiev.interpreter.session import Session
from aiev.interpreter.triggers import Fences
from aiev.interpreter.web import WebServer
from aiev.interpreter.workspace import Workspace
from aiev.languages.interpreter import Interpreter
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.streaming import Sampling, StreamingClient
from aiev.sandbox.api import SITE_PACKAGES, Limits, open_sandbox

pytestmark = pytest.mark.real

PLOT = """\
import struct, zlib
rows = b"".join(b"\\0" + bytes([90, 120, 3 * y % 256] * 300) for y in range(150))
def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
head = struct.pack(">IIBBBBB", 300, 150, 8, 2, 0, 0, 0)
with open("plot.png", "wb") as file:
    file.write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", head))
    file.write(chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
print("drawn")"""
HOSTILE = "<img src=x onerror='document.title=1'><script>document.title = 2</script>"


def fence(code, language="python"):
    return f"```{language}\n{code}\n```"


class Packages:
    """Has a module `demo`."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "demo.py").write_text("VALUE = 7\n")
        for place in (folder, *list(folder.parents)[:2]):
            place.chmod(0o755)

    def layer(self, requirements):
        return SimpleNamespace(mounts={SITE_PACKAGES: self.folder}, packages=[])


@contextmanager
def page(scripted, folder):
    """A tab with the page, at the width of a desk."""
    endpoint = Endpoint("openai", "scripted", "1", scripted.url, 4)
    client = StreamingClient(endpoint, Sampling(), 60)
    with open_sandbox("bubblewrap") as sandbox:
        workspace = Workspace(Interpreter(sandbox, Limits(), Packages(folder)))

        def new_session():
            return Session(client, workspace, Fences())

        with WebServer(("127.0.0.1", 0), new_session, "scripted") as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            with chromium() as tab:
                tab.size(1200, 900)
                url = f"http://127.0.0.1:{server.server_address[1]}/"
                tab.call("Page.navigate", url=url)
                tab.wait("document.getElementById('model')?.textContent == 'scripted'")
                yield tab
                assert tab.errors == []
            server.shutdown()


def say(tab, text):
    """Type a message and send it."""
    tab.run(f"document.getElementById('text').value = {json.dumps(text)}")
    tab.run("document.getElementById('send').click()")


def press(tab, label):
    buttons = "[...document.querySelectorAll('.ask button')]"
    tab.wait(f"{buttons}.some(button => button.textContent == '{label}')")
    tab.run(f"{buttons}.find(button => button.textContent == '{label}').click()")


def finished(tab):
    tab.wait("document.getElementById('stop').hidden && !document.getElementById('send').disabled")


def text_of(tab):
    return tab.run("document.getElementById('talk').innerText")


def test_a_conversation_with_an_error_a_fix_a_plot_an_install_and_a_stop(
    scripted, tmp_path_factory
):
    pictures = tmp_path_factory.mktemp("pictures")
    with page(scripted, tmp_path_factory.mktemp("layer")) as tab:
        answers = [
            f"First try.\n\n{fence('print(1 / 0)')}",
            f"I draw it.\n\n{fence(PLOT)}",
            f"Done. {HOSTILE}",
        ]
        scripted.script = lambda body: answers.pop(0)
        say(tab, "Draw something.")
        press(tab, "Yes")
        press(tab, "Yes")
        finished(tab)
        assert "ZeroDivisionError" in text_of(tab) and "drawn" in text_of(tab)
        assert tab.run("document.querySelectorAll('figure.failed').length") == 1
        # The plot is a picture, and what the model wrote is text.
        tab.wait("document.querySelector('figure img')?.naturalWidth == 300")
        assert HOSTILE in text_of(tab) and tab.run("document.title") == "Code interpreter"
        assert "plot.png" in tab.run("document.getElementById('files').innerText")
        tab.picture(pictures / "plot.png")

        answers += [f"{fence('pip install demo', 'sh')}\n{fence('import demo; print(demo.VALUE)')}"]
        answers += ["It is seven."]
        say(tab, "Use demo.")
        press(tab, "Yes")
        tab.wait("document.querySelector('.ask')?.innerText.includes('Install demo?')")
        press(tab, "Yes")
        finished(tab)
        assert "It is seven." in text_of(tab)

        answers += [Slowly("word " * 2000, pause=0.02)]
        say(tab, "Go on and on.")
        tab.wait("document.getElementById('talk').innerText.includes('word word')")
        tab.run("document.getElementById('stop').click()")
        finished(tab)
        assert "stopped" in text_of(tab)

        tab.size(360, 740)
        assert tab.run("document.documentElement.scrollWidth") <= 360
        tab.picture(pictures / "phone.png")
        tab.run("document.getElementById('theme').click()")
        dark = "getComputedStyle(document.body).backgroundColor"
        assert tab.run(dark) == "rgb(20, 23, 27)"
        tab.picture(pictures / "dark.png")
    print(f"pictures: {pictures}", file=sys.stderr)


def test_a_question_is_edited_and_asked_again(scripted, tmp_path_factory):
    with page(scripted, tmp_path_factory.mktemp("layer")) as tab:
        scripted.script = lambda body: f"You said {body['messages'][-1]['content']}."
        for text in ("one", "two"):
            say(tab, text)
            finished(tab)
        tools = "[...document.querySelectorAll('.tools button')]"
        tab.run(f"{tools}.filter(b => b.textContent == 'Edit')[0].click()")
        tab.wait("document.getElementById('text').value == 'one'")
        assert text_of(tab) == ""
        say(tab, "three")
        finished(tab)
        tab.run(f"{tools}.find(b => b.textContent == 'Again').click()")
        finished(tab)
        tab.wait("document.getElementById('talk').innerText.includes('You said three.')")
        asked = [m["content"] for m in scripted.bodies[-1]["messages"] if m["role"] == "user"]
        assert asked == ["three"] and "one" not in text_of(tab)
