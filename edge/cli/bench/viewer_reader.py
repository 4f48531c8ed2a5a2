"""One viewer of a stream: where it stands, and what it has received.

``ViewerReader`` turns a connection's bytes into markers of events and the position
to read on from. It is pure. ``Viewer`` is a viewer's data; ``crowd`` changes it.

Each append ends with a marker: its run and its number. An event counts when its last
byte is there, in whatever pieces it came. A long-poll's answer counts when it is
complete. An event of an event stream counts when its empty line is there (WHATWG HTML
section 9.2.6).
"""

import enum
import json
import re
import socket
from typing import NamedTuple

from edge.cli.bench.framing import AnswerFraming, AnswerHead, Part, whole
from edge.cli.streams.sse_events import SseParser

MAX_SHOWN = 16 * 1024
"""Bytes of a refusal's body that are kept."""


class ReadPosition(NamedTuple):
    """A viewer's position: what its next request asks for."""

    offset: bytes
    cursor: bytes


class Received(NamedTuple):
    """What some bytes brought: events, and whether an answer ended with them."""

    numbers: tuple[int, ...]
    place: ReadPosition | None
    """Where to read on; None: the server did not say."""
    status: int
    done: bool
    """Whether the answer is over, and the next may be asked for."""
    last: bool = False
    """Whether the connection is over with it."""
    closed: bool = False
    body: bytes = b""
    """What a refusal said."""


class ParserState(enum.Enum):
    """What a viewer is between. The same bytes mean the same to all in one state."""

    ANSWERS = "two answers"
    EVENTS = "two events of an event stream"


class EventMarkers:
    """The markers of one run: written into appends, found in what arrives."""

    def __init__(self, run: str) -> None:
        self._run = run.encode()
        self._pattern = re.compile(rb"<%s-(\d{7})>" % self._run)
        self.size = len(self.body(0, 0))

    def body(self, number: int, size: int) -> bytes:
        """The text of an event: dots, and its mark. At least as long as a mark."""
        mark = b"<%s-%07d>" % (self._run, number)
        return mark.rjust(size, b".")

    def found(self, text: bytes) -> tuple[int, ...]:
        """The numbers of all events in ``text``, in order."""
        return tuple(map(int, self._pattern.findall(text)))


class ViewerReader:
    """Reads one connection: bytes in, events out.

    ``state`` says between what it is, if nothing is half read. Two readers in the same
    state read the same out of the same bytes.
    """

    __slots__ = ("_body", "_cr", "_framing", "_head", "_markers", "_text")

    def __init__(self, markers: EventMarkers) -> None:
        self._markers = markers
        self._framing = AnswerFraming()
        self._head: AnswerHead | None = None
        self._body: list[bytes] = []
        self._text = b""
        self._cr = False
        """Whether the text so far ends in a CR: a LF behind it ends no other line."""

    @property
    def state(self) -> ParserState | None:
        """What the reader is between; None: something is half read."""
        if self._head is None:
            return ParserState.ANSWERS if self._framing.resting else None
        if self._text or self._cr or not self._framing.between_chunks:
            return None
        return ParserState.EVENTS if self._streams(self._head) else None

    def feed(self, data: bytes) -> list[Received]:
        """What ``data`` tells, in order. Raises BadAnswer."""
        if self._framing.resting:
            found = whole(data)
            if found is not None and not found[0].events:
                return [self._answered(*found)]
        return self._heard(self._framing.feed(data))

    def end(self) -> bool:
        """The connection ended: whether an answer ended properly with it."""
        return self._framing.end()

    def _heard(self, parts: list[Part]) -> list[Received]:
        received: list[Received] = []
        for part in parts:
            if isinstance(part, AnswerHead):
                self._head = part
            elif isinstance(part, bytes):
                self._body.append(part)
            else:
                received.append(self._ended())
        if self._head is not None and self._streams(self._head):
            received.append(self._events(self._head, done=False))
        return received

    @staticmethod
    def _streams(head: AnswerHead) -> bool:
        return head.events and head.status == 200

    def _ended(self) -> Received:
        head = self._head
        assert head is not None, "an end comes after its head"
        if self._streams(head):
            received = self._events(head, done=True)
        else:
            received = self._answered(head, b"".join(self._body))
        self._head, self._text, self._cr = None, b"", False
        self._body.clear()
        return received

    def _answered(self, head: AnswerHead, body: bytes) -> Received:
        place = ReadPosition(head.offset, head.cursor) if head.offset else None
        return Received(
            self._markers.found(body) if head.status == 200 else (),
            place,
            head.status,
            True,
            head.last,
            head.closed,
            body[:MAX_SHOWN] if head.status >= 300 else b"",
        )

    def _events(self, head: AnswerHead, done: bool) -> Received:
        """The events that are complete; what is not waits for more."""
        complete = self._complete()
        numbers: list[int] = []
        place, closed = None, False
        for event in SseParser().feed(complete):
            if event.type == "control":
                place, closed = _control(event.data)
            else:
                numbers += self._markers.found(event.data)
        return Received(tuple(numbers), place, head.status, done, head.last, closed)

    def _complete(self) -> bytes:
        """What is there of events that are complete, its lines ended by LF."""
        text = b"".join(self._body)
        self._body.clear()
        if text:
            text = text.removeprefix(b"\n" if self._cr else b"")
            self._cr = text.endswith(b"\r")
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        text = self._text + text
        end = text.rfind(b"\n\n") + 2
        complete, self._text = (text[:end], text[end:]) if end > 1 else (b"", text)
        return complete


def _control(data: bytes) -> tuple[ReadPosition | None, bool]:
    """Where a control event says to go on, and whether the stream is closed."""
    try:
        told = json.loads(data)
        offset, cursor = told["streamNextOffset"], told.get("streamCursor", "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, False
    place = ReadPosition(str(offset).encode(), str(cursor).encode())
    return place, told.get("streamClosed") is True


class ViewerStage(enum.Enum):
    """How far a viewer has come."""

    WAITING = "for its turn to connect"
    CONNECTING = "has no connection yet"
    CATCHING_UP = "asked for what is there"
    LIVE = "asked for what comes"


class Viewer:
    """Data of one viewer. The crowd changes it."""

    __slots__ = (
        "been_live",
        "expects",
        "own",
        "place",
        "reader",
        "socket",
        "stage",
        "state",
    )

    def __init__(
        self, markers: EventMarkers, place: ReadPosition, own: bytes = b""
    ) -> None:
        # The end of its heads: a field of its own, or nothing that others have not.
        self.own = own
        self.place = place
        self.expects = 0
        self.been_live = False
        self.stage = ViewerStage.WAITING
        self.socket: socket.socket
        self.renew(markers)

    def renew(self, markers: EventMarkers) -> None:
        """A new connection begins: nothing is half read."""
        self.stage = ViewerStage.WAITING
        self.reader = ViewerReader(markers)
        self.state: ParserState | None = ParserState.ANSWERS
