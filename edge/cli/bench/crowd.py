"""Many viewers of one stream on one epoll, as cheap as Python can make them.

Each viewer is a connection. It is read when it has bytes, and asks again as soon as its
answer is complete. A server sends the same bytes to a whole crowd, so their meaning is
remembered while one event lasts: most viewers cost a read, two look-ups and a write.
Everything else goes through ``ViewerReader``.

Times are of ``time.monotonic``, taken when a viewer's bytes have been read. Only the
epoll is waited for. ``fanout`` calls ``turn``.
"""

import os
import re
import select
import socket
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

from edge.cli.bench.connect_ramp import ConnectRamp
from edge.cli.bench.framing import BadAnswer
from edge.cli.bench.requests import RequestTarget, StreamReads
from edge.cli.bench.viewer_reader import (
    EventMarkers,
    ParserState,
    ReadPosition,
    Received,
    Viewer,
    ViewerStage,
)
from edge.cli.bench.wire import Wire
from edge.cli.streams.exit_faults import Exit, Fault
from edge.cli.streams.server_errors import refused

IN = select.EPOLLIN
# Edge-triggered: a level-triggered descriptor is looked at once more after each wait.
LISTEN = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
MAX_READY = 64
"""Descriptors in one turn. Few: the append's answer waits for a whole turn."""

MAX_REMEMBERED = 64
"""Meanings kept for one event. If all answers differ, memory stays bounded."""

RETRY_PAUSE = 0.5
"""Seconds before a viewer comes back after a failure."""

# Fields that servers make anew for each answer. Without them the answers of one event
# are the same for a whole crowd, and can be recognised.
_OWN = re.compile(
    rb"\r\n(?:[Dd]ate|[Aa]ge|[Xx]-[Vv]arnish|(?:[Xx]-)?[Rr]equest-[Ii][Dd]"
    rb"|[Ss]tream-[Cc]ursor):[^\r]*"
)
# Of these, the field that numbers every single answer.
_NUMBER = re.compile(rb"\r\n(?:[Xx]-[Vv]arnish|(?:[Xx]-)?[Rr]equest-[Ii][Dd]):")
_CURSOR = re.compile(rb"\r\n[Ss]tream-[Cc]ursor:[ \t]*([^\r]*)")

Heard = Callable[[bytes, float], None]


class KnownAnswer(NamedTuple):
    """What bytes mean to every viewer in ``state`` that waits for event ``first``."""

    state: ParserState
    first: int
    after: int
    """The event to wait for next."""
    record: Callable[[float], None]
    place: ReadPosition
    request: bytes
    """What to ask next; empty where the answer goes on."""


class AnswerTemplate(NamedTuple):
    """An answer of known meaning, apart from the number that each answer has."""

    before: bytes
    after: bytes
    meaning: KnownAnswer

    def fits(self, data: bytes) -> bool:
        """Whether ``data`` is such an answer: cheaper to tell than by ``_OWN``."""
        before, after = self.before, self.after
        if not (data.startswith(before) and data.endswith(after)):
            return False
        end = len(data) - len(after)
        return end >= len(before) and b"\r" not in data[len(before) : end]


@dataclass(slots=True)
class Tally:
    """What happened besides deliveries."""

    resumed: int = 0
    """Answers without events, ends of event streams, proper ends of connections."""
    failed: int = 0
    """Connections that broke, and refusals; each viewer came back."""
    repeated: int = 0
    """Events that came to a viewer who had them."""


class FanoutCrowd:
    """The viewers of a run, from connecting to the last event."""

    def __init__(
        self,
        target: RequestTarget,
        mode: str,
        markers: EventMarkers,
        piece: int,
        wire: Wire,
        tokens: Sequence[str] = (),
    ) -> None:
        self.tally = Tally()
        self.received: list[array[float]] = []
        """For each event the times at which viewers had it, in order."""
        self._reads = StreamReads(target, mode)
        self._streaming = mode == "sse"
        self._markers = markers
        self._piece = piece
        self._wire = wire
        # What each viewer's heads end with, in turn.
        self._own = cycle(tuple(map(_own_end, tokens)) or (b"",))
        self._epoll = select.epoll()
        self._viewers: dict[int, Viewer] = {}
        self._others: dict[int, Heard] = {}
        self._known: dict[bytes, KnownAnswer] = {}
        self._shared: dict[bytes, KnownAnswer] = {}
        """The same, by the bytes that are left without these fields."""
        self._around: AnswerTemplate | None = None
        self._place = ReadPosition(b"", b"")
        self._ramp = ConnectRamp(target, self._epoll, self._viewers, wire)

    def close(self) -> None:
        """Leave, all at once."""
        for viewer in self._viewers.values():
            viewer.socket.close()
        self._viewers.clear()
        self._ramp.close()
        self._epoll.close()

    def join(self, count: int, offset: str) -> None:
        """Connect ``count`` viewers that have everything before ``offset``."""
        self._place = ReadPosition(offset.encode(), b"")
        for _ in range(count):
            self._ramp.add(Viewer(self._markers, self._place, next(self._own)))
        self._ramp.go_on()

    @property
    def live(self) -> int:
        """How many viewers wait for events."""
        return len(self._viewers) - self._ramp.under_way

    def expect(self, number: int) -> None:
        """Event ``number`` is about to be appended."""
        assert number == len(self.received), "events are numbered in order"
        self.received.append(array("d"))
        self._known.clear()
        self._shared.clear()
        self._around = None
        self._reads.forget()

    def delivered(self, number: int) -> int:
        """How many viewers have event ``number``."""
        return len(self.received[number])

    def listen(self, descriptor: int, heard: Heard) -> None:
        """Read another connection in the same turns: the one of the appends."""
        self._others[descriptor] = heard
        self._epoll.register(descriptor, LISTEN)

    def forget(self, descriptor: int) -> None:
        """Stop reading this connection."""
        del self._others[descriptor]
        self._epoll.unregister(descriptor)

    def turn(self, patience: float) -> None:
        """Wait for bytes, at most ``patience`` seconds, and take what is there."""
        if self._ramp.waiting:
            patience = min(patience, RETRY_PAUSE / 4)
        ready = self._epoll.poll(max(0.0, patience), MAX_READY)
        if ready:
            self._hear(ready)
        if self._ramp.waiting:
            self._ramp.go_on()

    def _hear(self, ready: list[tuple[int, int]]) -> None:
        """The hot path: read, look up, record, ask again."""
        read, write, clock = self._wire.read, self._wire.write, time.monotonic
        known, viewers, piece = self._known.get, self._viewers, self._piece
        for descriptor, mask in ready:
            if mask != IN:
                self._odd(descriptor, mask)
                continue
            try:
                data = read(descriptor, piece)
            except OSError:  # reset, or read before by an earlier turn
                self._odd(descriptor, mask)
                continue
            now = clock()
            meaning = known(data) or self._numbered(data)
            if meaning is not None:
                viewer = viewers[descriptor]
                state, first, after, record, place, request = meaning
                if viewer.state is state and viewer.expects == first:
                    viewer.expects, viewer.place = after, place
                    record(now)
                    if request:
                        own = viewer.own
                        try:
                            write(descriptor, request[:-2] + own if own else request)
                        except (BrokenPipeError, ConnectionResetError):
                            continue  # its end is heard next
                    continue
            if self._take(descriptor, data, now) and len(data) == piece:
                self._odd(descriptor, mask)

    def _numbered(self, data: bytes) -> KnownAnswer | None:
        around = self._around
        return around.meaning if around is not None and around.fits(data) else None

    def _odd(self, descriptor: int, mask: int) -> None:
        """A connection that opened, ended, or broke."""
        viewer = self._viewers.get(descriptor)
        if viewer is not None and viewer.stage is ViewerStage.CONNECTING:
            self._opened(viewer)
            return
        while True:
            try:
                data = self._wire.read(descriptor, self._piece)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not self._take(descriptor, data, time.monotonic()):
                return

    def _take(self, descriptor: int, data: bytes, now: float) -> bool:
        """The slow path. Returns whether the connection may have more to read."""
        other = self._others.get(descriptor)
        if other is not None:
            other(data, now)
            return bool(data) and descriptor in self._others
        viewer = self._viewers.get(descriptor)
        if viewer is None:  # left in this very turn
            return False
        if not data:
            self._ended(viewer)
            return False
        self._read(viewer, data, now)
        return self._viewers.get(descriptor) is viewer

    def _read(self, viewer: Viewer, data: bytes, now: float) -> None:
        shared = _OWN.sub(b"", data)
        meaning = self._shared.get(shared)
        if meaning is None or (viewer.state, viewer.expects) != meaning[:2]:
            self._study(viewer, data, shared, now)
        else:
            self._apply(viewer, meaning, data, now)

    def _apply(
        self, viewer: Viewer, meaning: KnownAnswer, data: bytes, now: float
    ) -> None:
        """As in the hot path, but with a cursor of the viewer's own."""
        viewer.expects, viewer.place = meaning.after, meaning.place
        meaning.record(now)
        if not meaning.request:
            return
        cursor = _CURSOR.search(data)
        if cursor is not None:
            viewer.place = ReadPosition(meaning.place.offset, cursor[1])
        request = self._reads.live(viewer.place)
        self._write(viewer, request)
        number = _NUMBER.search(data)
        if number is not None:
            mine = meaning._replace(place=viewer.place, request=request)
            after = data[data.index(b"\r", number.end()) :]
            self._around = AnswerTemplate(data[: number.end()], after, mine)

    def _study(self, viewer: Viewer, data: bytes, shared: bytes, now: float) -> None:
        """Bytes that are new, or new to a viewer in this state."""
        state = viewer.state
        try:
            all_received = viewer.reader.feed(data)
        except BadAnswer as error:
            raise Fault(Exit.FAILED, f"no HTTP/1.1 answer: {error}") from None
        viewer.state = viewer.reader.state
        for received in all_received:
            before = viewer.expects
            self._learn(viewer, received, now)
            if state is not None and state is viewer.state and len(all_received) == 1:
                self._remember(data, shared, received, before, viewer)

    def _learn(self, viewer: Viewer, received: Received, now: float) -> None:
        for number in received.numbers:
            self._count(viewer, number, now)
        if received.closed:
            raise Fault(Exit.CONFLICT, "the stream was closed")
        viewer.place = received.place or viewer.place
        if received.status >= 300:
            self._refused(viewer, received)
        elif received.done:
            self._go_on(viewer, received)

    def _count(self, viewer: Viewer, number: int, now: float) -> None:
        if number < viewer.expects:
            # Sent again, after a connection that broke; else it is wrong.
            self.tally.repeated += 1
            return
        viewer.expects = number + 1
        self.received[number].append(now)

    def _go_on(self, viewer: Viewer, received: Received) -> None:
        """The answer is over: ask the next, as a client does."""
        if received.place is None and viewer.stage is ViewerStage.CATCHING_UP:
            raise Fault(Exit.FAILED, "no stream is served here: no Stream-Next-Offset")
        plain = received.numbers and not (self._streaming or received.last)
        if viewer.stage is ViewerStage.LIVE and not plain:
            self.tally.resumed += 1
        if viewer.stage is ViewerStage.CATCHING_UP:
            self._ramp.arrived()
            viewer.been_live = True
        if received.last:
            self._come_back(viewer, 0.0)
        else:
            self._ask(viewer, self._reads.live(viewer.place))

    def _remember(
        self,
        data: bytes,
        shared: bytes,
        received: Received,
        before: int,
        viewer: Viewer,
    ) -> None:
        """Keep what these bytes meant, if they mean the same to every viewer."""
        # The end of an event stream is counted, like that of a connection.
        goes_on = received.done is not self._streaming and not received.last
        plain = goes_on and received.status == 200 and received.place is not None
        if not (plain and received.numbers and len(data) < self._piece):
            return
        in_a_row = (
            tuple(range(before, before + len(received.numbers))) == received.numbers
        )
        if in_a_row and viewer.state and len(self._known) < MAX_REMEMBERED:
            meaning = KnownAnswer(
                viewer.state,
                before,
                viewer.expects,
                self._recorder(received.numbers),
                viewer.place,
                self._reads.live(viewer.place) if received.done else b"",
            )
            self._known[data] = self._shared[shared] = meaning

    def _recorder(self, numbers: tuple[int, ...]) -> Callable[[float], None]:
        records = [self.received[number].append for number in numbers]
        if len(records) == 1:
            return records[0]

        def record(now: float) -> None:
            for one in records:
                one(now)

        return record

    def _refused(self, viewer: Viewer, received: Received) -> None:
        """An answer of 300 or above: final, or to be tried again later."""
        if viewer.been_live and (received.status >= 500 or received.status == 429):
            self.tally.failed += 1
            self._come_back(viewer, RETRY_PAUSE)
            return
        if received.status < 400:
            text = f"{received.status}: redirects are not followed, give the URL behind"
            raise Fault(Exit.FAILED, text, status=received.status)
        told = refused(received.status, lambda name: None, [received.body])
        raise Fault(told.exit_code, f"a viewer's read: {told}", status=received.status)

    def _ended(self, viewer: Viewer) -> None:
        """The server closed the connection, after an answer or within one."""
        if not viewer.been_live:
            raise Fault(Exit.UNREACHABLE, "the server closed a viewer's connection")
        proper = viewer.reader.end()
        self.tally.resumed += proper
        self.tally.failed += not proper
        self._come_back(viewer, 0.0 if proper else RETRY_PAUSE)

    def _come_back(self, viewer: Viewer, after: float) -> None:
        """Reconnect, and continue from the same position."""
        del self._viewers[viewer.socket.fileno()]
        viewer.socket.close()
        viewer.renew(self._markers)
        self._ramp.add(viewer, time.monotonic() + after if after else 0.0)

    def _opened(self, viewer: Viewer) -> None:
        error = viewer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error and not viewer.been_live:
            raise Fault(
                Exit.UNREACHABLE, f"a viewer's connection: {os.strerror(error)}"
            )
        if error:
            self.tally.failed += 1
            self._ramp.arrived()
            self._come_back(viewer, RETRY_PAUSE)
            return
        self._epoll.modify(viewer.socket.fileno(), LISTEN)
        if viewer.been_live:
            self._ramp.arrived()
            self._ask(viewer, self._reads.live(viewer.place))
        else:
            viewer.stage = ViewerStage.CATCHING_UP
            self._write(viewer, self._reads.catch_up(viewer.place))

    def _ask(self, viewer: Viewer, request: bytes) -> None:
        viewer.stage = ViewerStage.LIVE
        self._write(viewer, request)

    def _write(self, viewer: Viewer, request: bytes) -> None:
        """A request always fits: a socket holds more than one."""
        if viewer.own:
            request = request[:-2] + viewer.own
        try:
            self._wire.write(viewer.socket.fileno(), request)
        except (BrokenPipeError, ConnectionResetError):
            return  # reading tells, and is told by the epoll


def _own_end(token: str) -> bytes:
    """The last lines of a head that has this token."""
    return f"Authorization: Bearer {token}\r\n\r\n".encode("ascii")
