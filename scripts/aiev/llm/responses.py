"""Answers of models, read from what a server sent.

One reader for dialogues, duels, benchmarks and the interpreter; `thoughts` takes out what is no
part of an answer. Nothing that a server sends is trusted: any field may be of any type.
"""

import re
from dataclasses import dataclass
from typing import Any

MAX_COUNT = 10**9
"""Tokens of one request that can be believed."""

NO_ANSWER = ("refused", "context-full", "request-failed")
"""In the place of a finish reason: why there is no answer. aiev.llm.failures has their errors."""


@dataclass(frozen=True)
class Answer:
    """A model's answer.

    text:          as the server sent it, thoughts included; a caller reads `thoughts.final_text`.
    finish_reason: the server's word for why the answer ended ("stop", "length", ...).
    prompt_tokens, completion_tokens: the server's own counts; 0 where it does not count.
    key:           of the answer's entry in the ledger.
    asked_again:   whether a shorter limit had cut the answer off before this one was asked for.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    key: str = ""
    asked_again: bool = False

    @property
    def cut_off(self) -> bool:
        """Whether the answer ended at the limit of tokens."""
        return is_cut_off(self.finish_reason)


def is_cut_off(finish_reason: str) -> bool:
    """Whether the server's word for an answer's end means that a limit of tokens ended it."""
    return bool(_CUT_OFF.search(plain_reason(finish_reason)))


def is_filtered(finish_reason: str) -> bool:
    """Whether the word means that the vendor's filter ended the answer."""
    return bool(_FILTERED.search(plain_reason(finish_reason)))


def is_broken_off(finish_reason: str) -> bool:
    """Whether the word means that the server failed before the answer's end."""
    return bool(_BROKEN_OFF.search(plain_reason(finish_reason)))


def is_whole(finish_reason: str) -> bool:
    """Whether the word means that the model ended its answer."""
    return plain_reason(finish_reason) in ("stop", "eos", "eos_token", "end_turn", "stop_sequence")


def plain_reason(finish_reason: str) -> str:
    """A finish reason in one spelling: "max_tokens" of `maxTokens`, `max-tokens`,
    `FINISH_REASON_MAX_TOKENS` and `FinishReason.MAX_TOKENS`; of Google's "content_filter: OTHER",
    both words."""
    words = finish_reason.rpartition(".")[2] if " " not in finish_reason else finish_reason
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", words)
    return word.lower().replace("-", "_").removeprefix("finish_reason_")


_CUT_OFF = re.compile(
    r"length|truncat|incomplete|(max|limit|budget)\w*_tokens?|tokens?_(limit|max|budget)"
    r"|context_(window|limit|exceed)"
)
"""OpenAI's word, and those of Anthropic, Google, Cohere, Mistral and proxies before them."""

_FILTERED = re.compile(
    r"filter|refus|safety|prohibit|recitation|sensitive|blocked|blocklist|spii|guardrail"
    r"|moderat|policy|policies|flagged|inappropriate|jailbreak|violation"
)

_BROKEN_OFF = re.compile(
    r"error|abort|cancel|timeout|timed_out|fail|interrupt|insufficient|overload|unavailable"
)
"""DeepSeek, Zhipu, OpenRouter, vLLM."""


def answer_of(completion: Any) -> Answer:
    """The answer in a chat completion.

    Raises ValueError for anything but a completion with one choice that has a message of text.
    """
    try:
        choice = completion.choices[0]
        text = text_of(choice.message.content)
    except (AttributeError, IndexError, KeyError, TypeError):
        text = None
    if text is None:
        raise ValueError(f"not a chat completion: {str(completion)[:200]}")
    return Answer(
        text=valid(text),
        finish_reason=_reason_of(choice, text),
        prompt_tokens=count_of(completion, "prompt_tokens"),
        completion_tokens=count_of(completion, "completion_tokens"),
    )


def _reason_of(choice: Any, text: str) -> str:
    """Why an answer ended: of a router's word and the provider's own, the one that says more."""
    reason = str(getattr(choice, "finish_reason", None) or "unknown")
    if not text and _refuses(choice.message):
        return "refusal"
    own = (getattr(choice, "model_extra", None) or {}).get("native_finish_reason")
    if isinstance(own, str) and is_whole(reason) and (is_cut_off(own) or is_filtered(own)):
        return own
    return reason


def text_of(content: Any) -> str | None:
    """The text of a message, or of a piece of it; None where there is none to read.

    Content is text, or a list of parts of which those of type text are the answer (Mistral's
    reasoning models send their thoughts as parts, too). Thoughts in a field of their own
    (`reasoning_content`, `reasoning`) are not part of the answer.
    """
    if content is None or isinstance(content, str):
        return content or ""
    content = [content] if isinstance(content, dict) else content
    if not isinstance(content, list):
        return None
    parts = [_part(part) for part in content]
    return None if None in parts else "".join(parts)


def _part(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return None
    if part.get("type", "text") not in ("text", "output_text"):
        return ""
    text = part.get("text", part.get("content"))
    text = text.get("value") if isinstance(text, dict) else text  # OpenAI's older API
    return "" if text is None and "text" in part else text if isinstance(text, str) else None


def _refuses(message: Any) -> bool:
    """Whether a message without a text is a refusal: OpenAI puts it into a field, or a part, of its
    own."""
    own = getattr(message, "refusal", None)
    parts = message.content if isinstance(message.content, list) else []
    return bool(isinstance(own, str) and own) or any(
        isinstance(part, dict) and part.get("type") == "refusal" for part in parts
    )


def count_of(completion: Any, name: str) -> int:
    """A token count; 0 for one that is missing or cannot be a count, such as `true` or -1."""
    count = getattr(getattr(completion, "usage", None), name, None)
    return count if type(count) is int and 0 < count <= MAX_COUNT else 0


def tokens_of(answer: Answer, limits: tuple[int, int]) -> tuple[int, int]:
    """Tokens of prompt and completion: as the server counted them, or else as many as there can
    be. limits: upper bounds of both, see `budget.max_tokens_of`."""
    written = min(limits[1], len(answer.text.encode("utf-8")))
    return answer.prompt_tokens or limits[0], answer.completion_tokens or written


def valid(text: str) -> str:
    """The text with question marks for lone surrogates, which cannot travel as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
