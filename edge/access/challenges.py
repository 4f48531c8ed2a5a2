"""Why somebody is not let in, and what its client is told.

A ``Failure`` is what ``tokens`` and ``signed`` answer with when they do not let in.
Here it becomes the ``Denied`` of the pipeline: the status, the sentence and the value
of WWW-Authenticate. The sentence is one of the edge's own: it never repeats a token, a
claim or a key. Called by the authorizer.

Sources: RFC 6750 section 3; RFC 9110 sections 11.2 and 11.6.1.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from edge.core.errors import AccessDenied
from edge.core.reasons import Reason
from edge.policy.streams.authorize import Denied
from edge.policy.streams.ways import JwtWay, OriginWay, Way

REALM = "durable-streams"
"""The protection space (RFC 9110 section 11.5): one for the whole edge."""


class BearerError(enum.Enum):
    """The error codes of RFC 6750 section 3.1, each with its status."""

    INVALID_REQUEST = "invalid_request"
    INVALID_TOKEN = "invalid_token"
    INSUFFICIENT_SCOPE = "insufficient_scope"

    @property
    def status(self) -> int:
        """The status that belongs to the code."""
        return _STATUSES[self]


_STATUSES = {
    BearerError.INVALID_REQUEST: 400,
    BearerError.INVALID_TOKEN: 401,
    BearerError.INSUFFICIENT_SCOPE: 403,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a credential does not let in.

    ``error`` is None for a signed URL, which has no challenge: 403. ``subject`` is the
    token's, for the log; only a token whose signature held has one (B23).
    """

    reason: Reason
    words: str
    error: BearerError | None = BearerError.INVALID_TOKEN
    subject: str | None = None

    @property
    def status(self) -> int:
        """401 or 403."""
        return 403 if self.error is None else self.error.status


def denied(failure: Failure) -> Denied:
    """The verdict on a credential that does not let in."""
    challenge = None
    if failure.error is not None:
        challenge = bearer(failure.error, failure.words)
    return Denied(failure.reason, failure.words, failure.status, challenge)


def without_credential(ways: Iterable[Way]) -> Denied:
    """The verdict on a request without a credential of any way (B23).

    401 with ``Bearer realm`` alone. Where no way takes tokens there is no challenge to
    give, and so no 401 (RFC 9110 section 15.5.2): 403.
    """
    if any(isinstance(way, JwtWay | OriginWay) for way in ways):
        words = "This stream needs a credential."
        return Denied(Reason.NO_TOKEN, words, 401, bearer())
    return Denied(Reason.NO_TOKEN, "This stream needs a signed URL.", 403)


def two_tokens(words: str) -> AccessDenied:
    """The error for more than one credential of one way (A15): 400."""
    error = BearerError.INVALID_REQUEST
    challenge = bearer(error, words)
    reason = Reason.TWO_TOKENS
    return AccessDenied(words, reason=reason, status=error.status, challenge=challenge)


def bearer(error: BearerError | None = None, words: str = "") -> str:
    """The value of WWW-Authenticate (RFC 6750 section 3)."""
    parameters = [("realm", REALM)]
    if error is not None:
        parameters += [("error", error.value), ("error_description", words)]
    return "Bearer " + ", ".join(f"{name}={_quoted(text)}" for name, text in parameters)


def _quoted(text: str) -> str:
    """A quoted-string of what RFC 6750 allows in it: visible ASCII and spaces.

    Quotes and backslashes are not allowed even escaped; they become apostrophes, and
    everything else a question mark.
    """
    kept = text.translate({0x22: "'", 0x5C: "'"})
    return '"' + "".join(c if " " <= c <= "~" else "?" for c in kept) + '"'
