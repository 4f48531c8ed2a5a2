"""The built-in load generator of hits, for machines without wrk: one epoll.

Each connection asks again when its answer is complete. wrk needs less processor time
(half of it in one run, nine tenths in another), so a warning says that this client may
be the limit.
"""

import os
import select
import socket
import time
from array import array
from itertools import count

from edge.cli.bench.framing import (
    AnswerEnd,
    AnswerFraming,
    AnswerHead,
    BadAnswer,
    whole,
)
from edge.cli.bench.plan import HitsPlan
from edge.cli.bench.progress import Bar
from edge.cli.bench.quantiles import grid, summary
from edge.cli.bench.requests import target
from edge.cli.bench.results import LoadResult
from edge.cli.streams.exit_faults import Exit, Fault, wrong

NAME = "own"
PIECE = 256 * 1024
PAINTED_EVERY = 0.5
MAX_REMEMBERED = 64
"""Answers that are known by their bytes. Small answers come in one piece."""


class ClientConnection:
    """One connection, and the request that waits on it."""

    __slots__ = ("asked", "framing", "head", "socket")

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.framing = AnswerFraming()
        self.asked = 0.0
        self.head: AnswerHead


class BuiltinClient:
    """One run; ``load`` is None until something was measured."""

    def __init__(self, plan: HitsPlan, bar: Bar) -> None:
        self._plan = plan
        self._bar = bar
        self._target = target(plan.address, plan.fields)
        if self._target.tls_name is not None:
            raise wrong("--generator", "our own client speaks no TLS: HTTPS takes wrk")
        self._request = self._target.request("GET")
        self._numbers = count(100_000_000)
        self._epoll = select.epoll()
        self._connections: dict[int, ClientConnection] = {}
        self._known: dict[bytes, AnswerHead] = {}
        self._times = array("d")
        self._bytes = self._lost = self._refused = 0
        self._begun = self._cpu = 0.0

    def _next(self) -> bytes:
        """The next request, with its own header field if all are to differ."""
        if not self._plan.different_heads:
            return self._request
        return b"%sX-Browser: %d\r\n\r\n" % (self._request[:-2], next(self._numbers))

    def run(self) -> None:
        """All of it. Raises Fault."""
        try:
            for _ in range(self._plan.connections):
                self._connect()
            self._begun, self._cpu = time.monotonic(), time.process_time()
            for connection in self._connections.values():
                self._ask(connection)
            self._go_on(self._begun + self._plan.seconds)
        finally:
            for connection in self._connections.values():
                connection.socket.close()
            self._epoll.close()

    @property
    def load(self) -> LoadResult | None:
        """What was measured so far."""
        if not self._times:
            return None
        return LoadResult(
            generator=NAME,
            seconds=time.monotonic() - self._begun,
            requests=len(self._times),
            bytes=self._bytes,
            lost=self._lost,
            refused=self._refused,
            latency_ms=summary(self._times, 0.5, 0.9, 0.99, 0.999),
            latencies_ms=grid(self._times),
            cpu=time.process_time() - self._cpu,
        )

    def _connect(self) -> ClientConnection:
        try:
            made = socket.create_connection(self._target.at, 10.0)
        except OSError as error:
            why = error.strerror or "no connection in time"
            text = f"{self._plan.address.place}: {why}"
            raise Fault(Exit.UNREACHABLE, text) from None
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(False)
        connection = self._connections[made.fileno()] = ClientConnection(made)
        self._epoll.register(made.fileno(), select.EPOLLIN)
        return connection

    def _go_on(self, until: float) -> None:
        painted = 0.0
        while (now := time.monotonic()) < until:
            if now - painted > PAINTED_EVERY:
                self._bar.show("seconds", int(now - self._begun), self._plan.seconds)
                painted = now
            for descriptor, _ in self._epoll.poll(min(until - now, PAINTED_EVERY)):
                self._read(self._connections[descriptor])

    def _read(self, connection: ClientConnection) -> None:
        try:
            data = os.read(connection.socket.fileno(), PIECE)
        except OSError:
            data = b""
        now = time.monotonic()
        self._bytes += len(data)
        if not data:
            self._ended(connection, now)
            return
        try:
            self._take(connection, data, now)
        except BadAnswer as error:
            raise Fault(Exit.FAILED, f"no HTTP/1.1 answer: {error}") from None

    def _take(self, connection: ClientConnection, data: bytes, now: float) -> None:
        """Take bytes: mostly one whole answer that was seen before, else parts."""
        if connection.framing.resting:
            head = self._known.get(data) or self._study(data)
            if head is not None:
                self._answered(connection, now, head)
                return
        for part in connection.framing.feed(data):
            if isinstance(part, AnswerHead):
                connection.head = part
            elif isinstance(part, AnswerEnd):
                self._answered(connection, now, connection.head)

    def _study(self, data: bytes) -> AnswerHead | None:
        found = whole(data)
        if found is None:
            return None
        if len(self._known) < MAX_REMEMBERED:
            self._known[data] = found[0]
        return found[0]

    def _answered(
        self, connection: ClientConnection, now: float, head: AnswerHead
    ) -> None:
        self._times.append((now - connection.asked) * 1000)
        self._refused += not 200 <= head.status < 300
        if head.last:
            self._renew(connection)
        else:
            self._ask(connection)

    def _ended(self, connection: ClientConnection, now: float) -> None:
        """The server closed the connection: that may be how its answers end."""
        if connection.framing.end():
            self._answered(connection, now, connection.head._replace(last=True))
        else:
            self._lost += 1
            self._renew(connection)

    def _renew(self, connection: ClientConnection) -> None:
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
        self._ask(self._connect())

    def _ask(self, connection: ClientConnection) -> None:
        connection.asked = time.monotonic()
        try:
            os.write(connection.socket.fileno(), self._next())
        except (BrokenPipeError, ConnectionResetError):
            return  # reading tells
