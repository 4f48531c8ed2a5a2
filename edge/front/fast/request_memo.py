"""RequestMemo: which bytes are a plain read, judged by a closed list of shapes.

A plain read is a GET or a HEAD of a stream on a route, in HTTP/1.1, with a complete
head, that asks for nothing but an answer. Where the line is that of a plain write,
``plain_writes`` judges the rest. A head that is not on the list is not an error: it
goes the whole way through gunicorn's parser and Falcon, which alone judge what is wrong
with it. So this module may be stricter than they are, and must never be laxer.

A head has two parts. The request line is judged once and remembered. The block of
header fields is compared with what the same client sent before, for most clients
repeat it byte by byte; only a new one is parsed. A block comes to ``HeaderFacts``: the
few fields that decide anything. A client that numbers or traces its requests changes
one of the other fields; its block is compared before and after that value. A line and
facts together come to a ``PlainRead``, which all clients share that send the same.
Bounded: a memo that is full forgets everything and begins again.

A ``PlainRead`` holds until its grant ends (``edge.policy.streams.authorize``); then
its head is judged anew. What is denied, or must be asked for, is not plain; what only
has to wait for another turn of the event loop still may be (Later).

A line is plain as ``METHOD origin-form HTTP/1.1`` in visible ASCII, with one of five
methods. A block is plain
with CRLF ends, token names without "_", values of visible ASCII, space and tab,
no name twice, one valid Host, Connection absent or exactly ``keep-alive`` or
``close``, none of the names in ``_NEVER``, and no loop through this node.
"""

import re
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Generic, TypeVar

from edge.core.errors import ClientFault
from edge.core.ports import Clock
from edge.core.values import NO_END, Node, Read
from edge.front.exchange import cors_list, is_safe_id
from edge.front.fast.plain_requests import (
    WRITES,
    HeaderFacts,
    KnownHead,
    Later,
    PlainRead,
    RequestLine,
)
from edge.front.fast.response_encoder import on_wire
from edge.front.options import FrontOptions
from edge.policy.http import cors, forwarding, request_target
from edge.policy.http.client_address import Caller
from edge.policy.http.cors import CorsPolicy
from edge.policy.streams.authorize import Ask, Grant, RequestHead
from edge.policy.streams.pipeline import RequestPipeline, Resolved
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import ForwardWay
from edge.protocol.http_grammar import HOP_BY_HOP, TOKEN, is_host

MAX_LINES, MAX_HEADS = 8192, 8192
MAX_BLOCKS, MAX_FACTS, MAX_NAMES = 2048, 2048, 1024
"""How many of each kind are remembered."""

MAX_GRANTS = 32_768
"""Grants that are remembered: of more viewers than a worker has connections."""

MAX_REMEMBERED_BYTES = 2048
"""Bytes of a line, a block or a head beyond which it is judged each time. Most tokens
fit, which are a few hundred bytes, or above a thousand with an RSA signature."""

MAX_LINE_BYTES = 4096
MAX_BLOCK_BYTES = 8192
MAX_HEAD_BYTES = MAX_LINE_BYTES + MAX_BLOCK_BYTES
MAX_FIELDS = 64
"""A larger head is not plain. The whole way allows more of each."""

_LINE = re.compile(rb"(GET|HEAD|POST|PUT|DELETE) (/[!-~]*) HTTP/1\.1")
IN_VALUES = bytes([0x09, *range(0x20, 0x7F)])
"""What may stand in a plain field's value."""

NEVER_PLAIN = (HOP_BY_HOP - {"connection", "keep-alive"}) | {"expect", "range"}
_NEVER = NEVER_PLAIN | {"content-length"}
"""Fields that no plain request has, and no plain read."""

_KEEPS = {None: False, "keep-alive": False, "close": True}
"""The plain values of Connection, and whether each asks to close."""

_ALWAYS = ("host", "connection", "x-request-id")
_SELECTING = ("if-none-match", "accept-encoding", "cdn-loop")
"""Fields by which every answer is selected; a route adds those of its partition."""

_Lines = tuple[bytes | None, ...]
_Values = tuple[str | None, ...]

_Held = tuple[Read, float, Grant]
"""A Read, the time until which it holds, and the grant behind it."""

_Judged = tuple[Grant, float]
"""A grant, and the time until which it need not be judged anew."""

K = TypeVar("K")
V = TypeVar("V")


def _nobody(_raw: bytes) -> Caller:
    """Of whom nothing is known."""
    return Caller()


class Memo(dict[K, V], Generic[K, V]):
    """A dictionary that begins again when it is full."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def keep(self, key: K, value: V) -> V:
        """Remember and return ``value``."""
        if len(self) >= self._capacity:
            self.clear()
        self[key] = value
        return value


@dataclass(slots=True, eq=False)
class HeaderBlock:
    """A plain block of header fields, as it was sent.

    ``before`` and ``after`` surround the one value that this client changes from
    request to request, and that decides nothing. Empty until it has changed one.
    """

    raw: bytes
    facts: HeaderFacts
    before: bytes = b""
    after: bytes = b""

    def is_again(self, raw: bytes) -> bool:
        """Whether ``raw`` is the same, but for that value."""
        if raw == self.raw:
            return True
        before, after = self.before, self.after
        if not before or not raw.startswith(before) or not raw.endswith(after):
            return False
        end = len(raw) - len(after)
        if end < len(before) or len(raw) > MAX_BLOCK_BYTES:
            return False
        return not raw[len(before) : end].translate(None, IN_VALUES)


class RequestMemo:
    """Judges the heads of one worker. ``heads`` has those judged lately, whole."""

    def __init__(
        self, pipeline: RequestPipeline, options: FrontOptions, clock: Clock
    ) -> None:
        self._pipeline = pipeline
        self._node = options.node if options.link is None else None
        self._clock = clock
        self._lines: Memo[bytes, RequestLine] = Memo(MAX_LINES)
        self._blocks: Memo[bytes, HeaderBlock] = Memo(MAX_BLOCKS)
        self._reads: Memo[tuple[RequestLine, _Values], _Held] = Memo(MAX_LINES)
        self._plains: Memo[tuple[RequestLine, HeaderFacts], PlainRead] = Memo(MAX_LINES)
        self._grants: Memo[tuple[str, _Values], _Judged] = Memo(MAX_GRANTS)
        self._shared: Memo[tuple[RequestLine, _Values, str, bool], Read] = Memo(
            MAX_LINES
        )
        self._granted: Memo[Read, Read] = Memo(MAX_LINES)
        self._facts: Memo[_Lines, HeaderFacts] = Memo(MAX_FACTS)
        self._names: Memo[bytes, str] = Memo(MAX_NAMES)
        selecting = (n for route in pipeline.routes for n in _selecting(route))
        # Looked at only where it decides something.
        origin = ("origin",) if any(map(cors_list, pipeline.routes)) else ()
        self._of_interest = tuple(dict.fromkeys((*_ALWAYS, *selecting, *origin)))
        # None stands for a field that is not plain.
        self._deciding = frozenset((None, *self._of_interest))
        self.heads: Memo[bytes, KnownHead] = Memo(MAX_HEADS)

    def head(
        self,
        held: bytes,
        end: int,
        last: HeaderBlock | None,
        client_of: Callable[[bytes], Caller] = _nobody,
    ) -> tuple[HeaderBlock | None, PlainRead | Later | RequestLine | None]:
        """Judge the head in ``held`` whose empty line begins at ``end``.

        Returns its block, and the read that it asks for; None for a part that is not
        plain, Later for a read that is to be judged in another turn of the event loop.
        Where the line is that of a write, it comes back alone.
        ``last`` is the block that this client sent before. ``client_of`` says who sent
        these fields, to an authorizer that asks for it.
        """
        line_end = held.find(b"\r\n")
        line = self.line(held[:line_end])
        if line is None or line.method in WRITES:
            return None, line
        raw = held[line_end + 2 : end + 2]
        block = self.block(raw, last)
        if block is None:
            return None, None
        plain = self.plain(line, block.facts, partial(client_of, raw))
        # A whole head is remembered when a client has sent its block before.
        same = block is last and not (block.before or line.by_caller)
        if isinstance(plain, PlainRead) and same and end < MAX_REMEMBERED_BYTES:
            raw = held[: end + 4]
            self.heads.keep(raw, (raw, plain))
        return block, plain

    def may_be_plain(self, held: bytes) -> bool:
        """Whether an incomplete head can still become a plain one."""
        if len(held) > MAX_HEAD_BYTES or held.count(b"\n") != held.count(b"\r\n"):
            return False
        line_end = held.find(b"\r\n")
        if line_end < 0:
            return len(held) <= MAX_LINE_BYTES
        return self.line(held[:line_end]) is not None

    def line(self, raw: bytes) -> RequestLine | None:
        """The request line without its CRLF; None when it is not plain."""
        return self._lines.get(raw) or self._judge_line(raw)

    def block(self, raw: bytes, last: HeaderBlock | None = None) -> HeaderBlock | None:
        """All fields, each with its CRLF; None when they are not plain.

        ``last`` is what the same client sent before: most send it again.
        """
        if last is not None:
            if last.is_again(raw):
                return last
            changed = self._changed(last, raw)
            if changed is not None:
                return changed
        block = self._blocks.get(raw) or self._judge_block(raw)
        if last is None and block is not None and len(raw) < MAX_REMEMBERED_BYTES:
            # A client's first one: others may send it too, and then share it.
            self._blocks.keep(raw, block)
        return block

    def plain(
        self,
        line: RequestLine,
        facts: HeaderFacts,
        client: Callable[[], Caller] = Caller,
    ) -> PlainRead | Later | None:
        """The read that a line and a block ask for; None when it is not plain."""
        known = self._plains.get((line, facts))
        if known is not None and self._holds(known.until, known.grant):
            return known
        selected: _Values = tuple(map(facts.fields.get, line.selected_by))
        choice = (line, (*selected, *client()) if line.by_caller else selected)
        held: _Held | Later | None = self._reads.get(choice)
        if not isinstance(held, tuple) or not self._holds(held[1], held[2]):
            held = self._resolved(line, facts, choice[1], client)
        if not isinstance(held, tuple):
            return held
        read, until, grant = held
        close, own_id, host = facts.close, facts.request_id, facts.fields["host"]
        plain = PlainRead(read, line, close, own_id, until, grant, host)
        if line.cors_list is not None:
            origin = facts.fields.get("origin")
            plain.by_origin = on_wire(cors.request_fields(line.cors_list, origin))
        # A long request is not remembered: the memo would hold all of it.
        if len(line.target) + _size(choice[1]) <= MAX_REMEMBERED_BYTES:
            self._reads.keep(choice, held)
            if facts.shared and not line.by_caller:
                self._plains.keep((line, facts), plain)
        return plain

    def _holds(self, until: float, grant: Grant) -> bool:
        ends_at = min(until, grant.lease.ends_at)
        return ends_at == NO_END or self._clock.monotonic() < ends_at

    def _resolved(
        self,
        line: RequestLine,
        facts: HeaderFacts,
        selected: _Values,
        client: Callable[[], Caller],
    ) -> _Held | Later | None:
        """The Read, by the pipeline that every front uses; None if it is none."""
        try:
            judged = self._judged(line, facts, selected, client)
            if not isinstance(judged, tuple):
                return judged
            grant, until = judged
            read = self._read(line, facts, grant)
        except ClientFault:
            return None
        return None if read is None else (read, until, grant)

    def _judged(
        self,
        line: RequestLine,
        facts: HeaderFacts,
        selected: _Values,
        client: Callable[[], Caller],
    ) -> _Judged | Later | None:
        """What an authorizer grants, now or lately: it is asked once for all offsets of
        a stream. None: nothing. Raises ClientFault."""
        known = self._grants.get((line.aim, selected))
        if known is not None and self._holds(known[1], known[0]):
            return known
        now, wall = self._clock.monotonic(), self._clock.wall()
        head = head_of(line, facts.fields.get, client)
        verdict = self._pipeline.verdict(head, line.route, wall)
        if isinstance(verdict, Ask) and verdict.later is not None:
            return Later(verdict.later)
        if not isinstance(verdict, Grant) or verdict.expires_at <= wall:
            return None
        judged = verdict, now + (verdict.expires_at - wall)
        size = len(line.aim) + _size(selected)
        if verdict.ends_at != NO_END and size <= MAX_REMEMBERED_BYTES:
            self._grants.keep((line.aim, selected), judged)
        return judged

    def _read(self, line: RequestLine, facts: HeaderFacts, grant: Grant) -> Read | None:
        """The Read of a granted line; None: it is none. Raises ClientFault.

        All who are let in share one, by which the hub knows an answer (B3). It is the
        same for all who send the same line and the same few fields.
        """
        if grant.ends_at == NO_END:
            return self._classified(line, facts, grant)
        shape = tuple(map(facts.fields.get, _SELECTING))
        known = (line, shape, grant.partition.digest, grant.ends_soon)
        read = self._shared.get(known)
        if read is None:
            read = self._classified(line, facts, grant)
            if read is not None and len(line.target) <= MAX_REMEMBERED_BYTES:
                read = self._granted.get(read) or self._granted.keep(read, read)
                if _size(shape) <= MAX_REMEMBERED_BYTES:
                    self._shared.keep(known, read)
        return read

    def _classified(
        self, line: RequestLine, facts: HeaderFacts, grant: Grant
    ) -> Read | None:
        resolved = self._pipeline.settle(
            head_of(line, facts.fields.get), line.route, grant
        )
        read = resolved.request if isinstance(resolved, Resolved) else None
        return read if isinstance(read, Read) else None

    def _judge_line(self, raw: bytes) -> RequestLine | None:
        match = _LINE.fullmatch(raw)
        if match is None or len(raw) > MAX_LINE_BYTES:
            return None
        method, target = match[1].decode("ascii"), match[2].decode("ascii")
        route = self._pipeline.find_route(target)
        if route is None:
            return None
        try:
            path, query = request_target.split(target)
        except ClientFault:
            return None
        given = tuple(request_target.parameters(query))
        told = [one.raw for one in given if one.name not in request_target.PROTOCOL]
        aim = request_target.join(path, "&".join(told))
        if method != "GET":
            aim = f"{method} {aim}"
        line = RequestLine(method, target, route, path, given, aim, *_traits(route))
        if len(raw) <= MAX_REMEMBERED_BYTES:
            self._lines.keep(raw, line)
        return line

    def _judge_block(self, raw: bytes) -> HeaderBlock | None:
        lines = raw.split(b"\r\n")
        lines.pop()
        if len(raw) > MAX_BLOCK_BYTES or len(lines) > MAX_FIELDS:
            return None
        found: dict[str, bytes] = {}
        for line in lines:
            name = self._judge_field(line)
            if name is None:
                return None
            found[name] = line
        if len(found) != len(lines):
            return None
        of_interest = tuple(map(found.get, self._of_interest))
        facts = self._facts.get(of_interest) or self._judge_facts(of_interest)
        return None if facts is None else HeaderBlock(raw, facts)

    def _changed(self, last: HeaderBlock, raw: bytes) -> HeaderBlock | None:
        """The block, if only one value differs from ``last``, and decides nothing."""
        old, new = last.raw.split(b"\r\n"), raw.split(b"\r\n")
        if len(old) != len(new) or len(raw) > MAX_BLOCK_BYTES:
            return None
        places = [n for n, line in enumerate(new) if line != old[n]]
        if len(places) != 1:
            return None
        [n] = places
        name, colon, _ = old[n].partition(b":")
        if not new[n].startswith(name + colon):
            return None
        if self._judge_field(new[n]) in self._deciding:
            return None
        before = b"\r\n".join([*new[:n], name + colon])
        return HeaderBlock(raw, last.facts, before, b"\r\n".join([b"", *new[n + 1 :]]))

    def _judge_field(self, raw: bytes) -> str | None:
        """The lower-case name of a line, if it is a plain field."""
        name, colon, value = raw.partition(b":")
        if not colon or value.translate(None, IN_VALUES):
            return None
        return self._names.get(name) or self._judge_name(name)

    def _judge_name(self, name: bytes) -> str | None:
        lower = plain_name(name, _NEVER)
        if lower is None or len(name) >= 64:
            return lower
        return self._names.keep(name, lower)

    def _judge_facts(self, of_interest: _Lines) -> HeaderFacts | None:
        """The facts in the lines that decide anything; None when they are not plain."""
        fields = {
            name: line.partition(b":")[2].strip(b" \t").decode("ascii")
            for name, line in zip(self._of_interest, of_interest, strict=True)
            if line is not None
        }
        close = asks_to_close(fields, self._node)
        if close is None:
            return None
        own_id = fields.get("x-request-id")
        request_id = own_id.encode() if own_id and is_safe_id(own_id) else None
        # A client that numbers its requests sends each number once.
        shared = own_id is None and _size(fields.values()) <= MAX_REMEMBERED_BYTES
        facts = HeaderFacts(fields, close, request_id, shared)
        return self._facts.keep(of_interest, facts) if shared else facts


def head_of(
    line: RequestLine,
    lookup: Callable[[str], str | None],
    client: Callable[[], Caller] = Caller,
) -> RequestHead:
    """The request of a line and such fields, for the pipeline."""
    return RequestHead(
        line.method, line.target, line.path, line.parameters, lookup, client
    )


def plain_name(name: bytes, never: Set[str]) -> str | None:
    """A field's name in lower case, if it is a plain one and none of ``never``."""
    lower = name.decode("latin-1").lower()
    if TOKEN.fullmatch(lower) is None or "_" in lower or lower in never:
        return None
    return lower


def asks_to_close(fields: dict[str, str], node: Node | None) -> bool | None:
    """Whether the connection is to be closed behind a request with these fields. None:
    they are not plain. ``node`` None: by the link no request comes around (W2)."""
    if not is_host(fields.get("host", "")):
        return None
    told = fields.get("cdn-loop") if node is not None else None
    if (
        node is not None
        and told is not None
        and forwarding.is_loop((("cdn-loop", told),), node)
    ):
        return None
    return _KEEPS.get(fields.get("connection"))


@lru_cache(maxsize=256)
def _traits(route: Route) -> tuple[tuple[str, ...], CorsPolicy | None, bool]:
    """What all lines of a route have in common: see ``RequestLine``."""
    asks = any(isinstance(way, ForwardWay) for way in route.ways)
    by_caller = asks and not route.lean
    return _selecting(route), cors_list(route), by_caller


def _selecting(route: Route) -> tuple[str, ...]:
    named = route.credential_headers + route.request_headers + route.judged_headers
    return (*_SELECTING, *named)


def _size(values: Iterable[str | None]) -> int:
    return sum(len(value) for value in values if value)
