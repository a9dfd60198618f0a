"""Python, as a language of the registry."""

from collections.abc import Mapping
from pathlib import Path

from aiev.core.files import module_path
from aiev.languages.base import Code, Program, Script
from aiev.languages.python import blocks, functions, program
from aiev.sandbox.request import Limits, Request

RUN_MAIN = module_path("aiev.languages.python.run_main").read_text("utf-8")
"""Source of the file that runs main.py in the box and explains failed asserts."""


class Language:
    """See `aiev.languages.base.Language`."""

    fences = blocks.FENCES
    prompt_name = "Python"

    def program(self, answer: str) -> Code | None:
        return blocks.program_of(answer)

    def split(self, code: str) -> Program:
        return program.split_program(code)

    def stub(self, solution: str, only: str = "") -> str:
        return program.stub(solution, only)

    def request(
        self, script: Script, limits: Limits, mounts: Mapping[str, Path], hash_seed: int
    ) -> Request:
        files = {"main.py": script.code, "interpreter.py": RUN_MAIN}
        command = ("python", "interpreter.py")
        return Request(files, command, limits, mounts=mounts, hash_seed=hash_seed)

    def normal_form(self, code: str) -> str:
        return functions.normal_form(code)
