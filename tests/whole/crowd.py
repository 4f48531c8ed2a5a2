"""Crowd: viewers of one stream on one epoll, who ask again as soon as they are served.

For tests; ``ds-edge bench fanout`` measures. Nothing odd is forgiven: a connection that
ends, or an event that does not come, raises.
"""

import json
import re
import select
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATH = "/v1/stream/bench"
_OFFSET = re.compile(rb"stream-next-offset: (\S+)", re.IGNORECASE)
_CURSOR = re.compile(rb"stream-cursor: (\S+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Viewer:
    """One connection: what it has read, and the event it saw last."""

    sock: socket.socket
    own: str
    query: str
    buffer: bytearray = field(default_factory=bytearray)
    seen: int = -1


class Crowd:
    """All viewers, on one epoll."""

    def __init__(
        self,
        base: str,
        count: int,
        mode: str,
        offset: str,
        field_of: Callable[[int], str] = lambda number: "",
        query_of: Callable[[int], str] = lambda number: "",
        path: str = PATH,
        connect: Callable[[], socket.socket] | None = None,
    ) -> None:
        """``field_of`` gives each viewer a header field of its own, with its CRLF,
        ``query_of`` parameters of its own, with an ``&`` before them. ``connect`` makes
        their connections, if not to ``base``."""
        parts = urlsplit(base)
        address = (parts.hostname or "", parts.port or 80)
        self._connect = connect or (lambda: socket.create_connection(address))
        self._host, self._mode, self._path = parts.netloc, mode, path
        self._epoll = select.epoll()
        self._viewers: dict[int, Viewer] = {}
        for number in range(count):
            self._join(offset, field_of(number), query_of(number))

    def close(self) -> None:
        for viewer in self._viewers.values():
            viewer.sock.close()
        self._epoll.close()

    def _join(self, offset: str, own: str, query: str) -> None:
        sock = self._connect()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        viewer = Viewer(sock, own, query)
        self._viewers[sock.fileno()] = viewer
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._ask(viewer, offset, "")

    def _ask(self, viewer: Viewer, offset: str, cursor: str) -> None:
        query = f"offset={offset}&live={self._mode}{viewer.query}"
        if cursor and "&cursor=" not in viewer.query:
            query += f"&cursor={cursor}"
        head = f"GET {self._path}?{query} HTTP/1.1\r\nHost: {self._host}\r\n"
        head += f"{viewer.own}\r\n"
        viewer.sock.send(head.encode())

    def await_event(self, number: int, patience: float) -> list[float]:
        """The times at which each viewer had event ``number``, in order."""
        times: list[float] = []
        until = time.perf_counter() + patience
        while len(times) < len(self._viewers):
            ready = self._epoll.poll(max(0.0, until - time.perf_counter()))
            if not ready:
                raise TimeoutError(f"{len(times)} of {len(self._viewers)} viewers")
            for descriptor, _ in ready:
                if self._receive(self._viewers[descriptor], number):
                    times.append(time.perf_counter())
        return times

    def _receive(self, viewer: Viewer, number: int) -> bool:
        try:
            data = viewer.sock.recv(65536)
        except BlockingIOError:
            # Part of a record of TLS.
            return False
        if not data:
            raise ConnectionError("the server closed a viewer's connection")
        viewer.buffer += data
        if self._mode == "sse":
            return self._saw_event(viewer, number)
        return self._saw_answer(viewer, number)

    def _saw_event(self, viewer: Viewer, number: int) -> bool:
        mark = b"<%d>" % number
        if mark not in viewer.buffer or viewer.seen == number:
            return False
        viewer.seen = number
        viewer.buffer.clear()
        return True

    def _saw_answer(self, viewer: Viewer, number: int) -> bool:
        """Parse answers as they complete; each is followed by the next poll."""
        head_end = viewer.buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        head = bytes(viewer.buffer[:head_end])
        length = _LENGTH.search(head)
        total = head_end + 4 + (int(length[1]) if length else 0)
        if len(viewer.buffer) < total:
            return False
        body = bytes(viewer.buffer[head_end + 4 : total])
        del viewer.buffer[:total]
        offset, cursor = _OFFSET.search(head), _CURSOR.search(head)
        assert offset is not None, head
        self._ask(viewer, offset[1].decode(), cursor[1].decode() if cursor else "")
        return b"<%d>" % number in body


def call(
    method: str, url: str, body: bytes | None = None, **fields: str
) -> dict[str, str]:
    """One plain request; the answer's headers."""
    request = urllib.request.Request(url, body, fields, method=method)
    request.add_header("Content-Type", "text/plain")
    with urllib.request.urlopen(request) as answer:
        answer.read()
        return {name.lower(): value for name, value in answer.headers.items()}


def origin_requests(admin: str, patience: float = 30.0) -> float:
    """Requests for reads that the edge has sent to its origin, counted at rest: each
    stream that is waited for has its poll on the wire, and nothing else is asked for.

    The last event's answer may still be on its way here when its viewers have it by
    another read, and the poll that follows is counted with that answer. A tail is armed
    by a poll from its own end alone, and disarmed before anybody is given more.
    """
    until = time.monotonic() + patience
    while not _is_at_rest(told := _get(f"{admin}/streams")):
        if time.monotonic() >= until:
            raise TimeoutError(f"no rest: {told}")
        threading.Event().wait(0.01)
    text = _get(f"{admin}/metrics")
    pattern = r'ds_edge_origin_requests_total\{purpose="(\S+)"\} (\S+)'
    found = dict(re.findall(pattern, text))
    return sum(float(count) for purpose, count in found.items() if purpose != "write")


def _is_at_rest(told: str) -> bool:
    """Whether ``/streams`` shows an edge that is about to ask for nothing."""
    shown = json.loads(told)
    followed = [row for row in shown["streams"] if row["followed"] or row["parked"]]
    flights = shown["totals"]["flights_under_way"]
    return not flights and all(row["armed"] for row in followed)


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        told: bytes = answer.read()
    return told.decode()


def metric(admin: str, name: str) -> float:
    """The sum of a counter of an edge's over its labels."""
    lines = _get(f"{admin}/metrics").splitlines()
    return sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(name))
