"""The writing side of a run: its stream, found or created, and the appends.

Appends go over one kept connection, which is read in the crowd's own turns. The clock
starts just before an append's bytes are sent, in one piece. If the server closed the
connection while it idled, a new one is opened before the clock starts. If it breaks
while an append is under way, the run ends: nobody knows whether the event was
appended, so it is not sent again.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge.cli.bench.crowd import FanoutCrowd
from edge.cli.bench.framing import BadAnswer
from edge.cli.bench.requests import RequestTarget
from edge.cli.bench.viewer_reader import EventMarkers, Received, ViewerReader
from edge.cli.bench.wire import Wire
from edge.cli.streams.address import StreamAddress
from edge.cli.streams.client import Client, ServerAnswer, StreamRequest
from edge.cli.streams.exit_faults import Exit, Fault
from edge.cli.streams.server_errors import refused
from edge.protocol import names

TEXT = "text/plain"
JSON = "application/json"
_CONNECT_TIMEOUT = 10.0


class Appender:
    """Appends events one after the other; each waits for the last one's answer."""

    def __init__(
        self,
        target: RequestTarget,
        crowd: FanoutCrowd,
        markers: EventMarkers,
        size: int,
        content_type: str,
        wire: Wire,
    ) -> None:
        self.begun: list[float] = []
        """When each append was sent."""
        self.answered: list[float] = []
        """When each append's answer was there."""
        self._target = target
        self._crowd = crowd
        self._markers = markers
        self._size = size
        self._type = content_type
        self._wire = wire
        self._socket: socket.socket | None = None
        self._reader = ViewerReader(markers)

    @property
    def busy(self) -> bool:
        """Whether an append waits for its answer."""
        return len(self.answered) < len(self.begun)

    def close(self) -> None:
        """Leave."""
        if self._socket is not None:
            self._crowd.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def append(self) -> None:
        """Send the next event. The last one must have been answered."""
        number = len(self.begun)
        request = self._request(number)
        connection = self._connection()
        self._crowd.expect(number)
        self.begun.append(time.monotonic())
        try:
            self._wire.send_all(connection, request)
        except OSError as error:
            raise self._lost(error.strerror) from None

    def _request(self, number: int) -> bytes:
        body = self._markers.body(number, self._size)
        if self._type == JSON:
            body = b'"%s"' % body
        more = f"Content-Type: {self._type}\r\nContent-Length: {len(body)}\r\n"
        return self._target.request("POST", more.encode()) + body

    def _connection(self) -> socket.socket:
        """The kept connection, or a new one. It has a time-out, so no read blocks."""
        if self._socket is None:
            self._socket = self._connect()
            self._reader = ViewerReader(self._markers)
            self._crowd.listen(self._socket.fileno(), self._heard)
        return self._socket

    def _connect(self) -> socket.socket:
        try:
            made = socket.create_connection(self._target.at, _CONNECT_TIMEOUT)
        except OSError as error:
            raise self._lost(error.strerror or "no connection in time") from None
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire.open(made, self._target.tls_name)
        return made

    def _heard(self, data: bytes, now: float) -> None:
        if not data:
            self._ended()
            return
        try:
            for received in self._reader.feed(data):
                self._took(received, now)
        except BadAnswer as error:
            raise self._lost(f"no HTTP/1.1 answer: {error}") from None

    def _took(self, received: Received, now: float) -> None:
        if received.status >= 300:
            told = refused(received.status, lambda name: None, [received.body])
            raise Fault(told.exit_code, f"an append: {told}", status=received.status)
        self.answered.append(now)
        if received.last:
            self.close()

    def _ended(self) -> None:
        self.close()
        if self.busy:
            raise self._lost("closed before the answer")

    def _lost(self, why: str | None) -> Fault:
        place = self._target.address.place
        return Fault(Exit.UNREACHABLE, f"an append to {place}: {why or 'lost'}")


@dataclass(frozen=True, slots=True)
class BenchStream:
    """A stream that can be appended to."""

    offset: str
    """Its end, where viewers begin."""
    content_type: str
    created: bool


@contextmanager
def stream(
    address: StreamAddress, fields: tuple[tuple[str, str], ...], mode: str, keep: bool
) -> Iterator[BenchStream]:
    """The stream at ``address`` for as long as the block runs. Raises Fault."""
    client = Client(address, fields)
    try:
        found = _found(client) or _created(client)
        try:
            _judge(found, mode)
            yield found
        finally:
            if found.created and not keep:
                client.once(StreamRequest("DELETE", {}, {})).close()
    finally:
        client.close()


def _found(client: Client) -> BenchStream | None:
    try:
        answer = client.once(StreamRequest("HEAD", {}, {}))
    except Fault as fault:
        if fault.status == 404:
            return None
        raise
    with answer:
        if answer.flag(names.CLOSED):
            raise Fault(Exit.CONFLICT, "the stream is closed: nothing can be appended")
        return BenchStream(answer.next_offset, _type(answer), created=False)


def _created(client: Client) -> BenchStream:
    with client.once(StreamRequest("PUT", {}, {"Content-Type": TEXT})) as answer:
        return BenchStream(answer.next_offset, TEXT, created=answer.status == 201)


def _type(answer: ServerAnswer) -> str:
    return names.media_type(answer.get("Content-Type"))


def _judge(found: BenchStream, mode: str) -> None:
    """Event streams carry bytes that are no text in base64 (section 5.8)."""
    text = found.content_type == JSON or found.content_type.startswith("text/")
    if mode == "sse" and not text:
        message = f"event streams carry {found.content_type} in base64: take a text"
        raise Fault(Exit.CONFLICT, f"{message} or JSON stream, or --mode long-poll")
