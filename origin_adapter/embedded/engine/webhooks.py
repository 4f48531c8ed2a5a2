"""Webhooks: one POST to a target that may be called, and nothing more.

The name is resolved here, every address is judged, and the connection goes to a judged
address. If the name resolves elsewhere a moment later, that reaches nothing inside
(section 12.8). No redirects, no proxies, no retries. The whole exchange has one
time-out.
"""

import http.client
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import gevent
from gevent import socket
from gevent import ssl as gevent_ssl

from origin_adapter.embedded.rules import targets

TIMEOUT = 30.0
DIAL_TIMEOUT = 5.0
MAX_ANSWER = 65536


class DeliveryFailed(Exception):
    """The target could not be reached, or did not answer with HTTP."""


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """The target's answer. A longer body than is needed is cut."""

    status: int
    body: bytes


def post(
    url: str, body: bytes, headers: dict[str, str], local_webhooks: bool
) -> WebhookReply:
    """Send one webhook. Blocks the calling greenlet; raises DeliveryFailed."""
    slow = DeliveryFailed(f"no answer within {TIMEOUT:.0f} s")
    try:
        with gevent.Timeout(TIMEOUT, slow):
            target = targets.parse(url, local_webhooks)
            return _exchange(target, body, headers)
    except (OSError, http.client.HTTPException, targets.BadTarget) as error:
        raise DeliveryFailed(str(error) or type(error).__name__) from error


def _exchange(
    target: targets.WebhookTarget, body: bytes, headers: dict[str, str]
) -> WebhookReply:
    sock = _connect(target)
    # The connection speaks over a socket that it did not open; it never reconnects.
    link = http.client.HTTPConnection(target.host, target.port)
    link.sock = sock
    # Host names no default port.
    link.default_port = 443 if target.secure else 80
    try:
        link.request("POST", target.path, body, {**headers, "Connection": "close"})
        answer = link.getresponse()
        return WebhookReply(answer.status, answer.read(MAX_ANSWER))
    finally:
        link.close()
        sock.close()


def _connect(target: targets.WebhookTarget) -> socket.socket:
    sock = _dial(_addresses(target), target.port)
    if not target.secure:
        return sock
    # The handshake is a step of its own: if it fails, there is a socket to close.
    secured = _trust().wrap_socket(
        sock, server_hostname=target.host, do_handshake_on_connect=False
    )
    try:
        secured.do_handshake()
    except BaseException:
        # This includes the time-out of the whole exchange.
        secured.close()
        raise
    return secured


@cache
def _trust() -> gevent_ssl.SSLContext:
    """The system's certificates. Read once: that takes tens of milliseconds."""
    # Not create_default_context: it makes the standard library's context, whose sockets
    # would stop the event loop until the target has answered.
    context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _dial(addresses: list[str], port: int) -> socket.socket:
    """A connection to the first address that accepts one. Raises OSError."""
    for address in addresses[:-1]:
        with suppress(OSError):
            sock = socket.create_connection((address, port), DIAL_TIMEOUT)
            sock.settimeout(None)
            return sock
    return socket.create_connection((addresses[-1], port))


def _addresses(target: targets.WebhookTarget) -> list[str]:
    """The addresses of the host; every one of them must be allowed."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise targets.BadTarget("the host has no address")
    for address in addresses:
        targets.check_address(address, target.local)
    return addresses
