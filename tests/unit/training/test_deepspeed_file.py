"""What is refused in a DeepSpeed file is what transformers would refuse when all is paid for."""

from transformers import TrainingArguments
from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig

from aiev.training.deepspeed_file import _decided
from aiev.training.settings import TrainingSettings


def test_the_values_that_are_compared_are_those_of_transformers(tmp_path):
    params = TrainingSettings(micro_batch=2, global_batch=4).model_dump()
    whole: dict = {}
    for name, value in _decided(params).items():
        *parts, last = name.split(".")
        section = whole
        for part in parts:
            section = section.setdefault(part, {})
        section[last] = -1 if value is None else value
    same = TrainingArguments(
        tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=2, use_cpu=True
    )
    found = HfTrainerDeepSpeedConfig(whole)
    found.trainer_config_process(same)
    assert found.mismatches == []
    other = TrainingArguments(tmp_path, learning_rate=1, use_cpu=True)
    found.trainer_config_process(other)
    assert len(found.mismatches) == 5, "three sizes of a batch, and the rate at two places"
