"""HttpOrigin: the origin over HTTP/1.1, its pools and what holds for all calls.

``begin`` makes a call that nobody waits for. The machine is in ``call``: it sends,
sends again where that does no harm, and tells the receiver.

``open`` makes the same call for a greenlet that waits. ``HttpExchange`` is its
receiver. It turns what it is told on the event loop into what
``edge.core.ports.Exchange`` promises: a head that is waited for, and a body that is
read piece by piece. It reads ahead of its reader by RECEIVE_SIZE at most; then the call
pauses. A body of the request that comes in pieces is pulled in the waiting greenlet,
one piece at a time, each once the last one is out. An early answer ends the pulling; it
is noticed between two pieces, not while one is waited for. On every way out, also when
the greenlet is killed, slot and connection go back.
"""

import ssl
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from socket import socket as Socket

import gevent
from gevent.event import Event
from gevent.hub import get_hub

from edge.core.errors import ClientFault, EdgeError, OriginBodyCut, OriginFault
from edge.core.ports import Exchange, Receiver, UpstreamCall
from edge.core.values import (
    Framing,
    Headers,
    OriginAnswerHead,
    OriginRequest,
    Purpose,
)
from origin_adapter.http.call import MAX_SENT, CallRules, HttpCall
from origin_adapter.http.connection import RECEIVE_SIZE
from origin_adapter.http.dialing import dial
from origin_adapter.http.options import HttpOptions, OriginAddress
from origin_adapter.http.pool import PoolCounts, Pools
from origin_adapter.http.request_encoder import EncodedRequest, Piece, checked_host
from origin_adapter.http.response_parser import HeadMemo, ResponseHeadReader
from origin_adapter.tls import client_context


class HttpOrigin:
    """Implements ``edge.core.ports.Origin`` over HTTP/1.1.

    Raises ValueError for a url that cannot be used. ``tls`` replaces the
    default context, which verifies the origin's certificate and name. ``hidden`` takes
    out of the fields of an answer what nobody is to be told of the origin. One object
    belongs to one process and its event loop: make it after the fork.
    """

    def __init__(
        self,
        options: HttpOptions,
        tls: ssl.SSLContext | None = None,
        hidden: Callable[[Headers], Headers] | None = None,
    ) -> None:
        self.counts = PoolCounts()
        self._options = options
        name = options.tls.server_name or ""
        self._address = replace(OriginAddress.parse(options.url), server_name=name)
        self._host = checked_host(options.host or self._address.authority)
        self._tls: ssl.SSLContext | None = None
        if self._address.tls:
            self._tls = tls or client_context(options.tls)
        self._pools = Pools(options, self._dial, self.counts)
        self._rules = {
            purpose: CallRules(
                self._pools.of(purpose),
                options.timeouts(purpose),
                partial(ResponseHeadReader, max_head=options.max_head, memo=HeadMemo()),
                hidden or _all,
                self._count,
            )
            for purpose in Purpose
        }

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``ports.Origin.begin``."""
        if request.body is not None and not isinstance(request.body, bytes):
            raise TypeError("a body that comes in pieces needs a greenlet: open")
        self.counts.requests += 1
        try:
            encoded = EncodedRequest.prepare(request, self._host, self._address.prefix)
        except ClientFault as fault:
            return _Refused(receiver, fault)
        call = HttpCall(self._rules[request.purpose], request.method, encoded, receiver)
        call.start()
        return call

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``.

        Also raises ClientFault, for a request that cannot be put on the wire.
        ``on_sent`` never switches greenlets: it is called on the event loop.
        """
        self.counts.requests += 1
        encoded = EncodedRequest.prepare(request, self._host, self._address.prefix)
        exchange = HttpExchange(on_sent)
        call = HttpCall(
            self._rules[request.purpose],
            request.method,
            encoded,
            exchange,
            exchange.drained,
        )
        exchange.begin(call, encoded.rest)
        return exchange

    def close_idle(self) -> None:
        """Close every connection over which nothing is under way: whoever listens
        there is about to end. Calls under way go on."""
        self._pools.close_idle()

    def close(self) -> None:
        """Close every connection. Calls under way fail, and new ones too."""
        self._pools.close()

    def _dial(self) -> Socket:
        return dial(self._address, self._options.connect_timeout, self._tls)

    def _count(self, fault: OriginFault, unsent: bool) -> None:
        """Count a fault, and have its cause tell the operator all: where, and what."""
        fault.unsent = unsent
        self.counts.faults[fault.reason] += 1
        if not fault.cause.startswith(self._address.place):
            told = (self._address.place, fault.detail, fault.cause)
            fault.cause = ": ".join(filter(None, told))

    def __repr__(self) -> str:
        return f"<HttpOrigin {self._options.url} [{self._pools!r}]>"


def _all(headers: Headers) -> Headers:
    """Nothing is hidden."""
    return headers


class _Refused:
    """Implements ``UpstreamCall`` for a request that cannot be put on the wire."""

    def __init__(self, receiver: Receiver, fault: ClientFault) -> None:
        self._telling = get_hub().loop.run_callback(receiver.failed, fault)

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._telling.stop()

    def pause(self) -> None:
        """There is nothing to pause."""

    def resume(self) -> None:
        """There is nothing to resume."""


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

    def begin(self, call: HttpCall, rest: Iterator[Piece]) -> None:
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
            self._give_up()
            raise

    def _deliver(self, call: HttpCall, rest: Iterator[Piece]) -> None:
        """Send the body, piece by piece, as long as the origin wants it."""
        moved = 0
        while self._drained_by(call):
            # Before the next one is sent, an answer may end the call's wish for it.
            piece = next(rest)
            call.write(piece.octets, last=piece.last)
            moved += len(piece.octets)
            if moved >= MAX_SENT:
                # A client and an origin that are both fast must not hold the loop.
                moved = 0
                gevent.sleep(0)

    def _drained_by(self, call: HttpCall) -> bool:
        """Wait until all that was given is out; False: the call wants no more."""
        while call.sending and not call.drained:
            self._wait()
        return call.drained

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
        self._give_up()
        self._news.set()

    def _give_up(self) -> None:
        # Each holds the other, and the call what was sent: they would be garbage that
        # only a collection finds.
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

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
