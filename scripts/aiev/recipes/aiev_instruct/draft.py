"""A problem's draft: its wrong examples are corrected by what independent solutions return.

The corrected text is another problem. It is used only when other solutions, which have seen
nothing else, keep its examples.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aiev.recipes.verification.contract import (
    Contract,
    Example,
    read_contract,
    without_examples,
)

NO_RESULT = "None"


@dataclass(frozen=True)
class Corrected:
    """A corrected problem. changed: how many examples of the draft were."""

    problem: str
    contract: Contract
    changed: int


def corrected(
    problem: str,
    contract: Contract,
    seen: Sequence[tuple[int, Counter[str]]],
    agreeing: int,
    corrections: int,
) -> Corrected | None:
    """The problem with each example that fewer than `agreeing` solutions keep changed to the
    result that at least `corrections` of them return; None where one of them has no such result.
    No example is left out: the hard ones would go, and the problem's words would go on
    asking for them. None is no result to correct by: a function that only changes its argument
    returns it as well.

    seen: for each example, how many solutions keep it, and how many return which value.
    """
    right = []
    for example, (keep, results) in zip(contract.examples, seen, strict=True):
        result, times = next(iter(results.most_common(1)), ("", 0))
        if keep >= agreeing:
            right.append(example)
        elif times >= corrections and result != NO_RESULT:
            right.append(Example(example.call, result))
        else:
            return None
    lines = [f"`{example.call}` returns `{example.result}`" for example in right]
    text = "\n".join([without_examples(problem, contract.entry_point).rstrip(), *lines])
    new = read_contract(text, len(right), contract.entry_point)
    if new.flaw not in ("", contract.flaw) or list(new.examples) != right:
        return None
    return Corrected(text, new, sum(example not in contract.examples for example in right))
