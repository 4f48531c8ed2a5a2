"""Each test of the hub leaves an event loop in which nothing goes on."""

from collections.abc import Iterator

import pytest

from tests.live.support import STANDING, settle


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """Stop every hub that the test made."""
    yield
    if STANDING:
        for house in STANDING:
            house.hub.stop()
        STANDING.clear()
        settle()
