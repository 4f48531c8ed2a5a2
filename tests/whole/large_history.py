"""A large history, and cold readers of it, over real sockets.

A reader keeps a digest and no byte. ``Answering`` is an origin of one stream whose
answers a test writes by hand, whatever HTTP says of them.
"""

import contextlib
import hashlib
import socket
import socketserver
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Barrier, Thread

from tests.support.patience import PATIENCE
from tests.support.talk import Talk, ask

PATH = "/v1/stream/history"
MIB = 1 << 20
BYTES = {"content_type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Took:
    """What a reader was given: ``whole`` says whether the answer ended as it said."""

    status: int
    next: str | None
    size: int
    digest: str
    whole: bool


def piece_of(number: int, size: int = MIB) -> bytes:
    """A piece of a history, unlike every other one."""
    return hashlib.sha256(b"%d" % number).digest() * (size // 32)


def write(url: str, mebibytes: int, path: str = PATH) -> str:
    """Make a stream of so much; the digest of its bytes."""
    assert ask(url + path, "PUT", b"", **BYTES)[0] == 201
    return append(url, range(mebibytes), hashlib.sha256(), path)


def append(url: str, numbers: range, digest: "hashlib._Hash", path: str = PATH) -> str:
    """Append these pieces; the digest of all bytes by then."""
    for number in numbers:
        body = piece_of(number)
        digest.update(body)
        assert ask(url + path, "POST", body, **BYTES)[0] in (200, 204)
    return digest.hexdigest()


def read(url: str, offset: str = "-1", path: str = PATH) -> Took:
    """Read one answer, as fast as it comes."""
    digest, size = hashlib.sha256(), 0
    with Talk(f"{url}{path}?offset={offset}") as talk:
        status, fields = talk.head()
        length = fields.get("content-length")
        whole = False
        with contextlib.suppress(ConnectionError, ValueError):
            while True:
                if length is None:
                    data = _chunk(talk)
                else:
                    data = talk._file.read(min(MIB, int(length) - size))
                if not data:
                    whole = length is None or size == int(length)
                    break
                size += len(data)
                digest.update(data)
    next_offset = fields.get("stream-next-offset")
    return Took(status, next_offset, size, digest.hexdigest(), whole)


def _chunk(talk: Talk) -> bytes:
    """The next chunk; b"" at the last one. ConnectionError where the body is cut."""
    line = talk._file.readline()
    data = talk._file.read(int(line, 16)) if line else b""
    if not talk._file.readline().endswith(b"\r\n"):
        raise ConnectionError("the body was cut")
    return data


def read_all(url: str, path: str = PATH) -> Took:
    """Read on from where each answer ends, until the stream says that this is all."""
    digest, size, offset = hashlib.sha256(), 0, "-1"
    while True:
        status, fields, body = ask(f"{url}{path}?offset={offset}")
        assert status == 200, status
        digest.update(body)
        size += len(body)
        offset = fields["stream-next-offset"]
        if "stream-up-to-date" in fields:
            return Took(status, offset, size, digest.hexdigest(), True)


def at_once(number: int, act: Callable[[], Took]) -> list[Took]:
    """So many readers, who begin together."""
    took: list[Took] = []
    start = Barrier(number)

    def run() -> None:
        start.wait(PATIENCE)
        took.append(act())

    threads = [Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(took) == number
    return took


class Answering(socketserver.ThreadingTCPServer):
    """Answers each GET by ``say``, which is handed the socket. ``asked`` counts."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, say: Callable[[socket.socket], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.say = say
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(socketserver.BaseRequestHandler):
    server: Answering
    request: socket.socket

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                more = self.request.recv(1 << 16)
                if not more:
                    return
                head += more
            self.server.asked += 1
            self.server.say(self.request)


@contextlib.contextmanager
def answering(say: Callable[[socket.socket], None]) -> Iterator[Answering]:
    with Answering(say) as server:
        keeper = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        keeper.start()
        try:
            yield server
        finally:
            server.shutdown()
            keeper.join()


def head_of(length: int | None) -> bytes:
    """The head of an answer of so many bytes; None: in chunks."""
    framing = "Transfer-Encoding: chunked"
    if length is not None:
        framing = f"Content-Length: {length}"
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        f"Stream-Next-Offset: 0009\r\nStream-Up-To-Date: true\r\n{framing}\r\n\r\n"
    ).encode()
