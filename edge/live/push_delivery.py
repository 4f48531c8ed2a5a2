"""PushDelivery: what a keeper gives to fronts that follow its streams by pushes (W15).

In a keeper, a front's reader of an event stream may have a PushSink: it stands for a
channel. It parks, is woken and is ended as any viewer is. But it is given ranges as
they are held, and no text of events. Its channel shows whether the front is there, so
nothing is sent to break a silence; and it lives until its front ends it.

Other readers of a keeper, and all of a process that serves clients, are given what
``delivery`` gives.
"""

from collections.abc import Iterable, Sequence

from edge.core.errors import EdgeError
from edge.core.ports import Ready
from edge.core.values import Answer, Headers, PerResponse
from edge.live.context import HubContext
from edge.live.delivered import EventsDelivered
from edge.live.delivery import Delivery
from edge.live.rows import Reader
from edge.policy.http.link_frames import Push, push_payload
from edge.policy.streams.decisions import Kind, Serve
from edge.protocol import json_arrays

LAST = 1e9
"""The end of a life without one (monotonic seconds, 31 years): the timer wheel takes no
infinity."""


class PushSink:
    """A ``ports.Sink`` that takes pushes: each piece of a ``write`` is one, if
    ``is_pushed``; that is set before ``begin``. Any other answer is none of a channel,
    and ends what was asked for (its front then polls, and hears it)."""

    __slots__ = ("is_pushed",)

    is_pushed: bool

    client = ""
    trace: Headers = ()

    def send_whole(self, ready: Ready, pause_reads: bool = False) -> None:
        """See ``ports.Sink``."""
        raise NotImplementedError

    def resume(self) -> None:
        """See ``ports.Sink``."""

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        """See ``ports.Sink``."""
        raise NotImplementedError

    def write(self, buffers: Sequence[bytes]) -> bool:
        """See ``ports.Sink``."""
        raise NotImplementedError

    def finish(self) -> None:
        """See ``ports.Sink``."""
        raise NotImplementedError

    def abort(self, error: EdgeError) -> None:
        """See ``ports.Sink``."""
        raise NotImplementedError


def is_pushed(reader: Reader) -> bool:
    """Whether this reader is a front that follows by pushes."""
    return isinstance(reader.sink, PushSink)


def delivery_of(context: HubContext) -> Delivery:
    """How the hub of this process gives readers what they are to have."""
    return (PushDelivery if context.options.serves_fronts else Delivery)(context)


class PushesDelivered(EventsDelivered):
    """A range that was given to a front."""

    __slots__ = ()


class PushDelivery(Delivery):
    """Gives fronts pushes, and all others what ``Delivery`` does."""

    def begin_sse(self, reader: Reader) -> None:
        """See ``Delivery``."""
        sink = reader.sink
        if isinstance(sink, PushSink) and not reader.begun:
            sink.is_pushed = True
            # No sooner than what let it in.
            reader.life_ends = min(reader.lease.ends_at, LAST)
        super().begin_sse(reader)

    def events(self, reader: Reader, serve: Serve, body: bytes | None = None) -> None:
        """See ``Delivery``."""
        if not is_pushed(reader):
            super().events(reader, serve, body)
            return
        given = self._pushed(reader, serve, body)
        if self.recorder is not None:
            self.recorder.append(given)
        super().hand_events((reader,), given)

    def hand_events(self, readers: Iterable[Reader], given: EventsDelivered) -> None:
        """See ``Delivery``. Fronts and others may wait in one crowd: each kind is given
        its own form of the range."""
        pushed = isinstance(given, PushesDelivered)
        for reader in readers:
            if is_pushed(reader) is pushed:
                super().hand_events((reader,), given)
            else:
                self.events(reader, given.serve)

    def keep_alive(self, reader: Reader) -> None:
        """See ``Delivery``."""
        if is_pushed(reader):
            reader.quiet_since = self._clock.monotonic()
        else:
            super().keep_alive(reader)

    def _pushed(
        self, reader: Reader, serve: Serve, body: bytes | None
    ) -> PushesDelivered:
        """The range as a push: what is held, and no whole array of it."""
        log, data = reader.stream.log, b""
        if body is not None:
            data = json_arrays.fragment(body) if log.is_json else body
        elif serve.kind is not Kind.EMPTY:
            page = log.page(serve.start, self._options.rules.max_page)
            data = b"" if page is None else page.data
        cursor = "" if serve.closed else str(self.mint(reader))
        told = serve.start, serve.next, cursor, serve.up_to_date, serve.closed
        call = reader.stream.brought_by
        trace = "" if call is None else call.told()
        push = Push(*told, data, stale=serve.kind is Kind.STALE, trace=trace)
        return PushesDelivered(serve, (push_payload(push),))
