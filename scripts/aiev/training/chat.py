"""The chat template of a base model, which has none of its own: `models.student.chat_template`.

A name of a shipped template (`chatml`, `deepseek`: the layout of DeepSeek-Coder's instruct models),
or a path to a Jinja file. The token with which the template ends a turn becomes the end token of
the tokenizer and of the model, so that training, serving and evaluation all stop there.
"""

import re
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.files import check_file, read_json, read_text, write_json

SHIPPED = Path("config/chat_templates")
NAMES = ("chatml", "deepseek")

_LAST = re.compile(r"<[^<>\s]+>\Z")
"""A special token at the end of a text."""


def template_file(name: str) -> Path:
    """Path of a template. name: of a shipped one, or a path that ends in .jinja.

    Raises UserError for another name, and for a file that does not exist.
    """
    if name in NAMES:
        return SHIPPED / f"{name}.jinja"
    hint = f"use one of {', '.join(NAMES)}, or the path of a .jinja file"
    if not name.endswith(".jinja"):
        message = f"no chat template is called {name!r}"
        raise UserError(message, where="config: models.student.chat_template", hint=hint)
    check_file(Path(name), "no such chat template", hint)
    return Path(name)


def set_template(checkpoint: Path, template: Path) -> str:
    """Give a checkpoint a chat template, and end its turns with the template's last token; returns
    that token.

    Raises UserError for a template that fails or ends a turn with no special token, and for a
    tokenizer that does not know this token.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        message = f"its tokenizer cannot be loaded: {error}"
        hint = "use a checkpoint with a tokenizer.json"
        raise UserError(message, where=str(checkpoint), hint=hint) from error
    before = tokenizer.eos_token_id
    tokenizer.chat_template = read_text(template)
    token = _end_of_turn(tokenizer, template)
    tokenizer.eos_token = token
    tokenizer.save_pretrained(checkpoint)
    end = tokenizer.convert_tokens_to_ids(token)
    # A base model that is not trained yet ends its texts with its own token.
    ends = [end] if before in (None, end) else [end, before]
    _set(checkpoint / "config.json", end)
    _set(checkpoint / "generation_config.json", ends if len(ends) > 1 else end)
    return token


def _end_of_turn(tokenizer, template: Path) -> str:
    """The special token with which the template ends the assistant's turn."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False).rstrip()
    except Exception as error:  # a template is a program, and may fail in any way
        message = f"the chat template fails: {type(error).__name__}: {error}"
        raise UserError(message, where=str(template), hint="fix the template") from error
    found = _LAST.search(text)
    if not found:
        raise UserError(
            f"the chat template ends a turn with {text[-10:]!r}, which is no special token",
            where=str(template),
            hint="let it end each turn with a token of the student's, such as <|im_end|>",
        )
    token = found.group()
    if tokenizer.convert_tokens_to_ids(token) in (None, tokenizer.unk_token_id):
        known = [t for t in tokenizer.added_tokens_encoder if t.startswith("<")]
        raise UserError(
            f"the tokenizer has no token {token}, with which the chat template ends a turn",
            where=str(tokenizer.name_or_path),
            hint="use a template that ends turns with a token it has: " + ", ".join(known[:12]),
        )
    # Added as a word, it might be split or left in answers.
    tokenizer.add_special_tokens({"eos_token": token})
    return token


def _set(path: Path, end: int | list[int]) -> None:
    found = read_json(path) if path.is_file() else {}
    write_json(path, {**found, "eos_token_id": end})
