"""Fault proxy: what lies between an edge and its origin, and does not always hold.

It reads requests one by one, so that each can meet a fault of its own, drawn by seeded
dice: ``Weather`` says how often. It also stands for an origin that judges credentials:
subjects that are *refused*, or whatever else ``refuses`` says, get 403 from it. Answers
are passed on as they come; what is in them it never looks at.
"""

import asyncio
import enum
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

LIMIT = 1 << 18


class Fault(enum.Enum):
    """What may befall one request, or its answer."""

    REFUSED = "refused"  # the connection is reset instead of an answer
    REQUEST_CUT = "request-cut"  # the origin gets the beginning of the request
    PAGE = "page"  # another server answers 503, with a cookie
    MASKED = "masked"  # the origin does it, and another server answers 502
    DELAY = "delay"  # the answer comes late
    DRIBBLE = "dribble"  # it comes in small pieces
    CUT = "cut"  # it ends in the middle
    RESET = "reset"  # it is reset in the middle
    STALL = "stall"  # it stops in the middle, and is reset in the end


_BEFORE = frozenset({Fault.REFUSED, Fault.REQUEST_CUT, Fault.PAGE})
_ENDS_IT = frozenset({Fault.CUT, Fault.RESET, Fault.STALL})
_PLACES = (0, 1, 20, 120, 250, 300, 400, 700, 1_500, 5_000, 30_000)
"""After so many bytes of an answer; most heads have between 250 and 400."""

_PAGE = (
    b"HTTP/1.1 %b\r\nContent-Type: text/html\r\nSet-Cookie: lb=1\r\n"
    b"Content-Length: 12\r\nConnection: close\r\n\r\n<p>soon</p>\r\n"
)
_SUBJECT = re.compile(rb"\r\nauthorization: bearer (\w+)|[?&]token=(\w+)", re.I)
_PATH = re.compile(rb"\S+ ([^\s?]*)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass(slots=True)
class Weather:
    """How often faults come, and which. ``dark``: nothing is reached at all.

    ``met`` counts the faults that came, by their word.
    """

    dice: random.Random
    rate: float = 0.0
    dark: bool = False
    met: Counter[str] = field(default_factory=Counter)
    _deck: list[Fault] = field(default_factory=list)

    @property
    def counted(self) -> Counter[str]:
        """The faults that came, by the name under which a run counts them."""
        return Counter({f"fault {word}": times for word, times in self.met.items()})

    def draw(self) -> Fault | None:
        """What befalls the next request. Each fault comes once before any comes again,
        so that a short run meets all of them."""
        if self.dice.random() >= self.rate:
            return None
        if not self._deck:
            self._deck = self.dice.sample(list(Fault), len(Fault))
        fault = self._deck.pop()
        self.met[fault.value] += 1
        return fault


class _Over(Exception):
    """This connection has ended."""


class FaultProxy:
    """Listens on ``port`` before the origin at ``upstream``."""

    def __init__(self, upstream: int, weather: Weather) -> None:
        self.weather = weather
        self.refused: set[str] = set()
        self.refuses: Callable[[str, str], bool] = lambda subject, path: (
            subject.lower() in self.refused
        )
        self.port = 0
        self._upstream = upstream
        self._passages: set[_Passage] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the block runs."""
        server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, limit=LIMIT, backlog=1024
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            while self._passages:
                self.cut_all()
                await asyncio.sleep(0.01)
            await server.wait_closed()

    def cut_all(self) -> None:
        """Reset every connection that there is."""
        for passage in list(self._passages):
            passage.abort()

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.weather.dark:
            writer.transport.abort()
            return
        try:
            origin = await asyncio.open_connection(
                "127.0.0.1", self._upstream, limit=LIMIT
            )
        except OSError:
            writer.transport.abort()
            return
        passage = _Passage(self, (reader, writer), origin)
        self._passages.add(passage)
        try:
            await passage.run()
        finally:
            passage.abort()
            self._passages.discard(passage)


_Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Passage:
    """One connection of the edge, and its own one to the origin."""

    def __init__(self, proxy: FaultProxy, edge: _Side, origin: _Side) -> None:
        self._proxy = proxy
        self._dice = proxy.weather.dice
        self._from_edge, self._to_edge = edge
        self._from_origin, self._to_origin = origin
        self._fault: Fault | None = None
        self._left = 0

    def abort(self) -> None:
        for writer in (self._to_edge, self._to_origin):
            if writer.transport is not None:
                writer.transport.abort()

    async def run(self) -> None:
        tasks = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # Requests

    async def _up(self) -> None:
        with suppress(_Over, OSError, asyncio.IncompleteReadError):
            while True:
                head = await self._from_edge.readuntil(b"\r\n\r\n")
                body = b"".join([piece async for piece in self._body(head)])
                await self._meet(head, body)

    async def _body(self, head: bytes) -> AsyncIterator[bytes]:
        if found := _LENGTH.search(head):
            yield await self._from_edge.readexactly(int(found[1]))
        elif _CHUNKED.search(head):
            size = -1
            while size:
                line = await self._from_edge.readuntil(b"\r\n")
                size = int(line, 16)
                yield line + await self._from_edge.readexactly(size + 2)

    async def _meet(self, head: bytes, body: bytes) -> None:
        """Pass a request on, or let it meet its fault."""
        fault = self._proxy.weather.draw()
        if fault is Fault.REFUSED:
            raise _Over
        if self._is_refused(head) or fault is Fault.PAGE:
            busy = b"503 Service Unavailable"
            await self._answer(busy if fault is Fault.PAGE else b"403 Forbidden")
            await self._from_edge.read()
            raise _Over
        whole = head + body
        if fault is Fault.REQUEST_CUT:
            whole = whole[: self._dice.randrange(len(whole))]
        self._fault = None if fault in _BEFORE else fault
        self._left = self._dice.choice(_PLACES)
        self._to_origin.write(whole)
        await self._to_origin.drain()
        if fault is Fault.REQUEST_CUT:
            raise _Over

    def _is_refused(self, head: bytes) -> bool:
        found, path = _SUBJECT.search(head), _PATH.match(head)
        assert path is not None
        subject = (found[1] or found[2]).decode() if found else ""
        return self._proxy.refuses(subject, path[1].decode("latin-1"))

    async def _answer(self, status: bytes) -> None:
        """Answer in the origin's place, and say no more."""
        self._to_edge.write(_PAGE % status)
        await self._to_edge.drain()
        self._to_edge.write_eof()

    # Answers

    async def _down(self) -> None:
        with suppress(_Over, OSError):
            while data := await self._from_origin.read(LIMIT):
                await self._bring(data)

    async def _bring(self, data: bytes) -> None:
        fault = self._fault
        if fault is Fault.MASKED:
            await self._answer(b"502 Bad Gateway")
            await self._until_the_edge_leaves()
        if fault in _ENDS_IT and len(data) > self._left:
            await self._end(data[: self._left])
        if fault is Fault.DELAY:
            self._fault = None
            await asyncio.sleep(self._dice.uniform(0.05, 1.5))
        if fault is Fault.DRIBBLE:
            data = await self._dribble(data)
        self._left -= len(data)
        self._to_edge.write(data)
        await self._to_edge.drain()

    async def _dribble(self, data: bytes) -> bytes:
        """Bring the beginning in small pieces; what is left."""
        size = self._dice.choice((1, 7, 100, 1_000))
        for _ in range(40):
            self._to_edge.write(data[:size])
            await self._to_edge.drain()
            await asyncio.sleep(0.002)
            data = data[size:]
        return data

    async def _end(self, data: bytes) -> None:
        """Bring the last of it: FIN, or a reset at once or after a while."""
        self._to_edge.write(data)
        if self._fault is not Fault.RESET:
            await self._to_edge.drain()
        if self._fault is Fault.CUT:
            self._to_edge.write_eof()
            await self._until_the_edge_leaves()
        elif self._fault is Fault.STALL:
            await asyncio.sleep(self._dice.uniform(1.0, 5.0))
        raise _Over

    async def _until_the_edge_leaves(self) -> None:
        """What waits for its next request ends then, and both with it."""
        await asyncio.Event().wait()
