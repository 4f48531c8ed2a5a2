"""Guard: a defect that meets one reader ends that reader, and nobody else.

Readers are served in passes: a crowd that is woken, a flight that lands, the
ticker's round. An exception out of one of them, a defect of this program or of a
front's sink, must not leave the others waiting. This is the live floor's
outermost guard: it counts, reports to gevent's hub (which prints the traceback,
as for any greenlet that fails, and takes no lock), and releases the reader.
"""

import sys
from collections.abc import Callable, Iterable
from typing import ParamSpec

import gevent

from edge.core.counters import Counters
from edge.core.errors import EdgeError
from edge.live.reader import Reader, State

P = ParamSpec("P")


class Guard:
    """Calls what serves readers."""

    __slots__ = ("_counters",)

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def serve(self, act: Callable[[Reader], None], reader: Reader) -> None:
        """Call ``act``; should it raise, the reader is ended with a 500."""
        try:
            act(reader)
        except Exception:
            self._report(reader)
            self.call(self._end, reader)

    def each(self, act: Callable[[Reader], None], readers: Iterable[Reader]) -> None:
        """``serve`` each of them."""
        for reader in readers:
            self.serve(act, reader)

    def call(self, act: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call ``act``; should it raise, that is counted and reported."""
        try:
            act(*args, **kwargs)
        except Exception:
            self._report(act)

    def _end(self, reader: Reader) -> None:
        if not reader.done:
            reader.move(State.DONE)
            self._counters.answers["error"] += 1
            reader.sink.abort(EdgeError("the edge could not serve this read"))

    def _report(self, where: object) -> None:
        self._counters.internal_errors += 1
        gevent.get_hub().handle_error(where, *sys.exc_info())
