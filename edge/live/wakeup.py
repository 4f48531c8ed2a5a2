"""Wakeup: everybody parked at a stream is decided again when something is new.

One pass goes through all of them, in the order in which they parked, and lets the
event loop have its turn every few hundred. Bytes and cursor are made once for those
who are alike (``edge.live.batch``, L22).

Who is served early in a long pass asks again while others still wait, and its new
poll would be parked at once. So whoever is served in one is not read until all have
been (``pause_reads`` in ``edge.core.ports.Sink``): otherwise the last of 5,000 waited
for its own bytes and for 4,000 polls.

What is not promised: the order in which a crowd is served, and that a viewer is
woken once per event (it may find two at once).
"""

from collections.abc import Callable, Iterator

import gevent

from edge.core.counters import Counters
from edge.live.batch import Batch
from edge.live.delivery import Delivery
from edge.live.guard import Guard
from edge.live.reader import Reader, State
from edge.live.stream import Stream

AT_ONCE = 256
"""Viewers served before the event loop gets its turn."""

_PARKED = State.PARKED
_DONE = State.DONE


class Wakeup:
    """Wakes crowds. ``advance`` decides one viewer, ``park`` lets one wait on."""

    def __init__(
        self,
        counters: Counters,
        delivery: Delivery,
        guard: Guard,
        advance: Callable[[Reader], None],
        park: Callable[[Reader, str], None],
    ) -> None:
        self._counters = counters
        self._delivery = delivery
        self._guard = guard
        self._advance = advance
        self._park = park

    def wake(self, stream: Stream) -> None:
        """Decide all parked viewers of a stream again, in a greenlet of its own.

        1: a pass runs and yields; 2: the log grows again; 3: the pass goes on.
        Who was served before 2 has parked again, so 2 asks for another pass
        (``waking`` is set anew) and the running one begins it when it ends.
        """
        if not stream.parked:
            return
        if stream.waking is None:
            stream.waking = False
            gevent.spawn(self._wake, stream)
        else:
            stream.waking = True

    def _wake(self, stream: Stream) -> None:
        try:
            self._pass(stream)
            while stream.waking:
                stream.waking = False
                self._pass(stream)
        finally:
            stream.waking = None

    def _pass(self, stream: Stream) -> None:
        readers = list(stream.parked)
        self._counters.wakeups += 1
        self._delivery.mint_for_all(readers)
        pause_reads = len(readers) > AT_ONCE
        crowd = Batch(self._delivery, self._advance, self._park, pause_reads)
        try:
            for some in batches(readers):
                self._serve(crowd, some)
                crowd.forget()
        finally:
            if pause_reads:
                self._go_on(readers)

    def _serve(self, crowd: Batch, readers: list[Reader]) -> None:
        for reader in readers:
            if reader.state is _PARKED and not reader.full:
                self._guard.serve(crowd.serve, reader)

    def _go_on(self, readers: list[Reader]) -> None:
        """Let those be read again who were served."""
        for some in batches(readers):
            for reader in some:
                if reader.state is _DONE:
                    self._guard.call(reader.sink.resume)


def batches(readers: list[Reader]) -> Iterator[list[Reader]]:
    """All of them, some at a time; the event loop gets its turn in between."""
    for start in range(0, len(readers), AT_ONCE):
        if start:
            _let_others()
        yield readers[start : start + AT_ONCE]


def _let_others() -> None:
    """Go on when the event loop has looked at all sockets once.

    ``gevent.sleep(0)`` would not wait for that: gevent does up to fifty things that
    were put off before it looks at a socket again, so a pass over ten thousand
    would be one turn of the loop. A timer that is due at once comes with the
    sockets.
    """
    hub = gevent.get_hub()
    due = hub.loop.timer(0)
    try:
        hub.wait(due)
    finally:
        due.close()
