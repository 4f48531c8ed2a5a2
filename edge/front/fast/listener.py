"""Listener: accepts connections on the event loop, as many as may be served.

Past the limit a client hears why, and is not left waiting in the backlog. When
the process runs out of descriptors the listener pauses and that is counted: it
would be called again at once, for ever. An exception never ends it.
"""

import errno
import os
from collections.abc import Callable
from typing import Any

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.front.fast.connection import FastConnection
from edge.front.fast.context import FastContext, plain_socket

PAUSE = 0.1
"""Seconds without accepting, once descriptors or memory ran out."""

AT_ONCE = 256
"""Connections accepted before others get their turn."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ON_READ = 1


class Listener:
    """Accepts on a copy of a bound socket. ``connections`` are the worker's own."""

    def __init__(
        self,
        context: FastContext,
        bound: Any,
        connections: "set[FastConnection]",
        most_refused: int,
    ) -> None:
        self._context = context
        self._connections = connections
        self._refused: set[FastConnection] = set()
        self._most = context.limits.max_connections
        self._most_refused = most_refused
        descriptor = os.dup(bound.fileno())
        self._kind = (int(bound.family), int(bound.type), bound.proto)
        self._sock = plain_socket(*self._kind, descriptor)
        self._name = bound.getsockname()
        self._watcher = context.loop.io(descriptor, _ON_READ)
        self._timer = context.loop.timer(PAUSE)

    def start(self) -> None:
        """Begin to accept."""
        self._watcher.start(self._acceptable)

    def close(self) -> None:
        """Accept what waits in the backlog, then no more."""
        while self._watcher.active and self._acceptable():
            pass
        self._watcher.stop()
        self._watcher.close()
        self._timer.stop()
        self._timer.close()
        self._sock.close()

    def _acceptable(self) -> bool:
        """The watcher's callback. Whether more may wait in the backlog."""
        try:
            for _ in range(AT_ONCE):
                self._accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._pause()
            return False
        except Exception as error:
            # The outermost guard of accepting: counted, logged, and goes on.
            self._context.report(error)
            return False
        return True

    def _accept(self) -> None:
        if len(self._refused) >= self._most_refused:
            self._pause()
            raise BlockingIOError
        descriptor, _ = self._sock._accept()
        sock = plain_socket(*self._kind, descriptor)
        if len(self._connections) >= self._most:
            self._refuse(sock)
        else:
            self._admit(sock, self._connections)

    def _admit(self, sock: Any, among: "set[FastConnection]") -> FastConnection:
        ended: Callable[[FastConnection], None] = among.discard
        connection = FastConnection(self._context, sock, self._name, ended)
        among.add(connection)
        return connection

    def _refuse(self, sock: Any) -> None:
        reason = Reason.LIMIT_CONNECTIONS
        self._context.server_context.counters.refusals[reason.value] += 1
        detail = "This edge serves as many connections as it may."
        self._admit(sock, self._refused).refuse(Refusal(detail, reason=reason))

    def _pause(self) -> None:
        self._context.server_context.counters.accept_pauses += 1
        self._watcher.stop()
        self._timer.start(self._watcher.start, self._acceptable)
