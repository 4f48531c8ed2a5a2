"""An origin that does what a test says, call by call.

The code under test calls ``open`` and waits. The test takes the call with ``expect()``
and plays its answer. Calls are handed out in the order in which they were made. Nothing
times out by itself. If the test waits too long, it fails, and the message says what was
asked so far.
"""

from collections import deque
from collections.abc import Callable, Iterable

from gevent.event import Event

from edge.core.errors import OriginBodyCut, OriginFault, OriginUnreachable
from edge.core.ports import Exchange
from edge.core.values import (
    DIRECT,
    Framing,
    Header,
    OriginAnswer,
    OriginRequest,
    Provenance,
    Purpose,
)
from edge.protocol.http_grammar import BODILESS_STATUSES
from origin_adapter.blocking import BeginsByOpen, body_of
from origin_adapter.scripted.played import PlayedExchange


class Call:
    """One upstream call that waits for its answer.

    ``request`` is what was asked, ``body`` the request's body. ``closed`` is set when
    the caller gave up: it closed the exchange, or was killed before the head came.
    """

    def __init__(self, request: OriginRequest, body: bytes) -> None:
        self.request = request
        self.body = body
        self.closed = Event()
        self._exchange: PlayedExchange | None = None
        self._fault: OriginFault | None = None
        self._decided = Event()

    # What the test says.

    def reply(self, answer: OriginAnswer) -> None:
        """Answer whole, with one of the builders of ``scripted.answers``."""
        self.answer(
            answer.status,
            answer.headers,
            answer.body,
            framing=answer.framing,
            provenance=answer.provenance,
        )

    def answer(
        self,
        status: int,
        headers: Iterable[Header] = (),
        body: bytes = b"",
        *,
        framing: Framing = Framing.LENGTH,
        provenance: Provenance = DIRECT,
    ) -> None:
        """Answer whole: head, body, end."""
        length = len(body) if framing is Framing.LENGTH else None
        self.head(
            status,
            headers,
            framing=framing,
            content_length=length,
            provenance=provenance,
        )
        if body:
            self.piece(body)
        self.end()

    def head(
        self,
        status: int,
        headers: Iterable[Header] = (),
        *,
        framing: Framing = Framing.CHUNKED,
        content_length: int | None = None,
        provenance: Provenance = DIRECT,
    ) -> None:
        """Answer the head only. Names are put into lower case."""
        assert self._exchange is None, f"{self!r} has its head already"
        if self.request.method == "HEAD" or status in BODILESS_STATUSES:
            framing, content_length = Framing.NONE, None
        fields = tuple((name.lower(), value) for name, value in headers)
        exchange = PlayedExchange(status, fields, framing, content_length, provenance)
        exchange.closed = self.closed
        self._exchange = exchange
        self._decided.set()

    def piece(self, data: bytes) -> None:
        """Send more of the body."""
        self._played().put(data)

    def end(self) -> None:
        """The body ends as its framing says."""
        self._played().end()

    def fail(self, fault: OriginFault) -> None:
        """Fail: ``open`` raises ``fault``; after the head, ``read`` does."""
        if self._exchange is not None:
            self._exchange.end(fault)
        else:
            self._fault = fault
            self._decided.set()

    def cut(self) -> None:
        """The connection dies: before the head, or within the body."""
        if self._exchange is None:
            self.fail(OriginUnreachable("the script cut the connection"))
        else:
            self.fail(OriginBodyCut("the script cut the body"))

    def _played(self) -> PlayedExchange:
        assert self._exchange is not None, f"{self!r} has no head yet"
        return self._exchange

    # What the code under test calls.

    def await_head(self) -> Exchange:
        """Block until the test says what the head is."""
        try:
            self._decided.wait()
        except BaseException:
            self.closed.set()
            raise
        if self._fault is not None:
            raise self._fault
        return self._played()

    def __repr__(self) -> str:
        request = self.request
        return f"<Call {request.purpose.value} {request.method} {request.target}>"


class ScriptedOrigin(BeginsByOpen):
    """Implements ``edge.core.ports.Origin``; see the module.

    ``calls`` are all requests so far, in order.
    """

    def __init__(self, patience: float = 5.0) -> None:
        self.calls: list[OriginRequest] = []
        self._patience = patience
        self._waiting: deque[Call] = deque()
        self._called = Event()

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``. The request is sent at once and whole."""
        self.calls.append(request)
        call = Call(request, body_of(request))
        if on_sent is not None:
            on_sent()
        self._waiting.append(call)
        self._called.set()
        return call.await_head()

    def expect(self, purpose: Purpose | None = None) -> Call:
        """The next call, waiting for it if need be; fails when none comes.

        With ``purpose`` the next call must be of that purpose.
        """
        while not self._waiting:
            self._called.clear()
            assert self._called.wait(self._patience), f"no call came; {self!r}"
        call = self._waiting.popleft()
        assert purpose in (None, call.request.purpose), f"{call!r} came instead"
        return call

    def assert_quiet(self) -> None:
        """Fail if a call waits to be taken (calls that were given up do not count)."""
        waiting = [call for call in self._waiting if not call.closed.is_set()]
        assert not waiting, f"unexpected: {waiting!r}"

    def targets(self) -> list[str]:
        """The requests so far, as ``METHOD target``."""
        return [f"{call.method} {call.target}" for call in self.calls]

    def __repr__(self) -> str:
        return f"<ScriptedOrigin [{', '.join(self.targets())}]>"
