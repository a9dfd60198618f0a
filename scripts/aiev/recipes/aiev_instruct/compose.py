"""An answer's program, put together from what the model wrote apart: the solution and its tests.

A small model that is asked for both at once writes worse solutions, and bends the one to the other.
Asked apart, neither sees the other. What stands around the program stays as the model wrote it.
"""

import ast

from aiev.languages.markdown import unix
from aiev.languages.python.blocks import python_blocks
from aiev.recipes.aiev_instruct.shapes import asserts_in
from aiev.recipes.verification.separate import separate

PASSED = "All tests passed"


def solution_of(answer: str, name: str) -> str | None:
    """The solution in an answer, without tests or examples of use; None where the answer has no
    program. One that does not parse is returned as it is: running it says what is wrong."""
    block = _block(answer, name)
    if block is None:
        return None
    code = block.text.strip("\n")
    try:
        return separate(code).solution or None
    except SyntaxError:
        return code


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
    text, chosen = unix(answer), _block(answer, name)
    fence = f"```python\n{code}\n```"
    for block in sorted(python_blocks(answer), key=lambda b: b.start, reverse=True):
        new = fence if block == chosen else ""
        text = f"{text[: block.start].rstrip()}\n\n{new}\n\n{text[block.end :].lstrip()}"
    return text.strip().replace("\n\n\n\n", "\n\n") if chosen else answer


def _block(answer: str, name: str):
    """The longest of the programs that define the function, or else the longest of all."""
    blocks = python_blocks(answer)
    defining = [b for b in blocks if f"def {name}(" in b.text or f"class {name}" in b.text]
    return max(defining or blocks, key=lambda block: len(block.text.strip("\n")), default=None)


def _calls(node: ast.stmt, name: str) -> bool:
    calls = (n.func for n in ast.walk(node) if isinstance(n, ast.Call))
    return any(isinstance(func, ast.Name) and func.id == name for func in calls)
