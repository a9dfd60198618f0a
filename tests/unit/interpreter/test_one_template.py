"""What a student reads is the same in training, in the interpreter and in an evaluation: one
dialogue is tagged, encoded, and then held again with a model that says what it said."""

import asyncio
import re
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from aiev.dataset.tags import tag_dialogue
from aiev.dataset.tokens import TOKENS
from aiev.evaluation.generate import Decoding, generate
from aiev.evaluation.styles import Style
from aiev.interpreter.session import Session
from aiev.interpreter.triggers import Tokens
from aiev.interpreter.workspace import Done, State
from aiev.llm.ledger import Answer
from aiev.sandbox.request import Result
from aiev.training.encoding import IGNORED, add_tokens, encode, encode_all
from aiev.training.too_long import Counts

# The shapes of the publishers' templates, without tool calls.
CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nSYSTEM<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
DEEPSEEK = (
    "{{bos_token}}{{'You are an AI programming assistant.\n'}}"
    "{%- for message in messages %}{%- if message['role'] == 'user' %}"
    "{{'### Instruction:\n' + message['content'] + '\n'}}{%- else %}"
    "{{'### Response:\n' + message['content'] + '\n<|EOT|>\n'}}{%- endif %}{%- endfor %}"
    "{% if add_generation_prompt %}{{'### Response:\n'}}{% endif %}"
)
TEMPLATES = {
    "smollm2": CHATML.replace("SYSTEM", "You are a helpful AI assistant named SmolLM"),
    "qwen2.5": CHATML.replace("SYSTEM", "You are Qwen, created by Alibaba Cloud."),
    "deepseek-coder": DEEPSEEK,
}
ERROR = 'Traceback (most recent call last):\n  File "main.py", line 4\nAssertionError'


def tokenizer_of(template):
    """A byte-level tokenizer: where its tokens match, those of any other do."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    end = "<|EOT|>" if "EOT" in template else "<|im_end|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|begin|>", eos_token=end
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = template
    add_tokens(tokenizer)
    return tokenizer


def dialogue():
    """A first answer with a package, which fails, and a revision that passes."""
    wrong = "```sh\npip install numpy\n```\n\nThen:\n\n```python\nx = 1\nassert x == 2\n```"
    right = "Changed.\n\n```python\nx = 2\nassert x == 2\n```\n\nIt is two."
    kinds = ["problem", "solution", "stderr", "description", "revision", "stdout"]
    roles = ["user", "assistant", "interpreter"] * 2
    said = ["Let x be two.", f"So.\n\n{wrong}", f"{ERROR}\n", "It is one.", right, "fine\n"]
    triples = zip(roles, kinds, said, strict=True)
    messages = [{"role": r, "kind": k, "content": c} for r, k, c in triples]
    return {"id": "1", "verdict": "verified", "messages": messages, "solution": "x = 2\n"}


class Spoken:
    """A model that says the assistant's part of a conversation, and keeps what it is asked.

    It goes on after a run until it is stopped, as a model may."""

    def __init__(self, answers):
        self.answers, self.asked = list(answers), []

    def stream(self, messages):
        self.asked.append(messages)
        text = self.answers.pop(0) + (" and more" if self.answers else "")
        pieces = [text[n : n + 5] for n in range(0, len(text), 5)]
        return Pieces(pieces)


class Pieces(list):
    finish_reason = "stop"

    def close(self):
        pass


def workspace(*results):
    results = list(results)
    run = lambda state, run, allow: Done(results.pop(0), State(), True)  # noqa: E731
    return SimpleNamespace(run=run)


PASSED = Result(0, "passed", "fine\n", "", {}, 0.1)
FAILED = Result(1, "failed", "", f"{ERROR}\n", {}, 0.1)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("layout", ["turns", "inline"])
def test_the_interpreter_asks_with_the_tokens_that_training_learnt_from(name, layout):
    tokenizer = tokenizer_of(TEMPLATES[name])
    record = dialogue()
    # The Questioner's words about the error are training's own: in a conversation there are none.
    del record["messages"][2:5]
    record["messages"][1]["content"] = record["messages"][1]["content"].replace("x = 1", "x = 2")
    messages = tag_dialogue(record, 0, 1000, layout)["messages"]
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    if layout == "inline":
        said, _, rest = answers[0].partition("<API_RES_START>")
        answers = [said, rest.partition("<API_RES_STOP>\n\n")[2]]
    model = Spoken(answers)
    session = Session(model, workspace(PASSED), Tokens(layout))
    assert list(session.ask(messages[0]["content"]))
    trained = encode(tokenizer, messages, 10_000)
    assert session.messages() == messages
    assert session.turns[0].steps[0].result == "fine"
    for asked in model.asked:
        # What goes on after a result is part of the assistant's own message.
        goes_on = asked[-1]["role"] == "assistant"
        before = asked[:-1] if goes_on else asked
        prompt = tokenizer.apply_chat_template(before, add_generation_prompt=True, tokenize=False)
        prompt += asked[-1]["content"] if goes_on else ""
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        assert trained.input_ids[: len(ids)] == ids
        assert trained.labels[len(ids)] != IGNORED


@pytest.mark.parametrize("layout", ["turns", "inline"])
def test_each_layout_is_encoded_with_its_failure_and_its_words(layout):
    tokenizer = tokenizer_of(TEMPLATES["qwen2.5"])
    messages = tag_dialogue(dialogue(), 0, 1000, layout)["messages"]
    encoded = encode(tokenizer, messages, 10_000)
    learnt = tokenizer.decode([label for label in encoded.labels if label != IGNORED])
    assert [learnt.count(token) for token in TOKENS] == [3, 3, 0, 0]
    assert "Traceback" not in learnt and "fine" not in learnt and "It is one." not in learnt
    # The end of the turn is learnt right behind the run, in `inline` where the user's words follow.
    assert learnt.count("<API_RUN_STOP><|im_end|>") == (2 if layout == "turns" else 1)
    assert learnt.endswith("```python\nx = 2\n```\n\nIt is two.<|im_end|>")


RESULT = re.compile("<API_RES_START>.*?<API_RES_STOP>", re.DOTALL)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("layout", ["turns", "inline"])
@pytest.mark.parametrize("learn", ["all", "passing", "last"])
def test_what_is_learnt_is_the_assistants_own_words_to_the_token(name, layout, learn):
    """And what is read is the same, whatever is learnt of it."""
    tokenizer = tokenizer_of(TEMPLATES[name])
    row = tag_dialogue(dialogue(), 0, 1000, layout)
    (encoded,) = encode_all(tokenizer, [row], 10_000, Counts(), learn)
    spoken = [m["content"] for m in row["messages"] if m["role"] == "assistant"]
    assert ("x = 1" in spoken[0], len(spoken)) == (True, 3 if layout == "turns" else 2)
    kept = {"all": spoken, "passing": spoken[1:], "last": spoken[-1:]}[learn]
    end = "\n<|EOT|>" if name == "deepseek-coder" else "<|im_end|>"
    own = "".join(RESULT.sub("", said) + end for said in kept)
    learnt = [label for label in encoded.labels if label != IGNORED]
    assert learnt == tokenizer(own, add_special_tokens=False)["input_ids"]
    assert encoded.input_ids == encode(tokenizer, row["messages"], 10_000).input_ids
    pairs = zip(encoded.input_ids, encoded.labels, strict=True)
    assert all(label in (token, IGNORED) for token, label in pairs)


class Asked:
    """A client of an evaluation, which keeps what it is asked."""

    async def complete(self, messages, **_):
        self.messages = messages
        return Answer("Words.", "stop", 1, 1)


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_evaluation_asks_what_an_untagged_dialogue_is_trained_on(name):
    tokenizer, client = tokenizer_of(TEMPLATES[name]), Asked()
    messages = tag_dialogue(dialogue(), 1, 1000)["messages"]
    task = {"task_id": "1", "prompt": messages[0]["content"]}
    style = Style(lambda task: task["prompt"], lambda answer, task: answer)
    asyncio.run(generate(client, [task], style, Decoding(9)))
    session = Session(Spoken([messages[1]["content"]]), workspace(), Tokens())
    assert [type(event).__name__ for event in session.ask(messages[0]["content"])][-1] == "Finished"
    for asked in (client.messages, session.model.asked[0]):
        ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        assert encode(tokenizer, messages, 10_000).input_ids[: len(ids)] == ids


def test_a_result_is_cut_in_a_conversation_as_in_training():
    record = dialogue()
    record["messages"][-1]["content"] = long = "".join(f"line {n}\n" for n in range(400))
    messages = tag_dialogue(record, 0, 100)["messages"]
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    result = Result(0, "passed", long, "", {}, 0.1)
    session = Session(Spoken(answers[1:]), workspace(result), Tokens(), result_chars=100)
    assert list(session.ask("Go on."))
    assert session.messages()[2] == messages[4]
