"""The appends of a run: one kept connection, heard in the crowd's own turns.

The clock starts just before an append's bytes are sent, in one piece. An append whose
connection was closed while it idled goes over a new one, opened before the clock
starts; one that is lost under way is not sent again, since nobody knows whether it
was appended, and ends the run.
"""

import socket
import time

from edge.cli.bench.crowd import Crowd
from edge.cli.bench.framing import BadAnswer
from edge.cli.bench.requests import Target
from edge.cli.bench.viewer_reader import Marks, News, Reception
from edge.cli.streams.exit_faults import Exit, Fault
from edge.cli.streams.server_errors import refused

_CONNECT_WITHIN = 10.0


class Appender:
    """Appends events one after the other; each waits for the last one's answer."""

    def __init__(
        self, target: Target, crowd: Crowd, marks: Marks, size: int, content_type: str
    ) -> None:
        self.begun: list[float] = []
        """When each append was sent."""
        self.answered: list[float] = []
        """When each append's answer was there."""
        self._target = target
        self._crowd = crowd
        self._marks = marks
        self._size = size
        self._type = content_type
        self._socket: socket.socket | None = None
        self._reception = Reception(marks)

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
            connection.sendall(request)
        except OSError as error:
            raise self._lost(error.strerror) from None

    def _request(self, number: int) -> bytes:
        body = self._marks.body(number, self._size)
        if self._type == "application/json":
            body = b'"%s"' % body
        more = f"Content-Type: {self._type}\r\nContent-Length: {len(body)}\r\n"
        return self._target.request("POST", more.encode()) + body

    def _connection(self) -> socket.socket:
        """The kept one, or a new one; with a time-out, it never blocks a reading."""
        if self._socket is None:
            self._socket = self._connect()
            self._reception = Reception(self._marks)
            self._crowd.listen(self._socket.fileno(), self._heard)
        return self._socket

    def _connect(self) -> socket.socket:
        try:
            made = socket.create_connection(self._target.at, _CONNECT_WITHIN)
        except OSError as error:
            raise self._lost(error.strerror or "no connection in time") from None
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _heard(self, data: bytes, now: float) -> None:
        if not data:
            self._ended()
            return
        try:
            for news in self._reception.feed(data):
                self._took(news, now)
        except BadAnswer as error:
            raise self._lost(f"no HTTP/1.1 answer: {error}") from None

    def _took(self, news: News, now: float) -> None:
        if news.status >= 300:
            told = refused(news.status, lambda name: None, [news.body])
            raise Fault(told.exit_code, f"an append: {told}", status=news.status)
        self.answered.append(now)
        if news.last:
            self.close()

    def _ended(self) -> None:
        self.close()
        if self.busy:
            raise self._lost("closed before the answer")

    def _lost(self, why: str | None) -> Fault:
        place = self._target.address.place
        return Fault(Exit.UNREACHABLE, f"an append to {place}: {why or 'lost'}")
