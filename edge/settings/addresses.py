"""Addresses to listen on and base URLs to call, checked and made uniform.

The parsers raise ValueError with one sentence that says what is expected. They never
repeat what they were given: a URL may hold a password by mistake. Pure; called by
``fields`` and, for conflicts, by ``cross_checks``.
"""

import ipaddress
import re
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urlsplit

from edge.policy.http.cors import EVERYBODY, serialised
from edge.settings.listener_tls import TlsSettings

LISTEN_HINT = "host:port, [ipv6]:port, :port or unix:/path"
EMBEDDED = "embedded"
"""The word for the origin that comes with the edge, in place of a URL."""

ORIGIN_HINT = "embedded, http://host[:port], https://host[:port] or unix:/path"
NAME_HINT = "a host name, as in edge.internal"
BASE_HINT = "http://host[:port] or https://host[:port]"
CORS_HINT = "an origin such as https://app.example or https://*.example"

# sockaddr_un holds 108 bytes with the closing NUL.
MAX_UNIX_PATH = 107

DEFAULT_PORTS = {"http": 80, "https": 443}

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/\s@]*)):(\d{1,5})", re.ASCII)
_HOST_NAME = re.compile(
    r"(?=.{1,253}\.?\Z)(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?",
    re.ASCII,
)
_ANY_HOST = frozenset({"", "0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen: a host and a port, or the path of a unix socket.

    ``path`` "" means TCP. ``host`` "" means every interface; port 0 lets the
    system choose. ``str()`` gives the form that gunicorn binds. ``proxy_protocol``:
    each connection there begins with a header of the PROXY protocol. ``tls``: TLS is
    spoken there. A reload may change that, so it is no part of what is compared.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    proxy_protocol: bool = False
    tls: TlsSettings | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str | None:
        """The base URL under which this machine reaches it; None: unknown."""
        if self.path or not self.port:
            return None
        local = replace(self, host="127.0.0.1") if self.host in _ANY_HOST else self
        return f"{'http' if self.tls is None else 'https'}://{local}"

    @property
    def everywhere(self) -> bool:
        """Whether it is every interface of this machine."""
        return not self.path and self.host in _ANY_HOST

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it, as far as the text tells."""
        if self.path:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def collides(self, other: "ListenAddress") -> bool:
        """Whether nobody can listen on both.

        Names are not resolved. "Every interface" collides with each interface.
        """
        if self.path or other.path:
            return self.path == other.path
        if self.port != other.port or not self.port:
            return False
        hosts = {self.host.lower(), other.host.lower()}
        return len(hosts) == 1 or bool(hosts & _ANY_HOST)


def parse_listen(text: str) -> ListenAddress:
    """An address to listen at."""
    if text.startswith("unix:"):
        return ListenAddress(path=_unix_path(text))
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match[3]) > 65_535:
        raise ValueError(f"expected {LISTEN_HINT}")
    host = match[2] or ""
    if match[1] is not None:
        host = _ipv6(match[1])
    elif host and not _HOST_NAME.fullmatch(host):
        raise ValueError(f"expected {LISTEN_HINT}")
    return ListenAddress(host, int(match[3]))


def parse_origin(text: str) -> str:
    """An origin's base URL, without a closing slash; or ``embedded``."""
    if text == EMBEDDED:
        return text
    if text.startswith("unix:"):
        return f"unix:{_unix_path(text)}"
    return _base(text, ORIGIN_HINT)


def parse_base(text: str) -> str:
    """A base URL of scheme and authority, without a closing slash."""
    return _base(text, BASE_HINT)


def parse_authority(text: str) -> str:
    """The value of a Host field: ``host`` or ``host:port``."""
    try:
        base = _base(f"http://{text}", "a host name, with its port if it has one")
    except ValueError:
        raise ValueError("expected a host name, as in stream.example:8443") from None
    return base.removeprefix("http://")


def parse_host_name(text: str) -> str:
    """The name of a host, without a port, in lower case."""
    if not _HOST_NAME.fullmatch(text):
        raise ValueError(f"expected {NAME_HINT}")
    return text.lower().rstrip(".")


def parse_cors_origin(text: str) -> str:
    """A web origin as browsers write it, ``*.`` for labels allowed; or ``*``.

    A name beyond ASCII has to be written as browsers send it (``xn--``).
    """
    if text == EVERYBODY:
        return text
    before, wild, after = text.partition("://*.")
    # A label in the place of the wildcard makes it a URL.
    origin = serialised(_base(f"{before}://x.{after}" if wild else text, CORS_HINT))
    if not wild:
        return origin
    scheme, _, parent = origin.partition("://x.")
    last = parent.partition(":")[0].rpartition(".")[2]
    if not last or last.isdecimal():
        # Nothing is below an address.
        raise ValueError(f"expected {CORS_HINT}, with a name behind the *.")
    return f"{scheme}://*.{parent}"


def authority_of(url: str) -> tuple[str, int] | None:
    """Host and port of a checked base URL; None for a unix socket."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS:
        return None
    return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


def _base(text: str, hint: str) -> str:
    parts = _split(text, hint)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"expected {hint}, without a user name or password")
    if parts.query or parts.fragment or text[-1] in "?#":
        raise ValueError(f"expected {hint}, without a query or fragment")
    if parts.path not in ("", "/"):
        raise ValueError(f"expected {hint}, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _split(text: str, hint: str) -> SplitResult:
    """The parts of ``text``. Raises ValueError if it is no such URL."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        if ":" in host:
            _ipv6(host)
    except ValueError:
        raise ValueError(f"expected {hint}") from None
    known = parts.scheme in DEFAULT_PORTS and port != 0
    # urlsplit drops tabs and newlines; a URL with white space is a slip.
    if not known or re.search(r"[\s\\]", text) or not _is_host(host):
        raise ValueError(f"expected {hint}")
    if parts.netloc.endswith(":"):
        raise ValueError(f"expected {hint}")
    return parts


def _is_host(host: str) -> bool:
    return ":" in host or _HOST_NAME.fullmatch(host) is not None


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError(f"expected {LISTEN_HINT}") from None


def _unix_path(text: str) -> str:
    path = text.removeprefix("unix:").removeprefix("//")
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise ValueError("expected unix: and an absolute path, as in unix:/run/e.sock")
    if len(path.encode()) > MAX_UNIX_PATH:
        raise ValueError(f"expected a socket path of at most {MAX_UNIX_PATH} bytes")
    return path
