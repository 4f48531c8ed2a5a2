"""What gunicorn's parser raises, as errors of the edge's own tree.

The one place where its exceptions are known by name. A table, so that a new
release's new exception falls through to the plain 400 and not to a 500.
"""

from gunicorn.http import errors

from edge.core.errors import ClientFault
from edge.core.reasons import Reason

_FAULTS: tuple[tuple[type[Exception], int, Reason, str], ...] = (
    (
        errors.LimitRequestLine,
        414,
        Reason.HEAD_TOO_LARGE,
        "The request line is too long.",
    ),
    (
        errors.LimitRequestHeaders,
        431,
        Reason.HEAD_TOO_LARGE,
        "The request's fields are too many or too large.",
    ),
    (
        errors.UnsupportedTransferCoding,
        400,
        Reason.UNSUPPORTED_FRAMING,
        "The only transfer coding understood here is chunked.",
    ),
    (
        errors.ExpectationFailed,
        417,
        Reason.BAD_HEAD,
        "The only expectation understood here is 100-continue.",
    ),
    (TimeoutError, 408, Reason.BAD_HEAD, "The request's head did not come in time."),
)

_FRAMING = frozenset({"TRANSFER-ENCODING", "CONTENT-LENGTH"})


def fault_of(error: Exception) -> ClientFault:
    """The fault to answer a head with that the parser refused."""
    for kind, status, reason, detail in _FAULTS:
        if isinstance(error, kind):
            return ClientFault(detail, reason=reason, status=status)
    if isinstance(error, errors.InvalidHeader):
        return _field_fault(str(error.hdr))
    return ClientFault("The request's head is malformed.", reason=Reason.BAD_HEAD)


def _field_fault(name: str) -> ClientFault:
    if name == "HOST":
        detail = "More than one Host field, or one that is malformed."
        return ClientFault(detail, reason=Reason.BAD_HOST)
    if name in _FRAMING:
        detail = "The body's length cannot be told from the head."
        return ClientFault(detail, reason=Reason.UNSUPPORTED_FRAMING)
    detail = "A field of the request is malformed."
    return ClientFault(detail, reason=Reason.BAD_HEAD)
