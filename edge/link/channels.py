"""Channels: a front's end of the connections by which keepers push to it (W15).

A ``Channel`` goes to one keeper. Its connection is made when the front first follows a
stream there, and anew when that is gone. To who follows, it is an origin like any
other: ``begin`` sends a request for an event stream, and the receiver is told the head,
then each push as one piece of the body, then the end.

A keeper that is to end says so. Then what is followed there goes on until it ends, and
what is begun goes over a new connection, to the successor (W12). Whatever breaks a
connection fails all that is followed on it: who follows checks the end (L7), and polls.

Nothing here blocks or switches greenlets: a unix socket is connected at once, or not.
"""

import _socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from gevent.hub import get_hub

from edge.core.errors import EdgeError, OriginFault, OriginUnreachable
from edge.core.ports import Receiver, UpstreamCall
from edge.core.reasons import Reason
from edge.core.values import Framing, OriginAnswerHead, OriginRequest
from edge.policy.http.link_frames import (
    GREETING,
    MAX_NUMBER,
    BadFrame,
    Frame,
    FrameKind,
    FrameReader,
    frame,
)

READ_SIZE = 256 * 1024
READABLE, WRITABLE = 1, 2

FRAME_MARGIN = 256 * 1024
"""What a frame may have beside the bytes of its range: offsets, or a head."""

Encode = Callable[[OriginRequest], bytes]
"""The head of a request as it is sent. Raises EdgeError for one that cannot be."""


class PushOrigin(Protocol):
    """Where a front follows streams by pushes."""

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``edge.core.ports.Origin.begin``."""


class KeeperChannel(PushOrigin, Protocol):
    """The way to one keeper by which a front follows."""

    def record(self, traceparent: str) -> None:
        """Have the keeper record a span that it told with a push."""


class Channel:
    """Implements ``KeeperChannel`` for the keeper that listens at ``path``. A range is
    of at most ``max_object`` octets."""

    def __init__(self, path: str, encode: Encode, max_object: int) -> None:
        self._path = path
        self._encode = encode
        self._limit = max_object + FRAME_MARGIN
        self._connection: _Connection | None = None
        # Those of processes that are to end, until nothing is followed there.
        self._leaving: set[_Connection] = set()

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``PushOrigin``."""
        try:
            head = self._encode(request)
            connection = self._connected()
        except EdgeError as fault:
            return _Failed(receiver, fault)
        return connection.follow(head, receiver)

    def record(self, traceparent: str) -> None:
        """Have the keeper record a span that it told with a push."""
        if self._connection is not None:
            self._connection.record(traceparent)

    def close(self) -> None:
        """Close all. What is followed is told nothing more."""
        for connection in (self._connection, *self._leaving):
            if connection is not None:
                connection.close()
        self._connection = None
        self._leaving.clear()

    def leaves(self, connection: "_Connection") -> None:
        """The keeper's process is about to end: follow nothing more there."""
        if self._connection is connection:
            self._connection = None
            self._leaving.add(connection)

    def lost(self, connection: "_Connection") -> None:
        """It is closed."""
        self._leaving.discard(connection)
        if self._connection is connection:
            self._connection = None

    def _connected(self) -> "_Connection":
        """Raises OriginUnreachable."""
        if self._connection is None or not self._connection.has_numbers:
            if self._connection is not None:
                self.leaves(self._connection)
            self._connection = _Connection(self, _called(self._path), self._limit)
        return self._connection

    def __repr__(self) -> str:
        return f"<Channel {self._path} {self._connection!r}>"


def _called(path: str) -> Any:
    """A socket that is connected to ``path``. Raises OriginUnreachable."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
    except OSError as error:
        # Also a backlog that is full: whoever follows polls for the while.
        sock.close()
        detail = "the process that has this stream cannot be called"
        raise OriginUnreachable(detail, cause=str(error)) from error
    return sock


class _Connection:
    """One connection of a channel."""

    def __init__(self, channel: Channel, sock: Any, limit: int) -> None:
        loop: Any = get_hub().loop
        self._channel = channel
        self._sock: Any = sock
        self._frames = FrameReader(limit)
        self._followed: dict[int, _Followed] = {}
        self._last = 0
        self._left = b""
        # Who is not on the wire yet.
        self._unsent: list[_Followed] = []
        self._is_leaving = False
        self._reading = loop.io(sock.fileno(), READABLE)
        self._writing = loop.io(sock.fileno(), WRITABLE)
        self._reading.start(self._readable)
        self._send(GREETING)

    def __repr__(self) -> str:
        return f"<_Connection follows {len(self._followed)}>"

    @property
    def has_numbers(self) -> bool:
        """Whether another stream may be followed here."""
        return self._last < MAX_NUMBER

    def follow(self, head: bytes, receiver: Receiver) -> "_Followed":
        """Send a request; the receiver is told what becomes of it."""
        self._last += 1
        one = self._followed[self._last] = _Followed(self, self._last, receiver)
        self._unsent.append(one)
        self._send(frame(FrameKind.OPEN, one.number, head))
        return one

    def record(self, traceparent: str) -> None:
        """See ``Channel``."""
        self._send(frame(FrameKind.RECORD, 0, traceparent.encode()))

    def leave(self, one: "_Followed") -> None:
        """It is given up."""
        if self._followed.pop(one.number, None) is not None:
            self._send(frame(FrameKind.CLOSE, one.number))
            self._look_at_end()

    def close(self) -> None:
        """Close it; nobody is told."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        for watcher in (self._reading, self._writing):
            watcher.stop()
            watcher.close()
        with suppress(OSError):
            sock.close()
        self._channel.lost(self)

    # What comes.

    def _readable(self) -> None:
        try:
            data = self._sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(str(error))
            return
        if not data:
            self._lose("it hung up")
            return
        try:
            frames = self._frames.feed(data)
        except BadFrame as bad:
            self._lose(str(bad), Reason.ORIGIN_GARBAGE)
            return
        for one in frames:
            if self._sock is None:
                return
            self._hear(one)

    def _hear(self, one: Frame) -> None:
        kind, number, payload = one
        if kind is FrameKind.LEAVING:
            self._is_leaving = True
            self._channel.leaves(self)
            self._look_at_end()
            return
        followed = self._followed.get(number)
        if followed is None:
            # It was given up, and the keeper does not know yet.
            return
        if kind is FrameKind.PUSH:
            followed.tell(followed.receiver.data, payload)
        elif kind is FrameKind.HEAD:
            followed.tell(followed.receiver.head, _head_of(payload))
        elif kind is FrameKind.END:
            del self._followed[number]
            followed.end()
            self._look_at_end()
        else:
            self._lose(f"a keeper does not send {kind.name}", Reason.ORIGIN_GARBAGE)

    def _look_at_end(self) -> None:
        if self._is_leaving and not self._followed:
            self.close()

    def _lose(self, cause: str, reason: Reason = Reason.ORIGIN_UNREACHABLE) -> None:
        """It is broken: all that is followed here fails, and may begin anew."""
        self.close()
        followed, self._followed = self._followed, {}
        self._unsent.clear()
        for one in followed.values():
            detail = "the channel to the process that has this stream broke"
            one.fail(OriginFault(detail, reason=reason, cause=cause))

    # What goes out.

    def _send(self, data: bytes) -> None:
        if self._sock is None:
            return
        if self._left:
            self._left += data
            return
        self._left = data
        self._flush()

    def _flush(self) -> None:
        try:
            sent = self._sock.send(self._left)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # Not within a call of whoever follows.
            self._left = b""
            self._writing.stop()
            get_hub().loop.run_callback(self._lose, str(error))
            return
        self._left = self._left[sent:]
        if self._left:
            if not self._writing.active:
                self._writing.start(self._flush)
            return
        self._writing.stop()
        unsent, self._unsent = self._unsent, []
        for one in unsent:
            if one.number in self._followed:
                one.tell(one.receiver.sent)


class _Followed:
    """One stream that is followed: an UpstreamCall."""

    __slots__ = ("_connection", "number", "receiver")

    def __init__(
        self, connection: _Connection, number: int, receiver: Receiver
    ) -> None:
        self._connection: _Connection | None = connection
        self.number = number
        self.receiver = receiver

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.leave(self)

    def pause(self) -> None:
        """See ``ports.UpstreamCall``. Who follows never does: what comes for the others
        cannot be left unread."""

    def resume(self) -> None:
        """See ``ports.UpstreamCall``."""

    # For the connection.

    def tell(self, act: Callable[..., None], *args: object) -> None:
        """Tell the receiver, unless it gave up. A defect of it ends this one alone."""
        if self._connection is None:
            return
        try:
            act(*args)
        except Exception as error:
            get_hub().handle_error(self, type(error), error, error.__traceback__)
            self.cancel()
            self.receiver.failed(OriginFault("it broke", reason=Reason.INTERNAL))

    def end(self) -> None:
        """Nothing more is pushed."""
        if self._connection is not None:
            self._connection = None
            self.receiver.ended()

    def fail(self, fault: EdgeError) -> None:
        """The connection is gone."""
        if self._connection is not None:
            self._connection = None
            self.receiver.failed(fault)


class _Failed:
    """An UpstreamCall that could not begin; its receiver is told so in a later turn."""

    __slots__ = ("_turn",)

    def __init__(self, receiver: Receiver, fault: EdgeError) -> None:
        self._turn = get_hub().loop.run_callback(receiver.failed, fault)

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._turn.stop()

    def pause(self) -> None:
        """See ``ports.UpstreamCall``: there is nothing to read."""

    def resume(self) -> None:
        """See ``ports.UpstreamCall``: there is nothing to read."""


def _head_of(payload: bytes) -> OriginAnswerHead:
    """A head as this edge's own keeper encodes it."""
    first, *lines = payload.decode("latin-1").split("\r\n")
    fields = (line.partition(": ") for line in lines if line)
    headers = tuple((name.lower(), value) for name, _, value in fields)
    return OriginAnswerHead(int(first.split()[1]), headers, Framing.CHUNKED, None)
