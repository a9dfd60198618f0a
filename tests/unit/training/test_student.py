"""A student that cannot be trained is found before dialogues are written for it."""

import pytest
from small_models import write_model
from test_encoding import CHATML, make_tokenizer

from aiev.core.errors import UserError
from aiev.training.student import check_lora, check_student

NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"


def saved(tmp_path, template):
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_a_fit_student(tmp_path):
    check_student(saved(tmp_path, CHATML), system=True)


def test_a_system_message_counts_where_the_student_may_write_dialogues(tmp_path):
    place = saved(tmp_path, NO_SYSTEM + CHATML)
    check_student(place)
    with pytest.raises(UserError, match="no system") as caught:
        check_student(place, system=True)
    assert str(tmp_path) in caught.value.where and "self_learning" in caught.value.hint


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (None, "no chat template"),
        ("{{ messages[0].nothing.here }}", "chat template fails"),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "no special token"),
        ("{{ messages[-1]['content'] }}<|im_end|>", "start of a conversation"),
    ],
)
def test_a_template_that_training_cannot_use(template, words, tmp_path):
    with pytest.raises(UserError, match=words):
        check_student(saved(tmp_path, template))


def test_a_directory_without_a_tokenizer(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match="tokenizer"):
        check_student(tmp_path)


def test_a_layer_for_lora_that_the_student_has_not(tmp_path):
    student = write_model(tmp_path, "starcoder2", tied=True)
    for weights in student.glob("*.safetensors"):
        weights.unlink()  # none is read
    check_lora(student, None)
    check_lora(student, {"target_modules": "all-linear"})
    check_lora(student, {"target_modules": ["q_proj", "c_fc"]})
    with pytest.raises(UserError, match="no linear layer 'gate_proj'") as caught:
        check_lora(student, {"target_modules": ["q_proj", "gate_proj"]})
    assert "target_modules" in caught.value.where and "c_fc" in caught.value.hint
