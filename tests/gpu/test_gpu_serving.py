"""vLLM on GPUs: started, asked and ended, with the memory that it held free again."""

import asyncio
import shutil
import time

import pytest
from measure import peak_memory, used_memory

from aiev.llm.client import ChatClient
from aiev.llm.endpoints import serve
from aiev.llm.ledger import Ledger

pytestmark = pytest.mark.gpu
QUESTIONS = 128
TOKENS = 128
SETTINGS = {"kind": "vllm", "name": "student-half", "slots": 64, "context_tokens": 2048}
SETTINGS |= {"tensor_parallel": 1}


@pytest.mark.parametrize("copies", ["one", "all"])
def test_it_is_asked_and_its_memory_is_free_again(copies, gpus, student, tmp_path, figures):
    if not shutil.which("vllm"):
        pytest.skip("needs the command vllm on the PATH")
    number = gpus if copies == "all" else 1
    before = used_memory()
    settings = SETTINGS | {"data_parallel": number}
    with peak_memory() as peak, serve(settings, student, tmp_path, tmp_path / "log") as endpoint:
        start = time.monotonic()
        endpoint.start()
        started = time.monotonic() - start
        start = time.monotonic()
        tokens = asyncio.run(_ask(endpoint, Ledger(tmp_path / "ledger")))
        seconds = time.monotonic() - start
    assert 0 < tokens <= QUESTIONS * TOKENS
    assert max(peak) > 2**30, "it did serve on a GPU"
    left = [now - then for now, then in zip(used_memory(), before, strict=True)]
    assert max(left) < 2**28, "what it held is free"
    figures.add("vllm", tokens / seconds, "tokens/s", copies=number, start_seconds=round(started))


async def _ask(endpoint, ledger: Ledger) -> int:
    """Completion tokens of all questions together."""
    async with ChatClient(endpoint, ledger, timeout=600) as chat:
        asked = (
            chat.complete([{"role": "user", "content": f"Count from {n}."}], max_tokens=TOKENS)
            for n in range(QUESTIONS)
        )
        return sum(answer.completion_tokens for answer in await asyncio.gather(*asked))
