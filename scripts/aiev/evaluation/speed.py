"""How much slower than the reference machine this one is at the moment, in CPU time.

Limits count CPU seconds, so that waiting for a busy processor does not count. But the same work
takes more CPU seconds on an older machine, and where the other thread of a core is at work: one
and a half times to twice as many were seen. So what ran into its limit is run again under a limit
that is as much longer as a fixed loop takes longer than on the reference machine.
"""

from aiev.core.errors import UserError
from aiev.sandbox.request import Limits, Request, Sandbox

LOOP = """
import time
def seconds():
    start, total = time.process_time(), 0
    for number in range(2_000_000):
        total += number & 7
    return time.process_time() - start
print(sorted(seconds() for _ in range(3))[1])
"""
REFERENCE_SECONDS = 0.066
"""What the loop takes on the reference machine: an idle core of 2.8 GHz, Python 3.11."""
NOISE = 1.1
"""Differences up to this factor are noise."""
MAX_SLOWDOWN = 8.0
"""No machine is waited for longer."""


def measurement() -> Request:
    """The loop, which prints the CPU seconds that it takes."""
    limits = Limits(wall_seconds=120, cpu_seconds=60)
    return Request({"loop.py": LOOP}, ("python", "loop.py"), limits)


def slowdown(sandbox: Sandbox) -> float:
    """How many times as long as on the reference machine the loop takes now; 1 to MAX_SLOWDOWN.

    Raises UserError where the loop does not run.
    """
    result = sandbox.run(measurement())
    try:
        seconds = float(result.stdout)
    except ValueError:
        raise UserError(
            f"the machine's speed cannot be measured: {result.outcome}: {result.stderr[-1000:]}",
            hint="free memory and disk, then run again",
        ) from None
    return min(max(seconds / REFERENCE_SECONDS, 1.0), MAX_SLOWDOWN)
