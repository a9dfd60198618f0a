"""The loss on dialogues that are not trained on: the round's test split (`training.test_steps`).

Measured before the first step, every so many steps, and after the last one. It changes nothing of
what is trained: no random number is drawn for it, and no gradient is kept.
"""

from collections.abc import Callable, Sequence
from typing import Any

from aiev.training.encoding import IGNORED
from aiev.training.examples import EMPTY

HISTORY = "test_loss"
"""Key of the loss in the history of a transformers Trainer, which its checkpoints keep."""


def mean_loss(
    model,
    examples: Sequence[dict[str, Any]],
    collate: Callable[[list[dict[str, Any]]], dict[str, Any]],
    rank: int = 0,
    ranks: int = 1,
) -> float:
    """Mean loss of all tokens in the loss, a dialogue at a time.

    examples: as `Examples` gives them, EMPTY included. collate: makes a micro batch of them.
    All `ranks` processes of a training call this together, and get the same number.
    """
    import torch

    device = next(model.parameters()).device
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    training = model.training
    model.eval()
    with torch.no_grad():
        # All of them call the model equally often: with ZeRO-3 they hold its weights together.
        for first in range(0, len(examples), ranks):
            number = first + rank if first + rank < len(examples) else EMPTY
            batch = {name: each.to(device) for name, each in collate([examples[number]]).items()}
            loss = model(**batch, use_cache=False, num_items_in_batch=1).loss
            sums += torch.stack([loss.double(), (batch["labels"][:, 1:] != IGNORED).sum()])
    model.train(training)
    if ranks > 1:
        torch.distributed.all_reduce(sums)
    return float(sums[0] / sums[1])


def callback(trainer, examples: Sequence[dict[str, Any]], every: int, emit: Callable[..., None]):
    """A callback that measures the loss on `examples`, keeps it in the trainer's history and
    emits it as event `test`. every: steps between two measurements."""
    from transformers import TrainerCallback

    class HeldOut(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            if state.global_step == 0:  # else it is in the checkpoint's history
                self.measure(args, state)

        def on_step_end(self, args, state, control, **_):
            if state.global_step % every == 0 and state.global_step < state.max_steps:
                self.measure(args, state)

        def on_train_end(self, args, state, control, **_):
            self.measure(args, state)

        def measure(self, args, state) -> None:
            loss = mean_loss(
                trainer.model_wrapped,
                examples,
                trainer.data_collator,
                args.process_index,
                args.world_size,
            )
            state.log_history.append({"step": state.global_step, HISTORY: loss})
            emit(state, event="test", step=state.global_step, loss=loss)

    return HeldOut()


def losses(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Step and loss of each measurement in a trainer's history."""
    return [{"step": line["step"], "loss": line[HISTORY]} for line in history if HISTORY in line]
