"""The switch: a proxy before the origin that can be told to fail, in its own process.

    python -m tests.whole.outage.switch PORT ORIGIN_PORT

A line on standard input says what it is to do; one line of JSON answers each, with how
often it did what since it began: ``{"poll 200": 3, "write lost": 1}``.

======== =========================================================================
pass     requests go to the origin, one connection there for each one here
refuse   nobody listens, and connections that were open are reset
503      answered here, with a page and a cookie, as a load balancer does
counts   as it was
======== =========================================================================

A request is a ``poll``, ``read``, ``head`` or ``write``. It ends with a status, or
``lost``: the origin's connection or the edge's broke before the answer was whole. In
HTTP/1.1, one request after the other; it ends with its standard input.
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable

HOST = "127.0.0.1"
PAGE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
    b"Set-Cookie: lb=1\r\nContent-Length: 4\r\n\r\n"
)
BROKEN = (OSError, asyncio.IncompleteReadError)


class Head:
    """A request's or an answer's head, as it was on the wire."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        first, *lines = raw.decode("latin-1").lower().split("\r\n")
        self.first = first.split(" ")
        self._fields = dict(line.partition(":")[::2] for line in lines if line)

    def field(self, name: str) -> str:
        return self._fields.get(name, "").strip()

    @property
    def kind(self) -> str:
        """What a request is."""
        method, target = self.first[0], self.first[1]
        if method == "get":
            return "poll" if "live=" in target else "read"
        return "head" if method == "head" else "write"


async def relay_body(
    head: Head, source: asyncio.StreamReader, give: Callable[[bytes], None]
) -> None:
    """Give the body behind a head, as it comes."""
    if head.field("transfer-encoding") == "chunked":
        size = -1
        while size != 0:
            line = await source.readuntil(b"\r\n")
            size = int(line, 16)
            give(line + await source.readexactly(size + 2))
    elif length := int(head.field("content-length") or 0):
        give(await source.readexactly(length))


class Switch:
    """What it does now, and what it did."""

    def __init__(self, port: int, origin: int) -> None:
        self._port = port
        self._origin = origin
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._fails = False
        self.counts: Counter[str] = Counter()

    async def obey(self, order: str) -> None:
        """Do from now on what a line of standard input says."""
        if order in ("pass", "503"):
            self._fails = order == "503"
            await self._listen()
        elif order == "refuse":
            self._refuse()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self._port)

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.transport.abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._open.add(writer)
        line = Line(self, reader, writer)
        try:
            while True:
                await line.serve(Head(await reader.readuntil(b"\r\n\r\n")))
        except BROKEN:
            pass  # what was under way is counted
        finally:
            self._open.discard(writer)
            line.end()

    @property
    def fails(self) -> bool:
        return self._fails

    @property
    def origin(self) -> int:
        return self._origin


class Line:
    """One connection of the edge, and the one to the origin that belongs to it."""

    def __init__(
        self,
        switch: Switch,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._switch = switch
        self._reader = reader
        self._writer = writer
        self._answers: asyncio.StreamReader | None = None
        self._upstream: asyncio.StreamWriter | None = None

    async def serve(self, request: Head) -> None:
        """Answer one request, and count it. Raises what BROKEN lists."""
        how = "lost"
        try:
            if self._switch.fails:
                how = await self._refuse_work(request)
            else:
                how = await self._pass(request)
        finally:
            self._switch.counts[f"{request.kind} {how}"] += 1
        await self._writer.drain()

    async def _refuse_work(self, request: Head) -> str:
        await relay_body(request, self._reader, lambda _: None)
        self._writer.write(PAGE + (b"" if request.kind == "head" else b"soon"))
        return "503"

    async def _pass(self, request: Head) -> str:
        # An idle connection ends when the origin says so; this one is none of ours.
        if self._answers is None or self._upstream is None or self._answers.at_eof():
            found = await asyncio.open_connection(HOST, self._switch.origin)
            self._answers, self._upstream = found
        self._upstream.write(request.raw)
        await relay_body(request, self._reader, self._upstream.write)
        answer = Head(await self._answers.readuntil(b"\r\n\r\n"))
        self._writer.write(answer.raw)
        status = answer.first[1]
        if request.kind != "head" and status not in ("204", "304"):
            await relay_body(answer, self._answers, self._writer.write)
        return status

    def end(self) -> None:
        """Both ends break off."""
        self._writer.transport.abort()
        if self._upstream is not None:
            self._upstream.transport.abort()


async def main() -> None:
    """Obey standard input, until it ends."""
    switch = Switch(int(sys.argv[1]), int(sys.argv[2]))
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while order := await orders.readline():
        await switch.obey(order.decode().strip())
        print(json.dumps(switch.counts), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
