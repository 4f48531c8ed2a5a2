"""Why a request is refused: one closed set of words, one exception.

The rules raise Refused; ``http`` turns it into an RFC 9457 problem with the word as its
``reason``. A refused request has changed nothing.
"""

import enum

from edge.core.values import Headers


class RefusalReason(enum.Enum):
    """A reason word of the origin. The value is the word as it goes out."""

    NOT_FOUND = "not-found"
    GONE = "gone"
    BELOW_RETENTION = "below-retention"
    METHOD = "method"

    BAD_PATH = "bad-path"
    BAD_OFFSET = "bad-offset"
    EMPTY_OFFSET = "empty-offset"
    OFFSET_REQUIRED = "offset-required"
    DUPLICATE_PARAMETER = "duplicate-parameter"
    DUPLICATE_HEADER = "duplicate-header"
    BAD_CURSOR = "bad-cursor"
    BAD_LIVE = "bad-live"
    BAD_CONTENT_TYPE = "bad-content-type"
    BAD_LIFETIME = "bad-lifetime"
    BAD_PRODUCER = "bad-producer"
    BAD_SEQ = "bad-seq"
    BAD_FORK = "bad-fork"
    EMPTY_BODY = "empty-body"
    BAD_JSON = "bad-json"
    JSON_TOO_DEEP = "json-too-deep"
    BODY_CUT = "body-cut"
    BODY_TIMEOUT = "body-timeout"
    BODY_TOO_LARGE = "body-too-large"
    RATE = "rate"
    BUSY = "busy"

    EXISTS = "exists"
    BLOCKED = "blocked"
    SOURCE_NOT_FOUND = "source-not-found"
    SOURCE_GONE = "source-gone"
    CLOSED = "closed"
    TYPE_MISMATCH = "type-mismatch"
    SEQ_REGRESSION = "seq-regression"
    STALE_EPOCH = "stale-epoch"
    EPOCH_START = "epoch-start"
    SEQ_GAP = "seq-gap"

    DISK_FULL = "disk-full"
    DISK_READ_ONLY = "disk-read-only"
    DISK_FAILED = "disk-failed"
    STOPPING = "stopping"


class Refused(Exception):
    """A request that cannot be served, with its status.

    ``headers`` go out with the answer; ``detail`` is one sentence for a person.
    """

    def __init__(
        self, status: int, reason: RefusalReason, detail: str, headers: Headers = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers


def bad_request(reason: RefusalReason, detail: str) -> Refused:
    """The request itself is wrong: 400."""
    return Refused(400, reason, detail)


def conflict(reason: RefusalReason, detail: str, headers: Headers = ()) -> Refused:
    """The stream is not in the state that the request needs: 409."""
    return Refused(409, reason, detail, headers)
