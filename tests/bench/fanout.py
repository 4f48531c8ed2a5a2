"""Fan-out: many viewers of one stream, and what each event costs the origin.

Starts the Node reference server and the edge, parks viewers on one stream by
long-poll or SSE from one epoll loop, appends once a second through the edge, and
measures from the moment the append is sent to the first and to the last viewer
that has it. Origin requests come from the edge's own metrics, memory from
``/proc``. Prints one table row per mode::

    python -m tests.bench.fanout --viewers 1000 --events 60
    python -m tests.bench.fanout --viewers 1000 --events 60 --json

Long-poll viewers ask again when the last of them was served, so that the figure is
that of waking a crowd; with ``--at-once`` each asks again in the moment it was
served, as real clients do, and the figure holds a thousand new requests too. The
client runs on the other core; ``--direct`` measures the origin without the edge.
"""

import argparse
import json
import re
import select
import socket
import statistics
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from tests.support.processes import edge, node_origin

PATH = "/v1/stream/bench"
_OFFSET = re.compile(rb"stream-next-offset: (\S+)", re.IGNORECASE)
_CURSOR = re.compile(rb"stream-cursor: (\S+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Viewer:
    """One connection: what it has read, and the event it saw last."""

    sock: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    seen: int = -1


@dataclass(slots=True)
class Row:
    """What one run measured. Times in milliseconds, memory in KiB per viewer."""

    mode: str
    viewers: int
    events: int
    origin_requests_per_event: float
    first_p50: float
    last_p50: float
    last_p99: float
    memory_per_viewer: float
    longest_collection: float


class Crowd:
    """All viewers, on one epoll."""

    def __init__(
        self, base: str, count: int, mode: str, offset: str, at_once: bool = True
    ) -> None:
        parts = urlsplit(base)
        self._address = (parts.hostname or "", parts.port or 80)
        self._mode = mode
        self._at_once = at_once
        self._later: list[tuple[Viewer, str, str]] = []
        self._epoll = select.epoll()
        self._viewers: dict[int, Viewer] = {}
        for _ in range(count):
            self._join(offset)

    def close(self) -> None:
        for viewer in self._viewers.values():
            viewer.sock.close()
        self._epoll.close()

    def _join(self, offset: str) -> None:
        sock = socket.create_connection(self._address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        viewer = Viewer(sock)
        self._viewers[sock.fileno()] = viewer
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._ask(viewer, offset, "")

    def _ask(self, viewer: Viewer, offset: str, cursor: str) -> None:
        query = f"offset={offset}&live={self._mode}" + (
            f"&cursor={cursor}" if cursor else ""
        )
        head = f"GET {PATH}?{query} HTTP/1.1\r\nHost: bench\r\n\r\n"
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
        for viewer, offset, cursor in self._later:
            self._ask(viewer, offset, cursor)
        self._later.clear()
        return times

    def idle(self, seconds: float) -> None:
        """Let polls that time out ask again."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            for descriptor, _ in self._epoll.poll(left):
                self._receive(self._viewers[descriptor], -1)

    def _receive(self, viewer: Viewer, number: int) -> bool:
        data = viewer.sock.recv(65536)
        if not data:
            raise ConnectionError("the server closed a viewer's connection")
        viewer.buffer += data
        if self._mode == "sse":
            return self._saw_event(viewer, number)
        return self._saw_answer(viewer, number)

    def _saw_event(self, viewer: Viewer, number: int) -> bool:
        mark = b"<%d>" % number
        if number < 0 or mark not in viewer.buffer or viewer.seen == number:
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
        asked = (viewer, offset[1].decode(), cursor[1].decode() if cursor else "")
        has = number >= 0 and b"<%d>" % number in body
        if has and not self._at_once:
            self._later.append(asked)
        else:
            self._ask(*asked)
        return has


def call(method: str, url: str, body: bytes | None = None) -> dict[str, str]:
    """One plain request; the answer's headers."""
    request = urllib.request.Request(url, body, method=method)
    request.add_header("Content-Type", "text/plain")
    with urllib.request.urlopen(request) as answer:
        answer.read()
        return {name.lower(): value for name, value in answer.headers.items()}


def origin_requests(admin: str) -> float:
    """Requests for reads that the edge has sent to its origin."""
    pattern = r'ds_edge_origin_requests_total\{purpose="(\S+)"\} (\S+)'
    found = dict(re.findall(pattern, metrics(admin)))
    return sum(float(count) for purpose, count in found.items() if purpose != "write")


def longest_collection(admin: str | None) -> float:
    """Milliseconds that the longest full garbage collection stopped the worker."""
    if admin is None:
        return float("nan")
    pattern = r"^ds_edge_longest_collection_seconds (\S+)"
    (seconds,) = re.findall(pattern, metrics(admin), re.MULTILINE)
    return float(seconds) * 1000


def metrics(admin: str) -> str:
    """The edge's metrics page."""
    with urllib.request.urlopen(f"{admin}/metrics") as answer:
        text: str = answer.read().decode()
        return text


def resident(pid: int) -> int:
    """KiB that a process and its children hold in memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        own = int(re.findall(r"VmRSS:\s+(\d+)", status.read())[0])
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return own + sum(resident(int(child)) for child in children.read().split())


def measure(base: str, admin: str | None, pid: int, options: argparse.Namespace) -> Row:
    """Park the viewers, append, and look at the clock."""
    url = f"{base}{PATH}"
    call("PUT", url)
    offset = call("POST", url, b"<begin>")["stream-next-offset"]
    before = resident(pid)
    crowd = Crowd(base, options.viewers, options.mode, offset, options.at_once)
    crowd.idle(2.0)
    memory = (resident(pid) - before) / options.viewers
    sent = origin_requests(admin) if admin else 0.0
    firsts, lasts = [], []
    for number in range(options.events):
        begun = time.perf_counter()
        call("POST", url, b"<%d>" % number + b"." * 100)
        times = crowd.await_event(number, 30.0)
        firsts.append((times[0] - begun) * 1000)
        lasts.append((times[-1] - begun) * 1000)
        crowd.idle(max(0.0, 1.0 / options.rate - (time.perf_counter() - begun)))
    asked = (origin_requests(admin) - sent) if admin else float("nan")
    collection = longest_collection(admin)
    crowd.close()
    lasts.sort()
    return Row(
        options.mode,
        options.viewers,
        options.events,
        round(asked / options.events, 3),
        round(statistics.median(firsts), 2),
        round(statistics.median(lasts), 2),
        round(lasts[int(len(lasts) * 0.99)], 2),
        round(memory, 2),
        round(collection, 2),
    )


@contextmanager
def servers(direct: bool) -> Iterator[tuple[str, str | None, int]]:
    """The origin, and the edge before it: (base URL, admin URL, process id)."""
    with ExitStack() as stack:
        origin = stack.enter_context(node_origin(long_poll_ms=30_000))
        if direct:
            yield origin.url, None, origin.process.pid
            return
        running = stack.enter_context(
            edge(origin.url, live={"sse_lifetime": "10m"}, log={"access": "off"})
        )
        yield running.url, running.admin, running.process.pid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--viewers", type=int, default=1000)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--rate", type=float, default=1.0, help="events per second")
    parser.add_argument("--mode", choices=("long-poll", "sse"), action="append")
    parser.add_argument("--at-once", action="store_true", help="ask again at once")
    parser.add_argument("--direct", action="store_true", help="without the edge")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for mode in options.mode or ("long-poll", "sse"):
        options.mode = mode
        with servers(options.direct) as (base, admin, pid):
            row = measure(base, admin, pid, options)
        print(json.dumps(asdict(row)) if options.json else row, flush=True)


if __name__ == "__main__":
    main()
