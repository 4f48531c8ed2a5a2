"""Webhook targets: where this origin may send requests (section 12.8).

The URL is judged when a subscription is made, the addresses when a connection is
opened: a name that later resolves to an inside address is refused too. Only ``https``
to public addresses is allowed; ``local_webhooks`` adds ``http`` to ``localhost``
and ``127.0.0.x``, for development.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_LABELS = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_-]+)*\.?", re.ASCII)


class BadTarget(Exception):
    """A URL or an address that must not be called. The text is for a person."""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A URL that may be called: its parts, and whether it is a local one."""

    secure: bool
    host: str
    port: int
    path: str
    local: bool


def parse(url: str, local_webhooks: bool) -> WebhookTarget:
    """The target that a URL names. Raises BadTarget."""
    if not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
        raise BadTarget("a webhook URL is plain ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadTarget("not a URL") from None
    host = (parts.hostname or "").lower()
    if not host or parts.username is not None or parts.password is not None:
        raise BadTarget("a webhook URL needs a host and carries no credentials")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme == "http":
        if not (local_webhooks and _is_dev_host(host)):
            raise BadTarget("webhook URLs must use https")
        return WebhookTarget(False, host, port or 80, path, local=True)
    if parts.scheme != "https":
        raise BadTarget("webhook URLs must use https")
    _check_host(host)
    return WebhookTarget(True, host, port or 443, path, local=False)


def check_address(address: str, local: bool) -> None:
    """Whether a connection to this address may be opened. Raises BadTarget."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if local:
        if not found.is_loopback:
            raise BadTarget("a local webhook must stay on this machine")
        return
    if not _is_public(found):
        raise BadTarget(f"{address} is not a public address")


def _check_host(host: str) -> None:
    try:
        check_address(host, local=False)
        return
    except ValueError:
        pass
    host = host.removesuffix(".")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        raise BadTarget("webhook URLs must not name local hosts")
    if _LABELS.fullmatch(host) is None or host.rsplit(".")[-1].isdigit():
        raise BadTarget("not a host name")


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _UNICAST:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _is_dev_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
