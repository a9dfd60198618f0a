"""Programs that are copied into the sandbox and run there; each stands alone.

They are modules of the project so that a change in one is seen by whatever runs it.
"""

import inspect
from types import ModuleType


def text_of(program: ModuleType) -> str:
    """Source of one of these programs, to be put into a box."""
    return inspect.getsource(program)
