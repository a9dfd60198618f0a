"""What a test needs and may not find on this machine."""

import os

import pytest


def unavailable(reason: str) -> None:
    """Skip with the reason; where nothing may be skipped (AUTOCODER_REQUIRE_ALL), fail with it."""
    (pytest.fail if os.environ.get("AUTOCODER_REQUIRE_ALL") else pytest.skip)(reason)
