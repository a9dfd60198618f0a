"""A real model goes on with the beginning of an answer that the style evalplus gives."""

import ast
import asyncio

import pytest

from aiev.evaluation.benchmarks.base import open_benchmark
from aiev.evaluation.generate import Decoding, generate
from aiev.evaluation.styles import record
from aiev.llm.client import ChatClient
from aiev.llm.endpoints import serve
from aiev.llm.ledger import Ledger

pytestmark = pytest.mark.real
SETTINGS = {"kind": "llamacpp", "name": "teacher", "slots": 2, "context_tokens": 1024}
SETTINGS |= {"threads": 2, "gpu_layers": 0}
TASKS = [
    {
        "task_id": f"HumanEval/{number}",
        "prompt": f'def {name}(x: int) -> int:\n    """{words}"""\n',
        "entry_point": name,
    }
    for number, (name, words) in enumerate(
        (("add_one", "Return x plus 1."), ("square", "Return the square of x."))
    )
]


def test_answers_go_on_from_the_prefill(resource, tmp_path):
    """They begin with code, inside the fence that was opened, and end where it is closed."""
    weights = resource("qwen2.5-coder-0.5b")
    style = open_benchmark("humaneval", "evalplus", {}).style("evalplus")
    with serve(SETTINGS, weights, tmp_path, tmp_path / "job.log") as endpoint:
        asked = style.where(endpoint.goes_on is not None)

        async def run():
            async with ChatClient(endpoint, Ledger(tmp_path / "ledger"), timeout=300) as chat:
                return await generate(chat, TASKS, asked, Decoding(128))

        rows = asyncio.run(run())
    for task, row in zip(TASKS, rows, strict=True):
        assert row["prefill"].endswith("```python\n")
        assert row["answer"].lstrip().startswith(("def ", "import ", "from ")), row["answer"]
        assert row["answer"].count("```") <= 1 and "\n```\n" not in row["answer"]
        (function,) = (n for n in ast.parse(row["solution"]).body if isinstance(n, ast.FunctionDef))
        assert function.name == task["entry_point"]
    assert record("evalplus", style, TASKS, prefilled=True)["prefilled"]
