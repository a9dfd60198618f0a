"""What a student must have to be trained, checked before dialogues are written for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.dataset.tokens import RES_START, RES_STOP, RUN_START, RUN_STOP
from aiev.training.encoding import Dropped, add_tokens, encode
from aiev.training.lora import check_layers

_RUN = f"{RUN_START}```python\nprint(6 * 7)\n```{RUN_STOP}"
_RESULT = f"{RES_START}42\n{RES_STOP}"
CONVERSATION = (
    {"role": "user", "content": "Multiply 6 by 7, and run it."},
    {"role": "assistant", "content": f"{_RUN}{_RESULT}\n\nIt is 42."},
    {"role": "user", "content": "And once more?"},
    {"role": "assistant", "content": f"{_RUN}{_RESULT}\n\nStill 42."},
)
"""Two turns, with all four special tokens: what the tagged training data look like."""


def check_student(checkpoint: Path, system: bool = False) -> None:
    """Check the tokenizer and the chat template of a student that is not trained yet.

    system: whether the template must also render a system message, as a student that writes
    dialogues is given one.
    Raises UserError for a tokenizer without a fast version or a chat template, a template that
    leaves a turn without an end or changes earlier turns, one that fails, and special tokens that
    the tokenizer takes apart.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    except (ValueError, KeyError, OSError) as error:
        raise _unfit(checkpoint, f"its tokenizer cannot be loaded: {error}") from error
    add_tokens(tokenizer)
    try:
        encode(tokenizer, CONVERSATION, 1_000_000)
        if system:
            messages = [{"role": "system", "content": "You are a programmer."}, *CONVERSATION]
            tokenizer.apply_chat_template(messages, tokenize=False)
    except Dropped as reason:
        raise _unfit(checkpoint, f"a tagged conversation cannot be encoded ({reason})") from None
    except UserError:
        raise
    except Exception as error:  # a template is a program, and may fail in any way
        what = f"its chat template fails: {type(error).__name__}: {error}"
        raise _unfit(checkpoint, what) from error


def check_lora(checkpoint: Path, lora: Mapping[str, Any] | None) -> None:
    """Raise UserError for a student that LoRA cannot train, or not those of its layers.

    lora: the config's section `training.lora`. No weight is read.
    """
    if lora is None:
        return
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        config = AutoConfig.from_pretrained(checkpoint, local_files_only=True)
        model = AutoModelForCausalLM.from_config(config)
    check_layers(model, lora["target_modules"])


def _unfit(checkpoint: Path, problem: str) -> UserError:
    return UserError(
        f"the student cannot be trained on tagged dialogues: {problem}",
        where=str(checkpoint),
        hint="use a student tuned for chat whose template renders user and assistant in turns, and "
        "a system message if it is to write dialogues (rounds.self_learning)",
    )
