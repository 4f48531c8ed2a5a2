"""From a request's head to a Read: the key, the partition, the question.

``classify`` is the one reading of a request that every front uses, so both
give the same Read for the same bytes. It decides three things only: that a
request is malformed (ClientFault), that it passes to the origin one to one
(PassRequest), or what it reads (Read). It never looks at a log, and never at the
body: the front refuses a GET with one.

A key is the path as received, the extension parameters in canonical order
(``edge.policy.http.request_target``), and the partition, whose digest covers every
client header that goes upstream (L13, L26). A cursor is in no key.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import NoReturn

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    PUBLIC,
    Headers,
    Mode,
    Partition,
    PartitionKind,
    Read,
    StreamKey,
)
from edge.policy.http import codings, request_target
from edge.policy.http.forwarding import UNFIT_ON_READS
from edge.policy.http.request_target import Parameter
from edge.policy.streams.routes import Access, Route
from edge.protocol import cursor, names, offsets

Lookup = Callable[[str], str | None]
"""A header's combined value by lower-case name, None when it is absent."""


@dataclass(frozen=True, slots=True)
class PassRequest:
    """A request that goes to the origin one to one: why, and what to ask.

    ``target`` is as received. Only for a GET of an unknown ``live``: on public
    routes its credential parameters are left out, and ``partition`` holds the
    client headers that go with it (``requests.relay_request``). Everything
    else that passes follows the header rules of ``edge.policy.http.forwarding``.
    """

    reason: Reason
    target: str
    partition: Partition = ANONYMOUS


_MODES = {
    None: Mode.CATCH_UP,
    names.LIVE_LONG_POLL: Mode.LONG_POLL,
    names.LIVE_SSE: Mode.SSE,
}

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_MILLISECONDS_ABOVE = 1e11
"""Larger numbers cannot be seconds: that would be the year 5138."""
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]{1,6})?(?:[Zz]|[+\- ][0-9]{2}:[0-9]{2})"
)


def classify(
    method: str, target: str, headers: Lookup, route: Route
) -> Read | PassRequest:
    """What a request on ``route`` is. ``target`` is in origin-form, as received.

    Control paths pass whatever the method (PROTOCOL.md section 6), then other
    methods than GET and HEAD, then GETs with an unknown ``live``; a HEAD takes
    no parameters of the protocol and ignores them, as origins do. Raises
    ClientFault, for what would pass too, when the target is malformed; for
    reads also when a parameter of the protocol is.
    """
    path, query = request_target.split(target)
    if request_target.is_control(path):
        return PassRequest(Reason.NOT_A_STREAM, target)
    if method not in ("GET", "HEAD"):
        return PassRequest(Reason.METHOD, target)
    given = request_target.parameters(query)
    partition = _partition(given, headers, route)
    if route.access is Access.PUBLIC:
        given = [p for p in given if p.name not in route.credential_parameters]
    asked = {} if method == "HEAD" else _protocol_values(given)
    mode = Mode.HEAD if method == "HEAD" else _MODES.get(asked.get(names.PARAM_LIVE))
    if mode is None:
        passed = request_target.join(path, "&".join(p.raw for p in given))
        return PassRequest(Reason.UNKNOWN_LIVE, passed, partition)
    key = StreamKey(route.match, path, request_target.extension(given), partition)
    return _read(key, mode, asked, headers, _expires_at(given, route))


def _read(
    key: StreamKey,
    mode: Mode,
    asked: dict[str, str],
    headers: Lookup,
    expires_at: float | None,
) -> Read:
    offset = asked.get(names.PARAM_OFFSET)
    if offset is None and mode.live:
        _refuse(Reason.OFFSET_REQUIRED, "a live read requires an offset")
    return Read(
        key=key,
        offset=_offset(offset),
        mode=mode,
        cursor=_cursor(asked.get(names.PARAM_CURSOR)),
        if_none_match=headers("if-none-match"),
        codings=codings.accepted(headers("accept-encoding")),
        expires_at=expires_at,
    )


# -- parameters ---------------------------------------------------------------


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


def _offset(value: str | None) -> str:
    """The offset asked for; the beginning when there is none (section 5.6).

    A safe one that no origin minted (a word of an extension) is taken too.
    """
    if value is None:
        return offsets.BEGIN
    if not value:
        _refuse(Reason.EMPTY_OFFSET, "the offset is empty")
    if not offsets.is_safe(value):
        _refuse(Reason.BAD_OFFSET, "the offset is malformed")
    return value


def _cursor(value: str | None) -> int | None:
    """The client's cursor; None when it brings none that counts (section 10.1)."""
    try:
        return cursor.parse(value)
    except ValueError as error:
        _refuse(Reason.BAD_CURSOR, str(error))


def _expires_at(given: Iterable[Parameter], route: Route) -> float | None:
    """When the first of the route's expiry parameters ends, in Unix seconds.

    Seconds, milliseconds or RFC 3339. One that is none of these caps nothing:
    whether it is good is the origin's to judge (L14).
    """
    ends = [
        _unix_time(parameter.value())
        for parameter in given
        if parameter.name in route.expires_parameters
    ]
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


# -- the partition ------------------------------------------------------------


def _partition(given: Iterable[Parameter], headers: Lookup, route: Route) -> Partition:
    """Who shares this read (L13). An empty credential header is no credential.

    On a public route no credential goes upstream, so none is looked at.
    """
    credential_names, other_names = _sent_names(
        route.credential_headers, route.request_headers
    )
    others = _present(other_names, headers)
    if route.access is Access.PUBLIC:
        return _shared(PUBLIC, others)
    credentials = tuple(pair for pair in _present(credential_names, headers) if pair[1])
    if credentials or any(p.name in route.credential_parameters for p in given):
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


def _present(field_names: Iterable[str], headers: Lookup) -> Headers:
    return tuple((n, v) for n in field_names if (v := headers(n)) is not None)


def _shared(partition: Partition, sent: Headers) -> Partition:
    return Partition(partition.kind, _digest(sent), sent) if sent else partition


def _digest(sent: Headers) -> str:
    """Of all that goes upstream; lengths first, so nothing can run together."""
    text = "".join(f"{len(part)}:{part}" for pair in sent for part in pair)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse(reason: Reason, detail: str) -> NoReturn:
    raise ClientFault(detail, reason=reason)
