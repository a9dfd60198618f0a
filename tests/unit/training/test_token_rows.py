"""The four tokens' rows are distinct before training, whatever the student's matrices look like."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from aiev.core.errors import UserError
from aiev.dataset.tokens import TOKENS
from aiev.training.encoding import add_tokens
from aiev.training.token_rows import (
    DESCRIPTIONS,
    MAX_COSINE,
    check_rows,
    description_ids,
    set_rows,
)

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def make_tokenizer():
    """Words as tokens, so that the descriptions' words have rows of their own."""
    words = sorted({w for text in DESCRIPTIONS.values() for w in text.replace(",", "").split()})
    vocabulary = {word: number for number, word in enumerate(["?", ",", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="?")
    add_tokens(tokenizer)
    return tokenizer


TOKENIZER = make_tokenizer()
IDS = {token: TOKENIZER.convert_tokens_to_ids(token) for token in TOKENS}
WORDS = description_ids(TOKENIZER, TOKENS)


def resized_llama(tied):
    """As transformers leaves a model whose matrix it made longer: new rows near the mean."""
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(TOKENIZER) - 4, tie_word_embeddings=tied, **SIZES)
    model = LlamaForCausalLM(config)
    model.resize_token_embeddings(len(TOKENIZER))
    return model


def qwen_with_spare_rows(tied=True):
    """As Qwen2.5 is published: more rows than tokens, all spare ones the same vector."""
    torch.manual_seed(0)
    config = Qwen2Config(vocab_size=len(TOKENIZER) + 32, tie_word_embeddings=tied, **SIZES)
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for matrix in {model.get_input_embeddings().weight, model.get_output_embeddings().weight}:
            matrix[len(TOKENIZER) - 4 :] = 0.01
    return model


MODELS = [
    (resized_llama, True),
    (resized_llama, False),
    (qwen_with_spare_rows, True),
    (qwen_with_spare_rows, False),
]


def cosines(matrix):
    unit = torch.nn.functional.normalize(matrix[list(IDS.values())].detach().float(), dim=1)
    return (unit @ unit.T)[*torch.triu_indices(4, 4, offset=1)]


@pytest.mark.parametrize(("make", "tied"), MODELS)
def test_rows_are_one_vector_before_and_distinct_after(make, tied):
    model = make(tied)
    with pytest.raises(UserError, match="cosine"):
        check_rows(model, IDS)
    set_rows(model, WORDS, seed=1)
    check_rows(model, IDS)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        assert cosines(layer.weight).max() < MAX_COSINE
    same = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert same == tied


@pytest.mark.parametrize(("make", "tied"), MODELS)
def test_no_other_row_changes(make, tied):
    model = make(tied)
    others = [n for n in range(len(model.get_input_embeddings().weight)) if n not in WORDS]
    before = [
        layer.weight[others].detach().clone()
        for layer in (model.get_input_embeddings(), model.get_output_embeddings())
    ]
    set_rows(model, WORDS, seed=1)
    after = [model.get_input_embeddings().weight[others], model.get_output_embeddings().weight]
    assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1][others])


def test_rows_are_near_their_words_and_as_long_as_an_ordinary_row():
    model = resized_llama(tied=True)
    set_rows(model, WORDS, seed=1)
    matrix = model.get_input_embeddings().weight.detach()
    ordinary = matrix[:-4].norm(dim=1).mean()
    for token, words in WORDS.items():
        assert 0.6 * ordinary < matrix[token].norm() < 1.4 * ordinary
        mean = matrix[words].mean(dim=0)
        own = torch.nn.functional.cosine_similarity(matrix[token], mean, dim=0)
        assert own > 0.2


def test_the_seed_decides_and_nothing_else_does():
    def rows(seed, disturbed=False):
        model = resized_llama(tied=False)
        if disturbed:
            torch.manual_seed(99)
        set_rows(model, WORDS, seed)
        return model.get_output_embeddings().weight[list(WORDS)].detach()

    assert torch.equal(rows(1), rows(1, disturbed=True))
    assert not torch.equal(rows(1), rows(2))


def test_rows_of_zeros_or_of_no_number_do_not_pass_as_distinct():
    for value in (0.0, float("nan")):
        model = resized_llama(tied=True)
        set_rows(model, WORDS, seed=1)
        with torch.no_grad():
            model.get_input_embeddings().weight[IDS[TOKENS[2]]] = value
        with pytest.raises(UserError, match="cosine"):
            check_rows(model, IDS)
