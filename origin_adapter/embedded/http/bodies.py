"""Bodies: the whole of a request's body, or a refusal; never a part of it.

A writer that dies in the middle, or whose chunks are cut short, has appended nothing:
``BodyInput`` raises when fewer bytes come than were announced. A body counts from its
first byte until its request is answered. The sum of all bodies is bounded; a request
beyond it gets a 503.
"""

from typing import Protocol

import gevent

from origin_adapter.embedded.http.chunks import ChunkReader, ChunkSource
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused, bad_request

PIECE = 65536
_CLOSE = (("Connection", "close"),)
_COME_AGAIN = (*_CLOSE, ("Retry-After", "1"))


class BodySource(ChunkSource, Protocol):
    """What bodies are read from."""

    def has(self, size: int) -> bool:
        """Whether so many bytes are here already."""

    def go_on(self) -> None:
        """Tell a client that waits for it to send its body (100)."""


class BodyInput:
    """One request's body. ``length``: as it was announced; None: chunks, or no body.

    ``taken`` is how many bytes of all bodies it was counted with.
    """

    __slots__ = ("_chunks", "_expects", "_left", "_source", "length", "taken")

    def __init__(
        self, source: BodySource, length: int | None, chunked: bool, expects: bool
    ) -> None:
        self._source = source
        self._left = length or 0
        self._chunks = ChunkReader(source) if chunked else None
        self._expects = expects and (chunked or self._left > 0)
        self.length = length
        self.taken = 0

    @property
    def is_here(self) -> bool:
        """Whether nothing has to be waited for."""
        return self._chunks is None and self._source.has(self._left)

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is left to be read."""
        if self._chunks is not None:
            return self._chunks.done
        return self._left == 0

    @property
    def is_awaited(self) -> bool:
        """Whether the client holds it back until it is told to go on."""
        return self._expects

    def read(self, size: int) -> bytes:
        """At most so many bytes; b"" at its end. Raises OSError if it was cut short."""
        if self._expects and not self.is_read:
            self._expects = False
            self._source.go_on()
        if self._chunks is not None:
            return self._chunks.read(size)
        size = min(size, self._left)
        piece = self._source.read(size) if size else b""
        if len(piece) < size:
            raise EOFError("the body ended early")
        self._left -= size
        return piece


class RequestBodies:
    """The bodies of all requests under way. ``taken`` is their size in bytes."""

    def __init__(self, most: int, timeout: float) -> None:
        self.most = most
        self.timeout = timeout
        self.taken = 0

    def read(self, body: BodyInput, limit: int) -> bytes:
        """The whole body of a request, at most ``limit`` bytes.

        The time-out is for each piece of 64 KiB, so it is also a minimum speed.
        Raises Refused: body-too-large, body-cut, body-timeout, busy.
        """
        announced = body.length
        if announced is not None and announced > limit:
            raise _too_large(limit)
        if body.is_here:
            self._take(body, announced or 0)
            return body.read(announced or 0)
        pieces: list[bytes] = []
        left = limit
        while piece := _piece(body, min(PIECE, left + 1), self.timeout):
            left -= len(piece)
            if left < 0:
                raise _too_large(limit)
            self._take(body, len(piece))
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def release(self, body: BodyInput) -> None:
        """The request is answered: its body no longer counts."""
        self.taken -= body.taken
        body.taken = 0

    def _take(self, body: BodyInput, size: int) -> None:
        if self.taken + size > self.most:
            raise Refused(503, RefusalReason.BUSY, "too much is under way", _COME_AGAIN)
        self.taken += size
        body.taken += size


def _piece(body: BodyInput, size: int, timeout: float) -> bytes:
    slow = Refused(408, RefusalReason.BODY_TIMEOUT, "the body is too slow", _CLOSE)
    try:
        with gevent.Timeout(timeout, slow):
            return body.read(size)
    except (OSError, EOFError):
        cut = bad_request(
            RefusalReason.BODY_CUT, "the body is not whole; nothing was appended"
        )
        cut.headers = _CLOSE
        raise cut from None


def _too_large(limit: int) -> Refused:
    return Refused(413, RefusalReason.BODY_TOO_LARGE, f"at most {limit} bytes", _CLOSE)
