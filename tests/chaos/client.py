"""A client on raw sockets that knows a whole answer from one that was cut.

One connection, one request at a time. It takes codings apart, and event streams into
events. Whatever ends before its framing says so is Cut; nothing is repaired or retried.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import brotli
import zstandard

ROOM = 1 << 20
BODILESS = frozenset({204, 304})


class Cut(Exception):
    """The answer ended before its framing said so, or never began."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, its fields by lower-case name, and the body without its coding."""

    status: int
    fields: Mapping[str, str]
    body: bytes = b""


class Event(NamedTuple):
    """One event of an event stream: its name, and its lines of data."""

    name: str
    lines: list[bytes]


class Client:
    """A connection to one server, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    def close(self) -> None:
        """Leave, in the middle of an answer too."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def ask(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str] | None = None,
        body: bytes = b"",
        within: float = 30.0,
        chunked: bool = False,
    ) -> Reply:
        """One request and its whole answer. Raises Cut, and TimeoutError."""
        try:
            async with asyncio.timeout(within):
                await self.send(method, target, fields or {}, body, chunked)
                head = await self.head()
                return await self._rest(method, head)
        except BaseException:
            self.close()
            raise

    async def send(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str],
        body: bytes = b"",
        chunked: bool = False,
    ) -> None:
        """Send a request. Raises Cut."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        if chunked:
            lines.append("Transfer-Encoding: chunked")
            body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in _halves(body))
            body += b"0\r\n\r\n"
        elif method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        try:
            if self._writer is None:
                opened = await asyncio.open_connection(
                    "127.0.0.1", self._port, limit=ROOM
                )
                self._reader, self._writer = opened
            self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            await self._writer.drain()
        except OSError as error:
            raise Cut(f"{type(error).__name__} while it was sent") from error

    async def head(self) -> Reply:
        """The final head of the answer. Raises Cut."""
        while True:
            text = await self._until(b"\r\n\r\n")
            first, *lines = text.decode("latin-1").strip().split("\r\n")
            pairs = (line.partition(":") for line in lines)
            fields = {name.lower(): value.strip() for name, _, value in pairs}
            status = int(first.split(" ")[1])
            if status >= 200:
                return Reply(status, fields)

    async def chunks(self) -> AsyncIterator[bytes]:
        """A chunked body, piece by piece, to its last chunk. Raises Cut."""
        while size := int((await self._until(b"\r\n")).split(b";")[0], 16):
            yield (await self._exactly(size + 2))[:-2]
        await self._until(b"\r\n")

    async def _rest(self, method: str, head: Reply) -> Reply:
        fields = head.fields
        if method == "HEAD" or head.status in BODILESS:
            body = b""
        elif fields.get("transfer-encoding") == "chunked":
            body = b"".join([piece async for piece in self.chunks()])
        elif "content-length" in fields:
            body = await self._exactly(int(fields["content-length"]))
        else:
            raise Cut("nothing says where the body ends")
        if fields.get("connection", "").lower() == "close":
            self.close()
        return Reply(head.status, fields, decoded(fields.get("content-encoding"), body))

    async def _until(self, end: bytes) -> bytes:
        assert self._reader is not None
        try:
            return await self._reader.readuntil(end)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Cut(f"{type(error).__name__} in a head") from error

    async def _exactly(self, size: int) -> bytes:
        assert self._reader is not None
        try:
            return await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise Cut(f"{len(error.partial)} of {size} bytes") from error
        except OSError as error:
            raise Cut(f"{type(error).__name__} in a body") from error


async def once(
    port: int,
    method: str,
    target: str,
    fields: Mapping[str, str] | None = None,
    body: bytes = b"",
    within: float = 30.0,
    chunked: bool = False,
) -> Reply:
    """One request on a connection of its own. Raises Cut, and TimeoutError."""
    client = Client(port)
    try:
        return await client.ask(method, target, fields, body, within, chunked)
    finally:
        client.close()


async def events(client: Client) -> AsyncIterator[Event]:
    """The whole events of an event stream; comments are left out. Raises Cut, also
    where the stream ends inside an event."""
    text = b""
    async for piece in client.chunks():
        *frames, text = (text + piece).split(b"\n\n")
        for frame in frames:
            event = Event("", [])
            for line in frame.split(b"\n"):
                name, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if name == b"event":
                    event = event._replace(name=value.decode())
                elif name == b"data":
                    event.lines.append(value)
            if event.name:
                yield event
    if text:
        raise Cut("the event stream ended inside an event")


def decoded(coding: str | None, body: bytes) -> bytes:
    """The body without its coding. Raises ValueError for one that nobody knows."""
    match coding:
        case None:
            return body
        case "gzip":
            return gzip.decompress(body)
        case "br":
            return bytes(brotli.decompress(body))
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    raise ValueError(f"the coding {coding} was not offered")


def _halves(body: bytes) -> list[bytes]:
    middle = len(body) // 2
    return [part for part in (body[:middle], body[middle:]) if part]
