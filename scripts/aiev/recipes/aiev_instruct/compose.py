"""An answer's program, put together from what the model wrote apart: the solution and its tests.

A small model that is asked for both at once writes worse solutions, and bends the one to the other.
Asked apart, neither sees the other. What stands around the program stays as the model wrote it.
"""

import ast

from aiev.languages.markdown import unix
from aiev.languages.python.blocks import longest, program_of, python_blocks
from aiev.recipes.aiev_instruct.shapes import asserts_in
from aiev.recipes.verification.separate import separate

PASSED = "All tests passed"


def solution_of(answer: str, name: str) -> str | None:
    """The solution in an answer, with what it needs from other blocks and without tests or examples
    of use; None where the answer has no program. One that does not parse is returned as it is:
    running it says what is wrong."""
    found = program_of(answer, name)
    if found is None:
        return None
    try:
        return separate(found.text).solution or None
    except SyntaxError:
        return found.text


def asserts_of(answer: str, name: str, limit: int) -> list[str]:
    """The different tests of an answer that call the function, at most `limit`, each as one assert
    statement, whatever their shape."""
    found: dict[str, None] = {}
    for text in [block.text.strip("\n") for block in python_blocks(answer)] or [answer]:
        for node in asserts_in(text):
            if len(found) < limit and _calls(node, name):
                found[ast.unparse(node)] = None
    return list(found)


def program(solution: str, tests: list[str], shown: str) -> str:
    """Solution and tests as one program. shown: a call whose result it prints, "" for none."""
    lines = [*tests, *([f"print({shown})"] if shown else []), f'print("{PASSED}")']
    return f"{solution.strip()}\n\n\n" + "\n".join(lines)


def compose(answer: str, name: str, code: str) -> str:
    """The answer with `code` in place of its program, and without its other programs."""
    found = program_of(answer, name)
    if found is None:
        return answer
    text, chosen = unix(answer), longest(found.blocks, name)
    fence = f"```python\n{code}\n```"
    if found.shell:  # a notebook's commands stood in the blocks that go
        fence = f"```sh\n{found.shell}\n```\n\n{fence}"
    for block in sorted(python_blocks(answer), key=lambda b: b.start, reverse=True):
        new = fence if block == chosen else ""
        text = f"{text[: block.start].rstrip()}\n\n{new}\n\n{text[block.end :].lstrip()}"
    return text.strip().replace("\n\n\n\n", "\n\n")


def _calls(node: ast.stmt, name: str) -> bool:
    calls = (n.func for n in ast.walk(node) if isinstance(n, ast.Call))
    return any(isinstance(func, ast.Name) and func.id == name for func in calls)
