"""How a global batch is made up of micro batches."""

from collections.abc import Mapping
from typing import Any

from aiev.core.errors import UserError


def accumulation(params: Mapping[str, Any]) -> int:
    """Micro batches that an optimiser step adds up on each accelerator.

    params: the config's `training`. Raises UserError where the sizes do not fit.
    """
    together = params["micro_batch"] * params["accelerators"]
    if params["global_batch"] % together:
        raise UserError(
            f"training.global_batch is {params['global_batch']}, which is no multiple of "
            f"micro_batch x accelerators = {together}",
            where="config: training",
            hint=f"set training.global_batch to a multiple of {together}",
        )
    return params["global_batch"] // together
