"""Training on GPUs: stages of ZeRO, bfloat16, packing, memory, speed, equal digests."""

import pytest
from measure import PARAMS, ROOT, operations_a_second, peak_of, trained

from aiev.core.files import read_json
from aiev.training.memory import memory_of
from aiev.training.shape import Shape

pytestmark = pytest.mark.gpu
CONTEXT = 2 * 2**30
"""Bytes that CUDA, NCCL and the allocator may hold and that no plan counts."""


@pytest.fixture(scope="module")
def plain(student, data, tmp_path_factory):
    """ZeRO 2 in bfloat16 on one GPU."""
    return trained(student, data, tmp_path_factory.mktemp("plain"))


def test_the_loss_falls(plain):
    assert plain.losses[-1] < plain.losses[0] - 0.5


def test_zero_3_follows_the_losses_of_zero_2(gpus, plain, student, data, tmp_path, figures):
    batch = {"accelerators": gpus, "global_batch": 8 * gpus, "micro_batch": 4}
    two = plain if gpus == 1 else trained(student, data, tmp_path / "2", **batch)
    three = trained(student, data, tmp_path / "3", zero="zero3", **batch)
    assert three.losses == pytest.approx(two.losses, abs=0.05)
    figures.add("zero3", three.speed, "tokens/s", gpus=gpus, zero2=round(two.speed))
    figures.add("zero3_memory", three.peak / 2**30, "GiB", gpus=gpus, zero2=two.peak / 2**30)


def test_bfloat16_follows_the_losses_of_float32(plain, student, data, tmp_path, figures):
    exact = trained(student, data, tmp_path, precision="float32")
    assert plain.losses == pytest.approx(exact.losses, abs=0.2)
    figures.add("bfloat16", plain.speed, "tokens/s", float32=round(exact.speed))


def test_packing_is_faster_and_follows_the_same_losses(plain, student, data, tmp_path, figures):
    packed = trained(student, data, tmp_path, packing=True)
    assert packed.losses == pytest.approx(plain.losses, abs=0.2)
    figures.add("packing", packed.speed, "tokens/s", padded=round(plain.speed))
    assert packed.speed > plain.speed


def test_in_deterministic_mode_the_same_gpu_gives_the_same_digest_twice(
    plain, student, data, tmp_path, figures
):
    one, two = (
        trained(student, data, tmp_path / name, deterministic=True) for name in ("one", "two")
    )
    assert one.digest == two.digest and one.losses == two.losses
    assert one.losses == pytest.approx(plain.losses, abs=0.2)
    figures.add("deterministic", one.speed, "tokens/s", as_usual=round(plain.speed))


@pytest.mark.parametrize("packing", [False, True])
def test_flash_attention_follows_the_same_losses(packing, plain, student, data, tmp_path, figures):
    pytest.importorskip("flash_attn")
    change = {"attention": "flash_attention_2", "packing": packing}
    found = trained(student, data, tmp_path, **change)
    assert found.losses == pytest.approx(plain.losses, abs=0.1)
    figures.add("flash_attention", found.speed, "tokens/s", packing=packing, sdpa=plain.speed)


def test_lora_learns_and_takes_less_memory(plain, student, data, tmp_path, figures):
    lora = {"rank": 16, "alpha": 32, "dropout": 0.0, "target_modules": "all-linear"}
    found = trained(student, data, tmp_path, lora=lora, learning_rate=1e-3)
    assert found.losses[-1] < found.losses[0]
    figures.add("lora", found.speed, "tokens/s", all_weights=round(plain.speed))
    figures.add("lora_memory", found.peak / 2**30, "GiB", all_weights=plain.peak / 2**30)
    assert found.peak < plain.peak


def test_memory_is_what_is_planned(plain, student, figures):
    shape = Shape.of(read_json(student / "config.json"))
    zero2 = read_json(ROOT / "config/deepspeed/zero2.json")
    planned = memory_of(shape, PARAMS, zero2).total
    figures.add("memory", plain.peak / 2**30, "GiB", planned=round(planned / 2**30, 2))
    # No micro batch here is as long as the plan's, in which each dialogue has max_tokens.
    assert 0.5 * planned < plain.peak < planned + CONTEXT


def test_share_of_the_peak(plain, student, data, tmp_path, figures):
    import torch

    name = torch.cuda.get_device_name()
    packed = trained(student, data, tmp_path, packing=True, micro_batch=8)
    done = operations_a_second(student, packed)
    figures.add("operations", done / 1e12, "TFLOP/s", gpu=name, tokens_per_second=packed.speed)
    if peak := peak_of(name):
        figures.add("mfu", done / peak, "of the peak", gpu=name)
        assert 0.05 < done / peak < 1
