"""PausingServer: one of gevent's servers that rests when it may not accept.

gevent's own would write a traceback each time, and count nothing. ``paused`` is what
every listener of a worker says of its pauses: it counts them, and logs the reason now
and then. ``edge.front.fast.listener`` accepts by itself, and rests in the same way.
Both also let others accept, where there are others (W13).
"""

import logging
from collections.abc import Sized
from typing import Any

from gevent.server import StreamServer

from edge.core.accepting import EXHAUSTED, AcceptBalance, AcceptPause
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
    """gevent's server, or what another one of its servers is besides.

    ``balance`` is asked with the number of ``connections``; None: nobody else accepts.
    """

    counters: Counters
    balance: AcceptBalance | None = None
    connections: Sized = ()
    _pause: AcceptPause | None = None

    def do_read(self) -> Any:
        """A connection, or None; see gevent."""
        balance = self.balance
        if balance is not None and balance.must_pause(len(self.connections)):
            self._stopped().yield_to_others()
            return None
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
        tell = self._stopped().begin(self.loop.now())
        paused(self.counters, self.address, Reason.LIMIT_DESCRIPTORS, tell)
        return None

    def close(self) -> None:
        """See gevent."""
        if self._pause is not None:
            self._pause.end()
        super().close()

    def _stopped(self) -> AcceptPause:
        """Accepts no more; the pause that is to begin."""
        self.stop_accepting()
        if self._pause is None:
            self._pause = AcceptPause(self.loop, self._accept_again)
        return self._pause

    def _accept_again(self) -> None:
        if self.started:
            self.start_accepting()
