"""Farewell: what is owed to a client whose transport is closed already.

A plain socket leaves that to the system. A transport that encodes what it is given has
told its owner that bytes were taken, and holds some of them itself. ``edge.front.tls``
makes it.
"""

from collections.abc import Callable
from typing import Any

from edge.front.transport import PlainTransport

CLOSE_SECONDS = 10.0
"""How long what a closed transport has taken may need to go out."""


class Farewell:
    """What a closed transport owes its client, on its way out: a connection still, for
    the limit and for whoever drains the worker. Ends within ``CLOSE_SECONDS``."""

    __slots__ = ("_among", "_plain", "_timer", "_unsent")

    idle_since: float | None = None
    """See ``DrainableConnection``: it is never idle."""

    def __init__(self, plain: PlainTransport, unsent: bytes, among: set[Any]) -> None:
        self._plain = plain
        self._unsent = unsent
        self._among = among
        self._timer: Any = plain.loop.timer(CLOSE_SECONDS)

    def begin(self) -> None:
        """Send it as the client takes it."""
        self._among.add(self)
        self._timer.start(self.cut)
        self._plain.writing.start(self._writable)

    def dismiss(self) -> None:
        """See ``DrainableConnection``: not as long as it has something to say."""

    def cut(self) -> None:
        """End now."""
        self._end(self._plain.abort)

    def _writable(self) -> None:
        try:
            self._unsent = self._unsent[self._plain.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = b""
        if not self._unsent:
            self._end(self._plain.close)

    def _end(self, act: Callable[[], None]) -> None:
        self._timer.stop()
        self._timer.close()
        self._among.discard(self)
        act()
