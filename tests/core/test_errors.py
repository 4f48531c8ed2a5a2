"""The error tree: whose fault it is decides the status."""

import pytest

from edge.core.errors import (
    ClientBodyCut,
    ClientFault,
    EdgeError,
    OriginBodyCut,
    OriginFault,
    OriginGarbage,
    OriginTimeout,
    OriginUnreachable,
    Refusal,
    TooManyDenied,
)
from edge.core.reasons import Reason


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (EdgeError, 500),
        (ClientFault, 400),
        (ClientBodyCut, 400),
        (OriginFault, 502),
        (OriginUnreachable, 502),
        (OriginGarbage, 502),
        (OriginBodyCut, 502),
        (OriginTimeout, 504),
        (Refusal, 503),
        (TooManyDenied, 429),
    ],
)
def test_the_status_tells_whose_fault_it_is(kind: type[EdgeError], status: int) -> None:
    """4xx the client's, 502 and 504 the origin's, 503 a limit of this edge."""
    assert kind("why").status == status


@pytest.mark.parametrize("kind", [OriginFault, OriginTimeout, OriginBodyCut, Refusal])
def test_what_may_pass_says_when_to_come_back(kind: type[EdgeError]) -> None:
    """E43: 502, 503 and 504 carry Retry-After."""
    assert kind("why").retry_after == 1


def test_what_can_never_be_answered_does_not() -> None:
    """A client that repeats it gets the same."""
    assert ClientFault("why").retry_after is None


def test_one_error_can_be_told_more_precisely_than_its_kind() -> None:
    """And the kind stays as it was for the next one."""
    loop = Refusal("seen here before", reason=Reason.LOOP, status=508, retry_after=None)

    assert (loop.status, loop.reason, loop.retry_after) == (508, Reason.LOOP, None)
    assert str(loop) == loop.detail == "seen here before"
    assert Refusal().status == 503
    assert Refusal().reason is Reason.LIMIT_CONNECTIONS
