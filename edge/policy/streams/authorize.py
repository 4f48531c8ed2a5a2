"""authorize: may this request go on, and with whom does it share an answer?

The phase between finding the route and classifying the read (see
``edge.policy.streams.pipeline``). It looks only at the head of the request, never at a
log or a body. It does not say what is read. There are three verdicts:

======== ====================================================================
Grant    it may go on, in a partition, until a time
Denied   it may not: the problem that its client gets
Ask      somebody else must be asked; that blocks, so a greenlet has to do it
======== ====================================================================

``authorize`` is the authorizer of routes on which only the origin can judge a
credential. It only ever grants. It says in which partition a request lives (L13) and
when a signed URL ends (L14). ``edge.access.authorizer`` judges on routes with ways, and
is given to the pipeline by wiring.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias

from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    GRANTED,
    NO_END,
    PUBLIC,
    UNLIMITED,
    Headers,
    Lease,
    Partition,
    PartitionKind,
)
from edge.policy.http import request_target
from edge.policy.http.client_address import Caller
from edge.policy.http.forwarding import UNFIT_ON_READS
from edge.policy.http.request_target import Parameter
from edge.policy.streams.routes import Access, Route

Lookup = Callable[[str], str | None]
"""A header's combined value by lower-case name, None when it is absent."""

_READS = frozenset({"GET", "HEAD"})

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_MILLISECONDS_ABOVE = 1e11
"""Larger numbers cannot be seconds: that would be the year 5138."""
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]{1,6})?(?:[Zz]|[+\- ][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of a request, as every front can tell it. ``target`` is in origin-form.

    ``path`` and ``parameters`` are the target's parts, their octets as received.
    ``client`` says who sent it: it costs something, so only who needs that calls it.
    """

    method: str
    target: str
    path: str
    parameters: tuple[Parameter, ...]
    lookup: Lookup
    client: Callable[[], Caller] = Caller

    @classmethod
    def of(
        cls,
        method: str,
        target: str,
        lookup: Lookup,
        client: Callable[[], Caller] = Caller,
    ) -> "RequestHead":
        """Take a target apart. Raises ClientFault when it is malformed."""
        path, query = request_target.split(target)
        given = request_target.parameters(query)
        return cls(method, target, path, tuple(given), lookup, client)


@dataclass(frozen=True, slots=True)
class Grant:
    """The request may go on.

    A read shares with ``partition``; what else is granted by a way goes upstream with
    the edge's own credential (B9). All times are Unix seconds. At ``expires_at`` the
    same request is judged anew. ``answers_until`` caps how long an answer to a signed
    URL may be used (L14); None: no cap.

    ``ends_at``: from then on nothing is given that this let in (B3). ``ends_soon``:
    that is so near that nobody may keep an answer (B17). ``lease`` is what the hub's
    readers hold of it, and ends then. ``way`` and ``subject`` say for the log what let
    it in, and whom. ``fields`` go on the answer of this one request. ``renewable``:
    whoever let it in believes so for a while, and may let the same request in again.
    ``hops`` are those of the client's request, as a front tells them (W10), and
    ``only_held`` and ``opens`` are told by processes of the node, too (see ``Read``).
    """

    partition: Partition = ANONYMOUS
    expires_at: float = NO_END
    answers_until: float | None = None
    ends_at: float = NO_END
    ends_soon: bool = False
    lease: Lease = UNLIMITED
    way: str = ""
    subject: str = ""
    fields: Headers = ()
    renewable: bool = False
    hops: tuple[str, ...] = ()
    only_held: bool = False
    opens: bool = False


UNJUDGED = Grant()
"""For what goes on as it is, and for as long as it takes."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The request may not go on. ``status`` is 401 or 403, or what was said by somebody
    who was asked.

    ``challenge`` is the value of WWW-Authenticate, which a 401 must have (RFC 9110
    section 11.6.1). ``way`` and ``subject`` are for the log, as in Grant. ``fields`` go
    on the answer; ``body`` None: the edge's own problem.
    """

    reason: Reason
    detail: str
    status: int = 403
    challenge: str | None = None
    way: str = ""
    subject: str = ""
    fields: Headers = ()
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody else must be asked. ``verdict`` does it, and blocks its greenlet. It
    may raise an EdgeError.

    ``later``: only the turn of the event loop is too full. It calls back in another
    one, and then the same request may be judged at once.
    """

    verdict: Callable[[], Grant | Denied]
    later: Callable[[Callable[[], None]], None] | None = None


AccessVerdict: TypeAlias = Grant | Denied | Ask

Authorizer = Callable[[Route, RequestHead, float], AccessVerdict]
"""``authorizer(route, request, now)``; ``now`` is Unix time. Never blocks.

A grant may depend only on header fields that the route names (``credential_headers``,
``request_headers``, ``judged_headers``), and on the client only where an endpoint is
told of it (``ForwardWay``): the fast way compares remembered requests by these alone.
"""


def authorize(route: Route, request: RequestHead, now: float) -> Grant:
    """Every request may go on, each in its partition. Pure."""
    if request.method not in _READS:
        return UNJUDGED
    ends = _credential_end(request.parameters, route)
    partition = _partition(request, route)
    if ends is None:
        return _endless(partition)
    return Grant(partition, ends, ends)


def _endless(partition: Partition) -> Grant:
    return UNJUDGED if partition is ANONYMOUS else Grant(partition)


# -- the partition ------------------------------------------------------------


def _partition(request: RequestHead, route: Route) -> Partition:
    """Who shares this read (L13). An empty credential header is no credential.

    On a public route no credential goes upstream, so none is looked at.
    """
    credential_names, other_names = _sent_names(
        route.credential_headers, route.request_headers
    )
    others = _present(other_names, request.lookup)
    if route.access is Access.PUBLIC:
        return _shared(PUBLIC, others)
    credentials = tuple(
        pair for pair in _present(credential_names, request.lookup) if pair[1]
    )
    in_query = route.credential_parameters
    if credentials or any(p.name in in_query for p in request.parameters):
        sent = credentials + others
        return Partition(PartitionKind.CREDENTIAL, _digest(sent), sent)
    return _shared(ANONYMOUS, others)


@lru_cache(maxsize=256)
def _sent_names(
    credentials: tuple[str, ...], others: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The header names that count as credential, and the others that go upstream."""
    unfit = UNFIT_ON_READS
    return (
        tuple(name for name in dict.fromkeys(credentials) if name not in unfit),
        tuple(
            name
            for name in dict.fromkeys(others)
            if name not in unfit.union(credentials)
        ),
    )


def _present(field_names: Iterable[str], lookup: Lookup) -> Headers:
    return tuple((n, v) for n in field_names if (v := lookup(n)) is not None)


def granted_partition(request: RequestHead, route: Route) -> Partition:
    """Who shares what a route with ways lets in: all of them (A2)."""
    _, names = _sent_names(route.credential_headers, route.request_headers)
    return _shared(GRANTED, _present(names, request.lookup))


def _shared(partition: Partition, sent: Headers) -> Partition:
    return Partition(partition.kind, _digest(sent), sent) if sent else partition


def _digest(sent: Headers) -> str:
    """The digest of all that goes upstream. Lengths first: no two inputs are alike."""
    text = "".join(f"{len(part)}:{part}" for pair in sent for part in pair)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# -- the end of a signed URL --------------------------------------------------


def _credential_end(given: Sequence[Parameter], route: Route) -> float | None:
    """When the first of the route's expiry parameters ends, in Unix seconds.

    On a public route a parameter that counts as credential is not looked at. A value is
    seconds, milliseconds or RFC 3339. Any other value caps nothing: only the origin can
    judge it (L14).
    """
    if not given:
        return None
    names = set(route.expires_parameters)
    if route.access is Access.PUBLIC:
        names.difference_update(route.credential_parameters)
    ends = [_unix_time(one.value()) for one in given if one.name in names]
    return min((end for end in ends if end is not None), default=None)


def _unix_time(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number / 1000 if number > _MILLISECONDS_ABOVE else number
    if not _RFC3339.fullmatch(text):
        return None
    # An unencoded "+01:00" arrives here with a space for its plus.
    stamp = f"{text[:10]}T{text[11:].replace(' ', '+')}"
    try:
        return datetime.fromisoformat(stamp.upper()).timestamp()
    except ValueError:
        return None
