"""The order in which a training reads its examples: the same for any number of processes.

Each epoch is a random permutation, cut into micro batches that the processes take in turn. Where
they do not come out even, empty examples without loss fill the last ones. Accelerate, left to
itself, would fill them with examples from the epoch's start, which would then count twice.
"""

from collections.abc import Iterator

from aiev.training.examples import EMPTY


class Order:
    """A sampler for PyTorch's data loader: numbers of examples, and EMPTY for an empty one.

    examples: how many there are. multiple: what an epoch is filled up to a multiple of.
    """

    def __init__(self, examples: int, multiple: int, seed: int):
        self.examples, self.seed, self.epoch = examples, seed, 0
        self.missing = -examples % multiple

    def __len__(self) -> int:
        return self.examples + self.missing

    def __iter__(self) -> Iterator[int]:
        import torch

        draw = torch.Generator().manual_seed(self.seed + self.epoch)
        yield from torch.randperm(self.examples, generator=draw).tolist()
        yield from [EMPTY] * self.missing

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; the data loader calls it."""
        self.epoch = epoch


def loader(trainer, seed: int):
    """The data loader of a transformers Trainer, in this order, for this process."""
    from torch.utils.data import DataLoader

    arguments = trainer.args
    micro = arguments.per_device_train_batch_size
    # A single process may end with a micro batch that is not full.
    multiple = micro * arguments.world_size if arguments.world_size > 1 else 1
    order = Order(len(trainer.train_dataset), multiple, seed)
    made = DataLoader(
        trainer.train_dataset,
        batch_size=micro,
        sampler=order,
        collate_fn=trainer.data_collator,
        pin_memory=arguments.dataloader_pin_memory,
    )
    return trainer.accelerator.prepare(made)
