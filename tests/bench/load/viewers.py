"""Viewers, each of one stream: by event stream, or by long-polls.

Servers send each of them other bytes, so nothing can be recognised as in the crowd of
``ds-edge bench fanout``. What a viewer does with them is little: marks are searched for
in what is whole. Where to read on is looked up only when a connection ends (SSE), or in
an answer's head (long-poll).

A viewer that is refused, or whose connection breaks, comes back after ``PAUSE``, and so
does one whose event stream ended at once. As clients do, it waits twice as long each
time, until it is served. What happens is counted in ``Tally``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.cli.bench.framing import (
    CHUNKED,
    AnswerEnd,
    AnswerFraming,
    AnswerHead,
    head_of,
    whole,
)
from tests.bench.load.events import EventText, Journal, Wrong
from tests.bench.load.kept import request
from tests.bench.load.loop import Address, Loop, send
from tests.bench.load.sse_text import EventStreamText

PAUSE, MAX_PAUSE = 0.5, 8.0
SHORT = 1.0
"""Seconds below which an event stream was refused: so ends a server what it cannot
follow, and so do clients take it."""
_BLANK = b"\r\n\r\n"


@dataclass(slots=True)
class Tally:
    """What happened besides deliveries. ``refused`` by status."""

    broken: int = 0
    ended: int = 0
    """Event streams and connections that the server ended properly."""
    short: int = 0
    """Event streams that it ended at once."""
    refused: dict[int, int] = field(default_factory=dict)


class Audience:
    """What all viewers of a run share, and those that are to come back."""

    def __init__(
        self, loop: Loop, at: Address, host: str, text: EventText, journal: Journal
    ) -> None:
        self.loop, self.at, self.host = loop, at, host
        self.text, self.journal = text, journal
        self.tally = Tally()
        self.reached: Callable[[int], None] | None = None
        """Told of each stream of which a viewer has something new."""
        self._later: list[tuple[float, Viewer]] = []

    def later(self, viewer: "Viewer", at: float) -> None:
        """Have it connect again, not before ``at``."""
        self._later.append((at, viewer))

    def look(self, now: float) -> None:
        """Connect those whose time has come. Raises OSError."""
        if self._later:
            due = [viewer for at, viewer in self._later if at <= now]
            self._later = [one for one in self._later if one[0] > now]
            for viewer in due:
                viewer.connect()


class Viewer:
    """One viewer. ``expects``: the number of the event that it waits for."""

    __slots__ = (
        "_audience",
        "_known",
        "_number",
        "_pause",
        "expects",
        "here",
        "offset",
        "path",
        "stream",
    )

    def __init__(self, audience: Audience, stream: int, path: str, offset: str) -> None:
        self._audience = audience
        self._known = 0
        self._number = -1
        self._pause = PAUSE
        self.stream, self.path, self.offset = stream, path, offset
        self.expects = 0
        self.here = False
        """Whether the server has answered it, or is not going to before an event."""

    def connect(self) -> None:
        """Connect, and ask."""
        self._number = self._audience.loop.connect(self._audience.at, self._heard)
        self._ask()

    def _ask(self) -> None:
        raise NotImplementedError

    def _take(self, data: bytes, now: float) -> None:
        raise NotImplementedError

    def _heard(self, data: bytes, now: float) -> None:
        if data:
            self._take(data, now)
        else:
            self._audience.tally.broken += 1
            self._retry()

    def _retry(self) -> None:
        """Come back, later each time."""
        self._come_back(self._pause)
        self._pause = min(2 * self._pause, MAX_PAUSE)

    def _come_back(self, after: float) -> None:
        self._audience.loop.drop(self._number)
        self._known = self.expects
        self._audience.later(self, time.monotonic() + after)

    def _refused(self, status: int) -> None:
        refused = self._audience.tally.refused
        refused[status] = refused.get(status, 0) + 1
        if status < 500 and status != 429:
            raise Wrong(f"a viewer of {self.path} was answered {status}")
        self._retry()

    def _received(self, text: bytes, now: float) -> None:
        found = self._audience.text.found(text)
        if found:
            self._pause = PAUSE
            self.expects = self._audience.journal.came(
                self.stream, self.expects, self._known, found, now
            )
            if self._audience.reached is not None:
                self._audience.reached(self.stream)


class SseViewer(Viewer):
    """Follows by an event stream, which has to come in chunks."""

    __slots__ = ("_begun", "_held", "_read")

    def connect(self) -> None:
        self._read: EventStreamText | None = None
        self._held = b""
        self._begun = time.monotonic()
        super().connect()

    def _ask(self) -> None:
        path = f"{self.path}?offset={self.offset}&live=sse"
        fields = "Accept: text/event-stream"
        send(self._number, request("GET", self._audience.host, path, b"", fields))

    def _take(self, data: bytes, now: float) -> None:
        if self._read is None:
            data = self._held = self._held + data
            end = data.find(_BLANK) + len(_BLANK)
            if end < len(_BLANK) or not self._head(head_of(data[:end])):
                return
            self._read = EventStreamText()
            data = data[end:]
        if text := self._read.feed(data):
            self._received(text, now)
        if self._read.over:
            self._over(now)

    def _head(self, head: AnswerHead) -> bool:
        """Whether an event stream begins."""
        if head.status != 200:
            self._refused(head.status)
            return False
        if head.length != CHUNKED or not head.events:
            raise Wrong(f"{self.path}: no event stream in chunks")
        self.here = True
        return True

    def _over(self, now: float) -> None:
        """The server ended it: read on from its last control event."""
        short = now - self._begun < SHORT
        self._audience.tally.short += short
        self._audience.tally.ended += not short
        if short:
            self._retry()
        else:
            self._come_back(0.0)

    def _come_back(self, after: float) -> None:
        if self._read is not None:
            self.offset = self._read.offset or self.offset
        super()._come_back(after)


class PollViewer(Viewer):
    """Follows by long-polls, each asked as soon as the last one is answered."""

    __slots__ = ("_body", "_cursor", "_framing", "_head")

    def __init__(self, audience: Audience, stream: int, path: str, offset: str) -> None:
        super().__init__(audience, stream, path, offset)
        self._cursor = ""

    def connect(self) -> None:
        self._framing, self._body = AnswerFraming(), b""
        self._head: AnswerHead | None = None
        self.here = True
        super().connect()

    def _ask(self) -> None:
        path = f"{self.path}?offset={self.offset}&live=long-poll"
        path += f"&cursor={self._cursor}" if self._cursor else ""
        send(self._number, request("GET", self._audience.host, path))

    def _take(self, data: bytes, now: float) -> None:
        if self._framing.resting:
            found = whole(data)
            if found is not None:
                self._answered(*found, now)
                return
        for part in self._framing.feed(data):
            if isinstance(part, AnswerHead):
                self._head, self._body = part, b""
            elif isinstance(part, bytes):
                self._body += part
            elif isinstance(part, AnswerEnd) and self._head is not None:
                self._answered(self._head, self._body, now)

    def _answered(self, head: AnswerHead, body: bytes, now: float) -> None:
        if head.status >= 300:
            self._refused(head.status)
            return
        self._received(body, now)
        self.offset = head.offset.decode() or self.offset
        self._cursor = head.cursor.decode()
        if head.last:
            self._audience.tally.ended += 1
            self._come_back(0.0)
        else:
            self._ask()


VIEWERS: dict[str, type[Viewer]] = {"sse": SseViewer, "long-poll": PollViewer}
