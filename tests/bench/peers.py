"""The servers that are measured: what each needs, how it starts, how it stops.

All stand before the same origin, on core 0, one worker each; ``on_core`` tells where
what is started in its block runs. nginx and Varnish keep what they hold in memory
(``/dev/shm``, malloc), drop root, and have a folder of their own that goes with them.
Their configurations lie beside this file and are the best that we could write: what
was tried is said there and in docs/performance.md.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge import __version__
from tests.access import issuer
from tests.support import node
from tests.support.processes import (
    edge,
    free_port,
    node_origin,
    running,
    wait_until_ready,
)

HERE = Path(__file__).parent
SERVERS, GENERATOR = 0, 1
"""The core of the server that is measured, and the one of all that is around it."""

READY = "/v1/stream/ready"
"""A closed stream that the origin has before any peer starts."""


class Work(StrEnum):
    """What a server is asked to do; its live modes as they stand in a URL."""

    HITS = "hits"
    LONG_POLL = "long-poll"
    SSE = "sse"
    PASSING = "passing"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: where it is read, where streams are written, and where it
    tells metrics, if they are an edge's."""

    url: str
    writes: str
    pid: int
    metrics: str | None = None


Start = Callable[..., AbstractContextManager[Served]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that can be measured. ``shares``: a crowd costs one origin request.

    ``needs``: a program and how to get it. ``tokens``: makes so many bearer tokens, if
    it lets nobody in without. ``cannot``: work that is not asked of it,
    and why.
    """

    name: str
    start: Start
    version: Callable[[], str]
    shares: bool
    needs: tuple[str, str] | None = None
    tokens: Callable[[int], list[str]] | None = None
    cannot: Mapping[Work, str] = field(default_factory=dict)

    def missing(self) -> str | None:
        """How to get the program that is not installed; None if it is."""
        if self.needs is None or shutil.which(self.needs[0]):
            return None
        return self.needs[1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What starts within runs on this core, and so do its children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def filled(template: str, words: Mapping[str, str]) -> str:
    """A template with each ``@word@`` replaced. Raises KeyError for one not given."""
    return re.sub(r"@(\w+)@", lambda found: words[found[1]], template)


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """In memory, and anybody's: servers drop root before they write."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="ds-bench-", dir=shm if shm.is_dir() else None
    ) as name:
        os.chmod(name, 0o777)
        yield Path(name)


def _said(*command: str) -> str:
    """What a program says of its version, whichever stream it says it on."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
    return found[0] if found else "?"


# The edge


@contextmanager
def _edge(origin: str, work: Work, /, **more: Any) -> Iterator[Served]:
    # Event streams live as long as those of the others; nobody writes a log here.
    settings = {"live": {"sse_lifetime": "10m"}, "log": {"access": "off"}, **more}
    with on_core(SERVERS), edge(origin, **settings) as ours:
        yield Served(ours.url, origin, ours.process.pid, f"{ours.admin}/metrics")


@contextmanager
def _edge_that_judges(origin: str, work: Work) -> Iterator[Served]:
    """Everybody has a token of its own, signed by an issuer whose public key it has."""
    with folder_in_memory() as folder:
        key = folder / "issuer.pem"
        key.write_bytes(issuer.pem("rsa"))
        way = {
            "keys": [{"public_key": str(key)}],
            "algorithms": ["RS256"],
            "issuer": issuer.ISSUER,
            "audience": issuer.AUDIENCE,
            "read_claim": "streams.read",
        }
        routes = [{"match": "/v1/stream/**", "access": {"jwt": way}}]
        with _edge(origin, work, routes=routes) as ours:
            yield ours


def _tokens(number: int) -> list[str]:
    """As identity providers make them: RS256, each with a subject of its own."""
    now = int(time.time())
    return [
        issuer.token(
            issuer.said(
                sub=f"auth0|{n:024x}",
                iat=now,
                exp=now + 3600,
                jti=uuid.uuid4().hex,
                azp="a-client-of-the-provider-1234567",
                scope="openid profile email",
                streams={"read": ["/v1/stream/**"]},
            ),
            "rsa",
            {"kid": "2026-key-of-the-provider", "typ": "JWT"},
        )
        for n in range(number)
    ]


def _edge_version() -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{__version__} (Python {python}, gevent {version('gevent')})"


# nginx


@contextmanager
def _nginx(origin: str, work: Work) -> Iterator[Served]:
    listen = f"127.0.0.1:{free_port()}"
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    with folder_in_memory() as folder:
        words = {"folder": str(folder), "origin": urlsplit(origin).netloc}
        words |= {"listen": listen, "files": str(min(files, 20_000)), "more": ""}
        config = folder / "nginx.conf"
        config.write_text(filled((HERE / "nginx.conf").read_text(), words))
        command = ["nginx", "-c", str(config)]
        with on_core(SERVERS), running("nginx", command) as process:
            wait_until_ready(process, listen, READY)
            yield Served(f"http://{listen}", origin, process.pid)


# Varnish

_UNLOGGED = (
    "Debug Error CLI SessOpen SessClose BackendOpen BackendClose HttpGarbage Backend "
    "Length FetchError ReqMethod ReqURL ReqStatus ReqReason ReqProtocol ReqHeader "
    "ReqUnset ReqLost RespMethod RespURL RespStatus RespReason RespProtocol RespHeader "
    "RespUnset RespLost BereqMethod BereqURL BereqStatus BereqReason BereqProtocol "
    "BereqHeader BereqUnset BereqLost BerespMethod BerespURL BerespStatus BerespReason "
    "BerespProtocol BerespHeader BerespUnset BerespLost ObjMethod ObjURL ObjStatus "
    "ObjReason ObjProtocol ObjHeader ObjUnset ObjLost BogoHeader LostHeader TTL "
    "Fetch_Body VCL_acl VCL_call VCL_trace VCL_return ReqStart Hit HitPass ExpBan "
    "ExpKill WorkThread ESI_xmlerror Hash Backend_health VCL_Log VCL_Error Gzip Link "
    "Begin End VSL Storage Timestamp ReqAcct PipeAcct BereqAcct VfpAcct Witness "
    "H2RxHdr H2RxBody H2TxHdr H2TxBody HitMiss Filters SessError VCL_use Notice VdpAcct"
)
"""Every tag of varnish 7.1's log: it writes to shared memory, and 1 KiB hits come at
10,000 a second with it, at 43,000 without."""

VARNISH = {
    "vsl_mask": ",".join(f"-{tag}" for tag in _UNLOGGED.split()),
    # Else it keeps bodies as gzip, and inflates them for everybody who wants none.
    "http_gzip_support": "off",
    # One core: a second pool only takes turns with the first.
    "thread_pools": "1",
    "listen_depth": "16384",
    # Less to clear and to keep for each request that waits.
    "http_max_hdr": "32",
    "workspace_client": "16k",
    "vsl_buffer": "4k",
}
FEW_THREADS = {"thread_pool_min": "10", "thread_pool_max": "25"}
"""Who waits for an answer holds no thread, and threads that take turns on one core
cost: a crowd of 5,000 is served within 182 ms by 50 of them, within 274 ms by as many
as they like; 25 are as fast, and the slowest hit of a hundred is answered sooner. Made
no difference: ``rush_exponent`` from 3 to 1,000, ``timeout_linger`` above its 50 ms (at
0 it costs half of everything), ``thread_stats_rate``, ``lru_interval``,
``fetch_chunksize``."""

THREAD_FOR_EACH = {"thread_pool_max": "15000"}
"""Each viewer of an event stream holds a thread."""

_LEAN = "MALLOC_CONF=tcache:false,narenas:1"
"""No cache of free memory in each of so many threads: 32 KiB a viewer, else 78."""


def varnish_command(folder: Path, listen: str, work: Work) -> list[str]:
    """How varnishd is started: as nobody, if we are root, in a folder of its own."""
    drop = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    command = [*drop, "--pdeathsig=keep"] if os.geteuid() == 0 else []
    # A thread that is woken does not interrupt the one that wakes: 5,000 viewers of
    # an event stream have it within 190 ms, else 290.
    command += ["chrt", "--batch", "0"]
    command += ["env", _LEAN] if work is Work.SSE else []
    command += ["varnishd", "-F", "-j", "none", "-n", str(folder / "n"), "-T", "none"]
    command += ["-a", listen, "-f", str(folder / "varnish.vcl"), "-s", "malloc,256m"]
    threads = THREAD_FOR_EACH if work is Work.SSE else FEW_THREADS
    for name, value in (VARNISH | threads).items():
        command += ["-p", f"{name}={value}"]
    return command


@contextmanager
def _varnish(origin: str, work: Work) -> Iterator[Served]:
    listen = f"127.0.0.1:{free_port()}"
    at = urlsplit(origin)
    with folder_in_memory() as folder:
        words = {"host": at.hostname or "", "port": str(at.port)}
        config = folder / "varnish.vcl"
        config.write_text(filled((HERE / "varnish.vcl").read_text(), words))
        command = varnish_command(folder, listen, work)
        with on_core(SERVERS), running("varnish", command) as process:
            wait_until_ready(process, listen, READY)
            yield Served(f"http://{listen}", origin, process.pid)


# The origin itself


@contextmanager
def _node(origin: str, work: Work) -> Iterator[Served]:
    """Another one, on the core of those that are measured."""
    with on_core(SERVERS), node_origin(long_poll_ms=30_000) as other:
        yield Served(other.url, other.url, other.process.pid)


def _node_version() -> str:
    return f"0.3.7 (Node {_said(str(node.ensure().binary), '--version')})"


# The floor


@contextmanager
def _floor(origin: str, work: Work) -> Iterator[Served]:
    """It has its streams itself, and nothing behind it."""
    command = [sys.executable, "-m", "tests.bench.floor"]
    with (
        on_core(SERVERS),
        running("floor", command, stdout=subprocess.PIPE) as process,
    ):
        assert process.handle.stdout is not None
        with process.handle.stdout as first_line:
            url = json.loads(first_line.readline())["url"]
        yield Served(url, url, process.pid)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("edge", _edge, _edge_version, shares=True),
        Peer(
            "edge-jwt",
            _edge_that_judges,
            _edge_version,
            shares=True,
            tokens=_tokens,
        ),
        Peer(
            "nginx",
            _nginx,
            lambda: _said("nginx", "-v"),
            shares=True,
            needs=("nginx", "Debian: apt-get install nginx"),
            cannot={Work.SSE: "cannot share a live response, so each viewer costs one"},
        ),
        Peer(
            "varnish",
            _varnish,
            lambda: _said("varnishd", "-V"),
            shares=True,
            needs=("varnishd", "Debian: apt-get install varnish"),
        ),
        Peer("node", _node, _node_version, shares=False),
        Peer("floor", _floor, lambda: "a loop that only answers", shares=False),
    )
}
"""All servers by name, in the order in which they take turns."""
