"""Who uses the service: viewers, readers and a writer, each a thread of its own.

They do what careful clients do: keep ``Stream-Next-Offset``, ask again after a pause
whatever went wrong, and begin anew when the stream is gone. What they meet goes into
the tally. What nobody may ever meet ends them, and the story.

Messages are eight bytes, ``A000017;``: the life of the stream, and a number that only
one attempt to write has. Whoever reads keeps all bytes as parts, so that each of them
can be compared with the log of one life (``judge``).
"""

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.front.edge_process import Answered, Client
from tests.support.talk import ask
from tests.whole.outage.tally import Tally

PATH = "/v1/stream/outage"
BEGIN = "-1"
LAST = 999_999
THERE = ("calm", "back", "made again")
"""Phases in which writes are acknowledged and nothing takes them away."""

BROKEN = (OSError, ValueError)
"""How a connection ends that was refused or cut."""


def message(life: str, number: int) -> bytes:
    return f"{life}{number:06d};".encode()


@dataclass
class Part:
    """Bytes that were read without a break, from this place of the log on."""

    place: int
    data: bytes = b""

    @property
    def life(self) -> str:
        return self.data[:1].decode()

    @property
    def end(self) -> int:
        return self.place + len(self.data)


def judge(parts: list[Part], logs: dict[str, bytes]) -> list[str]:
    """What is wrong with what one client read; ``logs`` are the origin's, by life."""
    wrong = []
    read = [part for part in parts if part.data]
    for part in read:
        log = logs.get(part.life, b"")
        if log[part.place : part.place + len(part.data)] != part.data:
            wrong.append(f"no bytes of the log at {part.place}: {part.data!r}")
    lives = [part.life for part in read]
    if lives != sorted(lives):
        wrong.append(f"a life came back: {lives}")
    return wrong


class Asking(threading.Thread):
    """Asks again and again, until it has all that it wants or is told to ``stop``.

    ``kind`` names it in the tally. ``pace``: seconds before it asks again, where the
    protocol does not say "at once".
    """

    kind = ""

    def __init__(self, tally: Tally, number: int, pace: float) -> None:
        super().__init__(daemon=True)
        self.tally = tally
        self.number = number
        self.pace = pace
        self.stop = threading.Event()

    def run(self) -> None:
        try:
            while not self.stop.is_set() and not self.over():
                if not self.ask():
                    self.stop.wait(self.pace)
        except AssertionError as error:
            self.tally.blame(f"{self.kind} {self.number}: {error!r}")
        self.part()

    def part(self) -> None:
        """Leave the connection, if there is one."""

    def over(self) -> bool:
        """Whether it has all that it wants."""
        return False

    def ask(self) -> bool:
        """Ask once; whether to ask again at once. AssertionError: that may not be."""
        raise NotImplementedError

    def met(self, what: str, age: int | None = None) -> None:
        self.tally.note(self.kind, what, age)

    def has(self, what: str) -> None:
        """It has now what it wants: ``bytes``, to know that the stream is ``gone``."""
        self.tally.note_first(f"{self.kind} {what}", self.number)


class Viewer(Asking):
    """Follows a PoP by long-poll or SSE, from an offset at this place on."""

    path = PATH

    def __init__(
        self,
        tally: Tally,
        number: int,
        pace: float,
        base: str,
        mode: str,
        offset: str,
        place: int,
    ) -> None:
        super().__init__(tally, number, pace)
        self.kind = mode
        parts = urlsplit(base)
        self._address = (parts.hostname, parts.port)
        self._offset = offset
        self._client: Client | None = None
        self.parts = [Part(place)]

    def over(self) -> bool:
        return self.parts[-1].data.endswith(message("", LAST))

    def ask(self) -> bool:
        try:
            if self._client is None:
                self._client = Client(self._address)
            self._client.get(f"{self.path}?offset={self._offset}&live={self.kind}")
            if self.kind == "sse":
                return self._take_events(self._client)
            return self._take_answer(self._client.read())
        except BROKEN:
            self.met("cut")
            self.part()
            return False

    def part(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _take_answer(self, answered: Answered) -> bool:
        if not answered.complete:
            raise ConnectionError("cut in the middle")
        if not self._judge_head(answered):
            return False
        return self._go_on(answered["stream-next-offset"], answered.body)

    def _judge_head(self, answered: Answered) -> bool:
        """Whether the answer is the stream's. If that is gone, begin anew."""
        self.met(str(answered.status))
        if answered.all("connection") == ["close"]:
            self.part()
        if answered.status in (200, 204):
            return True
        assert answered.status in (404, 410) or answered.status >= 500, answered
        if answered.status < 500:
            self._begin_anew()
        return False

    def _take_events(self, client: Client) -> bool:
        head = client.head()
        if not self._judge_head(head):
            self.part()
            return False
        frames = Frames(self._go_on)
        while (chunk := client.chunk()) != b"":
            if chunk is None:
                raise ConnectionError("cut in the middle")
            if not frames.take(chunk) or self.over():
                self.part()
                return True
        assert frames.is_whole, "it ended without a control event"
        self.met("end")
        return True

    def _go_on(self, offset: str, data: bytes) -> bool:
        """Take what an answer or an event gave; False: it led back."""
        if offset < self._offset:
            self.met("led back")
            self._begin_anew()
            return False
        moves = offset > self._offset and self._offset != BEGIN
        assert bool(data) or not moves, (self._offset, offset)
        assert offset > self._offset or not data, (offset, data)
        self._offset = offset
        if data:
            self.met("event")
            self.parts[-1].data += data
            self.has("bytes")
        return True

    def _begin_anew(self) -> None:
        self._offset = BEGIN
        self.parts.append(Part(0))
        self.has("gone")


@dataclass
class Frames:
    """An event stream's frames: each control event is given with the data before it,
    until ``give`` says that this leads nowhere."""

    give: Callable[[str, bytes], bool]
    _text: bytes = b""
    _data: bytes = b""

    @property
    def is_whole(self) -> bool:
        return not self._text and not self._data

    def take(self, chunk: bytes) -> bool:
        """Give what is whole; whether to go on."""
        *frames, self._text = (self._text + chunk).split(b"\n\n")
        for frame in frames:
            name, _, rest = frame.partition(b"\n")
            data = b"\n".join(line[5:] for line in rest.split(b"\n"))
            if name == b"event: data":
                self._data += data
            elif name == b"event: control":
                given, self._data = self._data, b""
                if not self.give(json.loads(data)["streamNextOffset"], given):
                    return False
        return True


class Reader(Asking):
    """Reads everything from a PoP, again and again. ``parts`` are different answers.

    While the origin is there (``THERE``), an answer holds what was acknowledged through
    the same PoP before it was asked for, stale or not.
    """

    kind = "catch-up"

    def __init__(
        self, tally: Tally, number: int, pace: float, base: str, writer: "Writer"
    ) -> None:
        super().__init__(tally, number, pace)
        self._base = base
        self._url = f"{base}{PATH}?offset={BEGIN}"
        self._writer = writer
        self.parts: list[Part] = []

    def ask(self) -> bool:
        phase, last = self.tally.phases[-1], self._writer.last.get(self._base, b"")
        try:
            status, fields, body = ask(self._url, connection="close")
        except BROKEN:
            self.met("cut")
            return False
        stale = fields.get("cache-status", "").endswith("detail=stale")
        claims = "stream-up-to-date" in fields
        if stale:
            assert status == 200 and not claims, fields
            assert fields["cache-control"] == "no-store", fields
            self.met("200 stale", int(fields["age"]))
        else:
            self.met(str(status))
        if status == 200:
            there = phase.name in THERE and phase is self.tally.phases[-1]
            assert not there or last in body, f"{last!r} is not there: {fields}"
            if not self.parts or self.parts[-1].data != body:
                self.parts.append(Part(0, body))
            if claims and body:
                self.has(f"fresh {body[:1].decode()}")
        elif status == 404:
            self.has("gone")
        return False


class Writer(Asking):
    """Writes through the PoPs in turn, one number for each attempt; none is repeated.

    ``acknowledged`` are those of which it was told so, by life; ``last`` is the last of
    them by PoP, in this life. ``turn`` is held while it writes.
    """

    kind = "writer"

    def __init__(
        self, tally: Tally, number: int, pace: float, bases: tuple[str, ...]
    ) -> None:
        super().__init__(tally, number, pace)
        self._bases = itertools.cycle(bases)
        self._numbers = itertools.count(1)
        self.life = "A"
        self.acknowledged: dict[str, list[int]] = {}
        self.last: dict[str, bytes] = {}
        self.turn = threading.Lock()

    def ask(self) -> bool:
        with self.turn:
            self.write(next(self._numbers))
        return False

    def write(self, number: int) -> bool:
        """Whether it was acknowledged."""
        base, life = next(self._bases), self.life
        data = message(life, number)
        try:
            status = ask(f"{base}{PATH}", "POST", data, content_type="text/plain")[0]
        except BROKEN:
            self.met("cut")
            return False
        self.met(str(status))
        assert status < 300 or status == 404 or status >= 500, status
        if status < 300:
            self.acknowledged.setdefault(life, []).append(number)
            self.last[base] = data
            self.has("acknowledged")
        return status < 300

    def missing(self, logs: dict[str, bytes]) -> list[str]:
        """What was acknowledged and is not in the log."""
        return [
            f"acknowledged and lost: {message(life, number)!r}"
            for life, numbers in self.acknowledged.items()
            for number in numbers
            if message(life, number) not in logs[life]
        ]
