"""The events of a run: their text, when each was sent, and whether each came. Pure.

An event is one JSON value, a text of dots that ends with a mark: its run, its stream
and its number. ``Journal`` is told of each append and of each reception. It refuses
what must not be: an event that is missing, that comes twice, or in another's place.
"""

import re
from array import array

Found = list[tuple[bytes, bytes]]
"""Stream and number of each event in a text, in order, as they stand there."""


class Wrong(Exception):
    """A server did not do what is measured; the text says what."""


class EventText:
    """Events of one size in bytes; ``Wrong`` if that holds no mark."""

    def __init__(self, run: str, size: int) -> None:
        self._run = run.encode("ascii")
        dots = size - len(self._mark(0, 0)) - 2
        if dots < 0:
            raise Wrong(f"an event has {len(self._mark(0, 0)) + 2} bytes at least")
        self._dots = b"." * dots
        self._pattern = re.compile(
            rb'"\.{%d}<%s-(\d{5})-(\d{7})>"' % (dots, re.escape(self._run))
        )

    def _mark(self, stream: int, number: int) -> bytes:
        return b"<%s-%05d-%07d>" % (self._run, stream, number)

    def body(self, stream: int, number: int) -> bytes:
        """The JSON value of an event."""
        return b'"%s%s"' % (self._dots, self._mark(stream, number))

    def found(self, text: bytes) -> Found:
        """All whole events in ``text``."""
        return self._pattern.findall(text)


class Journal:
    """When each event was sent, and how long each viewer waited for it.

    Event 0 of each stream is a warm-up: it must come, and its time does not count.
    Times in seconds. ``viewers``: of each stream.
    """

    def __init__(self, streams: int, viewers: int = 1) -> None:
        self.sent = [array("d") for _ in range(streams)]
        self.waited = array("d")
        self.receptions = 0
        """How many times something came; several events may come at once."""
        self.missing = 0
        """Events that were sent and have not come, for all viewers together."""
        self._viewers = viewers

    def begin(self, stream: int, now: float) -> int:
        """An append is sent now: its number."""
        times = self.sent[stream]
        times.append(now)
        self.missing += self._viewers
        return len(times) - 1

    def came(
        self, stream: int, expected: int, known: int, found: Found, now: float
    ) -> int:
        """Events of ``stream`` came to a viewer that waits for number ``expected``.

        Those below ``known`` may come again: its last connection broke before it was
        told an offset behind them. Returns the number to wait for next. Raises Wrong.
        """
        sent, self.receptions = self.sent[stream], self.receptions + 1
        for name, text in found:
            number = int(text)
            if number != expected or int(name) != stream:
                if int(name) == stream and number < min(known, expected):
                    continue
                raise Wrong(
                    f"stream {stream}: event {number} of stream {int(name)} came "
                    f"where {expected} was due"
                )
            if number:
                self.waited.append(now - sent[number])
            self.missing -= 1
            expected += 1
        return expected
