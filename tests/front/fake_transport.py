"""FakeTransport: a transport that is a list of bytes, and a client in the test's hand.

What the client does is called by a test (``feed``, ``finish``), what it got is in
``sent``. ``capacity`` is how many bytes go out before the transport is full, and
``fail`` makes a call raise. Nothing happens by itself: ``turn`` is one iteration of
the event loop, in which the watches call back that have a reason to.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import gevent

PEER = ("192.0.2.7", 4711)


class FakeWatch:
    """Implements ``edge.front.transport.Watch``."""

    def __init__(self, has_reason: Callable[[], bool]) -> None:
        self._has_reason = has_reason
        self._call: tuple[Callable[..., object], tuple[object, ...]] | None = None

    @property
    def active(self) -> bool:
        return self._call is not None

    def start(self, callback: Callable[..., object], /, *args: object) -> None:
        assert self._call is None, "it is in use"
        self._call = callback, args

    def stop(self) -> None:
        self._call = None

    def look(self) -> None:
        """Call back, if there is reason to."""
        if self._call is not None and self._has_reason():
            callback, args = self._call
            callback(*args)


class FakeTransport:
    """Implements ``edge.front.transport.Transport``."""

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.sent = bytearray()
        self.fail: dict[str, Exception] = {}
        self.state = "open"
        self.reading = FakeWatch(self._may_recv)
        self.writing = FakeWatch(self._may_send)
        self._chunks: deque[bytes] = deque()
        self._ended = False

    # What the client does.

    def feed(self, *chunks: bytes) -> None:
        """Each of them is what one ``recv`` gives at most."""
        self._chunks.extend(chunk for chunk in chunks if chunk)

    def finish(self) -> None:
        """The client says that nothing more comes."""
        self._ended = True

    @property
    def unread(self) -> int:
        """Bytes that came and were not read."""
        return sum(map(len, self._chunks))

    def take(self) -> bytes:
        """What was sent since the last take."""
        taken = bytes(self.sent)
        self.sent.clear()
        return taken

    def turn(self) -> None:
        """One iteration of the event loop."""
        loop: Any = gevent.get_hub().loop
        for watch in (self.reading, self.writing):
            loop.run_callback(watch.look)
        gevent.sleep(0)

    # What the connection does.

    def recv(self, size: int, /) -> bytes:
        self._check("recv")
        if not self._chunks:
            if self._ended:
                return b""
            raise BlockingIOError
        data = self._chunks.popleft()
        if len(data) > size:
            self._chunks.appendleft(data[size:])
        return data[:size]

    def send(self, data: bytes | memoryview, /) -> int:
        self._check("send")
        return self._put(data)

    def sendmsg(self, buffers: Iterable[bytes | memoryview], /) -> int:
        self._check("sendmsg")
        return self._put(b"".join(buffers))

    def peek(self) -> bytes | None:
        try:
            self._check("recv")
        except OSError:
            return b""
        if self._chunks:
            return self._chunks[0][:1]
        return b"" if self._ended else None

    def shutdown_reading(self) -> None:
        self._check("shutdown_reading")
        self._ended = True

    def shutdown_writing(self) -> None:
        self._check("shutdown_writing")
        self.state = "half closed"

    def close(self) -> None:
        if self.state in ("open", "half closed"):
            self._end("closed")

    def abort(self) -> None:
        if self.state in ("open", "half closed"):
            self._end("reset")

    # Its own.

    def _end(self, state: str) -> None:
        self.state = state
        self.reading.stop()
        self.writing.stop()

    def _check(self, call: str) -> None:
        if self.state in ("closed", "reset"):
            raise OSError(errno.EBADF, "it is closed")
        if call in self.fail:
            raise self.fail[call]

    def _may_recv(self) -> bool:
        return bool(self._chunks) or self._ended or "recv" in self.fail

    def _may_send(self) -> bool:
        return self.capacity != 0 or not {"send", "sendmsg"}.isdisjoint(self.fail)

    def _put(self, data: bytes | memoryview) -> int:
        if self.state == "half closed":
            raise BrokenPipeError
        if self.capacity == 0 and data:
            raise BlockingIOError
        taken = len(data) if self.capacity is None else min(len(data), self.capacity)
        if self.capacity is not None:
            self.capacity -= taken
        self.sent += data[:taken]
        return taken
