"""HeadTrust: which HEADs say anything of a GET (U12).

The edge asks by HEAD what a live reader must be told before it waits (L20). But that
reader asked by GET, and some origins want another credential for HEAD, or have none.
What a HEAD was worth is remembered on its key, and of a 404 on its route:

=================== =================== ============================================
heard               where               then
=================== =================== ============================================
HEAD 200            anywhere            HEAD tells
HEAD refused        anywhere            HEAD does not tell, for ``no_head_for`` s
HEAD 404            the route agrees,   it is believed
                    no GET brought data
HEAD 404            elsewhere           HEAD does not tell, until a GET has decided
GET 404 after that  the HEAD was a 404  HEAD tells; from now on the route agrees
GET 2xx after that  the HEAD was a 404  HEAD does not tell, for ``no_head_for`` s;
                                        the route agrees no longer
=================== =================== ============================================

A keeper tells its fronts that HEAD does not tell, and asks no more for them (W9). A new
incarnation takes back what a 404 has left on the key (``registry.renew``): a stream
that was created after the HEAD does not contradict it. A client's own HEADs count like
the edge's. ``fetch_results`` calls this; it never asks and never switches.
"""

from edge.live.context import HubContext
from edge.live.rows import Stream

REFUSALS = frozenset({401, 403, 405, 501})
"""Statuses that may be about the HEAD alone, and not about the stream."""


class HeadTrust:
    """What is remembered of the HEADs of one hub."""

    def __init__(self, context: HubContext) -> None:
        self._clock = context.clock
        self._no_head_for = context.options.no_head_for
        # Routes where a GET has agreed with a HEAD's 404.
        self._agreed: set[str] = set()

    def told(self, stream: Stream) -> None:
        """A HEAD described the stream."""
        stream.head_missed = False
        stream.no_head_until = 0.0

    def told_nothing(self, stream: Stream) -> None:
        """A HEAD was answered by nothing that describes a stream."""
        stream.head_missed = False
        stream.no_head_until = self._clock.monotonic() + self._no_head_for

    def refused(self, stream: Stream, status: int) -> bool:
        """A HEAD was answered with this error. Returns whether a GET has to decide."""
        if status in REFUSALS:
            self.told_nothing(stream)
        elif status == 404:
            return self._missed(stream)
        return status in REFUSALS

    def _missed(self, stream: Stream) -> bool:
        """The same for a 404."""
        log = stream.log
        believed = stream.route.match in self._agreed and not log.was_read
        if not believed:
            if log.was_read and stream.head_tells(self._clock.monotonic()):
                # What is held may be gone: a GET goes before its next byte (L6).
                log.tail.mark_unverified(self._clock.monotonic())
            self.told_nothing(stream)
        stream.head_missed = True
        return not believed

    def heard(self, stream: Stream, status: int) -> None:
        """A GET was answered with this status, and the last HEAD with 404."""
        if status == 404:
            self._agreed.add(stream.route.match)
            self.told(stream)
        elif 200 <= status < 300:
            self._agreed.discard(stream.route.match)
            self.told_nothing(stream)
