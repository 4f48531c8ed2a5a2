"""PausingServer: one of gevent's servers that rests when it may not accept.

gevent's own would write a traceback each time, and count nothing. ``paused`` is what
every listener of a worker says of its pauses: it counts them, and logs the reason now
and then. ``edge.front.fast.listener`` accepts by itself, and rests in the same way.
"""

import logging
from typing import Any

from gevent.server import StreamServer

from edge.core.accepting import EXHAUSTED, AcceptPause
from edge.core.counters import Counters
from edge.core.reasons import Reason

_log = logging.getLogger("edge.front")


def paused(counters: Counters, address: object, reason: Reason, tell: bool) -> None:
    """A listener pauses. ``tell``: the log has not said so lately."""
    counters.accept_pauses += 1
    if tell:
        said = "%s accepts nothing for a moment, from time to time: %s"
        _log.warning(said, address, reason.value)


class PausingServer(StreamServer):
    """gevent's server, or what another one of its servers is besides."""

    counters: Counters
    _pause: AcceptPause | None = None

    def do_read(self) -> Any:
        """A connection, or None; see gevent."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
        self.stop_accepting()
        if self._pause is None:
            self._pause = AcceptPause(self.loop, self._accept_again)
        tell = self._pause.begin(self.loop.now())
        paused(self.counters, self.address, Reason.LIMIT_DESCRIPTORS, tell)
        return None

    def close(self) -> None:
        """See gevent."""
        if self._pause is not None:
            self._pause.end()
        super().close()

    def _accept_again(self) -> None:
        if self.started:
            self.start_accepting()
