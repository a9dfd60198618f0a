"""Which of the assistant's messages are in the loss (`training.learn`)."""

from typing import Literal

Learn = Literal["all", "passing", "last"]
