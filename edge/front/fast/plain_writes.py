"""PlainWrites: which bytes are a plain write, judged by a closed list of shapes.

A plain write is a POST, a PUT or a DELETE of a stream on a route, whose body has a
length, is small, and can be waited for on the event loop (U27). Its line is judged by
``request_memo``, its fields by the same rules as those of a read, but for two things:
it may have a Content-Length, a plain number up to ``MAX_BODY_BYTES`` (of a DELETE: 0),
and since all its end-to-end fields are forwarded, each of them counts.

What is not on the list goes the whole way, which alone knows what is wrong with it. So
does a control path, whose answer is rewritten; a write that is denied, or that somebody
else must judge; and one that announces more than ``limits.max_body``.

A client that writes again most often sends the same fields, or changes one or two of
them: the number of a producer's message, the length, an id. ``of`` compares with what
the same connection sent before, line by line; what is forwarded is then made of the old
fields, with the changed values in their places. Whatever differs, whether the write may
go on is judged anew: where a route judges, any field may decide (B2, B10). The very
same bytes alone have the same verdict, until it ends.

It never looks at a body, sends nothing, and waits for nobody.
"""

import re
from collections.abc import Callable
from functools import partial

from edge.core.errors import ClientFault
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.values import Header
from edge.front.exchange import is_safe_id
from edge.front.fast.plain_requests import Later, PlainWrite, RequestLine, WriteBlock
from edge.front.fast.request_memo import (
    IN_VALUES,
    MAX_BLOCK_BYTES,
    MAX_FIELDS,
    MAX_NAMES,
    NEVER_PLAIN,
    Memo,
    asks_to_close,
    head_of,
    plain_name,
)
from edge.front.fast.response_encoder import on_wire
from edge.front.options import FrontOptions
from edge.policy.http import cors, forwarding
from edge.policy.http.client_address import Caller, Peer
from edge.policy.streams import pass_fields
from edge.policy.streams.authorize import Ask, Grant
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.pass_fields import ClientTold
from edge.policy.streams.pipeline import RequestPipeline, Resolved
from edge.protocol.http_grammar import trace_id

MAX_BODY_BYTES = 64 * 1024
"""The longest body of a plain write."""

_LENGTH = re.compile(r"0|[1-9][0-9]{0,5}")
_NONE = -1

_LOOKED_AT = frozenset(
    {
        *("accept-encoding", "cdn-loop", "connection", "content-type", "cookie"),
        *("forwarded", "host", "origin", "tracestate", "via"),
    }
)
"""Fields whose values are looked at, or are not passed on as they are. If one of them
differs from the last write's, all of the block is judged anew; so it is for those that
tell of proxies (``X-Forwarded-``)."""


class PlainWrites:
    """Judges the writes of one worker. It remembers nothing but names: a connection
    keeps its last write."""

    def __init__(
        self, pipeline: RequestPipeline, options: FrontOptions, clock: Clock
    ) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._node = options.node
        self._link = options.link
        self._knows_names = options.trusted_proxies.any
        self._identity = pass_fields.identity_names(pipeline.routes)
        most = options.limits.max_body
        self._max_length = MAX_BODY_BYTES if most is None else min(most, MAX_BODY_BYTES)
        self._names: Memo[bytes, str] = Memo(MAX_NAMES)

    def of(
        self,
        line: RequestLine,
        raw: bytes,
        last: PlainWrite | None,
        peer: Peer,
        told: Callable[[], Caller],
    ) -> PlainWrite | Later | None:
        """The write of this line and these fields, each with its CRLF; None: it is not
        plain. Later: it is to be judged in another turn of the event loop.

        ``last`` is what the same connection wrote before. It came through ``peer``,
        and if that is believed, ``told`` says for whom.
        """
        block = None if last is None else self._block_again(last, raw)
        if last is not None and block is last.block and line is last.line:
            now = self._clock.monotonic()
            if now < last.until and now < last.grant.lease.ends_at:
                return last
        block = block or self._block(raw)
        if block is None or not self._may_have(line, block.length):
            return None
        client = told if peer.believed else partial(Caller, peer.address, peer.scheme)
        try:
            return self._judged(line, block, client)
        except ClientFault:
            return None

    def _may_have(self, line: RequestLine, length: int | None) -> bool:
        most = 0 if line.method == "DELETE" else self._max_length
        return length is None or length <= most

    # Fields.

    def _block(self, raw: bytes) -> WriteBlock | None:
        """All fields; None if one of them is not plain."""
        lines = raw.split(b"\r\n")
        lines.pop()
        if len(raw) > MAX_BLOCK_BYTES or len(lines) > MAX_FIELDS:
            return None
        fields: dict[str, str] = {}
        for line in lines:
            name, value = self._field(line)
            if name is None or name in fields:
                return None
            fields[name] = value
        node = self._node if self._link is None else None
        close = asks_to_close(fields, node)
        length = _length(fields.pop("content-length", None))
        if close is None or length == _NONE:
            return None
        own_id = _own_id(fields.get("x-request-id"))
        return WriteBlock(raw, lines, fields, close, own_id, length)

    def _field(self, line: bytes) -> tuple[str | None, str]:
        """The lower-case name of a plain field, None for another one; its value."""
        name, _, value = line.partition(b":")
        if len(name) == len(line) or value.translate(None, IN_VALUES):
            return None, ""
        known = self._names.get(name) or self._judge_name(name)
        return known, value.strip(b" \t").decode("ascii")

    def _judge_name(self, name: bytes) -> str | None:
        lower = plain_name(name, NEVER_PLAIN)
        if lower is None or len(name) >= 64:
            return lower
        return self._names.keep(name, lower)

    def _block_again(self, last: PlainWrite, raw: bytes) -> WriteBlock | None:
        """The fields, if they are those of the last write, but for values that are
        passed on as they are; else None."""
        block = last.block
        if block.raw == raw:
            return block
        lines = raw.split(b"\r\n")
        lines.pop()
        same_shape = len(lines) == len(block.lines) and len(raw) <= MAX_BLOCK_BYTES
        if not same_shape or block.granted:
            return None
        new = WriteBlock(
            *(raw, lines, dict(block.fields), block.close, block.request_id),
            *(block.length, block.route, block.granted, block.subject),
        )
        forwarded = list(block.forwarded)
        for line, old in zip(lines, block.lines, strict=True):
            if line != old and not self._take_value(new, forwarded, line, old):
                return None
        new.forwarded = tuple(forwarded)
        return new

    def _take_value(
        self, new: WriteBlock, forwarded: list[Header], line: bytes, old: bytes
    ) -> bool:
        """Put the value of ``line`` in the place of that of ``old``. Whether it may
        stand there unseen."""
        name, value = self._field(line)
        if name is None or name in _LOOKED_AT or name.startswith("x-forwarded"):
            return False
        if not old.startswith(line[: line.index(b":") + 1]):
            return False
        if name == "content-length":
            new.length = _length(value)
            return new.length != _NONE
        before, new.fields[name] = new.fields[name], value
        if name == "x-request-id":
            new.request_id = _own_id(value)
        elif name == "traceparent":
            return bool(trace_id(before)) is bool(trace_id(value))
        elif (name, before) in forwarded:
            forwarded[forwarded.index((name, before))] = (name, value)
        return True

    # What is asked.

    def _judged(
        self, line: RequestLine, block: WriteBlock, client: Callable[[], Caller]
    ) -> PlainWrite | Later | None:
        """The write with these fields. Raises ClientFault."""
        fields = block.fields
        now, wall = self._clock.monotonic(), self._clock.wall()
        head = head_of(line, fields.get, client)
        verdict = self._pipeline.verdict(head, line.route, wall)
        if isinstance(verdict, Ask) and verdict.later is not None:
            return Later(verdict.later)
        if not isinstance(verdict, Grant) or verdict.expires_at <= wall:
            return None
        resolved = self._pipeline.settle(head, line.route, verdict)
        passed = resolved.request if isinstance(resolved, Resolved) else None
        if not isinstance(passed, PassRequest) or passed.reason is not Reason.METHOD:
            return None
        self._forward(line, block, passed, verdict, client)
        return PlainWrite(
            *(passed, line, block.close, block.request_id),
            *(now + (verdict.expires_at - wall), verdict, fields["host"]),
            *(_by_origin(line, fields.get("origin")), block),
        )

    def _forward(
        self,
        line: RequestLine,
        block: WriteBlock,
        passed: PassRequest,
        grant: Grant,
        client: Callable[[], Caller],
    ) -> None:
        """Make what goes to the origin with it, unless that was made for the like."""
        granted = pass_fields.is_granted(passed)
        like = (block.granted, block.subject) == (granted, grant.subject)
        if block.route is line.route and like:
            return
        caller, fields = client(), block.fields
        scheme, host = caller.scheme or "http", caller.host or fields["host"]
        block.route, block.granted, block.subject = line.route, granted, grant.subject
        if self._link is not None:
            block.forwarded = forwarding.link_request(fields.items())
            return
        block.forwarded = pass_fields.request_fields(
            fields.items(),
            line.route,
            passed,
            told=ClientTold(
                caller, scheme, host, self._knows_names or bool(caller.scheme)
            ),
            subject=grant.subject,
            identity=self._identity,
            node=self._node,
        )


def _length(announced: str | None) -> int | None:
    """The length of a body, None without one; ``_NONE`` for what is no plain number."""
    if announced is None:
        return None
    return int(announced) if _LENGTH.fullmatch(announced) else _NONE


def _own_id(offered: str | None) -> bytes | None:
    return offered.encode() if offered and is_safe_id(offered) else None


def _by_origin(line: RequestLine, origin: str | None) -> bytes:
    if line.cors_list is None:
        return b""
    return on_wire(cors.request_fields(line.cors_list, origin))
