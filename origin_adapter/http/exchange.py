"""A call to the origin for a greenlet that waits for it.

``HttpExchange`` is the receiver of one ``HttpCall``. It turns what it is told on the
event loop into what ``edge.core.ports.Exchange`` promises: a head that is waited for,
and a body that is read piece by piece. It reads ahead of its reader by RECEIVE_SIZE at
most; then the call pauses. A body of the request that comes in pieces is pulled in the
waiting greenlet, one piece at a time, each once the last one is out. An early answer
ends the pulling; it is noticed between two pieces, not while one is waited for.

It decides nothing about the wire: the machine is in ``call``.
"""

from collections import deque
from collections.abc import Callable, Iterator

import gevent
from gevent.event import Event

from edge.core.errors import EdgeError, OriginBodyCut
from edge.core.values import Framing, Headers, OriginAnswerHead
from origin_adapter.http.call import MAX_SENT, HttpCall
from origin_adapter.http.connection import RECEIVE_SIZE


class HttpExchange:
    """Implements ``edge.core.ports.Exchange`` and ``Receiver``; made by ``HttpOrigin``.

    ``on_sent`` is called once the whole request is on the wire.
    """

    def __init__(self, on_sent: Callable[[], None] | None) -> None:
        self._on_sent = on_sent
        self._call: HttpCall | None = None
        self._head: OriginAnswerHead | None = None
        self._pieces: deque[bytes] = deque()
        self._ahead = 0
        self._paused = False
        self._ended = False
        self._fault: EdgeError | None = None
        self._news = Event()

    # What the call tells. Nothing here switches.

    def sent(self) -> None:
        """See ``ports.Receiver``."""
        if self._on_sent is not None:
            self._on_sent()

    def head(self, head: OriginAnswerHead) -> None:
        """See ``ports.Receiver``."""
        self._head = head
        self._news.set()

    def data(self, piece: bytes) -> None:
        """See ``ports.Receiver``."""
        self._pieces.append(piece)
        self._ahead += len(piece)
        if self._ahead >= RECEIVE_SIZE and self._call is not None:
            self._paused = True
            self._call.pause()
        self._news.set()

    def ended(self) -> None:
        """See ``ports.Receiver``."""
        self._ended = True
        self._news.set()

    def failed(self, fault: EdgeError) -> None:
        """See ``ports.Receiver``."""
        self._fault = fault
        self._news.set()

    def drained(self) -> None:
        """The call has sent all that it was given."""
        self._news.set()

    # What the greenlet does.

    def begin(self, call: HttpCall, rest: Iterator[bytes]) -> None:
        """Start the call, send ``rest`` after what it has, and wait for the head.

        Raises the fault of the call, and what ``rest`` raises; the call is over then.
        """
        self._call = call
        try:
            call.start()
            self._deliver(call, rest)
            while self._head is None:
                self._raise_fault()
                self._wait()
        except BaseException:
            call.cancel()
            raise

    def _deliver(self, call: HttpCall, rest: Iterator[bytes]) -> None:
        moved = 0
        if not self._drained_by(call):
            return
        for piece in rest:
            call.write(piece)
            if not self._drained_by(call):
                return
            moved += len(piece)
            if moved >= MAX_SENT:
                # A client and an origin that are both fast must not hold the loop.
                moved = 0
                gevent.sleep(0)
        call.finish()

    def _drained_by(self, call: HttpCall) -> bool:
        """Wait until all that was given is out; False: the call wants no more."""
        while call.sending and not call.drained:
            self._wait()
        return call.sending

    def _wait(self) -> None:
        """Until something new was told."""
        self._news.wait()
        self._news.clear()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def read(self) -> bytes:
        """See ``ports.Exchange.read``."""
        while not self._pieces:
            if self._ended:
                return b""
            self._raise_fault()
            try:
                self._wait()
            except BaseException:
                self.close()
                raise
        piece = self._pieces.popleft()
        self._ahead -= len(piece)
        if self._paused and not self._pieces and self._call is not None:
            self._paused = False
            self._call.resume()
        return piece

    def close(self) -> None:
        """See ``ports.Exchange.close``."""
        if not (self._ended and not self._pieces) and self._fault is None:
            self._fault = OriginBodyCut("the exchange was given up by its reader")
        self._pieces.clear()
        self._ended = self._fault is None
        if self._call is not None:
            self._call.cancel()
        self._news.set()

    # The head, once there is one.

    @property
    def _told(self) -> OriginAnswerHead:
        assert self._head is not None
        return self._head

    @property
    def status(self) -> int:
        """The status of the final answer."""
        return self._told.status

    @property
    def headers(self) -> Headers:
        """The fields, without those that concern the connection alone."""
        return self._told.headers

    @property
    def framing(self) -> Framing:
        """How the end of the body is known."""
        return self._told.framing

    @property
    def content_length(self) -> int | None:
        """The declared length (of the representation, for HEAD and 304)."""
        return self._told.content_length

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        return f"<HttpExchange {self.status} {self.framing.value} {state}>"
