"""Following a stream: its history first, then live.

Catch-up reads bring the history, the content type and a concrete offset, also for
``now``. Live exchanges follow, each from the last offset that the server named: an SSE
connection (section 5.8) or a long-poll (5.7). Following ends when the stream is closed,
when the server says that it is gone, or when no retry is left. After a cut nothing is
printed twice.

A cursor may come back as it was sent, with nothing new. That is an old answer out of a
cache in between (section 10.1). The cursor is dropped, and the next request differs. It
counts as a failure: no loop spins.
"""

import base64
import binascii
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.cli.streams import retry_policy
from edge.cli.streams.client import Client, ServerAnswer
from edge.cli.streams.exit_faults import Exit, Fault, RequestOutcome, lost
from edge.cli.streams.output import Output
from edge.cli.streams.reading import catch_up, pour
from edge.cli.streams.retry_policy import RetryPolicy
from edge.cli.streams.sse_events import EventTooLarge, SseEvent, SseParser
from edge.protocol import names

ECHO = "an old answer came back, out of a cache in between"
HEALTHY_AFTER = 10.0
"""Seconds after which the end of an event stream is no failure in a row."""
MUTE = "the server's event stream ended without a word"


class LiveMode(enum.Enum):
    """How a live exchange is held; the value is the ``live`` parameter's."""

    SSE = "sse"
    LONG_POLL = "long-poll"


@dataclass(slots=True)
class LiveExchange:
    """What one live exchange brought beside data."""

    cursor: str | None = None
    stood: bool = False
    """Whether the event stream sent a control event: its position is known."""
    wait: float | None = None
    """Seconds that it asked to wait before a reconnection."""


@dataclass(slots=True)
class StreamFollower:
    """One stream, followed. ``run`` returns when the stream is closed."""

    client: Client
    output: Output
    policy: RetryPolicy
    mode: LiveMode = LiveMode.SSE
    cursor: str | None = None
    _said: LiveExchange = field(default_factory=LiveExchange)

    def run(self) -> None:
        """Print until the stream is closed. Raises Fault."""
        catch_up(self.client, self.output, self.policy)
        while not self.output.closed:
            self._exchange()

    def _exchange(self) -> None:
        """One live exchange; a failure waits for its next try."""
        said = self._said = LiveExchange()
        began, before, cursor = retry_policy.clock(), self.output.offset, self.cursor
        try:
            _LIVE[self.mode](self)
        except EventTooLarge:
            # A plain answer of the same bytes needs no memory.
            catch_up(self.client, self.output, self.policy)
            return
        except Fault as fault:
            lived = said.stood and retry_policy.clock() - began > HEALTHY_AFTER
            self._failed(fault, well=lived or self.output.offset != before)
            return
        if self.output.offset != before:
            self.policy.progressed()
        elif self.output.closed:
            return
        elif cursor is not None and said.cursor == cursor:
            self.cursor = None
            self.policy.failed(lost(ECHO))
        else:
            self.policy.progressed()
            self.policy.hold(began)

    def _failed(self, fault: Fault, well: bool) -> None:
        if fault.known is RequestOutcome.FINAL:
            raise fault
        if well:
            self.policy.progressed()
        if fault.retry_after is None:
            fault.retry_after = self._said.wait
        self.policy.failed(fault)

    def _poll(self) -> None:
        """One long-poll: data, or 204 when none came."""
        wanted = {"offset": self.output.offset, "cursor": self.cursor}
        with self.client.read(live=LiveMode.LONG_POLL.value, **wanted) as answer:
            self._next_cursor(answer.get(names.CURSOR))
            if answer.status != 204:
                pour(answer, self.output)
                return
            offset = answer.get(names.NEXT_OFFSET) or self.output.offset
            self.output.restart()
            closed = answer.flag(names.CLOSED)
            self.output.stand(offset, up_to_date=True, closed=closed)

    def _listen(self) -> None:
        """One SSE connection, from its first event to its end."""
        wanted = {"offset": self.output.offset, "cursor": self.cursor}
        with self.client.read(live=LiveMode.SSE.value, **wanted) as answer:
            if names.media_type(answer.get("Content-Type")) != "text/event-stream":
                self.policy.tell(
                    "no event stream is served here; going on by long-poll"
                )
                self.mode = LiveMode.LONG_POLL
                return
            self.output.restart()
            self._hear(answer, answer.get(names.SSE_ENCODING) == names.SSE_BASE64)
            if not self._said.stood:
                raise lost(MUTE)

    def _hear(self, answer: ServerAnswer, coded: bool) -> None:
        """Every event, until the connection ends or the stream is closed."""
        events = SseParser()
        for piece in answer.pieces():
            for event in events.feed(piece):
                self._take(event, coded)
                if self.output.closed:
                    return
            self._said.wait = events.retry

    def _take(self, event: SseEvent, coded: bool) -> None:
        """One event; types that the protocol does not name mean nothing."""
        if event.type == "data":
            with self.output.body() as out:
                out(_decoded(event.data) if coded else event.data)
        elif event.type == "control":
            self._said.stood = True
            self._control(event.data)

    def _control(self, data: bytes) -> None:
        said = _object(data)
        closed = said.get("streamClosed") is True
        self._next_cursor(said.get("streamCursor"))
        # Section 5.8: closed implies up to date.
        current = closed or said.get("upToDate") is True
        offset = said.get("streamNextOffset")
        self.output.stand(str(offset or ""), up_to_date=current, closed=closed)

    def _next_cursor(self, cursor: object) -> None:
        if isinstance(cursor, str) and cursor:
            self.cursor = self._said.cursor = cursor


_LIVE: dict[LiveMode, Callable[[StreamFollower], None]] = {
    LiveMode.SSE: StreamFollower._listen,
    LiveMode.LONG_POLL: StreamFollower._poll,
}


def _decoded(data: bytes) -> bytes:
    """Section 5.8: line ends go first, the rest is strict base64."""
    try:
        return base64.b64decode(data.translate(None, b"\r\n"), validate=True)
    except binascii.Error:
        raise Fault(Exit.FAILED, "a data event is not base64 as announced") from None


def _object(data: bytes) -> dict[str, object]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Fault(Exit.FAILED, "a control event is no JSON object")
    return said
