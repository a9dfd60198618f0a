"""A student from the hub's files: whole or not, sharded or not, with a chat template or without."""

import json
import shutil

import pytest
from small_models import KINDS, base_tokenizer, write_model

from aiev.core.errors import UserError
from aiev.core.files import read_json, write_json
from aiev.core.hashing import of_directory
from aiev.training.chat import NAMES, template_file
from aiev.training.checkpoints import INDEX, check_checkpoint, prepare_student
from aiev.training.student import check_student

END = {"chatml": "<|im_end|>", "deepseek": "<|EOT|>"}


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "sharded", "llama", False, shards=True)


@pytest.fixture
def broken(sharded, tmp_path):
    return shutil.copytree(sharded, tmp_path / "broken")


@pytest.mark.parametrize("shards", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_base_model_becomes_a_student(kind, tied, shards, tmp_path):
    from transformers import AutoModelForCausalLM

    source = write_model(tmp_path / "hub", kind, tied, shards)
    assert (source / INDEX).is_file() == shards
    student = tmp_path / "student"
    prepare_student(source, student, "bfloat16", template_file("chatml"))
    check_student(student, system=True)
    before, after = (AutoModelForCausalLM.from_pretrained(each) for each in (source, student))
    found = after.state_dict()
    assert all((tensor == found[name]).all() for name, tensor in before.state_dict().items())
    output = after.get_output_embeddings().weight
    assert (output is after.get_input_embeddings().weight) == tied
    assert str(tmp_path) not in (student / "config.json").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_end_of_a_turn_is_set_everywhere(name, sharded, tmp_path):
    from transformers import AutoTokenizer, GenerationConfig

    student = tmp_path / "student"
    prepare_student(sharded, student, "bfloat16", template_file(name))
    check_student(student, system=True)
    tokenizer = AutoTokenizer.from_pretrained(student)
    end = tokenizer.convert_tokens_to_ids(END[name])
    assert tokenizer.eos_token == END[name]
    assert read_json(student / "config.json")["eos_token_id"] == end
    # Before training, the model ends its texts with its own token.
    own = base_tokenizer().eos_token_id
    assert GenerationConfig.from_pretrained(student).eos_token_id == [end, own]
    assert tokenizer.chat_template == template_file(name).read_text()


def test_the_same_bytes_twice(sharded, tmp_path):
    for name in ("one", "two"):
        prepare_student(sharded, tmp_path / name, "bfloat16", template_file("deepseek"))
    assert of_directory(tmp_path / "one") == of_directory(tmp_path / "two")


def test_the_layout_of_deepseek_s_template(sharded, tmp_path):
    from transformers import AutoTokenizer

    prepare_student(sharded, tmp_path / "student", "bfloat16", template_file("deepseek"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "student")
    turns = [("system", "Be kind."), ("user", "One?"), ("assistant", "1"), ("user", "Two?")]
    text = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in turns],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert text == (
        f"{tokenizer.bos_token}Be kind.\n### Instruction:\nOne?\n### Response:\n1\n<|EOT|>\n"
        "### Instruction:\nTwo?\n### Response:\n"
    )


def test_a_base_model_without_a_template_is_found_before_the_run(sharded, tmp_path):
    prepare_student(sharded, tmp_path / "student", "bfloat16")
    with pytest.raises(UserError, match="no chat template") as caught:
        check_student(tmp_path / "student")
    assert "models.student.chat_template" in caught.value.hint


def test_a_tokenizer_without_the_template_s_end(tmp_path):
    source = write_model(tmp_path / "hub", "starcoder2", True, tokenizer=base_tokenizer(()))
    # `<|im_end|>` is the end token of the tests' tokenizer; no `<|EOT|>`.
    with pytest.raises(UserError, match=r"no token <\|EOT\|>") as caught:
        prepare_student(source, tmp_path / "student", "bfloat16", template_file("deepseek"))
    assert "<|im_end|>" in caught.value.hint


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "no special token"),
        ("{{ messages.nothing.here }}", "template fails"),
    ],
)
def test_an_unfit_template_of_a_user(template, words, sharded, tmp_path):
    own = tmp_path / "own.jinja"
    own.write_text(template)
    with pytest.raises(UserError, match=words) as caught:
        prepare_student(sharded, tmp_path / "student", "bfloat16", own)
    assert caught.value.where == str(own)


def test_a_template_that_rewrites_earlier_turns(sharded, tmp_path):
    own = tmp_path / "own.jinja"
    own.write_text("{{ messages[-1].content }}<|im_end|>")
    prepare_student(sharded, tmp_path / "student", "bfloat16", own)
    with pytest.raises(UserError, match="start of a conversation"):
        check_student(tmp_path / "student")


@pytest.mark.parametrize(
    ("name", "words"),
    [("chatlm", "no chat template is called 'chatlm'"), ("none.jinja", "no such chat template")],
)
def test_a_template_that_is_not_there(name, words):
    with pytest.raises(UserError, match=words) as caught:
        template_file(name)
    assert "chatml, deepseek" in caught.value.hint


def test_a_missing_shard(broken):
    shard = sorted(broken.glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(UserError, match=rf"1 of \d+ shards missing: {shard.name}"):
        check_checkpoint(broken)


def test_a_shard_that_was_cut(broken):
    shard = sorted(broken.glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(UserError, match="its header describes") as caught:
        check_checkpoint(broken)
    assert caught.value.where == str(shard)


def test_a_shard_of_another_model(broken):
    one, two = sorted(broken.glob("*.safetensors"))[:2]
    shutil.copyfile(one, two)
    with pytest.raises(UserError, match=f"{two.name} does not hold"):
        check_checkpoint(broken)


@pytest.mark.parametrize("data", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\x02"])
def test_a_shard_that_is_no_safetensors_file(data, broken):
    sorted(broken.glob("*.safetensors"))[0].write_bytes(data)
    with pytest.raises(UserError, match="not a safetensors file"):
        check_checkpoint(broken)


def test_an_index_that_says_nothing(broken):
    write_json(broken / INDEX, {"metadata": {}})
    with pytest.raises(UserError, match="no weight_map"):
        check_checkpoint(broken)


def test_a_directory_that_is_no_checkpoint(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(UserError, match=r"\*\.safetensors, tokenizer\* missing"):
        check_checkpoint(tmp_path)
