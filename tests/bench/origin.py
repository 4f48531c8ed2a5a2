"""The embedded origin beside the Node reference server, in one run.

Three servers, each a process of its own, take turns: ``ds-edge origin`` with
durability full, the Node server with its file-backed store (which syncs each append
too), and the Node server in memory. For each, in each run:

- appends a second, by 1 and by 64 writers that each wait for the answer before the
  next append, each to a stream of its own, in 100 B and in 10 KiB; and by 64 writers
  of one stream;
- catch-up of a stream of 10 KiB messages, in MB/s;
- the time from sending an append to having it in a reader that waits by long-poll.

Prints the median of the runs. Figures of one machine say little; their ratios, taken
side by side, say more::

    python -m tests.bench.origin
    python -m tests.bench.origin --runs 5 --seconds 10 --json
"""

import argparse
import http.client
import json
import select
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from tests.support.processes import embedded_origin, node_origin

SMALL, LARGE = 100, 10 * 1024
WARM_UP = 0.5
CATCH_UP_BYTES = 32 * 1024 * 1024
AT_ONCE = 100
ROUNDS = 300
MB = 1_000_000
WIDTH = 110

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement: its name, its unit, and how it is taken at an address."""

    name: str
    unit: str
    measure: Callable[[Address, float], float]
    more_is_better: bool = True


class Writer:
    """One connection that appends, waits for the answer, and appends again."""

    def __init__(self, address: Address, path: str, size: int) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = message(address, path, size)
        self.got = b""

    def send(self) -> None:
        """The next append."""
        self.sock.sendall(self.request)

    def answered(self) -> bool:
        """Whether the answer is there; it has no body."""
        self.got += self.sock.recv(65536)
        if not self.got.endswith(b"\r\n\r\n"):
            return False
        if not self.got.startswith((b"HTTP/1.1 204", b"HTTP/1.1 200")):
            raise RuntimeError(self.got.decode("latin-1"))
        self.got = b""
        return True


def message(address: Address, path: str, size: int) -> bytes:
    """An append as it goes out."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode() + b"x" * size


def create(address: Address, path: str) -> str:
    """A new stream of bytes; its end."""
    return ask(address, "PUT", path)["stream-next-offset"]


def ask(address: Address, method: str, path: str, body: bytes = b"") -> dict[str, str]:
    """One request on a connection of its own; the fields of its answer."""
    connection = http.client.HTTPConnection(*address)
    try:
        fields = {"Content-Type": "application/octet-stream"}
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status}")
        return {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def appends(writers: int, size: int, one_stream: bool = False) -> Case:
    """Appends that were answered, each second."""

    def measure(address: Address, seconds: float) -> float:
        tag = f"/v1/stream/{time.monotonic_ns()}"
        paths = [f"{tag}-{0 if one_stream else n}" for n in range(writers)]
        for path in dict.fromkeys(paths):
            create(address, path)
        crowd = [Writer(address, path, size) for path in paths]
        try:
            return _rate(crowd, seconds)
        finally:
            for writer in crowd:
                writer.sock.close()
            # The Node server keeps 100 files open, and an append whose file it
            # closes in between fails: it is given no more than it can hold.
            for path in dict.fromkeys(paths):
                ask(address, "DELETE", path)

    where = "one stream" if one_stream else "own streams"
    words = f"{writers} writers, {where}" if writers > 1 else "1 writer"
    return Case(f"appends, {words}, {_size(size)}", "/s", measure)


def _rate(crowd: list[Writer], seconds: float) -> float:
    by_file = {writer.sock.fileno(): writer for writer in crowd}
    poll = select.epoll()
    for file in by_file:
        poll.register(file, select.EPOLLIN)
    for writer in crowd:
        writer.send()
    begin = time.perf_counter() + WARM_UP
    end = begin + seconds
    count = 0
    with poll:
        while (now := time.perf_counter()) < end:
            for file, _ in poll.poll(1):
                if by_file[file].answered():
                    count += now >= begin
                    by_file[file].send()
    return count / seconds


def catch_up() -> Case:
    """Bytes of bodies that one reader takes, page after page, connection kept."""

    def measure(address: Address, seconds: float) -> float:
        path = f"/v1/stream/{time.monotonic_ns()}"
        create(address, path)
        connection = http.client.HTTPConnection(*address)
        body = b"x" * LARGE
        for _ in range(CATCH_UP_BYTES // LARGE):
            fields = {"Content-Type": "application/octet-stream"}
            connection.request("POST", path, body, fields)
            connection.getresponse().read()
        room = bytearray(MB)
        begin = time.perf_counter()
        taken = 0
        while time.perf_counter() - begin < seconds:
            taken += _read_all(connection, path, room)
        spent = time.perf_counter() - begin
        connection.close()
        return taken / spent / MB

    return Case("catch-up, 10 KiB messages", "MB/s", measure)


def _read_all(
    connection: http.client.HTTPConnection, path: str, room: bytearray
) -> int:
    taken, offset = 0, "-1"
    while True:
        connection.request("GET", f"{path}?offset={offset}")
        answer = connection.getresponse()
        while count := answer.readinto(room):
            taken += count
        offset = answer.headers["Stream-Next-Offset"]
        if answer.headers["Stream-Up-To-Date"] == "true":
            return taken


def round_trip(part: float, name: str) -> Case:
    """Milliseconds from sending an append to its bytes at a waiting reader."""

    def measure(address: Address, seconds: float) -> float:
        path = f"/v1/stream/{time.monotonic_ns()}"
        times = sorted(_trips(address, path, create(address, path)))
        return times[min(len(times) - 1, int(len(times) * part))] * 1000

    return Case(f"append to long-poll, {name}", "ms", measure, more_is_better=False)


def _trips(address: Address, path: str, offset: str) -> Iterator[float]:
    writer = Writer(address, path, SMALL)
    reader = http.client.HTTPConnection(*address)
    cursor = ""
    for _ in range(ROUNDS):
        reader.request("GET", f"{path}?offset={offset}&live=long-poll{cursor}")
        # The poll has to be parked; nothing outside tells when it is.
        time.sleep(0.005)
        begin = time.perf_counter()
        writer.send()
        answer = reader.getresponse()
        body = answer.read()
        yield time.perf_counter() - begin
        assert len(body) == SMALL, answer.status
        offset = answer.headers["Stream-Next-Offset"]
        cursor = f"&cursor={answer.headers['Stream-Cursor']}"
        while not writer.answered():
            pass
    reader.close()
    writer.sock.close()


def _size(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB"


CASES = (
    appends(1, SMALL),
    appends(1, LARGE),
    appends(64, SMALL),
    appends(64, LARGE),
    appends(64, SMALL, one_stream=True),
    catch_up(),
    round_trip(0.5, "median"),
    round_trip(0.99, "99 of 100"),
)


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, Address]]:
    """The three, side by side, their files in ``folder``."""
    with ExitStack() as stack:
        enter = stack.enter_context
        files = str(folder / "node")
        found = {
            "embedded": enter(embedded_origin(30_000, folder / "embedded")).url,
            "Node, files": enter(node_origin(30_000, dataDir=files)).url,
            "Node, memory": enter(node_origin(30_000)).url,
        }
        yield {name: _address(url) for name, url in found.items()}


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


Results = dict[str, dict[str, list[float]]]


def run(cases: list[Case], runs: int, seconds: float) -> Results:
    """Every case at every server, ``runs`` times, the servers taking turns."""
    results: Results = {}
    for number in range(runs):
        with (
            tempfile.TemporaryDirectory(prefix="ds-bench-") as folder,
            servers(Path(folder)) as found,
        ):
            for case in cases:
                for name, address in found.items():
                    print(f"run {number + 1}: {case.name}: {name}", file=sys.stderr)
                    taken = case.measure(address, seconds)
                    results.setdefault(case.name, {}).setdefault(name, []).append(taken)
    return results


def table(cases: list[Case], results: Results) -> Table:
    """Medians, and how the embedded origin stands to the file-backed server."""
    names = list(next(iter(results.values())))
    drawn = Table(title="median of all runs", title_justify="left")
    drawn.add_column("", no_wrap=True)
    for name in [*names, f"{names[0]} : {names[1]}"]:
        drawn.add_column(name, justify="right", no_wrap=True)
    for case in cases:
        middle = {n: statistics.median(v) for n, v in results[case.name].items()}
        ratio = middle[names[0]] / middle[names[1]]
        cells = [_figure(middle[name], case.unit) for name in names]
        better = ratio >= 1 if case.more_is_better else ratio <= 1
        drawn.add_row(case.name, *cells, f"{ratio:.2f}{'' if better else ' !'}")
    return drawn


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser("tests.bench.origin", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--json", action="store_true", help="all figures, on stdout")
    asked = parser.parse_args()
    cases = [case for case in CASES if asked.only in case.name]
    results = run(cases, asked.runs, asked.seconds)
    if asked.json:
        print(json.dumps(results, indent=2))
    else:
        Console(width=WIDTH).print(table(cases, results))


if __name__ == "__main__":
    main()
