"""Which reason words each counter may count, and which other labels have few values.

Their series are on the page of metrics before the first one is counted: an alert sees
the first event as an increase. Statuses are listed as far as they are usual; another
one has its series once it was met. Generous on purpose: a series at 0 costs a line, and
one that is missing an alert.

Values alone; ``edge.core.counters`` and ``edge.core.node_counters`` read them.
"""

from collections.abc import Mapping

from edge.core.reasons import Reason

_CLIENT = (
    *(Reason.BAD_OFFSET, Reason.EMPTY_OFFSET, Reason.DUPLICATE_PARAMETER),
    *(Reason.OFFSET_REQUIRED, Reason.BAD_CURSOR, Reason.BAD_PATH, Reason.BAD_QUERY),
    *(Reason.BAD_HOST, Reason.BAD_HEAD, Reason.HEAD_TOO_LARGE, Reason.BODY_ON_READ),
    *(Reason.BODY_CUT, Reason.BODY_TIMEOUT, Reason.BODY_TOO_LARGE, Reason.NOT_FOUND),
    *(Reason.UNSUPPORTED_FRAMING, Reason.NO_PROXY_HEADER, Reason.BAD_PROXY_HEADER),
    *(Reason.PROXY_NOT_TRUSTED, Reason.HTTP_TO_TLS, Reason.LINK_MISFIT),
)

_CREDENTIAL = (
    *(Reason.NO_TOKEN, Reason.TWO_TOKENS, Reason.TOKEN_MALFORMED),
    *(Reason.TOKEN_ALGORITHM, Reason.TOKEN_UNKNOWN_KEY, Reason.TOKEN_SIGNATURE),
    *(Reason.TOKEN_CLAIMS, Reason.TOKEN_TYPE, Reason.TOKEN_ISSUER),
    *(Reason.TOKEN_AUDIENCE, Reason.TOKEN_EXPIRED, Reason.TOKEN_NOT_YET),
    *(Reason.TOKEN_LIFETIME, Reason.TOKEN_REVOKED, Reason.PATH_NOT_GRANTED),
    *(Reason.PARAMETER_NOT_GRANTED, Reason.LINK_MALFORMED, Reason.LINK_SIGNATURE),
    *(Reason.LINK_EXPIRED, Reason.CROSS_SITE, Reason.ACCESS_REFUSED),
    *(Reason.ACCESS_ABSENT, Reason.LIMIT_DENIED, Reason.EXPIRED_CREDENTIAL),
)

_ORIGIN = (
    *(Reason.ORIGIN_UNREACHABLE, Reason.ORIGIN_TIMEOUT, Reason.ORIGIN_GARBAGE),
    *(Reason.ORIGIN_BODY_CUT, Reason.ORIGIN_HEAD_TOO_LARGE),
    *(Reason.ORIGIN_NO_NEXT_OFFSET, Reason.ORIGIN_ECHO, Reason.ORIGIN_BAD_JSON),
    *(Reason.ORIGIN_SPIN, Reason.ORIGIN_STATUS, Reason.ORIGIN_STALE),
    *(Reason.ORIGIN_SLOW, Reason.LENDERS_REFUSED, Reason.INTERNAL),
)

_NOT_ASKED = (Reason.ORIGIN_DOWN, Reason.RETRY_AFTER, Reason.NO_LENDER, Reason.HANDED)

_LIMITS = (
    *(Reason.LIMIT_CONNECTIONS, Reason.LIMIT_VIEWERS, Reason.LIMIT_FLIGHTS),
    *(Reason.LIMIT_FOLLOWERS, Reason.LIMIT_STREAMS, Reason.LIMIT_ORIGIN),
    *(Reason.LIMIT_DESCRIPTORS, Reason.LIMIT_RELAYS, Reason.LIMIT_ABOVE),
    *(Reason.LIMIT_ROUND, Reason.CHANNEL_SLOW, Reason.NOT_LINKED, Reason.DRAINING),
    Reason.SPOOL_SLOW,
)

_PASSED = (
    *(Reason.METHOD, Reason.NOT_A_STREAM, Reason.UNKNOWN_LIVE, Reason.PRIVATE),
    *(Reason.NO_STORE, Reason.SET_COOKIE, Reason.VARY_STAR, Reason.TOO_LARGE),
    *(Reason.SPOOL_FULL, Reason.SPOOL_FAILED, Reason.CLOSE_FRAMED, Reason.CODED),
    *(Reason.UNDECIDED, Reason.EXPIRED_CREDENTIAL, Reason.ACCESS_DIFFERS),
    *(Reason.OFFSET_UNKNOWN, Reason.SLIDING_TTL, Reason.STATUS),
)

_NOT_STORED = (
    *(Reason.STATUS, Reason.OFFSET_UNKNOWN, Reason.NO_PROOF, Reason.PRIVATE),
    *(Reason.NO_STORE, Reason.SET_COOKIE, Reason.VARY_STAR, Reason.TOO_LARGE),
    *(Reason.CLOSE_FRAMED, Reason.CODED, Reason.GONE, Reason.OLD_INCARNATION),
    *(Reason.ORIGIN_STALE, Reason.ORIGIN_STATUS, Reason.ORIGIN_GARBAGE),
    *(Reason.ORIGIN_NO_NEXT_OFFSET, Reason.ORIGIN_ECHO, Reason.ORIGIN_BAD_JSON),
    *(Reason.SPOOL_FULL, Reason.SPOOL_FAILED),
)

_DROPS = (
    *(Reason.BYTES_DIFFER, Reason.TAIL_WENT_BACK, Reason.TYPE_CHANGED),
    *(Reason.OFFSET_REFUSED, Reason.GONE, Reason.REWRITTEN, Reason.FORGOTTEN),
    *(Reason.REFUSED, Reason.NEW_LINEAGE, Reason.ACCESS_DIFFERS, Reason.PRIVATE),
    *(Reason.NO_STORE, Reason.SET_COOKIE, Reason.VARY_STAR),
)

_VIEWERS = (
    *(Reason.TIMED_OUT, Reason.LIFETIME, Reason.CLOSED, Reason.CLIENT_GONE),
    *(Reason.CONTACT_LOST, Reason.VIEWER_LAG, Reason.GRANT_ENDED, Reason.REVOKED),
    *(Reason.DRAINING, Reason.OFFSET_ABOVE, Reason.OLD_INCARNATION, Reason.STATUS),
    *(Reason.LIMIT_RELAYS, Reason.LIMIT_FLIGHTS, Reason.LIMIT_FOLLOWERS),
    *(Reason.ORIGIN_STATUS, *_DROPS, *_PASSED),
)

_EVENTS = (
    *(Reason.LIFETIME, Reason.EVENTS_ENDED, Reason.EVENTS_QUIET, Reason.EVENTS_SLOW),
    *(Reason.EVENTS_STATUS, Reason.EVENTS_REFUSED, Reason.EVENTS_LATE),
    *(Reason.EVENTS_BEHIND, Reason.EVENTS_MOVED, Reason.EVENTS_INEXACT),
    *(Reason.PUSHES_ENDED, Reason.TOO_LARGE, Reason.ORIGIN_SPIN, Reason.NO_PROOF),
    *(Reason.CONTACT_LOST, Reason.TAIL_WENT_BACK, Reason.UNCONFIRMED, Reason.CLOSED),
)

_SPOOL = (
    *(Reason.SPOOL_SLOW, Reason.SPOOL_FAILED, Reason.DISK_SLOW, Reason.DRAINING),
    *(Reason.ORIGIN_UNREACHABLE, Reason.ORIGIN_TIMEOUT, Reason.ORIGIN_GARBAGE),
    *(Reason.ORIGIN_BODY_CUT, Reason.GRANT_ENDED, Reason.REVOKED),
)

_DISK = (
    *(Reason.DISK_SLOW, Reason.DISK_DAMAGED, Reason.DISK_FAILED),
    Reason.DISK_NO_ROOM,
)

_TLS = (
    *(Reason.NOT_TLS, Reason.TLS_LATE, Reason.TLS_VERSION, Reason.TLS_CIPHER),
    *(Reason.TLS_CERTIFICATE, Reason.TLS_REFUSED, Reason.TLS_BROKEN),
    *(Reason.HTTP_TO_TLS, Reason.CLIENT_GONE),
)

_REPLACED = (
    *(Reason.RELOAD, Reason.AFTER_REQUESTS, Reason.OVER_MEMORY, Reason.WORKER_DIED),
)


def _words(*reasons: Reason) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason.value for reason in reasons))


_WORK_REFUSED = ("408", "425", "429", "500", "501", "502", "503", "504")

LABELS: Mapping[str, tuple[str, ...]] = {
    "origin_faults": _words(*_ORIGIN, *_NOT_ASKED),
    "origin_statuses": _WORK_REFUSED,
    "refusals": _words(*_LIMITS, *_NOT_ASKED),
    "lent_refusals": ("302", "400", "401", "403", "404", "410", "429"),
    "passes": _words(*_PASSED),
    "spool_cuts": _words(*_SPOOL),
    "disk_faults": _words(*_DISK),
    "not_stored": _words(*_NOT_STORED),
    "drops": _words(*_DROPS),
    "purges": tuple(
        f"{by}-{mode}" for by in ("path", "glob", "tag") for mode in ("soft", "hard")
    ),
    "purged": ("soft", "hard"),
    "event_streams_ended": _words(*_EVENTS),
    "viewers_ended": _words(*_VIEWERS),
    "verdicts": (
        *(
            f"{way}-{verdict}"
            for way in ("jwt", "signed", "forward", "origin")
            for verdict in ("granted", "denied")
        ),
        "none-denied",
    ),
    "asks": tuple(
        f"{way}-{result}"
        for way in ("forward", "origin")
        for result in ("let-in", "refused", "unanswered", "busy")
    ),
    "revocations": ("subject", "jti", "token"),
    "client_faults": _words(*_CLIENT, *_CREDENTIAL),
    "problems": (
        *("400", "401", "403", "404", "405", "408", "413", "421", "429", "431"),
        *("500", "501", "502", "503", "504", "508"),
    ),
    "tls_handshakes": ("full", "resumed", *_words(*_TLS)),
    "spans_dropped": _words(Reason.SPANS_FULL, Reason.SPANS_NOT_TAKEN),
    "replacements": _words(*_REPLACED),
    "link_faults": _words(*_ORIGIN, *_NOT_ASKED, *_LIMITS, Reason.LINK_MISFIT),
    "link_statuses": ("421", *_WORK_REFUSED),
    "link_drops": _words(*_DROPS),
    "link_not_stored": _words(*_NOT_STORED),
}
"""By the counter's name, all that its label says; of statuses the usual ones."""
