"""Recognise: which bytes are a plain read, judged by a closed list of shapes.

A plain read is a GET of a stream on a route, in HTTP/1.1, with a complete head
and nothing that asks for more than an answer. What is not on the list is not an
error; it is not plain, and goes the whole way through gunicorn's parser and
Falcon, which alone judge what is wrong with it. So this module may be stricter
than they are, and must never be laxer.

A head is two parts. The request line is judged once and remembered; the field
block, which a client repeats byte by byte, is compared before it is parsed. A
``Plain`` is what both come to, shared by all who send the same bytes. Pure, and
bounded: a memo that is full forgets everything and begins again.

A line is plain as ``GET origin-form HTTP/1.1`` in visible ASCII. A block is plain
with CRLF ends, token names without "_", values of visible ASCII, space and tab,
no name twice, one valid Host, Connection absent or exactly ``keep-alive`` or
``close``, none of the names in ``_NEVER``, and no loop through this node.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge.front.heads import is_host
from edge.front.options import FrontOptions
from edge.front.record import is_safe_id
from edge.policy import forwarding, keys, routes
from edge.policy.routes import Route
from edge.protocol.errors import ClientFault
from edge.protocol.values import Read

MOST_LINES = 8192
MOST_BLOCKS = 2048
MOST_HEADS = 8192
"""How many of each are remembered."""

LONGEST_REMEMBERED = 1024
"""Bytes of a line, a block or a head beyond which it is judged each time."""

LONGEST_LINE = 4096
LONGEST_BLOCK = 8192
LONGEST_HEAD = LONGEST_LINE + LONGEST_BLOCK
MOST_FIELDS = 64
"""What is larger is not plain; all lie below the slow way's own limits."""

_LINE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")
_BLOCK = re.compile(rb"(?:[!#$%&'*+\-.^`|~0-9A-Za-z]+:[\t -~]*\r\n)+")
_NEVER = frozenset(
    {
        *("transfer-encoding", "content-length", "expect", "upgrade", "range"),
        *("http2-settings", "proxy-connection", "te", "trailer"),
    }
)
_KEEPS = {None: False, "keep-alive": False, "close": True}
"""The plain values of Connection, and whether each asks to close."""

_CHOOSING = ("if-none-match", "accept-encoding")
"""Fields by which every answer is chosen; a route adds those of its partition."""

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V], Generic[K, V]):
    """A dictionary that begins again when it is full."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: K, value: V) -> V:
        """Remember and return ``value``."""
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A plain request line. ``chosen_by``: the fields that decide the Read."""

    target: str
    route: Route
    chosen_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A plain field block: values by lower-case name."""

    raw: bytes
    fields: dict[str, str]
    close: bool
    request_id: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """A plain read. ``request_id`` is the client's own, where it is safe."""

    read: Read
    line: Line
    close: bool
    request_id: bytes | None


class Recogniser:
    """Judges the heads of one worker. ``heads`` has those judged lately, whole."""

    def __init__(self, table: Sequence[Route], options: FrontOptions) -> None:
        self._table = tuple(table)
        self._node_id = options.node_id
        self._lines: Memo[bytes, Line] = Memo(MOST_LINES)
        self._blocks: Memo[bytes, Block] = Memo(MOST_BLOCKS)
        self._reads: Memo[tuple[Line, tuple[str | None, ...]], Read] = Memo(MOST_LINES)
        self.heads: Memo[bytes, Plain] = Memo(MOST_HEADS)

    def head(
        self, held: bytes, end: int, last: Block | None
    ) -> tuple[Block | None, Plain | None]:
        """The head whose empty line begins at ``end``: what it comes to, if it is
        plain, and its block. ``last`` is the block that this client sent before."""
        line_end = held.find(b"\r\n")
        line = self.line(held[:line_end])
        if line is None:
            return None, None
        block = self.block(held[line_end + 2 : end + 2], last)
        if block is None:
            return None, None
        return block, self.plain(line, block, held[: end + 4])

    def may_be_plain(self, held: bytes) -> bool:
        """Whether an incomplete head can still become a plain one."""
        if len(held) > LONGEST_HEAD or held.count(b"\n") != held.count(b"\r\n"):
            return False
        line_end = held.find(b"\r\n")
        if line_end < 0:
            return len(held) <= LONGEST_LINE
        return self.line(held[:line_end]) is not None

    def line(self, raw: bytes) -> Line | None:
        """The request line without its CRLF; None when it is not plain."""
        return self._lines.get(raw) or self._judge_line(raw)

    def block(self, raw: bytes, last: Block | None = None) -> Block | None:
        """All fields, each with its CRLF; None when they are not plain.

        ``last`` is what the same client sent before: most send it again.
        """
        if last is not None and last.raw == raw:
            return last
        return self._blocks.get(raw) or self._judge_block(raw)

    def plain(self, line: Line, block: Block, head: bytes) -> Plain | None:
        """What a line and a block come to; None when that is no plain read."""
        choice = (line, tuple(map(block.fields.get, line.chosen_by)))
        read = self._reads.get(choice)
        if read is None:
            found = _classified(line, block)
            if found is None:
                return None
            read = self._reads.keep(choice, found)
        plain = Plain(read, line, block.close, block.request_id)
        if len(head) <= LONGEST_REMEMBERED:
            self.heads.keep(head, plain)
        return plain

    def _judge_line(self, raw: bytes) -> Line | None:
        match = _LINE.fullmatch(raw)
        if match is None or len(raw) > LONGEST_LINE:
            return None
        target = match[1].decode("ascii")
        route = routes.find(self._table, target.partition("?")[0])
        if route is None:
            return None
        line = Line(target, route, _choosing(route))
        if len(raw) <= LONGEST_REMEMBERED:
            self._lines.keep(raw, line)
        return line

    def _judge_block(self, raw: bytes) -> Block | None:
        if len(raw) > LONGEST_BLOCK or _BLOCK.fullmatch(raw) is None:
            return None
        fields = _fields(raw.decode("ascii"))
        if fields is None or not _is_plain(fields) or self._is_loop(fields):
            return None
        own_id = fields.get("x-request-id")
        request_id = own_id.encode() if own_id and is_safe_id(own_id) else None
        close = _KEEPS[fields.get("connection")]
        block = Block(raw, fields, close, request_id)
        if len(raw) <= LONGEST_REMEMBERED:
            self._blocks.keep(raw, block)
        return block

    def _is_loop(self, fields: dict[str, str]) -> bool:
        if "via" not in fields and "cdn-loop" not in fields:
            return False
        return forwarding.is_loop(tuple(fields.items()), self._node_id)


def _choosing(route: Route) -> tuple[str, ...]:
    return (*_CHOOSING, *route.credential_headers, *route.request_headers)


def _fields(text: str) -> dict[str, str] | None:
    """Values by lower-case name; None when there are too many, or one is twice."""
    lines = text.split("\r\n")
    del lines[-1]
    pairs = [line.split(":", 1) for line in lines]
    fields = {name.lower(): value.strip(" \t") for name, value in pairs}
    if len(fields) != len(pairs) or len(pairs) > MOST_FIELDS:
        return None
    return fields


def _is_plain(fields: dict[str, str]) -> bool:
    if not _NEVER.isdisjoint(fields) or fields.get("connection") not in _KEEPS:
        return False
    host = fields.get("host")
    return host is not None and is_host(host)


def _classified(line: Line, block: Block) -> Read | None:
    """The Read, by the one reading of requests that every front uses."""
    try:
        found = keys.classify("GET", line.target, block.fields.get, line.route)
    except ClientFault:
        return None
    return found if isinstance(found, Read) else None
