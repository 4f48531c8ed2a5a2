"""Large histories by hand: what they cost the origin's wire, and the edge's memory.

``python -m tests.bench.histories cold`` has a crowd read one cold history at once.
``restart`` fills a disk (``cache.disk``), appends a little to each stream, starts the
edge anew and reads all again. Both before the Node reference server. Prints one line.
"""

import argparse
import selectors
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import cast
from urllib.parse import urlsplit

from tests.support.processes import edge, node_origin
from tests.support.talk import ask
from tests.whole.counting_proxy import CountingProxy, counting_proxy
from tests.whole.large_history import BYTES, MIB, PATH, piece_of, read_all, write

PIECE = 1 << 20
APPENDED = 1024
"""Bytes of what comes behind a history."""


def resident(pid: int) -> int:
    """Bytes that this process and its children hold."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = [Path(f"/proc/{one}/statm").read_text().split()[1] for one in children]
    own = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return 4096 * sum(map(int, [own, *pages]))


class Watch:
    """The most that the processes of an edge hold together, looked at in a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = Event()
        self.first = self.most = resident(pid)
        self._thread = Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, resident(self._pid))


def crowd(url: str, number: int, path: str = PATH) -> list[int]:
    """So many read the answer at once; the bytes that each was given."""
    parts = urlsplit(url)
    address = parts.hostname or "", parts.port or 0
    request = f"GET {path}?offset=-1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    buffer, took = bytearray(PIECE), [0] * number
    with selectors.DefaultSelector() as ready, ExitStack() as sockets:
        for one in range(number):
            sock = sockets.enter_context(socket.create_connection(address))
            sock.sendall(request.encode())
            ready.register(sock, selectors.EVENT_READ, one)
        while ready.get_map():
            for key, _ in ready.select():
                sock = cast("socket.socket", key.fileobj)
                try:
                    size = sock.recv_into(buffer)
                except ConnectionError:
                    size = 0
                took[key.data] += size
                if not size:
                    ready.unregister(sock)
    return took


def cold(wire: CountingProxy, folder: Path, asked: argparse.Namespace) -> None:
    """One history, many who begin at once."""
    write(wire.url, asked.mib)
    place = {"path": str(folder), "size": "4GiB"}
    settings = {"workers": asked.workers, "cache": {"spool": place}}
    with edge(wire.url, **settings) as running, Watch(running.process.pid) as watch:
        before, began = wire.brought, time.monotonic()
        took = crowd(running.url, asked.readers)
        seconds = time.monotonic() - began
        whole = sum(one >= asked.mib * MIB for one in took)
        print(
            f"workers {asked.workers}: {whole} of {asked.readers} readers had"
            f" {asked.mib} MiB in {seconds:.0f} s; the origin sent"
            f" {(wire.brought - before) / MIB:.1f} MiB in {wire.asked['GET']} answers;"
            f" memory {watch.first / MIB:.0f} MiB, at most {watch.most / MIB:.0f} MiB"
        )


def restart(wire: CountingProxy, folder: Path, asked: argparse.Namespace) -> None:
    """Many histories that fit the memory, and an edge that begins anew."""
    each = asked.mib * MIB // asked.streams
    paths = [f"{PATH}-{number}" for number in range(asked.streams)]
    for number, path in enumerate(paths):
        assert ask(wire.url + path, "PUT", b"", **BYTES)[0] == 201
        ask(wire.url + path, "POST", piece_of(number, each), **BYTES)
    disk = {"path": str(folder / "disk"), "size": "4GiB"}
    cache = {"memory": "3GiB", "disk": disk}
    settings = {"workers": asked.workers, "cache": cache}
    with edge(wire.url, **settings) as running, Watch(running.process.pid) as first:
        for path in paths:
            read_all(running.url, path)
            body = piece_of(0, APPENDED)
            assert ask(running.url + path, "POST", body, **BYTES)[0] in (200, 204)
            read_all(running.url, path)
        began = time.monotonic()
    stopped, before = time.monotonic() - began, wire.brought
    with edge(wire.url, **settings) as running, Watch(running.process.pid) as second:
        began = time.monotonic()
        sizes = [read_all(running.url, path).size for path in paths]
        seconds = time.monotonic() - began
    again = wire.brought - before
    assert set(sizes) == {each // 32 * 32 + APPENDED}
    print(
        f"workers {asked.workers}: {asked.streams} streams of {sum(sizes) / MIB:.0f}"
        f" MiB; the edge stopped in {stopped:.1f} s; after the restart all were read"
        f" in {seconds:.0f} s, of the origin {again / MIB:.2f} MiB"
        f" ({again / sum(sizes):.2%}); memory at most {first.most / MIB:.0f} and"
        f" {second.most / MIB:.0f} MiB"
    )


def main() -> None:
    """Measure what the command line names."""
    cases: dict[str, Callable[..., None]] = {"cold": cold, "restart": restart}
    parser = argparse.ArgumentParser(prog="python -m tests.bench.histories")
    parser.add_argument("case", choices=cases)
    parser.add_argument("--mib", type=int, default=1024, help="of all histories")
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with (
        node_origin(long_poll_ms=30_000) as origin,
        counting_proxy() as wire,
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
    ):
        wire.lead_to(origin.url)
        cases[asked.case](wire, Path(folder), asked)


if __name__ == "__main__":
    main()
