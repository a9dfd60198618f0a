"""Python, as a language of the registry."""

from collections.abc import Mapping
from pathlib import Path

from aiev.core.files import module_path
from aiev.languages.base import Code, Script
from aiev.languages.python.blocks import program_of
from aiev.sandbox.request import Limits, Request

RUN_MAIN = module_path("aiev.languages.python.run_main").read_text("utf-8")
"""Source of the file that runs main.py in the box and explains failed asserts."""


class Language:
    """See `aiev.languages.base.Language`."""

    def program(self, answer: str) -> Code | None:
        return program_of(answer)

    def request(
        self, script: Script, limits: Limits, mounts: Mapping[str, Path], hash_seed: int
    ) -> Request:
        files = {"main.py": script.code, "interpreter.py": RUN_MAIN}
        command = ("python", "interpreter.py")
        return Request(files, command, limits, mounts=mounts, hash_seed=hash_seed)
