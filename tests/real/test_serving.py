"""A checkpoint that was just trained, served without a GPU: greedy answers are the model's own."""

import asyncio
from pathlib import Path

import pytest

from aiev.core.files import write_jsonl
from aiev.dataset.tokens import TOKENS
from aiev.llm.client import ChatClient
from aiev.llm.endpoints import serve
from aiev.llm.ledger import Ledger
from aiev.training.checkpoints import prepare_student
from aiev.training.settings import TrainingSettings
from aiev.training.supervisor import train

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
SETTINGS = {"kind": "llamacpp", "name": "student", "slots": 2, "context_tokens": 512}
SETTINGS |= {"threads": 2, "gpu_layers": 0}
PROMPTS = (
    "Write a function `double(x)` that returns twice `x`.",
    "What is the capital of France?",
    "Write a Python function that reverses a string.",
    "Name three colours.",
)
MOST = 32
DIALOGUE = (
    ("user", "Print 1. Please run it."),
    (
        "assistant",
        "<API_RUN_START>```python\nprint(1)\n```<API_RUN_STOP><API_RES_START>1<API_RES_STOP> Done.",
    ),
)
TRAINING = TrainingSettings().model_dump() | {
    "seed": 0,
    "epochs": 1,
    "warmup_ratio": 0.0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "scheduler": "constant",
    "micro_batch": 1,
    "global_batch": 1,
    "learning_rate": 5e-5,
    "max_tokens": 200,
    "precision": "float32",
    "accelerator": "cpu",
    "accelerators": 1,
    "threads": 2,
}


def trained(weights, folder):
    """The checkpoint of a student after one step, with the four tokens."""
    student, data, model = folder / "untrained", folder / "tagged.jsonl", folder / "student"
    prepare_student(weights, student, "bfloat16")
    messages = [{"role": role, "content": content} for role, content in DIALOGUE]
    write_jsonl(data, [{"id": "0", "tagged": True, "failed": [], "messages": messages}])
    zero = ROOT / "config/deepspeed/zero2.json"
    report = train(student, data, zero, model, folder / "scratch", TRAINING)
    assert report["added_tokens"] == len(TOKENS) and len(report["steps"]) == 1
    return model


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
            made = model.generate(**ids, max_new_tokens=MOST, do_sample=False)
        new = made[0, ids["input_ids"].shape[1] :]
        answers.append(tokenizer.decode(new, skip_special_tokens=True))
    return answers


def served(student, prompts, folder):
    async def ask(endpoint):
        async with ChatClient(endpoint, Ledger(folder / "ledger"), timeout=120) as chat:
            talks = ([{"role": "user", "content": prompt}] for prompt in prompts)
            return await asyncio.gather(*(chat.complete(t, max_tokens=MOST) for t in talks))

    with serve(SETTINGS, student, folder, folder / "job.log") as endpoint:
        return [answer.text for answer in asyncio.run(ask(endpoint))]


def test_served_greedy_answers_are_those_of_generate(trained_student, tmp_path):
    assert served(trained_student, PROMPTS, tmp_path) == generated(trained_student, PROMPTS)
