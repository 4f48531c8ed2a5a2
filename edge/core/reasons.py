"""Reason words: why an answer is not simply a fresh hit.

One closed set. The same word stands in the access log, in the metric's ``reason``
label, in ``Cache-Status`` (``detail=``) and in the problem body: an operator can follow
it from one to the other. Every word is explained in ``docs/reasons.md``; a test holds
the two together.

This module decides nothing; every floor names its outcomes from here.
"""

import enum


class Reason(enum.Enum):
    """A reason word. The value is the word as it goes out."""

    # The client's fault: answered with a 4xx, never sent to the origin.
    BAD_OFFSET = "bad-offset"
    EMPTY_OFFSET = "empty-offset"
    DUPLICATE_PARAMETER = "duplicate-parameter"
    OFFSET_REQUIRED = "offset-required"
    BAD_CURSOR = "bad-cursor"
    BAD_PATH = "bad-path"
    BAD_QUERY = "bad-query"
    BAD_HOST = "bad-host"
    BAD_HEAD = "bad-head"
    HEAD_TOO_LARGE = "head-too-large"
    BODY_ON_READ = "body-on-read"
    BODY_CUT = "body-cut"
    BODY_TIMEOUT = "body-timeout"
    BODY_TOO_LARGE = "body-too-large"
    BAD_ORDER = "bad-order"
    FROM_A_PAGE = "from-a-page"
    NOT_FOUND = "not-found"
    TOKEN_NOT_SET = "token-not-set"
    HOST_NOT_KNOWN = "host-not-known"
    LOOP = "loop"
    UNSUPPORTED_FRAMING = "unsupported-framing"
    NO_PROXY_HEADER = "no-proxy-header"
    BAD_PROXY_HEADER = "bad-proxy-header"
    PROXY_NOT_TRUSTED = "proxy-not-trusted"
    HTTP_TO_TLS = "http-to-tls"
    NOT_TLS = "not-tls"
    TLS_LATE = "tls-late"
    TLS_VERSION = "tls-version"
    TLS_CIPHER = "tls-cipher"
    TLS_CERTIFICATE = "tls-certificate"
    TLS_REFUSED = "tls-refused"
    TLS_BROKEN = "tls-broken"
    NOT_LINKED = "not-linked"
    LINK_MISFIT = "link-misfit"
    HANDED = "handed"

    # The credential does not let in: 401 or 403, never sent to the origin.
    NO_TOKEN = "no-token"
    TWO_TOKENS = "two-tokens"
    TOKEN_MALFORMED = "token-malformed"
    TOKEN_ALGORITHM = "token-algorithm"
    TOKEN_UNKNOWN_KEY = "token-unknown-key"
    TOKEN_SIGNATURE = "token-signature"
    TOKEN_CLAIMS = "token-claims"
    TOKEN_TYPE = "token-type"
    TOKEN_ISSUER = "token-issuer"
    TOKEN_AUDIENCE = "token-audience"
    TOKEN_EXPIRED = "token-expired"
    TOKEN_NOT_YET = "token-not-yet"
    TOKEN_LIFETIME = "token-lifetime"
    TOKEN_REVOKED = "token-revoked"
    PATH_NOT_GRANTED = "path-not-granted"
    PARAMETER_NOT_GRANTED = "parameter-not-granted"
    LINK_MALFORMED = "link-malformed"
    LINK_SIGNATURE = "link-signature"
    LINK_EXPIRED = "link-expired"
    CROSS_SITE = "cross-site"
    ACCESS_REFUSED = "access-refused"
    ACCESS_ABSENT = "access-absent"
    LIMIT_DENIED = "limit-denied"
    KEYS_UNAVAILABLE = "keys-unavailable"
    ACCESS_UNAVAILABLE = "access-unavailable"
    ACCESS_BUSY = "access-busy"

    # The origin's fault: 502 or 504 with Retry-After, nothing stored.
    ORIGIN_UNREACHABLE = "origin-unreachable"
    ORIGIN_TIMEOUT = "origin-timeout"
    ORIGIN_GARBAGE = "origin-garbage"
    ORIGIN_BODY_CUT = "origin-body-cut"
    ORIGIN_HEAD_TOO_LARGE = "origin-head-too-large"
    ORIGIN_NO_NEXT_OFFSET = "origin-no-next-offset"
    ORIGIN_ECHO = "origin-echo"
    ORIGIN_BAD_JSON = "origin-bad-json"
    ORIGIN_SPIN = "origin-spin"
    ORIGIN_STATUS = "origin-status"
    ORIGIN_STALE = "origin-stale"
    ORIGIN_SLOW = "origin-slow"
    ORIGIN_DOWN = "origin-down"
    NO_LENDER = "no-lender"
    LENDERS_REFUSED = "lenders-refused"
    LENT_REFUSED = "lent-refused"
    RETRY_AFTER = "retry-after"
    STALE = "stale"

    # A limit of this edge: 503 with Retry-After.
    LIMIT_CONNECTIONS = "limit-connections"
    LIMIT_VIEWERS = "limit-viewers"
    LIMIT_FLIGHTS = "limit-flights"
    LIMIT_FOLLOWERS = "limit-followers"
    LIMIT_STREAMS = "limit-streams"
    LIMIT_ORIGIN = "limit-origin-connections"
    LIMIT_DESCRIPTORS = "limit-descriptors"
    LIMIT_RELAYS = "limit-relays"
    LIMIT_ABOVE = "limit-above-end"
    LIMIT_LANES = "limit-lanes"
    LIMIT_ROUND = "limit-going-round"
    CHANNEL_SLOW = "channel-slow"
    LIMIT_REVOCATIONS = "limit-revocations"
    LIMIT_WATCHERS = "limit-watchers"
    LIMIT_RELOADS = "limit-reloads"
    NOT_WRITTEN = "not-written"
    MASTER_GONE = "master-gone"
    ORDERS_LATE = "orders-late"
    ORDERS_FAILED = "orders-failed"
    ORDERS_UNWRITTEN = "orders-unwritten"
    KEEPERS_SILENT = "keepers-silent"
    DRAINING = "draining"
    INTERNAL = "internal"

    # Why the origin was asked (Cache-Status fwd=..., detail).
    MISS = "miss"
    TAIL_UNKNOWN = "tail-unknown"
    UNCONFIRMED = "unconfirmed"
    COLD_OPEN = "cold-open"
    HEAD_REFUSED = "head-refused"
    OFFSET_ABOVE = "offset-above-end"
    NEWER_WRITE = "newer-write"
    SLIDING_TTL = "sliding-ttl"
    FOLLOWED = "followed"

    # Why an answer was passed on one to one: neither shared nor stored.
    METHOD = "method"
    NOT_A_STREAM = "not-a-stream"
    UNKNOWN_LIVE = "unknown-live"
    PRIVATE = "private"
    NO_STORE = "no-store"
    SET_COOKIE = "set-cookie"
    VARY_STAR = "vary-star"
    TOO_LARGE = "too-large"
    SPOOL_FULL = "spool-full"
    SPOOL_FAILED = "spool-failed"
    CLOSE_FRAMED = "close-framed"
    CODED = "coded"
    UNDECIDED = "undecided"
    EXPIRED_CREDENTIAL = "expired-credential"
    ACCESS_DIFFERS = "access-differs"

    # What became of an answer that was too large to hold.
    SPOOLED = "spooled"
    FROM_DISK = "from-disk"
    SPOOL_SLOW = "spool-slow"

    # How a disk on which bytes are kept failed.
    DISK_SLOW = "disk-slow"
    DISK_DAMAGED = "disk-damaged"
    DISK_FAILED = "disk-failed"
    DISK_NO_ROOM = "disk-no-room"

    # Why bytes were shared but not kept.
    STATUS = "status"
    OFFSET_UNKNOWN = "offset-unknown"
    NO_PROOF = "no-proof"

    # Why a log was dropped or began a new incarnation.
    BYTES_DIFFER = "bytes-differ"
    TAIL_WENT_BACK = "tail-went-back"
    TYPE_CHANGED = "type-changed"
    OFFSET_REFUSED = "offset-refused"
    GONE = "gone"
    REWRITTEN = "rewritten"
    FORGOTTEN = "forgotten"
    REFUSED = "refused"
    NEW_LINEAGE = "new-lineage"
    OLD_INCARNATION = "old-incarnation"

    # How a viewer ended.
    TIMED_OUT = "timed-out"
    LIFETIME = "lifetime"
    CLOSED = "closed"
    CLIENT_GONE = "client-gone"
    CONTACT_LOST = "contact-lost"
    VIEWER_LAG = "viewer-lag"
    GRANT_ENDED = "grant-ended"
    REVOKED = "revoked"

    # Why an event stream by which a stream was followed ended.
    EVENTS_ENDED = "events-ended"
    EVENTS_QUIET = "events-quiet"
    EVENTS_SLOW = "events-slow"
    EVENTS_STATUS = "events-status"
    EVENTS_REFUSED = "events-refused"
    EVENTS_LATE = "events-late"
    EVENTS_BEHIND = "events-behind"
    EVENTS_MOVED = "events-moved"
    EVENTS_INEXACT = "events-inexact"
    PUSHES_ENDED = "pushes-ended"

    # Why a span of a trace was lost.
    SPANS_FULL = "spans-full"
    SPANS_NOT_TAKEN = "spans-not-taken"

    # Why a worker was replaced.
    RELOAD = "reload"
    AFTER_REQUESTS = "after-requests"
    OVER_MEMORY = "over-memory"
    WORKER_DIED = "worker-died"

    # Why a reload took no new settings.
    SETTINGS_REFUSED = "settings-refused"
    NOT_STARTED = "not-started"
