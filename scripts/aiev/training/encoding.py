"""Conversations as token ids and labels: what exactly is in the loss.

Loss falls on what the assistant says, its end-of-turn token included, and on nothing else: not on
system, user or header tokens, and not from `<API_RES_START>` to `<API_RES_STOP>`, which the
interpreter writes. Which of the assistant's messages are learnt is the config's `training.learn`;
the others are read only.

A conversation whose text holds a control token of the tokenizer (`<|im_end|>` in a program that
prints it) is dropped and counted. Escaping the token would train on other ids than inference reads
for the same text; changing the text would change code that was verified.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from aiev.core.errors import UserError
from aiev.dataset.tokens import RES_START, RES_STOP, RUN_START, RUN_STOP, TOKENS
from aiev.training.learn import Learn
from aiev.training.too_long import Counts, TooLong, middle_rounds, without_rounds

IGNORED = -100
"""Label of a token that carries no loss, for PyTorch's cross entropy."""

TOO_LONG = "too-long"

_TAG = re.compile("|".join(TOKENS))
_FOLLOWS = {
    None: (RUN_START,),
    RUN_START: (RUN_STOP,),
    RUN_STOP: (RUN_START, RES_START),
    RES_START: (RES_STOP,),
    RES_STOP: (RUN_START,),
}

Message = Mapping[str, str]
Span = tuple[int, int]


@dataclass(frozen=True)
class Encoded:
    """One conversation. Both lists have the same length; a label is its token's id or IGNORED."""

    input_ids: list[int]
    labels: list[int]

    @property
    def end_of_turn(self) -> int | None:
        """The last token in the loss, which ends the last turn; None without any loss."""
        return next((label for label in reversed(self.labels) if label != IGNORED), None)


class Dropped(Exception):
    """This conversation cannot be trained on; the message is the reason that is counted."""


def add_tokens(tokenizer) -> int:
    """Add the four tokens to the tokenizer's own special ones; how many of them were new."""
    return tokenizer.add_special_tokens(
        {"additional_special_tokens": list(TOKENS)}, replace_extra_special_tokens=False
    )


def encode_all(
    tokenizer,
    rows: Iterable[Mapping[str, Any]],
    max_tokens: int,
    counts: Counts,
    learn: Learn = "all",
    too_long: TooLong = "drop",
) -> Iterator[Encoded]:
    """Each conversation that can be trained on, in order; others are counted in `counts`.

    learn: which of the assistant's messages are in the loss: all; passing, those that are not in
    the row's `failed`; last, the last one.
    too_long: whether longer ones are dropped, or lose as many middle rounds as they must.
    """
    for row in rows:
        rounds, spare = len(row["failed"]), middle_rounds(row) if too_long != "drop" else 0
        try:
            encoded, lost = _fit(tokenizer, row, max_tokens, learn, spare)
        except Dropped as reason:
            counts.dropped[str(reason)] += 1
            counts.too_long[rounds] += str(reason) == TOO_LONG
            continue
        if lost:
            counts.too_long[rounds] += 1
            counts.shortened[lost] += 1
        yield encoded


def _fit(
    tokenizer, row: Mapping[str, Any], max_tokens: int, learn: Learn, spare: int
) -> tuple[Encoded, int]:
    """The conversation without as few of its `spare` middle rounds as it fits in, and how many
    these are. Raises Dropped."""
    lost = 0
    while True:
        part = without_rounds(row, lost)
        try:
            return encode(tokenizer, part["messages"], max_tokens, _read_only(part, learn)), lost
        except Dropped as reason:
            if str(reason) != TOO_LONG or lost == spare:
                raise
            lost += 1


def _read_only(row: Mapping[str, Any], learn: Learn) -> Collection[int]:
    """Numbers of the assistant's messages that carry no loss."""
    if learn == "all":
        return ()
    spoken = [n for n, message in enumerate(row["messages"]) if message["role"] == "assistant"]
    return row["failed"] if learn == "passing" else spoken[:-1]


def encode(
    tokenizer, messages: Sequence[Message], max_tokens: int, read_only: Collection[int] = ()
) -> Encoded:
    """Token ids and labels of one conversation (roles: system, user, assistant).

    read_only: numbers of the assistant's messages that carry no loss.

    Raises Dropped with the reason for this conversation, UserError when the tokenizer or its
    template is unfit for all of them.
    """
    _check_tokenizer(tokenizer)
    for message in messages:
        _check_message(tokenizer, message)
    if not any(message["role"] == "assistant" for message in messages):
        raise Dropped("no-assistant-turn")
    text, turns = _render(tokenizer, messages)
    spans = [span for number, span in turns.items() if number not in read_only]
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = encoding["input_ids"], encoding["offset_mapping"]
    if len(ids) > max_tokens:
        raise Dropped(TOO_LONG)
    others = [turns[number] for number in read_only]
    mask = _loss_mask(offsets, spans, [*others, *(m.span() for m in _results(text))])
    labels = numpy.where(mask, ids, IGNORED).tolist()
    encoded = Encoded(list(ids), labels)
    _check_end(tokenizer, encoded.end_of_turn)
    return encoded


def _render(tokenizer, messages: Sequence[Message]) -> tuple[str, dict[int, Span]]:
    """The text that the model reads, and where in it each message of the assistant stands.

    A turn begins where inference would hand over to the model and ends after its end-of-turn
    token; the line feed that a template puts behind it belongs to no turn.
    """

    def rendered(count: int, generate: bool = False) -> str:
        return tokenizer.apply_chat_template(
            list(messages[:count]), tokenize=False, add_generation_prompt=generate
        )

    spans: dict[int, Span] = {}
    text = rendered(len(messages))
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        if number == 0:
            raise Dropped("assistant-speaks-first")
        before, after = rendered(number, generate=True), rendered(number + 1)
        if not (after.startswith(before) and text.startswith(after)):
            raise UserError(
                "the chat template does not render the start of a conversation as the start of "
                "its text, so training would not read what inference reads",
                where=f"message {number + 1}, tokenizer {tokenizer.name_or_path}",
                hint="use a student whose template leaves earlier turns as they were",
            )
        spans[number] = (len(before), len(after.rstrip()))
    return text, spans


def _results(text: str) -> Iterable[re.Match]:
    return re.finditer(f"{RES_START}.*?{RES_STOP}", text, re.DOTALL)


def _loss_mask(
    offsets: Sequence[Span], spans: Sequence[Span], unlearnt: Sequence[Span]
) -> numpy.ndarray:
    """For each token, whether it lies in a span that is learnt, and in no result there.

    Raises Dropped for a token that crosses a border: its two halves have different writers.
    """
    starts, ends = numpy.array(offsets, numpy.int64).reshape(-1, 2).T
    # Some tokenizers leave white space out of their offsets; it belongs to the next token.
    starts = numpy.minimum(starts, numpy.concatenate([[0], ends])[: len(ends)])
    for border in {border for span in (*spans, *unlearnt) for border in span}:
        if ((starts < border) & (border < ends)).any():
            raise Dropped("token-across-turns")
    return _inside(starts, ends, spans) & ~_inside(starts, ends, unlearnt)


def _inside(starts: numpy.ndarray, ends: numpy.ndarray, spans: Sequence[Span]) -> numpy.ndarray:
    """For each token, whether one of the spans holds it."""
    inside = numpy.zeros(len(starts), bool)
    for first, last in spans:
        inside |= (first <= starts) & (ends <= last)
    return inside


def _check_message(tokenizer, message: Message) -> None:
    content = message["content"]
    try:
        content.encode("utf-8")
    except UnicodeEncodeError:
        raise Dropped("not-unicode") from None
    if any(token in content for token in _control_tokens(tokenizer)):
        raise Dropped("control-token-in-text")
    tags = _TAG.findall(content)
    if tags and message["role"] != "assistant":
        # In the layout `turns` a result opens the user's message.
        opens = message["role"] == "user" and content.startswith(RES_START)
        if not (opens and tags == [RES_START, RES_STOP]):
            raise Dropped("tag-outside-assistant")
        return
    for before, tag in zip([None, *tags], tags, strict=False):
        if tag not in _FOLLOWS[before]:
            raise Dropped("tags-out-of-order")
    if tags and tags[-1] in (RUN_START, RES_START):
        raise Dropped("tags-out-of-order")


def _control_tokens(tokenizer) -> list[str]:
    """Tokens that steer a model. Added letters (DeepSeek adds `ü`) are none."""
    return [
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if token.content not in TOKENS
        and (token.special or (token.content[:1], token.content[-1:]) == ("<", ">"))
    ]


def _check_tokenizer(tokenizer) -> None:
    if not tokenizer.is_fast or not tokenizer.chat_template:
        lacks = "chat template" if tokenizer.is_fast else "fast tokenizer"
        raise UserError(
            f"the student has no {lacks}, which training and inference both need",
            where=str(tokenizer.name_or_path),
            hint="use a student tuned for chat, with a tokenizer.json, or give a base model a chat "
            "template: models.student.chat_template: chatml",
        )
    missing = [token for token in TOKENS if token not in tokenizer.added_tokens_encoder]
    if missing:
        raise UserError(
            f"the tokenizer lacks {', '.join(missing)}",
            where=str(tokenizer.name_or_path),
            hint="add them with aiev.training.encoding.add_tokens, or use a model trained here",
        )


def _check_end(tokenizer, last: int | None) -> None:
    """The last token in the loss must end the turn, or the model would never stop."""
    if last not in tokenizer.added_tokens_decoder:
        shown = "nothing" if last is None else repr(tokenizer.decode([last]))
        raise UserError(
            f"the chat template ends the assistant's turn with {shown}, which is no special token, "
            "so the student would never stop",
            where=f"chat template of {tokenizer.name_or_path}",
            hint="use a student whose template ends each turn (`<|im_end|>`, `<|EOT|>`)",
        )
