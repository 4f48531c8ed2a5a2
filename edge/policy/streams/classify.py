"""From a request that may go on to a Read: the key and the question.

Every front reads a request by ``classify``, so all give the same Read for the same
bytes. It decides one thing: whether the request passes to the origin one to one
(PassRequest), or what it reads (Read). It refuses what is malformed. It never looks at
a log, at the body (the front refuses a GET with one) or at a credential: ``authorize``
says with whom a read is shared.

A key is the path as received, the extension parameters in canonical order
(``edge.policy.http.request_target``), and the partition, whose digest covers every
client header that goes upstream (L13, L26). A cursor is in no key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    Mode,
    Partition,
    PartitionKind,
    Read,
    StreamKey,
)
from edge.policy.http import codings, forwarding, request_target
from edge.policy.http.request_target import Parameter
from edge.policy.streams.authorize import Grant, Lookup, RequestHead
from edge.policy.streams.routes import Access, Route
from edge.protocol import cursor, names, offsets


@dataclass(frozen=True, slots=True)
class PassRequest:
    """A request that goes to the origin one to one: why, and what to ask.

    ``target`` is as received, with two exceptions: credential parameters are left out
    of what a way has let in (B8), and on public routes of a GET of an unknown ``live``.
    The ``partition`` of such a GET holds the client headers that go with it
    (``upstream_requests.pass_request``); ``hops`` as in Read. All other requests follow
    the header rules of ``edge.policy.http.forwarding``. ``extension`` are the
    parameters by which a write is compared with keys (``plain_extension``).
    """

    reason: Reason
    target: str
    partition: Partition = ANONYMOUS
    hops: tuple[str, ...] = ()
    extension: str = ""


_MODES = {
    None: Mode.CATCH_UP,
    names.LIVE_LONG_POLL: Mode.LONG_POLL,
    names.LIVE_SSE: Mode.SSE,
}


def classify(request: RequestHead, route: Route, grant: Grant) -> Read | PassRequest:
    """What a granted request on ``route`` is.

    These pass, in this order: control paths with any method (PROTOCOL.md section 6),
    methods other than GET and HEAD, GETs with an unknown ``live``. A HEAD takes no
    parameters of the protocol and ignores them, as origins do; but one that has any is
    not about what a GET without them is answered (``_aim_of_head``). Raises ClientFault
    for a read when a parameter of the protocol is malformed.
    """
    given, target, partition = request.parameters, request.target, ANONYMOUS
    if grant.partition.kind is PartitionKind.GRANTED:
        partition = grant.partition
        given = _without_credentials(given, route)
        target = request_target.join(request.path, "&".join(p.raw for p in given))
    if request_target.is_control(request.path):
        return PassRequest(Reason.NOT_A_STREAM, target, partition)
    if request.method not in ("GET", "HEAD"):
        written = plain_extension(given, route)
        return PassRequest(Reason.METHOD, target, partition, extension=written)
    if route.access is Access.PUBLIC:
        given = _without_credentials(given, route)
    head = request.method == "HEAD"
    asked = _aim_of_head(given) if head else _protocol_values(given)
    mode = Mode.HEAD if head else _MODES.get(asked.get(names.PARAM_LIVE))
    if mode is None:
        passed = request_target.join(request.path, "&".join(p.raw for p in given))
        hops = forwarding.hops(request.lookup("cdn-loop"))
        return PassRequest(Reason.UNKNOWN_LIVE, passed, grant.partition, hops)
    extension = request_target.extension(given)
    key = StreamKey(route.match, request.path, extension, grant.partition)
    return _read(key, mode, asked, request.lookup, grant)


def plain_extension(given: Iterable[Parameter], route: Route) -> str:
    """The extension parameters that say which stream is meant: without those that only
    say who asks and until when (U13).

    A writer's signed URL has another signature than its readers' URLs, and means the
    same stream.
    """
    hidden = (*route.credential_parameters, *route.expires_parameters)
    return request_target.extension(p for p in given if p.name not in hidden)


def _read(
    key: StreamKey,
    mode: Mode,
    asked: dict[str, str],
    lookup: Lookup,
    grant: Grant,
) -> Read:
    offset, sent = asked.get(names.PARAM_OFFSET), asked.get(names.PARAM_CURSOR)
    # What was granted is not coded: whatever clients take, they share a read (B6).
    granted = key.partition.kind is PartitionKind.GRANTED
    taken = None if granted else lookup("accept-encoding")
    if offset is None and mode.live:
        _refuse(Reason.OFFSET_REQUIRED, "a live read requires an offset")
    return Read(
        key=key,
        offset=_offset(offset),
        mode=mode,
        cursor=None if sent is None else _cursor(sent),
        if_none_match=lookup("if-none-match"),
        codings=() if taken is None else codings.accepted(taken),
        expires_at=grant.answers_until,
        hops=grant.hops or forwarding.hops(lookup("cdn-loop")),
        ends_soon=grant.ends_soon,
        only_held=grant.only_held,
        opens=grant.opens,
    )


# -- parameters ---------------------------------------------------------------


def _without_credentials(
    given: tuple[Parameter, ...], route: Route
) -> tuple[Parameter, ...]:
    return tuple(p for p in given if p.name not in route.credential_parameters)


def _protocol_values(given: Iterable[Parameter]) -> dict[str, str]:
    """The decoded values of offset, live and cursor; each at most once."""
    asked: dict[str, str] = {}
    for parameter in given:
        if parameter.name not in request_target.PROTOCOL:
            continue
        if parameter.name in asked:
            _refuse(Reason.DUPLICATE_PARAMETER, f"more than one {parameter.name}")
        asked[parameter.name] = parameter.value()
    return asked


def _aim_of_head(given: Iterable[Parameter]) -> dict[str, str]:
    """What a HEAD with these is about. With any of the protocol's but the beginning, a
    GET of that URL is answered something else than one without: as to what has no
    entity tag (L17), it is then about the tail."""
    told = (p.raw for p in given if p.name in request_target.PROTOCOL)
    whole = all(raw == f"{names.PARAM_OFFSET}={offsets.BEGIN}" for raw in told)
    return {} if whole else {names.PARAM_OFFSET: offsets.NOW}


def _offset(value: str | None) -> str:
    """The offset asked for; the beginning when there is none (section 5.6).

    A safe offset that no origin minted (a word of an extension) is taken too.
    """
    if value is None:
        return offsets.BEGIN
    if not value:
        _refuse(Reason.EMPTY_OFFSET, "the offset is empty")
    if not offsets.is_safe(value):
        _refuse(Reason.BAD_OFFSET, "the offset is malformed")
    return value


def _cursor(value: str) -> int | None:
    """The client's cursor; None for one that does not count (section 10.1)."""
    try:
        return cursor.parse(value)
    except ValueError as error:
        _refuse(Reason.BAD_CURSOR, str(error))


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise ClientFault(detail, reason=reason)
