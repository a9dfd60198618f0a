"""Any number of processes reads the same examples in each step, each of them once an epoch."""

import pytest
from accelerate.data_loader import BatchSamplerShard, SeedableRandomSampler
from torch.utils.data import BatchSampler

from aiev.training.encoding import IGNORED, Encoded
from aiev.training.examples import EMPTY, Examples, write_examples
from aiev.training.order import Order

SEED = 7
GLOBAL = 12


def steps(examples, ranks, micro, epoch=0):
    """Examples of each optimiser step, as accelerate deals them out to the processes."""
    order = Order(examples, micro * ranks if ranks > 1 else 1, SEED)
    order.set_epoch(epoch)
    batches = BatchSampler(order, micro, drop_last=False)
    if ranks == 1:
        dealt = [list(batches)]
    else:
        dealt = [list(BatchSamplerShard(batches, ranks, rank)) for rank in range(ranks)]
    assert len({len(each) for each in dealt}) == 1, "a process would wait for the others forever"
    together = GLOBAL // (micro * ranks)
    return [
        sorted(n for each in dealt for batch in each[at : at + together] for n in batch if n >= 0)
        for at in range(0, len(dealt[0]), together)
    ]


@pytest.mark.parametrize("examples", [1, 5, 12, 23, 37])
@pytest.mark.parametrize(("ranks", "micro"), [(1, 2), (2, 1), (2, 3), (3, 2), (4, 3), (6, 2)])
def test_steps_are_those_of_one_process_and_nothing_counts_twice(examples, ranks, micro):
    found = steps(examples, ranks, micro)
    assert found == steps(examples, 1, 1)
    assert sorted(n for step in found for n in step) == list(range(examples))
    assert len(found) == -(-examples // GLOBAL)


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_the_order_is_the_one_that_accelerate_draws(epoch):
    """Of it depend the students that were trained with earlier versions."""
    theirs = SeedableRandomSampler(range(23), data_seed=SEED)
    theirs.set_epoch(epoch)
    ours = Order(23, 1, SEED)
    ours.set_epoch(epoch)
    assert list(ours) == list(theirs)


def test_an_empty_example_is_a_token_without_loss(tmp_path):
    write_examples(tmp_path, [Encoded([5, 6], [IGNORED, 6])])
    example = Examples(tmp_path)[EMPTY]
    assert example["labels"].tolist() == [IGNORED] and len(example["input_ids"]) == 1
