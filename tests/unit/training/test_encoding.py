"""What is in the loss: the assistant's own words, its end of turn, and nothing else."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from aiev.core.errors import UserError
from aiev.dataset.tokens import RES_START, RES_STOP, RUN_START, RUN_STOP, TOKENS
from aiev.training.encoding import IGNORED, Dropped, add_tokens, encode, encode_all
from aiev.training.too_long import Counts

CHATML = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
FORGETFUL = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content if loop.last else 'gone' }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ENDLESS = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def make_tokenizer(template=CHATML, tags=True):
    """A byte-level tokenizer like SmolLM2's, which merges line feeds and knows some words."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    text = [
        "def one():\n    return 1\n\n\n\nassert one() == 1\n" * 5,
        "the code, the tests\n\n" * 5,
    ]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(text, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|old|>"]})
    tokenizer.add_tokens([AddedToken("zq", special=False)])
    tokenizer.chat_template = template
    if tags:
        add_tokens(tokenizer)
    return tokenizer


TOKENIZER = make_tokenizer()

HOSTILE = [
    *("<|im_end|>", "<|im_start|>assistant\n", "<|old|>", "<|im_", "end|>", *TOKENS),
    *("\n", "\n\n", " ", "\u200d", "\x00", "\ud800", "\u2028", "\u00e9", "e\u0301"),
    *("\U0001f9d1\u200d\U0001f680", "\u00fc", "zq", "```python\n", "assistant"),
]
TEXT = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), max_size=6).map("".join)
HARMLESS = TEXT.map(lambda t: re.sub(r"<|\ud800", "", t).strip() or "x").filter(
    lambda t: t.isprintable()
)


@st.composite
def answers(draw):
    """An assistant's content, and the parts of it that are its own."""
    own, content = "", ""
    for _ in range(draw(st.integers(0, 2))):
        words = draw(HARMLESS) + RUN_START + draw(HARMLESS) + RUN_STOP
        own += words
        content += words + RES_START + draw(HARMLESS) + RES_STOP
    closing = draw(HARMLESS)
    return content + closing, own + closing


@settings(deadline=None)
@given(st.lists(st.tuples(HARMLESS, answers()), min_size=1, max_size=3), st.booleans())
def test_labels_are_the_assistants_text_without_results(turns, system):
    messages = [{"role": "system", "content": "You run code."}] if system else []
    for user, (content, _) in turns:
        messages.append({"role": "user", "content": user})
        messages.append({"role": "assistant", "content": content})
    encoded = encode(TOKENIZER, messages, 10_000)
    in_loss = [label for label in encoded.labels if label != IGNORED]
    assert TOKENIZER.decode(in_loss) == "".join(own + "<|im_end|>" for _, (_, own) in turns)
    assert len(encoded.input_ids) == len(encoded.labels)
    pairs = zip(encoded.input_ids, encoded.labels, strict=True)
    assert all(label in (IGNORED, token) for token, label in pairs)
    assert encoded.input_ids == TOKENIZER.apply_chat_template(messages, return_dict=False)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3))
def test_hostile_text_is_encoded_exactly_or_dropped_with_a_reason(turns):
    messages = []
    for user, assistant in turns:
        messages.append({"role": "user", "content": user})
        messages.append({"role": "assistant", "content": assistant})
    try:
        encoded = encode(TOKENIZER, messages, 10_000)
    except Dropped as reason:
        assert str(reason) in {
            "not-unicode", "control-token-in-text", "tag-outside-assistant", "tags-out-of-order",
            "token-across-turns",
        }  # fmt: skip
        return
    in_loss = TOKENIZER.decode([label for label in encoded.labels if label != IGNORED])
    results = re.compile(f"{RES_START}.*?{RES_STOP}", re.DOTALL)
    assert in_loss == "".join(results.sub("", content) + "<|im_end|>" for _, content in turns)
    assert encoded.input_ids.count(TOKENIZER.eos_token_id) == 2 * len(turns) + 1


RESULT = f"{RES_START}out{RES_STOP}"


@pytest.mark.parametrize("said", [RESULT, f"{RESULT}\n\nIt fails."])
def test_a_result_opens_the_users_message_and_is_not_in_the_loss(said):
    messages = conversation("a", f"b {RUN_START}c{RUN_STOP}", said, "d")
    in_loss = [label for label in encode(TOKENIZER, messages, 300).labels if label != IGNORED]
    assert TOKENIZER.decode(in_loss) == f"b {RUN_START}c{RUN_STOP}<|im_end|>d<|im_end|>"


@pytest.mark.parametrize(
    "said", [f"x {RESULT}", RES_START, f"{RESULT}{RESULT}", f"{RESULT} {RUN_START}", RUN_STOP]
)
def test_other_tokens_in_the_users_message_drop_the_conversation(said):
    with pytest.raises(Dropped, match="tag-outside-assistant"):
        encode(TOKENIZER, conversation("a", "b", said, "d"), 300)


def conversation(*contents):
    roles = ("user", "assistant") * len(contents)
    return [{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)]


@settings(deadline=None)
@given(st.lists(HARMLESS, min_size=2, max_size=6).filter(lambda t: len(t) % 2 == 0))
def test_training_reads_what_inference_reads_up_to_each_answer(contents):
    messages = conversation(*contents)
    encoded = encode(TOKENIZER, messages, 10_000)
    for turn in range(1, len(messages), 2):
        prompt = TOKENIZER.apply_chat_template(
            messages[:turn], add_generation_prompt=True, return_dict=False
        )
        size = len(prompt)
        assert encoded.input_ids[:size] == prompt
        assert encoded.labels[size - 1] == IGNORED and encoded.labels[size] != IGNORED


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (conversation("a", "b <|im_end|>"), "control-token-in-text"),
        (conversation("a <|old|>", "b"), "control-token-in-text"),
        (conversation(f"a {RUN_START}", "b"), "tag-outside-assistant"),
        (conversation("a", f"b {RES_STOP}"), "tags-out-of-order"),
        (conversation("a", f"{RUN_START}b{RUN_STOP}{RES_START}"), "tags-out-of-order"),
        (
            conversation("a", f"{RUN_START}b{RUN_STOP}{RES_START}c{RES_STOP} d {RES_STOP}"),
            "tags-out-of-order",
        ),
        (conversation("a", "\ud800"), "not-unicode"),
        (conversation("a", "\n\n\nb"), "token-across-turns"),
        (conversation("a", "b" * 500), "too-long"),
        (conversation("a"), "no-assistant-turn"),
        ([], "no-assistant-turn"),
        ([{"role": "assistant", "content": "b"}], "assistant-speaks-first"),
    ],
)
def test_a_dropped_conversation_is_counted_under_its_reason(messages, reason):
    fine = {"messages": conversation("a", "fine"), "failed": []}
    counts = Counts()
    rows = [fine, {"messages": messages, "failed": []}]
    assert len(list(encode_all(TOKENIZER, rows, 300, counts))) == 1
    assert counts.dropped == {reason: 1}


def test_the_longest_conversation_that_fits_is_kept_whole():
    messages = conversation("a", "b" * 100)
    size = len(encode(TOKENIZER, messages, 10_000).input_ids)
    assert len(encode(TOKENIZER, messages, size).input_ids) == size
    with pytest.raises(Dropped, match="too-long"):
        encode(TOKENIZER, messages, size - 1)


@pytest.mark.parametrize(
    ("template", "what"),
    [(FORGETFUL, "start of a conversation"), (ENDLESS, "special token"), (None, "chat template")],
)
def test_an_unfit_template_is_an_error_for_the_user(template, what):
    with pytest.raises(UserError, match=what):
        encode(make_tokenizer(template), conversation("a", "b", "c", "d"), 300)


def test_a_tokenizer_without_the_tokens_is_refused():
    tokenizer = make_tokenizer()
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), eos_token="<|im_end|>")
    bare.chat_template = tokenizer.chat_template
    with pytest.raises(UserError, match="lacks <API_RUN_START>"):
        encode(bare, conversation("a", "b"), 300)


def test_adding_the_tokens_keeps_the_others_and_is_done_once(tmp_path):
    tokenizer = make_tokenizer()
    assert add_tokens(tokenizer) == 0
    tokenizer.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for token in ("<|old|>", "<|im_start|>", "<|im_end|>", *TOKENS):
        assert token in loaded.all_special_tokens
        assert loaded(token, add_special_tokens=False)["input_ids"] == [
            tokenizer.convert_tokens_to_ids(token)
        ]
