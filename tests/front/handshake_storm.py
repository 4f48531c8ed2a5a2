"""A storm of connections at a listener that speaks TLS, and what became of each.

All connect at once. ``STORM`` says who they are: clients that shake hands and ask,
some of them only when everybody else has been answered; some that begin a handshake and
never go on; bytes that are neither TLS nor HTTP; plain HTTP. Meanwhile a client whose
handshake was done before asks again and again, and a crowd waits and is released.

The tests make a small one. This makes a large one, and tells what it cost::

    python -m tests.front.handshake_storm 2000
"""

import re
import resource
import select
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

from edge.cli.bench.wire import TlsWire
from tests.front.edge_process import PATIENCE, Client, EdgeProcess
from tests.front.tls_client import NAME, TlsEdge, identity

HIT = f"GET /v1/stream/hit HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
PARK = "/v1/stream/park?offset=7&live=long-poll"

STORM = ("whole", "whole", "whole", "late", "unfinished", "garbage", "plain")
"""Who comes, in turn."""

ANSWERED = b"HTTP/1.1 200"
TOLD = b"HTTP/1.1 400"
GARBAGE = bytes(64)
CROWD = 20


def hello() -> bytes:
    """What a client begins with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = identity().context().wrap_bio(incoming, outgoing, server_hostname=NAME)
    with suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


class Storm:
    """``number`` connections to ``address``. ``became`` counts what each came to, by
    who it is: ``answered``, ``told`` in plain, ``closed``, or ``held``."""

    def __init__(self, address: tuple[str, int], number: int) -> None:
        self._wire = TlsWire(identity().context())
        self._epoll = select.epoll()
        self._kinds: dict[int, str] = {}
        self._sockets: list[socket.socket] = []
        self._open: set[int] = set()
        self._heard: Counter[int] = Counter()
        self.became: Counter[tuple[str, str]] = Counter()
        for kind in islice(cycle(STORM), number):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            self._sockets.append(sock)
            self._kinds[sock.fileno()] = kind
            self._wire.open(sock, NAME if kind in ("whole", "late") else None)

    def break_loose(self, in_the_middle: Callable[[], None]) -> None:
        """Everybody says what they say, and those that end are heard to their end."""
        self._say("whole", "unfinished", "garbage", "plain")
        in_the_middle()
        self._hear("whole", "garbage", "plain")
        self._say("late")
        self._hear("late")
        held = len(self._open)
        self.became["unfinished", "held"] += held

    def hear_unfinished(self) -> None:
        """Wait until the edge has given up those that never go on."""
        del self.became["unfinished", "held"]
        self._hear("unfinished")

    def close(self) -> None:
        """Leave."""
        for sock in self._sockets:
            sock.close()
        self._epoll.close()

    def _say(self, *kinds: str) -> None:
        words = {"unfinished": hello()[:40], "garbage": GARBAGE, "plain": HIT}
        for sock in self._sockets:
            descriptor = sock.fileno()
            kind = self._kinds[descriptor]
            if kind in kinds:
                # A connection that is still under way can be written when it is made.
                _await_connection(descriptor)
                self._wire.write(descriptor, words.get(kind, HIT))
                self._epoll.register(descriptor, select.EPOLLIN)
                self._open.add(descriptor)

    def _hear(self, *kinds: str) -> None:
        awaited = {one for one in self._open if self._kinds[one] in kinds}
        while awaited:
            ready = self._epoll.poll(PATIENCE)
            assert ready, f"{len(awaited)} were not answered"
            for descriptor, _ in ready:
                word = self._came(descriptor)
                if word is not None:
                    self.became[self._kinds[descriptor], word] += 1
                    self._epoll.unregister(descriptor)
                    self._open.discard(descriptor)
                    awaited.discard(descriptor)

    def _came(self, descriptor: int) -> str | None:
        """What it came to; None: nothing yet."""
        try:
            data = self._wire.read(descriptor, 1 << 16)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return "closed"
        if data.startswith(ANSWERED):
            return "answered"
        if data.startswith(TOLD):
            return "told"
        assert not data, data
        return "closed"


def _await_connection(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    assert poll.poll(PATIENCE * 1000)


def expected(number: int) -> Counter[tuple[str, str]]:
    """What so many must come to."""
    words = {
        **{"whole": "answered", "late": "answered", "plain": "told"},
        **{"garbage": "closed", "unfinished": "held"},
    }
    return Counter((kind, words[kind]) for kind in islice(cycle(STORM), number))


class Asking(threading.Thread):
    """Somebody who has a connection, and asks again as soon as it was answered."""

    def __init__(self, edge: EdgeProcess) -> None:
        super().__init__(daemon=True)
        self._edge = edge
        self.stop = threading.Event()
        self.asked = self.answered = 0
        self.slowest = 0.0

    def run(self) -> None:
        with self._edge.connect() as client:
            while not self.stop.is_set():
                self.asked += 1
                begun = time.monotonic()
                client.get("/v1/stream/hit")
                self.answered += client.read().body == b"hello\n"
                self.slowest = max(self.slowest, time.monotonic() - begun)


def parked(edge: EdgeProcess, number: int) -> list[Client]:
    """So many who wait, over connections of their own."""
    crowd = [edge.connect() for _ in range(number)]
    for one in crowd:
        one.get(PARK)
        edge.expect("parked")
    return list[Client](crowd)


def released(edge: EdgeProcess, crowd: list[Client]) -> int:
    """Write to the stream that they wait for; how many were answered."""
    with edge.connect() as writer:
        writer.request("POST", "/v1/stream/park", body=b"x")
        writer.read()
    return sum(one.read().status == 204 for one in crowd)


def storm_at(
    edge: EdgeProcess,
    number: int,
    at_last: Callable[[Storm], None] = lambda storm: None,
) -> tuple[Storm, Asking, int]:
    """One storm, in whose middle a crowd is served while somebody asks all the time;
    ``at_last`` is called before those leave who were held. How many of the crowd were
    served."""
    crowd, asking = parked(edge, CROWD), Asking(edge)
    asking.start()
    storm = Storm(edge.address, number)
    served: list[int] = []
    try:
        storm.break_loose(lambda: served.append(released(edge, crowd)))
        at_last(storm)
    finally:
        asking.stop.set()
        asking.join(PATIENCE)
        storm.close()
        for one in crowd:
            one.close()
    return storm, asking, served[0]


def _memory(pid: int, name: str) -> int:
    """KiB of a process (``VmRSS``, ``VmHWM``)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{name}:\s+(\d+)", status)
    assert found is not None
    return int(found[1])


def main() -> None:
    """A large storm."""
    number = int(sys.argv[1])
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    with TlsEdge({"limits": {"head_timeout": 30.0}}) as edge:
        parked(edge, 1)[0].close()
        before = _memory(edge.worker, "VmRSS")
        begun = time.monotonic()

        def at_last(storm: Storm) -> None:
            print(f"all but the unfinished after {time.monotonic() - begun:.1f} s")
            storm.hear_unfinished()
            print(f"these ended after {time.monotonic() - begun:.1f} s")

        storm, asking, served = storm_at(edge, number, at_last)
        peak = _memory(edge.worker, "VmHWM")
    for (kind, word), count in sorted(storm.became.items()):
        print(f"{count:6,} {kind}: {word}")
    print(f"{asking.answered:,} of {asking.asked:,} hits of another client answered")
    print(f"the slowest of them after {asking.slowest * 1000:.0f} ms")
    print(f"{served} of {CROWD} who waited were served")
    print(f"memory at its peak: {(peak - before) / number:.1f} KiB a connection")


if __name__ == "__main__":
    main()
