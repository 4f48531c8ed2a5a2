"""Asks the edge on this machine by its admin address, as the settings tell it.

It takes a bounded time whatever answers there, and a bounded answer. Called by
``health``, ``status`` and ``top``.
"""

import json
import re
import socket
import time
from collections.abc import Iterator

from edge.settings import Settings
from edge.settings.addresses import ListenAddress

MAX_ANSWER = 8 * 1024 * 1024
_EVERY = frozenset({"", "0.0.0.0", "::"})


class NotWell(Exception):
    """Why there is no answer, or none that can be used, in one sentence."""


def fetch(settings: Settings, page: str, within: float, method: str = "GET") -> bytes:
    """The body of the page; ``within`` seconds. Raises NotWell."""
    address = settings.admin.listen
    if not address.path and not address.port:
        raise NotWell("admin.listen has port 0: only the system knows which it is")
    token = settings.admin.plain_token
    lines = [f"{method} {page} HTTP/1.1", "Host: localhost", "Connection: close"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    request = "\r\n".join([*lines, "", ""]).encode("ascii")
    ends = time.monotonic() + within
    try:
        with _connected(address, ends) as client:
            client.sendall(request)
            answer = _received(client, ends)
    except TimeoutError:
        raise NotWell(f"{address} did not answer in {within:g} s") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise NotWell(f"{address} does not answer: {why}") from None
    return _judged(answer, address)


def _connected(address: ListenAddress, ends: float) -> socket.socket:
    """A connection to the first place that takes one. Raises OSError."""
    refused: OSError = ConnectionError("no address")
    for family, name in _places(address):
        client = socket.socket(family, socket.SOCK_STREAM)
        try:
            client.settimeout(_left(ends))
            client.connect(name)
        except OSError as error:
            client.close()
            refused = error
        else:
            return client
    raise refused


def _places(address: ListenAddress) -> Iterator[tuple[int, str | tuple[str, int]]]:
    """Where it can be reached from here; every interface has the loopback ones."""
    if address.path:
        yield socket.AF_UNIX, address.path
        return
    hosts = ("127.0.0.1", "::1") if address.host in _EVERY else (address.host,)
    for host in hosts:
        try:
            found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise OSError(error.errno, error.strerror) from None
        for family, _, _, _, name in found:
            yield family, (str(name[0]), int(name[1]))


def _received(client: socket.socket, ends: float) -> bytes:
    """All that comes before the end. A drip of bytes has no longer than silence."""
    answer = bytearray()
    while len(answer) < MAX_ANSWER:
        client.settimeout(_left(ends))
        piece = client.recv(64 * 1024)
        if not piece:
            break
        answer += piece
    return bytes(answer)


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _judged(answer: bytes, address: ListenAddress) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.decode("latin-1").split("\r\n")[0].split(" ")
    if len(words) < 2 or not words[0].startswith("HTTP/1."):
        raise NotWell(f"{address} answers, but not by HTTP")
    if words[1] != "200":
        raise NotWell(f"{address} answers {words[1]}{_why(body)}")
    return body


def _why(body: bytes) -> str:
    """The reason word of a problem document, to be added to its status."""
    try:
        reason = json.loads(body)["reason"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    known = isinstance(reason, str) and re.fullmatch("[a-z-]{1,40}", reason)
    return f" ({reason})" if known else ""
