"""Where the body of an answer ends, and whether the connection outlives it. Pure.

``head`` chooses one of three by RFC 9112 section 6.3. Each is fed what arrives
and gives back what of it is body. Bytes after the end are never part of
anything: they make the body unclean, and its connection is not used again.
"""

from typing import Protocol

from httptools import HttpParserError, HttpResponseParser

from edge.core.errors import OriginBodyCut, OriginGarbage


class Body(Protocol):
    """Where the body of an answer ends.

    ``done`` once its framing says that it has ended; ``clean`` while nothing
    speaks against using the connection again.
    """

    done: bool
    clean: bool

    def feed(self, data: bytes) -> bytes:
        """What of ``data`` is body; not called once done. Raises OriginGarbage."""

    def eof(self) -> None:
        """The connection ended. Raises OriginBodyCut unless that is the end."""


class Events:
    """What httptools calls back while it reads one message."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.head_complete = False
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.head_complete = True

    def on_body(self, body: bytes) -> None:
        # A second answer behind the first is parsed too; it is nobody's.
        if not self.complete:
            self.pieces.append(body)

    def on_message_complete(self) -> None:
        self.complete = True


class LengthBody:
    """A body of a declared length; also the empty one of HEAD, 204 and 304."""

    def __init__(self, length: int) -> None:
        self.done = length == 0
        self.clean = True
        self._left = length

    def feed(self, data: bytes) -> bytes:
        """See Body."""
        if len(data) > self._left:
            self.clean = False
            data = data[: self._left]
        self._left -= len(data)
        self.done = self._left == 0
        return data

    def eof(self) -> None:
        """See Body."""
        self.clean = False
        if self._left:
            raise OriginBodyCut(f"the origin's body ended {self._left} bytes early")


class CloseBody:
    """A body that ends with the connection: nothing proves that it is whole."""

    def __init__(self) -> None:
        self.done = False
        self.clean = False

    def feed(self, data: bytes) -> bytes:
        """See Body."""
        return data

    def eof(self) -> None:
        """See Body."""
        self.done = True


class ChunkedBody:
    """A body in chunks, read on by the parser that has read the head.

    The connection is used again only when the message ended with a bare last
    chunk and nothing after it: trailers are dropped together with the
    connection.
    """

    MAX_OVERHEAD = 64 * 1024
    """Bytes of chunk heads or trailers in a row, without any of the body."""

    def __init__(self, parser: HttpResponseParser, events: Events) -> None:
        self.done = False
        self.clean = True
        self._parser = parser
        self._events = events
        self._fields = len(events.fields)
        self._overhead = 0
        self._last = b""

    def feed(self, data: bytes) -> bytes:
        """See Body."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self._events.complete:
                raise OriginGarbage(f"the answer's chunks: {error}") from error
            self.clean = False
        self._last = (self._last + data[-5:])[-5:]
        return self._taken(len(data))

    def _taken(self, size: int) -> bytes:
        pieces = b"".join(self._events.pieces)
        self._events.pieces.clear()
        self._overhead = 0 if pieces else self._overhead + size
        if self._overhead > self.MAX_OVERHEAD:
            raise OriginGarbage("chunk heads or trailers without end")
        self.done = self._events.complete
        if self.done and not self._ended_bare():
            self.clean = False
        return pieces

    def _ended_bare(self) -> bool:
        no_trailers = len(self._events.fields) == self._fields
        return no_trailers and self._last == b"0\r\n\r\n"

    def eof(self) -> None:
        """See Body."""
        self.clean = False
        if not self.done:
            raise OriginBodyCut("the origin's body ended before its last chunk")
