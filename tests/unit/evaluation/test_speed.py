"""How much slower than the reference machine this one is."""

import pytest

from aiev.core.errors import UserError
from aiev.evaluation.speed import MAX_SLOWDOWN, measurement, slowdown
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.request import Result


def test_it_is_measured_in_the_sandbox():
    with open_sandbox("bubblewrap") as sandbox:
        seconds = float(sandbox.run(measurement()).stdout)
    assert 0.01 < seconds < 5


class Says:
    """A sandbox in which the loop says this."""

    def __init__(self, stdout):
        self.result = Result("passed", 0, stdout, "no memory", {}, 0.0)

    def run(self, _):
        return self.result


@pytest.mark.parametrize(("stdout", "factor"), [("0.033", 1), ("0.132", 2), ("9", MAX_SLOWDOWN)])
def test_a_faster_machine_changes_no_limit_and_a_slow_one_has_an_end(stdout, factor):
    assert slowdown(Says(stdout)) == pytest.approx(factor)


def test_a_loop_that_does_not_run_is_an_error():
    with pytest.raises(UserError, match="speed cannot be measured"):
        slowdown(Says(""))
