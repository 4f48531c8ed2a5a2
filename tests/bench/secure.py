"""``--only tls``: the edge's own TLS beside nginx's, and beside the edge without it.

Both have the same certificate (P-256) and shake hands by OpenSSL as it comes: TLS 1.3,
AES-256-GCM. The server has core 0, the load and the origin core 1. On a machine that is
busy with other things the processor time of the server says more than rates do, so it
stands beside each: of all its processes, user and system, for an answer, a connection
or a message.

Hits are those of wrk, over 64 kept connections. New connections are made one after the
other by one client in Python, which is as slow as the server: each shakes hands, asks
for 1 KiB and leaves; resumed ones come with the session of the one before. Crowds are
those of ``ds-edge bench fanout``, each before a fresh server.
"""

import os
import resource
import socket
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

from edge.cli.bench.costs import ProcessTree
from tests.bench.cases import KIB, SIZES, words_of
from tests.bench.load.streams import Figures
from tests.bench.measure import ask, origin
from tests.bench.peers import (
    GENERATOR,
    HERE,
    READY,
    SERVERS,
    Served,
    filled,
    folder_in_memory,
    on_core,
)
from tests.support.certificates import Authority
from tests.support.processes import edge, free_port, running, wait_until_ready

NAME = "localhost"
CONNECTIONS = 64
RATE = 0.5
"""Events a second of a crowd."""

HEAD = (
    "| case | server | a second | µs each | first, last ms | KiB a viewer |\n"
    "|---|---|---|---|---|---|"
)

_TLS = """
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:10m;"""


class Certified:
    """A certificate for ``NAME`` in files, and who vouches for it."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.cert, self.key = map(str, authority.issue(NAME))
        self.authority = str(authority.certificate)


def run(rounds: int, seconds: int, events: int, viewers: tuple[int, ...]) -> None:
    """Measure in turns, and print each row as it comes. Raises OSError."""
    with folder_in_memory() as folder, origin() as behind:
        files = Certified(folder)
        # For the generators, which believe in it by that.
        os.environ["REQUESTS_CA_BUNDLE"] = files.authority
        print(HEAD, flush=True)
        for _ in range(rounds):
            with ExitStack() as stack:
                both = {
                    "edge": stack.enter_context(_edge(behind.url, files)),
                    "nginx": stack.enter_context(_nginx(behind.url, files)),
                }
                _hits(both, seconds)
                _connections(both, files, seconds)
            for number in viewers:
                _crowds(behind.url, files, number, events)


# The servers


@contextmanager
def _edge(origin_url: str, files: Certified, secure: bool = True) -> Iterator[Served]:
    address = f"{NAME}:{free_port()}"
    tls = {"tls": {"cert": files.cert, "key": files.key}} if secure else {}
    settings = {"live": {"sse_lifetime": "10m"}, "log": {"access": "off"}}
    listen = [{"address": address, **tls}]
    with on_core(SERVERS), edge(origin_url, listen=listen, **settings) as ours:
        scheme = "https" if secure else "http"
        yield Served(f"{scheme}://{address}", origin_url, ours.process.pid)


@contextmanager
def _nginx(origin_url: str, files: Certified) -> Iterator[Served]:
    """As in ``peers``, with TLS; a plain address beside, to see that it is there."""
    plain, secure = (f"127.0.0.1:{free_port()}" for _ in range(2))
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with folder_in_memory() as folder:
        words = {"folder": str(folder), "origin": urlsplit(origin_url).netloc}
        words |= {"listen": plain, "files": str(min(limit, 20_000))}
        tls = _TLS.format(cert=files.cert, key=files.key)
        words["more"] = f"listen {secure} ssl backlog=16384;{tls}"
        config = folder / "nginx.conf"
        config.write_text(filled((HERE / "nginx.conf").read_text(), words))
        command = ["nginx", "-c", str(config)]
        with on_core(SERVERS), running("nginx", command) as process:
            wait_until_ready(process, plain, READY)
            port = secure.rpartition(":")[2]
            yield Served(f"https://{NAME}:{port}", origin_url, process.pid)


# What is measured


def _hits(servers: dict[str, Served], seconds: int) -> None:
    for size in SIZES:
        path = _closed(servers, size)
        for name, served in servers.items():
            words = ["hits", f"{served.url}{path}?offset=-1"]
            words += ["--connections", str(CONNECTIONS), "--seconds"]
            _told([*words, "1"])
            tree = ProcessTree(served.pid)
            before = tree.cpu_seconds()
            told = _told([*words, str(seconds)])
            each = (tree.cpu_seconds() - before) / told["requests"]
            _row(f"hits, {words_of(size)}", name, told["requests_per_second"], each)


def _connections(servers: dict[str, Served], files: Certified, seconds: int) -> None:
    path = _closed(servers, KIB)
    for resumed in (False, True):
        for name, served in servers.items():
            tree = ProcessTree(served.pid)
            before, begun = tree.cpu_seconds(), time.monotonic()
            with on_core(GENERATOR):
                made = _come_anew(served, path, files, begun + seconds, resumed)
            rate = made / (time.monotonic() - begun)
            each = (tree.cpu_seconds() - before) / made
            what = "resumed" if resumed else "new"
            _row(f"connections, {what}", name, rate, each)


def _come_anew(
    served: Served, path: str, files: Certified, until: float, resumed: bool
) -> int:
    """How many connections were made. Raises OSError for one that is not answered."""
    context = ssl.create_default_context(cafile=files.authority)
    parts = urlsplit(served.url)
    address = (NAME, parts.port or 443)
    asked = f"GET {path}?offset=-1 HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    session: ssl.SSLSession | None = None
    made = 0
    while time.monotonic() < until:
        with (
            socket.create_connection(address, 10) as plain,
            context.wrap_socket(plain, server_hostname=NAME, session=session) as client,
        ):
            client.sendall(asked)
            if not client.recv(16 * KIB).startswith(b"HTTP/1.1 200"):
                raise OSError(f"{served.url}: no answer")
            if resumed and made and not client.session_reused:
                raise OSError(f"{served.url}: a session was not resumed")
            session = client.session if resumed else None
        made += 1
    return made


def _crowds(origin_url: str, files: Certified, viewers: int, events: int) -> None:
    for mode in ("long-poll", "sse"):
        for name in ("edge without TLS", "edge", "nginx"):
            if name == "nginx" and mode == "sse":
                # It cannot share a live response.
                continue
            path = f"/v1/stream/crowd-{uuid.uuid4().hex}"
            with (
                _nginx(origin_url, files)
                if name == "nginx"
                else _edge(origin_url, files, name == "edge")
            ) as served:
                words = ["fanout", served.url + path, f"--viewers={viewers}"]
                words += [f"--events={events}", "--size=100", f"--mode={mode}"]
                words += [f"--rate={RATE}", f"--pid={served.pid}", "--warmup=2"]
                told = _told([*words, f"--write-to={origin_url}{path}"])
            times = f"{told['first_ms']['p50']:.1f}, {told['last_ms']['p50']:.1f}"
            each = told["cpu_per_message_us"] / 1e6
            memory = told["memory_per_viewer_kib"]
            what = f"{viewers:,} viewers, {mode}"
            _row(what, name, None, each, times, f"{memory:.1f}")


def _closed(servers: dict[str, Served], size: int) -> str:
    path = f"/v1/stream/hits-{size}"
    fields = {"Content-Type": "text/plain", "Stream-Closed": "true"}
    for url in {served.writes for served in servers.values()}:
        told = requests.put(url + path, b"x" * size, headers=fields, timeout=10)
        told.raise_for_status()
    return path


def _told(words: list[str]) -> Figures:
    """What a load measured. Raises OSError with what it says, if it failed."""
    told = ask(words)
    if "error" in told:
        raise OSError(f"ds-edge bench {' '.join(words)}: {told['error']}")
    return told


def _row(
    case: str,
    server: str,
    rate: float | None,
    each: float,
    times: str = "",
    memory: str = "",
) -> None:
    """``each`` in seconds."""
    said = "" if rate is None else f"{rate:,.0f}"
    cells = (case, server, said, f"{each * 1e6:,.0f}", times, memory)
    print(f"| {' | '.join(cells)} |", flush=True)
