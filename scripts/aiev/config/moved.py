"""Keys of earlier versions, and where they are now."""

from collections.abc import Iterator
from typing import Any

from aiev.core.errors import UserError

_SERVER = ("base_url", "slots", "threads", "gpu_layers", "tensor_parallel", "timeout_seconds")

MOVED = {
    "ledger": "execution.ledger",
    "prices": "execution.prices",
    "budget": "execution.budget",
    "dialogues.in_flight": "execution.in_flight",
    "sandbox.docker.containers": "execution.containers.count",
    "sandbox.docker.runs": "execution.containers.runs",
    "training.checkpoint_steps": "execution.training.checkpoint_steps",
    "evaluation.scoring.parallel": "execution.scoring_slots",
    "evaluation.most_inputs": "evaluation.benchmarks.humaneval.max_inputs",
    **{
        f"models.{role}.{key}": f"execution.models.{role}.{key}"
        for role in ("teacher", "student")
        for key in _SERVER
    },
}
"""Old place -> new place. Places are dotted keys."""


def check_moved(config: dict[str, Any]) -> None:
    """Raise one UserError that lists every key of `config` that has moved."""
    found = list(_found(config))
    if found:
        width = max(len(old) for old, _ in found)
        places = "\n".join(f"    {old:{width}}  ->  {new}" for old, new in found)
        keys = "a key has" if len(found) == 1 else f"{len(found)} keys have"
        raise UserError(
            f"this config is of an earlier version: {keys} moved",
            where=f"config:\n{places}",
            hint="move them; what only says how to run is in the section `execution` now",
        )


def _found(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for old, new in MOVED.items():
        value: Any = config
        for part in old.split("."):
            if not isinstance(value, dict) or part not in value:
                break
            value = value[part]
        else:
            yield old, new
