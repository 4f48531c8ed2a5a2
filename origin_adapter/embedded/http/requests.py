"""Requests: what a client's fields and parameters ask for.

To the rules' values. Raises Refused for malformed ones. Knows no
stream.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from edge.core.values import Mode
from edge.protocol import cursor as cursors
from edge.protocol import names
from edge.protocol.http_grammar import TOKEN_CHARS
from edge.protocol.offsets import BEGIN, NOW
from origin_adapter.embedded.http.exchange import ServerRequest
from origin_adapter.embedded.rules import lifetimes, offsets, paths, producers
from origin_adapter.embedded.rules.refusals import RefusalReason, bad_request
from origin_adapter.embedded.rules.values import ForkRequest, Lifetime, ProducerClaim

_TYPE = re.compile(rf"[{TOKEN_CHARS}]+/[{TOKEN_CHARS}]+[ \t]*(;[ -~\t]*)?")
_SUB_OFFSET = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,20}", re.ASCII)
_VISIBLE = re.compile(r"[ -~\x80-\xff]{1,256}")
_ONCE = frozenset(
    name.lower()
    for name in (
        "Content-Type",
        names.CLOSED,
        names.TTL,
        names.EXPIRES_AT,
        names.SEQ,
        names.FORKED_FROM,
        names.FORK_OFFSET,
        names.FORK_SUB_OFFSET,
        names.PRODUCER_ID,
        names.PRODUCER_EPOCH,
        names.PRODUCER_SEQ,
    )
)
_LIVE = {
    None: Mode.CATCH_UP,
    names.LIVE_LONG_POLL: Mode.LONG_POLL,
    names.LIVE_SSE: Mode.SSE,
}


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A GET as it was asked. ``position`` None: the present tail (``now``)."""

    mode: Mode
    begin: bool
    position: int | None
    cursor: int | None


def read(req: ServerRequest) -> ReadRequest:
    """What a GET asks for (sections 5.6 to 5.8)."""
    said = _parameters(req.query)
    offset = said.get(names.PARAM_OFFSET)
    live = said.get(names.PARAM_LIVE)
    if live not in _LIVE:
        raise bad_request(RefusalReason.BAD_LIVE, "live is long-poll or sse")
    mode = _LIVE[live]
    if offset is None and mode.live:
        raise bad_request(RefusalReason.OFFSET_REQUIRED, "live reads need an offset")
    if offset == "":
        raise bad_request(RefusalReason.EMPTY_OFFSET, "the offset is empty")
    try:
        cursor = cursors.parse(said.get(names.PARAM_CURSOR))
    except ValueError as error:
        raise bad_request(RefusalReason.BAD_CURSOR, str(error)) from None
    if offset is None or offset == BEGIN:
        return ReadRequest(mode, True, None, cursor)
    if offset == NOW:
        return ReadRequest(mode, False, None, cursor)
    return ReadRequest(mode, False, offsets.parse(offset), cursor)


def check_fields(req: ServerRequest) -> None:
    """Refuse a field of a writer that comes twice: it could be read in two ways."""
    twice = req.repeated & _ONCE
    if twice:
        raise bad_request(
            RefusalReason.DUPLICATE_HEADER, f"{min(twice)} comes more than once"
        )


def content_type(req: ServerRequest) -> str | None:
    """The content type; None without one."""
    said = (req.fields.get("content-type") or "").strip()
    if not said:
        return None
    if len(said) > 256 or _TYPE.fullmatch(said) is None:
        raise bad_request(RefusalReason.BAD_CONTENT_TYPE, "malformed Content-Type")
    return said


def lifetime(req: ServerRequest) -> Lifetime:
    """The lifetime that a PUT asks for."""
    return lifetimes.parse(req.field(names.TTL), req.field(names.EXPIRES_AT))


def closed(req: ServerRequest) -> bool:
    """Whether the request closes the stream, or makes it closed."""
    return names.is_true(req.field(names.CLOSED))


def seq(req: ServerRequest) -> str | None:
    """The writer's ``Stream-Seq``."""
    said = req.field(names.SEQ)
    if said is not None and _VISIBLE.fullmatch(said) is None:
        raise bad_request(RefusalReason.BAD_SEQ, "Stream-Seq has 1 to 256 characters")
    return said


def claim(req: ServerRequest) -> ProducerClaim | None:
    """The producer's claim: all three fields, or none (section 5.2.1)."""
    producer = req.field(names.PRODUCER_ID)
    epoch = req.field(names.PRODUCER_EPOCH)
    number = req.field(names.PRODUCER_SEQ)
    if producer is None and epoch is None and number is None:
        return None
    if producer is None or epoch is None or number is None:
        raise bad_request(
            RefusalReason.BAD_PRODUCER, "the producer fields come together"
        )
    if _VISIBLE.fullmatch(producer) is None:
        raise bad_request(
            RefusalReason.BAD_PRODUCER, "Producer-Id has 1 to 256 characters"
        )
    return ProducerClaim(
        producer,
        _integer(names.PRODUCER_EPOCH, epoch),
        _integer(names.PRODUCER_SEQ, number),
    )


def fork(req: ServerRequest, root: str, max_path: int) -> ForkRequest | None:
    """The fork that a PUT asks for (section 4.2)."""
    source = req.field(names.FORKED_FROM)
    offset = req.field(names.FORK_OFFSET)
    sub = req.field(names.FORK_SUB_OFFSET)
    if source is None:
        if offset is not None or sub is not None:
            raise bad_request(
                RefusalReason.BAD_FORK, f"a fork needs {names.FORKED_FROM}"
            )
        return None
    if sub is not None and _SUB_OFFSET.fullmatch(sub) is None:
        raise bad_request(RefusalReason.BAD_FORK, f"malformed {names.FORK_SUB_OFFSET}")
    return ForkRequest(paths.check(source, root, max_path), offset, int(sub or 0))


def _integer(name: str, said: str) -> int:
    if _INTEGER.fullmatch(said) is None or int(said) > producers.MAX_INTEGER:
        raise bad_request(
            RefusalReason.BAD_PRODUCER, f"{name} is a whole number of at most 2^53-1"
        )
    return int(said)


def _parameters(query: str) -> dict[str, str]:
    """The protocol's parameters. Each may come once; other parameters are ignored."""
    said: dict[str, str] = {}
    for item in query.split("&"):
        name, _, value = item.partition("=")
        name = unquote_plus(name)
        if name not in (names.PARAM_OFFSET, names.PARAM_LIVE, names.PARAM_CURSOR):
            continue
        if name in said:
            raise bad_request(
                RefusalReason.DUPLICATE_PARAMETER, f"{name} comes more than once"
            )
        said[name] = unquote_plus(value)
    return said
