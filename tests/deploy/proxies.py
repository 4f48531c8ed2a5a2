"""The servers of ``deploy/``, started with the very files that are shipped there.

Ports, the socket's path and the certificate's are a test's own: Caddy's file takes them
from the environment, in the others exactly those words are replaced, and each must be
there. The edge behind is started with the ``edge.yaml`` that is shipped beside them.
"""

import os
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support import programs
from tests.support.certificates import self_signed
from tests.support.processes import (
    ROOT,
    Edge,
    Process,
    ProcessFault,
    edge,
    free_port,
    laid_over,
    running,
)

DEPLOY = ROOT / "deploy"
SOCKET = "/run/ds-edge/edge.sock"
CERTIFICATE = "/etc/ds-edge/tls.pem"
READY_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running server: ``address`` speaks TLS, ``plain`` leads there, ``believed``
    holds the authority of its certificate, which is for ``localhost``."""

    name: str
    address: str
    plain: str
    believed: Path
    process: Process

    @property
    def url(self) -> str:
        """As browsers call it."""
        return f"https://localhost:{self.address.rpartition(':')[2]}"


@dataclass(frozen=True, slots=True)
class Proxies:
    """One edge, whose socket lies in ``folder``, and servers before it."""

    folder: Path
    edge: Edge
    by_name: dict[str, Proxy]


@contextmanager
def anybodys() -> Iterator[Path]:
    """A folder that servers reach after they have dropped root."""
    with tempfile.TemporaryDirectory(prefix="ds-proxy-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def edge_behind(folder: Path, **settings: Any) -> Iterator[Edge]:
    """The edge with the file that is shipped, its socket and streams in ``folder``."""
    shipped = yaml.safe_load((DEPLOY / "edge.yaml").read_text())
    assert shipped["listen"] == f"unix:{SOCKET}"
    own = {
        "listen": f"unix:{socket_in(folder)}",
        "origin": {"data": str(folder / "streams")},
        "admin": {"listen": f"127.0.0.1:{free_port()}"},
    }
    with edge("embedded", **laid_over(laid_over(shipped, own), settings)) as running:
        yield running


def socket_in(folder: Path) -> Path:
    return folder / "edge.sock"


@contextmanager
def proxy(name: str, folder: Path) -> Iterator[Proxy]:
    """One of ``STARTS`` or ``try``, before the edge whose socket lies in ``folder``."""
    port, plain = free_port(), free_port()
    (folder / name).mkdir()
    starts = {**STARTS, "try": caddy_to_try}
    command, environment, believed = starts[name](folder, port, plain)
    with running(name, command, env=environment) as process:
        address = f"127.0.0.1:{port}"
        _await(process, address)
        yield Proxy(name, address, f"127.0.0.1:{plain}", believed, process)


def caddy(folder: Path, port: int, plain: int) -> "Started":
    """It makes an authority of its own, since ``localhost`` is no public name."""
    return _caddy(folder, "Caddyfile", port, plain)


def caddy_to_try(folder: Path, port: int, plain: int) -> "Started":
    """The one that docs/deploy.md begins with; nothing listens at ``plain``."""
    return _caddy(folder, "Caddyfile.try", port, plain)


def _caddy(folder: Path, file: str, port: int, plain: int) -> "Started":
    binary = programs.ensure("caddy", "caddy")
    environment = {
        **os.environ,
        "HOME": str(folder / file),
        "XDG_DATA_HOME": str(folder / file / "data"),
        "XDG_CONFIG_HOME": str(folder / file / "config"),
        "EDGE_CADDY_ADMIN": "off",
        "EDGE_HTTP_PORT": str(plain),
        "EDGE_HTTPS_PORT": str(port),
        "EDGE_SOCKET": str(socket_in(folder)),
    }
    believed = folder / file / "data/caddy/pki/authorities/local/root.crt"
    command = [binary, "run", "--config", str(DEPLOY / "caddy" / file)]
    return command, environment, believed


def haproxy(folder: Path, port: int, plain: int) -> "Started":
    binary = programs.ensure("haproxy", "haproxy")
    certificate = self_signed(folder / "haproxy", "localhost")
    config = _written(
        DEPLOY / "haproxy" / "haproxy.cfg",
        folder,
        {
            "group ds-edge": "group haproxy",
            "bind :::443 v4v6": f"bind 127.0.0.1:{port}",
            "bind :::80 v4v6": f"bind 127.0.0.1:{plain}",
            "/run/haproxy/": f"{folder}/",
            CERTIFICATE: str(certificate),
            SOCKET: str(socket_in(folder)),
        },
    )
    return [binary, "-db", "-f", str(config)], dict(os.environ), certificate


def nginx(folder: Path, port: int, plain: int) -> "Started":
    binary = programs.ensure("nginx", "nginx")
    certificate = self_signed(folder / "nginx", "localhost")
    config = _written(
        DEPLOY / "nginx" / "nginx.conf",
        folder,
        {
            "pid /run/nginx.pid;": f"pid {folder}/nginx.pid; daemon off;",
            "/var/log/nginx/error.log": "stderr",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen [::]:80;": "",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "listen [::]:443 ssl http2;": "",
            CERTIFICATE: str(certificate),
            SOCKET: str(socket_in(folder)),
        },
    )
    return [binary, "-c", str(config), "-e", "stderr"], dict(os.environ), certificate


Started = tuple[list[str], dict[str, str], Path]
STARTS: dict[str, Callable[[Path, int, int], Started]] = {
    "caddy": caddy,
    "haproxy": haproxy,
    "nginx": nginx,
}


def _written(shipped: Path, folder: Path, words: dict[str, str]) -> Path:
    """A copy of the file with these words replaced, each of which it must have."""
    text = shipped.read_text()
    for word, by in words.items():
        assert word in text, f"{shipped.name} has no {word}"
        text = text.replace(word, by)
    copy = folder / shipped.name
    copy.write_text(text)
    return copy


def _await(process: Process, address: str) -> None:
    """Return when somebody there has a certificate to show. Raises ProcessFault."""
    host, _, port = address.rpartition(":")
    for _ in range(int(READY_WITHIN / 0.02)):
        if _speaks_tls(host, int(port)):
            return
        if process.ended(within=0.02):
            raise ProcessFault(f"{process.name} ended before it listened")
    raise ProcessFault(f"{process.name} did not listen within {READY_WITHIN} s")


def _speaks_tls(host: str, port: int) -> bool:
    terms = ssl.create_default_context()
    terms.check_hostname, terms.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), READY_WITHIN) as plain,
            terms.wrap_socket(plain, server_hostname="localhost"),
        ):
            return True
    except OSError:
        return False
