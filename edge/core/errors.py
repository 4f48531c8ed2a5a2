"""The error tree: whose fault it is decides the status.

::

    EdgeError                  status, reason, retry_after
      ClientFault              4xx: this request cannot be answered as it is
        ClientBodyCut          the client's body ended early; nothing was appended
        AccessDenied           401/403: the authorizer does not let it go on
        TooManyDenied          429: its client showed too many bad credentials
      OriginFault              502/504: the origin failed; Retry-After is set
        OriginUnreachable      no connection, or it died before a first byte
        OriginTimeout          connected, but too slow (504)
        OriginGarbage          not HTTP, or HTTP that must not be trusted
        OriginBodyCut          the body ended before its framing said so
        OriginAway             it answered, but as one that is away answers
        NotAsked               503: nothing was sent, which says nothing of the origin
          NotHeld              421: whoever held the stream has handed it over
          LendersRefused       503: the origin has refused others who lent
      Refusal                  503/508: a limit of this edge, or it is draining

Foreign exceptions are turned into these at the module that called out. The
front turns them into RFC 9457 problems; the hub turns them into outcomes.
"""

from types import EllipsisType

from edge.core.lent_refusals import LentRefusals
from edge.core.reasons import Reason
from edge.core.values import Headers, Lineage, OriginAnswer


class EdgeError(Exception):
    """Anything the edge raises on purpose.

    ``status`` is the HTTP status to answer with, ``reason`` the word for logs
    and metrics, ``detail`` one sentence for the client, ``retry_after`` seconds
    or None. What is not given is what the class says. ``cause`` is for the operator's
    log alone: words of the system or of a library, hosts and ports.
    """

    status = 500
    retry_after: int | None = None
    reason = Reason.INTERNAL

    def __init__(
        self,
        detail: str = "",
        *,
        reason: Reason | None = None,
        status: int | None = None,
        retry_after: int | EllipsisType | None = ...,
        cause: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.cause = cause
        if not isinstance(retry_after, EllipsisType):
            self.retry_after = retry_after
        if reason is not None:
            self.reason = reason
        if status is not None:
            self.status = status


class ClientFault(EdgeError):
    """The request itself is wrong. 400 unless said otherwise."""

    status = 400
    reason = Reason.BAD_HEAD


class ClientBodyCut(ClientFault):
    """The client's body ended before its framing said so (RFC 9112 section 8)."""

    reason = Reason.BODY_CUT


class AccessDenied(ClientFault):
    """The request may not go on. ``challenge`` is the value of WWW-Authenticate.

    ``fields`` go on the answer. ``body`` None: the answer is the edge's own problem.
    """

    status = 403

    def __init__(
        self,
        detail: str = "",
        *,
        reason: Reason | None = None,
        status: int | None = None,
        challenge: str | None = None,
        fields: Headers = (),
        body: bytes | None = None,
    ) -> None:
        super().__init__(detail, reason=reason, status=status)
        self.challenge = challenge
        self.fields = fields
        self.body = body


class TooManyDenied(ClientFault):
    """The client showed too many bad credentials: later it may be answered. 429 with
    Retry-After (RFC 6585 section 4)."""

    status = 429
    reason = Reason.LIMIT_DENIED


class OriginFault(EdgeError):
    """The origin is at fault: 502 with Retry-After, never the client's fault.

    ``unsent``: not one byte of the request was sent, so the origin cannot have acted.
    """

    status = 502
    reason = Reason.ORIGIN_GARBAGE
    retry_after: int | None = 1
    unsent = False


class OriginUnreachable(OriginFault):
    """No connection could be made, or it died before the first byte."""

    reason = Reason.ORIGIN_UNREACHABLE


class OriginTimeout(OriginFault):
    """The origin was too slow to connect, to begin or to go on: 504."""

    status = 504
    reason = Reason.ORIGIN_TIMEOUT


class OriginGarbage(OriginFault):
    """The answer is not HTTP/1.1, or its framing cannot be trusted."""


class OriginBodyCut(OriginFault):
    """The origin's body ended before its framing said so."""

    reason = Reason.ORIGIN_BODY_CUT


class OriginAway(OriginFault):
    """The origin answered as one that is away (U1, U9): by a status of an outage, by
    something that is no stream, or by what another edge holds while its origin is away.

    ``answer`` is what it said, for readers that nothing held can serve; None: nothing
    that may be shown. ``upstream`` has the caches by which it came, as in CacheStatus.
    """

    reason = Reason.ORIGIN_STATUS

    def __init__(
        self,
        detail: str,
        answer: OriginAnswer | None = None,
        *,
        reason: Reason | None = None,
        status: int | None = None,
        retry_after: int | None = 1,
        upstream: str = "",
    ) -> None:
        super().__init__(detail, reason=reason, status=status, retry_after=retry_after)
        self.answer = answer
        self.upstream = upstream


class NotAsked(OriginFault):
    """Nothing was sent to the origin: a limit of this edge, or the origin is known to
    be down (U6). It says nothing of the origin or of the stream. 503."""

    status = 503
    reason = Reason.ORIGIN_DOWN
    unsent = True


class NotHeld(NotAsked):
    """A keeper that has a successor neither holds nor follows what its successor asks
    for, which has to ask the origin from now on. ``lineage``: of what was held of that
    stream until now; None: nothing that could be told."""

    status = 421
    reason = Reason.HANDED
    retry_after = None

    def __init__(self, detail: str = "", lineage: Lineage | None = None) -> None:
        super().__init__(detail)
        self.lineage = lineage


class LendersRefused(NotAsked):
    """A keeper asks nobody before its front has heard whose credentials the origin has
    refused (W16). The front asks again at once; no client hears of it."""

    reason = Reason.LENT_REFUSED
    retry_after = None

    def __init__(self, refusals: LentRefusals, detail: str = "") -> None:
        super().__init__(detail)
        self.refusals = refusals


class Refusal(EdgeError):
    """A limit of this edge was reached: 503 with Retry-After."""

    status = 503
    reason = Reason.LIMIT_CONNECTIONS
    retry_after: int | None = 1
