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
MOST_NAMES = 1024
"""How many of each are remembered."""

LONGEST_REMEMBERED = 1024
"""Bytes of a line, a block or a head beyond which it is judged each time."""

LONGEST_LINE = 4096
LONGEST_BLOCK = 8192
LONGEST_HEAD = LONGEST_LINE + LONGEST_BLOCK
MOST_FIELDS = 64
"""What is larger is not plain; all lie below the slow way's own limits."""

_LINE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")
_NAME = re.compile(rb"[!#$%&'*+\-.^`|~0-9A-Za-z]+")
_ALLOWED = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F)])
"""What may stand in a block at all; CR and LF only together, at the ends of lines."""
_NEVER = frozenset(
    {
        *("transfer-encoding", "content-length", "expect", "upgrade", "range"),
        *("http2-settings", "proxy-connection", "te", "trailer"),
    }
)
_KEEPS = {None: False, "keep-alive": False, "close": True}
"""The plain values of Connection, and whether each asks to close."""

_ALWAYS = ("connection", "x-request-id", "via", "cdn-loop")
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


@dataclass(slots=True, eq=False)
class Block:
    """A plain field block: the values that anything hangs on, by lower-case name.

    Not frozen, and ``Plain`` neither: each costs a third of what it would to make.
    """

    raw: bytes
    fields: dict[str, str]
    close: bool
    request_id: bytes | None


@dataclass(slots=True, eq=False)
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
        self._names: Memo[bytes, str] = Memo(MOST_NAMES)
        self._hosts: Memo[bytes, bool] = Memo(MOST_NAMES)
        self._of_interest = frozenset(
            (*_ALWAYS, *(name for route in table for name in _choosing(route)))
        )
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
        plain = self.plain(line, block)
        # Whole heads are remembered of clients that repeat themselves.
        if plain is not None and block is last and end < LONGEST_REMEMBERED:
            self.heads.keep(held[: end + 4], plain)
        return block, plain

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
        block = self._blocks.get(raw) or self._judge_block(raw)
        if last is None and block is not None and len(raw) < LONGEST_REMEMBERED:
            # A client's first one: others may send it too, and then share it.
            self._blocks.keep(raw, block)
        return block

    def plain(self, line: Line, block: Block) -> Plain | None:
        """What a line and a block come to; None when that is no plain read."""
        choice = (line, tuple(map(block.fields.get, line.chosen_by)))
        read = self._reads.get(choice)
        if read is None:
            found = _classified(line, block)
            if found is None:
                return None
            read = found
            # One that is asked with much is not shared: it would hold all of that.
            if len(line.target) + _size(choice[1]) <= LONGEST_REMEMBERED:
                self._reads.keep(choice, read)
        return Plain(read, line, block.close, block.request_id)

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
        if len(raw) > LONGEST_BLOCK or raw.translate(None, _ALLOWED):
            return None
        found = self._fields(raw)
        if found is None or not _NEVER.isdisjoint(found):
            return None
        host = found.get("host")
        if host is None or not self._is_host(host):
            return None
        fields = {
            name: found[name].strip(b" \t").decode("ascii")
            for name in self._of_interest.intersection(found)
        }
        if fields.get("connection") not in _KEEPS or self._is_loop(fields):
            return None
        own_id = fields.get("x-request-id")
        request_id = own_id.encode() if own_id and is_safe_id(own_id) else None
        return Block(raw, fields, _KEEPS[fields.get("connection")], request_id)

    def _fields(self, raw: bytes) -> dict[str, bytes] | None:
        """Values by lower-case name, with the space around them; None when a line is
        no plain field, there are too many, or one is twice."""
        lines = raw.split(b"\r\n")
        lines.pop()
        count = len(lines)
        if count > MOST_FIELDS or not raw.count(b"\r") == raw.count(b"\n") == count:
            return None
        found: dict[str, bytes] = {}
        known = self._names.get
        for line in lines:
            name, colon, value = line.partition(b":")
            lower = known(name) or self._judge_name(name)
            if lower is None or not colon:
                return None
            found[lower] = value
        return found if len(found) == count else None

    def _judge_name(self, name: bytes) -> str | None:
        if _NAME.fullmatch(name) is None:
            return None
        lower = name.decode("ascii").lower()
        return self._names.keep(name, lower) if len(name) < 64 else lower

    def _is_host(self, value: bytes) -> bool:
        known = self._hosts.get(value)
        if known is not None:
            return known
        judged = is_host(value.strip(b" \t").decode("ascii"))
        return self._hosts.keep(value, judged) if len(value) < 256 else judged

    def _is_loop(self, fields: dict[str, str]) -> bool:
        if "via" not in fields and "cdn-loop" not in fields:
            return False
        return forwarding.is_loop(tuple(fields.items()), self._node_id)


def _choosing(route: Route) -> tuple[str, ...]:
    return (*_CHOOSING, *route.credential_headers, *route.request_headers)


def _size(values: tuple[str | None, ...]) -> int:
    return sum(len(value) for value in values if value)


def _classified(line: Line, block: Block) -> Read | None:
    """The Read, by the one reading of requests that every front uses."""
    try:
        found = keys.classify("GET", line.target, block.fields.get, line.route)
    except ClientFault:
        return None
    return found if isinstance(found, Read) else None
