"""A student and a benchmark of some kilobytes, for runs of the whole workflow in the tests.

The student is a real GGUF file that nothing has trained: Llama, one layer, bytes for tokens. The
benchmark is in HumanEval's own format, so that its inputs are recorded in the sandbox.
"""

import gzip
import json
import re
from pathlib import Path
from typing import Any

from scripted import dialogues

from aiev.core.hashing import of_bytes

WIDTH, HEADS = 16, 2
CONTEXT = 4096
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SHAPE = {
    "model_type": "llama",
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "num_hidden_layers": 1,
    "vocab_size": 259,
    "tie_word_embeddings": True,
}
"""Of the student's config.json, as its declaration gives it."""
PROBLEMS = ("add_one", "add_two", "add_three", "add_four")


def write_student(path: Path) -> None:
    """Write the GGUF file; the same bytes each time."""
    import numpy
    from gguf import GGUFWriter
    from tokenizers.pre_tokenizers import ByteLevel

    words = [*sorted(ByteLevel.alphabet()), "ĠĠ", "<|im_start|>", "<|im_end|>"]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words)
    writer.add_token_types([1] * (len(words) - 2) + [3, 3])
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(len(words) - 2)
    writer.add_eos_token_id(len(words) - 1)
    writer.add_chat_template(TEMPLATE)
    random = numpy.random.default_rng(0)
    block = {"attn_q": (1, 1), "attn_k": (1, 1), "attn_v": (1, 1), "attn_output": (1, 1)}
    block |= {"ffn_gate": (2, 1), "ffn_up": (2, 1), "ffn_down": (1, 2)}
    shapes = {"token_embd": (len(words), WIDTH)}
    shapes |= {f"blk.0.{name}": (a * WIDTH, b * WIDTH) for name, (a, b) in block.items()}
    for name, shape in shapes.items():
        weights = random.normal(0, 0.02, shape).astype(numpy.float32)
        writer.add_tensor(f"{name}.weight", weights)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", numpy.ones(WIDTH, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def problem(number: int, name: str) -> dict[str, Any]:
    more = number + 1
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": f'def {name}(x):\n    """Return x plus {more}."""\n',
        "entry_point": name,
        "canonical_solution": f"    return x + {more}\n",
        "test": f"def check(candidate):\n    assert candidate(1) == {1 + more}\n"
        f"    assert candidate(5) == {5 + more}\n",
    }


def write_benchmark(path: Path) -> None:
    rows = [json.dumps(problem(*pair)) + "\n" for pair in enumerate(PROBLEMS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(rows).encode(), mtime=0))


def answers(body: dict[str, Any]) -> str:
    """What the scripted models say: dialogues as ever, and a benchmark's problems well or badly.

    The teacher and the student solve them, the student's base does not.
    """
    messages = body["messages"]
    asked = re.findall(
        r"^def (\w+)\(x\):\n +\"\"\"Return x plus (\d+)", messages[-1]["content"], re.M
    )
    if len(messages) > 1 or not asked:
        return dialogues(body)
    (name, more), wrong = asked[0], body["model"].startswith("base-")
    return f"```python\ndef {name}(x):\n    return x + {int(more) + wrong}\n```"


def declaration(path: Path) -> dict[str, Any]:
    """What config/resources.yaml says of a file that only a mirror directory has."""
    data = path.read_bytes()
    nowhere = {"kind": "url", "url": "http://127.0.0.1:9/"}
    kept = {"file": path.name, "sha256": of_bytes(data), "bytes": len(data)}
    return {**kept, "licence": "CC0-1.0", "mirrors": [nowhere]}
