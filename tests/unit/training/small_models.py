"""Models of some hundred kilobytes, of the architectures that students have, as a hub has them."""

from collections.abc import Mapping
from pathlib import Path

from test_encoding import make_tokenizer

KINDS = ("llama", "qwen2", "starcoder2")
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
}
ENDS = ("<|im_start|>", "<|im_end|>", "<|EOT|>")


def base_tokenizer(tokens=ENDS, tags=True):
    """Of a base model: without a chat template, ending texts with a token of its own."""
    tokenizer = make_tokenizer(template=None, tags=tags)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|endoftext|>", *tokens]})
    tokenizer.eos_token = "<|endoftext|>"
    return tokenizer


def write_model(
    path: Path,
    kind: str,
    tied: bool,
    shards: bool = False,
    tokenizer=None,
    sizes: Mapping[str, int] = SIZES,
) -> Path:
    """Write a checkpoint that nothing has trained; `shards` cuts its weights into several files."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tokenizer or base_tokenizer()
    end = tokenizer.eos_token_id
    config = AutoConfig.for_model(
        kind,
        **{"vocab_size": len(tokenizer) + 8, **sizes},
        tie_word_embeddings=tied,
        bos_token_id=end,
        eos_token_id=end,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.generation_config.eos_token_id = end
    model.save_pretrained(path, max_shard_size="20KB" if shards else "1GB")
    tokenizer.save_pretrained(path)
    return path
