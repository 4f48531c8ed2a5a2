"""An Exchange whose body a player puts into it piece by piece.

The player (a test, or the living origin) puts pieces; the reader blocks on
``read`` as it would on a socket. The player never waits for the reader.
"""

from collections import deque

from gevent.event import Event

from edge.core.errors import OriginBodyCut, OriginFault
from edge.core.values import DIRECT, Framing, Headers, Provenance


class PlayedExchange:
    """Implements ``edge.core.ports.Exchange`` in memory.

    ``closed`` is set once the reader gave up by ``close()``, ``ended`` once the reader
    has seen the end or the fault.
    """

    def __init__(
        self,
        status: int,
        headers: Headers = (),
        framing: Framing = Framing.CHUNKED,
        content_length: int | None = None,
        provenance: Provenance = DIRECT,
    ) -> None:
        self.provenance = provenance
        self.status = status
        self.headers = headers
        self.framing = framing
        self.content_length = content_length
        self.closed = Event()
        self.ended = Event()
        self._pieces: deque[bytes] = deque()
        self._over = False
        self._complete = False
        self._fault: OriginFault | None = None
        self._changed = Event()

    def put(self, piece: bytes) -> None:
        """Give ``piece`` to the reader next. Empty pieces are dropped."""
        if piece:
            self._pieces.append(piece)
        self._changed.set()

    def end(self, fault: OriginFault | None = None) -> None:
        """Nothing more comes: the verified end, or ``fault`` instead."""
        if not self._over:
            self._over = True
            self._fault = fault
        self._changed.set()

    def read(self) -> bytes:
        """See ``ports.Exchange.read``."""
        while not self._pieces and not self._over and not self.closed.is_set():
            self._changed.clear()
            self._changed.wait()
        if self._pieces and not self.closed.is_set():
            return self._pieces.popleft()
        return self._finish()

    def _finish(self) -> bytes:
        if self._complete:
            return b""
        if self._fault is None and self.closed.is_set():
            self._fault = OriginBodyCut("the exchange was given up by its reader")
        self.ended.set()
        if self._fault is not None:
            raise self._fault
        self._complete = True
        return b""

    def close(self) -> None:
        """See ``ports.Exchange.close``."""
        self.closed.set()
        self._changed.set()

    def __repr__(self) -> str:
        return f"<PlayedExchange {self.status} {self.framing.value}>"
