"""A headless Chromium, driven over a pipe by its own protocol (`--remote-debugging-pipe`)."""

import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from needs import unavailable

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
OPTIONS += ["--no-first-run", "--disable-extensions", "--remote-debugging-pipe"]


class Tab:
    """One page. errors: what it said on its console, and what its policy or scripts refused."""

    def __init__(self, to: int, out: int):
        self.to, self.out, self.rest = to, out, b""
        self.number, self.session, self.errors = 0, "", []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params):
        """The result of a command of the protocol."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self.number:
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(answer["params"])
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self):
        while b"\0" not in self.rest:
            data = os.read(self.out, 1 << 16)
            assert data, "the browser has ended"
            self.rest += data
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def run(self, script: str):
        """Value of a JavaScript expression in the page."""
        options = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        answer = self.call("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 60):
        """The expression's value once it is true."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"{script}: {self.run('document.body.innerText')}"
            time.sleep(0.05)
        return value

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def chromium() -> Iterator[Tab]:
    """A tab of a fresh browser, whose program CHROMIUM may name. Without one the test is skipped,
    or fails where all must run."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        unavailable("there is no chromium here")
    to_read, to_write = os.pipe()
    out_read, out_write = os.pipe()

    def place() -> None:
        """The protocol's pipes are the descriptors 3 and 4, which either pipe may have now."""
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_read, out_write)]
        for number, end in enumerate(ends, 3):
            os.dup2(end, number)

    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={profile}"],
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=place,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(out_write)
        try:
            yield Tab(to_write, out_read)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(to_write)
            os.close(out_read)
