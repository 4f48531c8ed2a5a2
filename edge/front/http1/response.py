"""EdgeResponse: gunicorn's response, with head and first piece in one send.

gunicorn sends the head by itself; for a small answer that is a second system
call and often a second packet. Here the head waits for the piece that is
written with it. An empty piece sends the head alone: bodies that stream give
one first, so that nobody waits for a head until there is something to say.
"""

from gunicorn.http.wsgi import Response

from edge.protocol.http_grammar import LAST_CHUNK


class EdgeResponse(Response):
    """One response of a RequestCycle; ``sock`` is a BlockingStream."""

    _head = b""

    def send_headers(self) -> None:
        """Make the head; it goes out with the piece that is being written."""
        if self.headers_sent:
            return
        lines = self.default_headers()
        lines.extend([f"{name}: {value}\r\n" for name, value in self.headers])
        lines.append("\r\n")
        self._head = "".join(lines).encode("latin-1")
        self.headers_sent = True

    def write(self, arg: bytes) -> None:
        """See gunicorn; sends at once, an empty piece too."""
        super().write(arg)
        self._send(b"")

    def close(self) -> None:
        """The body is complete."""
        self.send_headers()
        self._send(LAST_CHUNK if self.chunked else b"")

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        self._send(data)

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            self.sock.sendall(head + data if head else data)
