"""gunicorn's parser errors in the edge's own tree."""

import inspect

import pytest
from gunicorn.http import errors

from edge.core.reasons import Reason
from edge.front.http1.connection import fault_of

EXCEPTIONS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ParseException)
]


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_every_parser_error_is_the_clients_fault(
    kind: type[errors.ParseException],
) -> None:
    """A new one of a new release is a 400, not a 500."""
    try:
        needed = len(inspect.signature(kind).parameters)
    except ValueError:
        needed = 0  # as its base in C takes anything
    error = kind(*["x"] * min(needed, 1))

    assert 400 <= fault_of(error).status < 500


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (errors.LimitRequestLine(9000, 8190), 414, Reason.HEAD_TOO_LARGE),
        (errors.LimitRequestHeaders("x"), 431, Reason.HEAD_TOO_LARGE),
        (errors.ExpectationFailed("x"), 417, Reason.BAD_HEAD),
        (errors.InvalidHeader("HOST"), 400, Reason.BAD_HOST),
        (errors.InvalidHeader("CONTENT-LENGTH"), 400, Reason.UNSUPPORTED_FRAMING),
        (errors.UnsupportedTransferCoding("x"), 400, Reason.UNSUPPORTED_FRAMING),
        (errors.InvalidHeader("X"), 400, Reason.BAD_HEAD),
        (TimeoutError(), 408, Reason.BAD_HEAD),
    ],
)
def test_the_status_tells_what_is_wrong(
    error: Exception, status: int, reason: Reason
) -> None:
    """RFC 9110 section 15.5, RFC 6585."""
    fault = fault_of(error)

    assert (fault.status, fault.reason) == (status, reason)


def test_nothing_of_the_request_is_told_back() -> None:
    """What a client sent must not come back in a page."""
    assert "<script>" not in fault_of(errors.InvalidRequestLine("<script>")).detail
