"""What servers say, made an `Answer`. Not taken at their word: any field may be of any type."""

from typing import Any

from aiev.llm.ledger import Answer


def answer_of(completion: Any) -> Answer:
    """Raises ValueError for anything but a chat completion with one text choice."""
    try:
        choice = completion.choices[0]
        text = choice.message.content or ""
    except (AttributeError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise ValueError(str(completion)[:200])
    return Answer(
        text=valid(text),
        finish_reason=str(getattr(choice, "finish_reason", None) or "unknown"),
        prompt_tokens=_count(completion, "prompt_tokens"),
        completion_tokens=_count(completion, "completion_tokens"),
    )


def _count(completion: Any, name: str) -> int:
    count = getattr(getattr(completion, "usage", None), name, None)
    return count if isinstance(count, int) else 0


def tokens_of(answer: Answer, most: tuple[int, int]) -> tuple[int, int]:
    """As the server counted them; as many as there can be, where it does not count."""
    written = min(most[1], len(answer.text.encode("utf-8")))
    return answer.prompt_tokens or most[0], answer.completion_tokens or written


def valid(text: str) -> str:
    """Lone surrogates cannot travel as UTF-8: they become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
