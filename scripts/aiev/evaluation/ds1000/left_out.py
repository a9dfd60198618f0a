"""Which problems of DS-1000 cannot be run here, and why."""

from collections.abc import Collection

PROBLEMS = {
    "Pandas": range(291),
    "Numpy": range(291, 511),
    "Matplotlib": range(511, 666),
    "Tensorflow": range(666, 711),
    "Scipy": range(711, 817),
    "Sklearn": range(817, 932),
    "Pytorch": range(932, 1000),
}
"""Numbers of the problems, by library as the benchmark names them."""

LIBRARIES = ("Pandas", "Numpy", "Matplotlib", "Sklearn", "Scipy")
"""Those whose packages are pinned."""

_NETWORK = "the problem's own code fetches a data set, and there is no network in the sandbox"
_PACKAGE = "they need {}, which is not pinned here, as it is large"
NOT_CHOSEN = "problems of {}, which is not among the benchmark's `libraries`"
UNRUNNABLE = {
    **dict.fromkeys(
        (519, 539, 565, 566, 567, 577, 598, 624, 629, 650, 654, 655, 656, 661, 819), _NETWORK
    ),
    **dict.fromkeys((377, 378, *PROBLEMS["Pytorch"]), _PACKAGE.format("PyTorch")),
    **dict.fromkeys((379, 380, *PROBLEMS["Tensorflow"]), _PACKAGE.format("TensorFlow")),
    **dict.fromkeys((837, 838), _PACKAGE.format("XGBoost")),
}
"""Problems whose reference cannot run, with the reason."""


def task_id(number: int) -> str:
    """The id of a problem by its number, `metadata.problem_id`."""
    return f"DS-1000/{number}"


def left_out(libraries: Collection[str]) -> dict[str, str]:
    """Task ids with the reason: what cannot be run, and what belongs to another library."""
    others = {
        number: NOT_CHOSEN.format(library)
        for library, numbers in PROBLEMS.items()
        if library not in libraries
        for number in numbers
    }
    return {task_id(number): why for number, why in sorted({**others, **UNRUNNABLE}.items())}
