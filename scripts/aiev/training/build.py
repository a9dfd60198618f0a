"""Whether PyTorch is built for the accelerator of a training (`training.accelerator`)."""

from aiev.core.errors import UserError


def check_build(accelerator: str) -> None:
    """Raise UserError for cuda with a build of PyTorch that knows no GPU. Whether this machine has
    one is not asked: it may be a login node."""
    if accelerator != "cuda":
        return
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        raise UserError(
            f"PyTorch {torch.__version__} is built for CPUs, and training.accelerator is cuda",
            where="config: training.accelerator",
            hint="remove .venv, name an index with CUDA builds in PIP_EXTRA_INDEX_URL and run "
            "make .venv again, or set training.accelerator to cpu; execution.preflight: false "
            "skips this check",
        )
