"""Channel: a keeper's end of the connection by which it pushes to one front (W15).

A front that has called a link socket may begin a channel on it, by a greeting that no
request begins with (``edge.policy.http.link_frames``). From then on it opens and closes
what it follows, in frames. What it opens is a request like any other: the pipeline
judges its head, and the hub parks its reader, whose sink is here.

What is pushed within one turn of the event loop goes out with one call of the system.
Where more than ``HIGH_WATER`` octets wait for a slow front, each reader that is given
something is full: it takes no more until the channel has drained, and is ended if it
falls too far behind. Above ``MOST`` the channel is closed. Nothing here blocks or
switches greenlets.
"""

from collections.abc import Callable, Sequence
from typing import Any

from edge.core.errors import EdgeError
from edge.core.ports import PendingRead, Ready
from edge.core.reasons import Reason
from edge.core.values import Answer, Mode, PerResponse
from edge.front.fast.context import FastContext
from edge.front.fast.plain_requests import PlainRead
from edge.front.fast.request_memo import HeaderBlock
from edge.front.transport import Transport, WriteBuffer
from edge.live.push_delivery import PushSink
from edge.policy.http.client_address import Peer
from edge.policy.http.link_frames import (
    GREETING,
    BadFrame,
    Frame,
    FrameKind,
    FrameReader,
    frame,
)

READ_SIZE = 256 * 1024
HIGH_WATER = 1024 * 1024
MOST = 64 * 1024 * 1024
"""Octets that wait for a front: above the first, readers are full; above the second,
its channel is closed."""

MAX_FOLLOWED = 1 << 17
"""Streams that one front may follow at once."""

_HEAD_END = b"\r\n\r\n"


class Channels:
    """All channels of this process: when it drains, their fronts are told."""

    def __init__(self, context: FastContext) -> None:
        self._draining = context.parts.draining
        self.all: set[PushChannel] = set()
        context.parts.ticks.register(self._look)

    def _look(self, now: float) -> None:
        if self._draining():
            for channel in tuple(self.all):
                channel.leave()


Admit = Callable[[Transport, Peer, bytes], object]
"""Takes over a transport, its peer, and bytes that were read already."""


class LinkGreeting:
    """An accepted connection of a front until its first bytes have come: a channel, or
    requests, for which ``admit`` takes it over. ``among`` are the worker's connections.
    """

    __slots__ = (
        *("_admit", "_among", "_channels", "_context"),
        *("_held", "_peer", "_since", "_transport"),
    )

    def __init__(
        self,
        context: FastContext,
        transport: Transport,
        peer: Peer,
        among: set[Any],
        admit: Admit,
        channels: Channels,
    ) -> None:
        self._channels = channels
        self._context = context
        self._transport = transport
        self._peer = peer
        self._among = among
        self._admit = admit
        self._held = b""
        self._since = context.monotonic()

    def begin(self) -> None:
        """Wait for them."""
        self._among.add(self)
        self._transport.reading.start(self._readable)

    @property
    def idle_since(self) -> float | None:
        """See ``DrainableConnection``: since it was accepted."""
        return None if self._held else self._since

    def dismiss(self) -> None:
        """Close it, unless something has come."""
        if not self._transport.peek():
            self.cut()

    def cut(self) -> None:
        """End now."""
        self._among.discard(self)
        self._transport.close()

    def _readable(self) -> None:
        try:
            data = self._transport.recv(READ_SIZE)
            if not data:
                self.cut()
                return
            self._held += data
            if GREETING.startswith(self._held[: len(GREETING)]):
                if len(self._held) < len(GREETING):
                    return
                then = self._begin_channel
            else:
                then = self._begin_requests
            self._transport.reading.stop()
            self._among.discard(self)
            then(self._held)
        except BlockingIOError:
            return
        except OSError:
            self.cut()
        except Exception as error:
            self._context.report(error)
            self.cut()

    def _begin_requests(self, held: bytes) -> None:
        self._admit(self._transport, self._peer, held)

    def _begin_channel(self, held: bytes) -> None:
        ours = self._among, self._channels.all
        channel = PushChannel(self._context, self._transport, *ours)
        channel.begin(held[len(GREETING) :])


class PushChannel:
    """One channel. ``among`` are the worker's connections, ``channels`` all those that
    are channels."""

    __slots__ = (
        *("_among", "_block", "_channels", "_context", "_flushes", "_followed"),
        *("_full", "_is_over", "_left", "_queue", "_queued", "_reader"),
        *("_transport", "_unsent"),
    )

    def __init__(
        self,
        context: FastContext,
        transport: Transport,
        among: set[Any],
        channels: "set[PushChannel]",
    ) -> None:
        self._context = context
        self._transport = transport
        self._among = among
        self._channels = channels
        self._reader = FrameReader(context.limits.head + len(_HEAD_END))
        self._followed: dict[int, ChannelSink] = {}
        self._full: dict[ChannelSink, None] = {}
        # What goes out in this turn; what the transport did not take at once.
        self._queue: list[bytes] = []
        self._queued = 0
        self._unsent: WriteBuffer | None = None
        self._flushes = self._left = self._is_over = False
        self._block: HeaderBlock | None = None

    def __repr__(self) -> str:
        return f"<PushChannel of {len(self._followed)}, {self._queued} octets wait>"

    def begin(self, held: bytes) -> None:
        """Take frames; ``held`` was read already."""
        self._among.add(self)
        self._channels.add(self)
        self._transport.reading.start(self._readable)
        self._take(held)
        if self._context.server_context.draining:
            self.leave()

    # As the worker sees it.

    @property
    def idle_since(self) -> float | None:
        """It never waits for a request: its front closes it (W12)."""
        return None

    def dismiss(self) -> None:
        """It is closed by its front."""

    def cut(self) -> None:
        """End now."""
        self._end()

    def leave(self) -> None:
        """Tell the front, once, that this process is about to end: it follows nothing
        more here, and closes the channel once nothing is left on it (W12)."""
        if not self._left:
            self._left = True
            self._put(frame(FrameKind.LEAVING, 0))

    # What comes.

    def _readable(self) -> None:
        try:
            data = self._transport.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        if data:
            self._take(data)
        else:
            self._end()

    def _take(self, data: bytes) -> None:
        try:
            for one in self._reader.feed(data):
                self._hear(one)
        except BadFrame as bad:
            self._context.report(bad)
            self._end()
        except Exception as error:
            # The outermost guard: counted, logged, and this channel ends.
            self._context.report(error)
            self._end()

    def _hear(self, one: Frame) -> None:
        if one.kind is FrameKind.OPEN:
            if one.number in self._followed:
                raise BadFrame(f"number {one.number} is in use")
            self._open(one.number, one.payload)
        elif one.kind is FrameKind.CLOSE:
            sink = self._followed.pop(one.number, None)
            if sink is not None:
                sink.left()
        elif one.kind is FrameKind.RECORD:
            if self._context.spans is not None:
                self._context.spans.record(one.payload.decode("latin-1"))
        else:
            raise BadFrame(f"a front does not send {one.kind.name}")

    def _open(self, number: int, head: bytes) -> None:
        """Have a request judged and answered, as on the fast way."""
        context, now = self._context, self._context.monotonic()
        end = head.find(_HEAD_END)
        self._block, plain = context.request_memo.head(head, end, self._block)
        if (
            end != len(head) - len(_HEAD_END)
            or not isinstance(plain, PlainRead)
            or plain.read.mode is not Mode.SSE
            or now >= plain.until
            or now >= plain.grant.lease.ends_at
            or len(self._followed) >= MAX_FOLLOWED
        ):
            self._put(frame(FrameKind.END, number))
            return
        sink = ChannelSink(context, self, number, plain)
        self.adopt(sink)
        try:
            sink.pending = context.read_service.ask(
                plain.read, sink, now, plain.grant.lease
            )
        except Exception as error:
            context.report(error)
            sink.close()

    # What goes out.

    def adopt(self, sink: "ChannelSink") -> None:
        """From now on this one is followed here."""
        self._followed[sink.number] = sink

    def push(self, sink: "ChannelSink", kind: FrameKind, payload: bytes) -> bool:
        """Send a frame, with what else is sent in this turn. False: ``sink`` is full,
        and hears when there is room."""
        self._put(frame(kind, sink.number, payload))
        if self._queued <= HIGH_WATER:
            return True
        self._full[sink] = None
        return False

    def over(self, sink: "ChannelSink") -> None:
        """Nothing more is pushed of this one."""
        self._full.pop(sink, None)
        if self._followed.pop(sink.number, None) is sink:
            self._put(frame(FrameKind.END, sink.number))

    def _put(self, data: bytes) -> None:
        if self._is_over:
            return
        self._queue.append(data)
        self._queued += len(data)
        is_late = self._queued > MOST
        if not self._flushes and (is_late or self._unsent is None):
            self._flushes = True
            self._context.soon(self._refuse_slow if is_late else self._flush)

    def _flush(self) -> None:
        """Send what was put in this turn."""
        self._flushes = False
        if self._is_over or not self._queue:
            return
        data = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
        self._queue.clear()
        try:
            sent = self._transport.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end()
            return
        self._queued -= sent
        if sent < len(data):
            left = [memoryview(data)[sent:]]
            self._unsent = WriteBuffer(self._transport, left, self._writable)

    def _writable(self) -> None:
        unsent = self._unsent
        if unsent is None:
            return
        try:
            is_out = unsent.flush()
        except OSError:
            self._end()
            return
        if is_out:
            unsent.close()
            self._unsent = None
            self._queued = sum(map(len, self._queue))
            self._flush()
            if self._queued <= HIGH_WATER:
                full, self._full = self._full, {}
                for sink in full:
                    sink.drained()

    def _refuse_slow(self) -> None:
        if self._is_over:
            return
        refusals = self._context.server_context.counters.refusals
        refusals[Reason.CHANNEL_SLOW.value] += 1
        self._end()

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._among.discard(self)
        self._channels.discard(self)
        if self._unsent is not None:
            self._unsent.close()
            self._unsent = None
        self._queue.clear()
        self._full.clear()
        followed, self._followed = self._followed, {}
        self._transport.close()
        for sink in followed.values():
            sink.left()


class ChannelSink(PushSink):
    """The sink of one stream that a front follows here, by this ``number``."""

    __slots__ = ("_channel", "_context", "_is_over", "_plain", "number", "pending")

    def __init__(
        self, context: FastContext, channel: PushChannel, number: int, plain: PlainRead
    ) -> None:
        self._context = context
        self._channel = channel
        self._plain = plain
        self._is_over = False
        self.is_pushed = False
        self.number = number
        self.pending: PendingRead | None = None

    def send_whole(self, ready: Ready, pause_reads: bool = False) -> None:
        """See ``PushSink``: no answer of a channel."""
        self.close()

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        """See ``ports.Sink``."""
        if not self.is_pushed or answer.status != 200:
            self._give_up()
            return
        line, context = self._plain.line, self._context
        try:
            encoded = context.encoder.encoded(answer, per_response, line.route, False)
        except ValueError as error:
            context.report(error)
            self._give_up()
            return
        head = encoded.before + context.next_id() + encoded.after
        self._channel.push(self, FrameKind.HEAD, head)

    def write(self, buffers: Sequence[bytes]) -> bool:
        """See ``ports.Sink``."""
        room = True
        for push in () if self._is_over else buffers:
            room = self._channel.push(self, FrameKind.PUSH, push)
        return room

    def finish(self) -> None:
        """See ``ports.Sink``."""
        self.close()

    def abort(self, error: EdgeError) -> None:
        """See ``ports.Sink``."""
        self.close()

    # Its own.

    def close(self) -> None:
        """The hub is done with it."""
        if not self._is_over:
            self._is_over = True
            self._channel.over(self)
        self.pending = None

    def drained(self) -> None:
        """There is room again."""
        if self.pending is not None:
            self.pending.drained()

    def left(self) -> None:
        """Its front follows it no longer."""
        self._is_over = True
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.gone()

    def _give_up(self) -> None:
        """Something is to be answered that is not pushed: end it, outside of the call
        of the hub that this is."""
        if not self._is_over:
            self._is_over = True
            self._channel.over(self)
            self._context.soon(self.left)
