"""A checkpoint that was just trained, served without a GPU: greedy answers are the model's own."""

import asyncio

import pytest

from aiev.chat import Chat
from aiev.endpoints import serve
from aiev.ledger import Ledger
from aiev.students import prepare_student

pytestmark = pytest.mark.real
SETTINGS = {"kind": "llamacpp", "name": "student", "slots": 2, "context_tokens": 512}
SETTINGS |= {"threads": 2, "gpu_layers": 0}
PROMPTS = (
    "Write a function `double(x)` that returns twice `x`.",
    "What is the capital of France?",
    "Write a Python function that reverses a string.",
    "Name three colours.",
)
TOKENS = 32


def generated(student, prompts):
    """Greedy answers of transformers' `generate`, in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(student)
    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    answers = []
    for prompt in prompts:
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        with torch.no_grad():
            made = model.generate(**ids, max_new_tokens=TOKENS, do_sample=False)
        new = made[0, ids["input_ids"].shape[1] :]
        answers.append(tokenizer.decode(new, skip_special_tokens=True))
    return answers


def served(student, prompts, folder):
    async def ask(endpoint):
        async with Chat(endpoint, Ledger(folder / "ledger"), timeout=120) as chat:
            talks = ([{"role": "user", "content": prompt}] for prompt in prompts)
            return await asyncio.gather(*(chat.ask(t, max_tokens=TOKENS) for t in talks))

    with serve(SETTINGS, student, folder, folder / "job.log") as endpoint:
        return [answer.text for answer in asyncio.run(ask(endpoint))]


def test_served_greedy_answers_are_those_of_generate(resource, tmp_path):
    student = tmp_path / "student"
    prepare_student(resource("smollm2-135m"), student, "bfloat16")
    assert served(student, PROMPTS, tmp_path) == generated(student, PROMPTS)
