"""What the stories of whole edges share."""

import pytest


@pytest.fixture(scope="module", params=[1, 2], ids=["one", "two"])
def workers(request: pytest.FixtureRequest) -> int:
    """How many workers the edge has. What clients and origins see is the same by both,
    and a story that takes this says where it is not. One that is long, or about one
    process alone, names its number by ``parametrize(..., indirect=["workers"])``.

    With two, a keeper asks the origin, and the kernel says which front a client meets.
    """
    number: int = request.param
    return number
