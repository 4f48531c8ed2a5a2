"""Certificates and keys that settings name: whether they can be used. Part of
``cross_checks``.
"""

import time
from collections.abc import Iterator

from edge.settings.listener_tls import TlsSettingsFault, remarks, server_context
from edge.settings.problems import Conflict
from edge.settings.schema import Settings
from origin_adapter.tls import TlsFault, client_context

TLS_KEYS = ("ca_file", "certificate_file", "key_file", "server_name")
"""Keys of ``origin`` that only an origin with https has."""


def origin_by_tls(settings: Settings) -> Iterator[Conflict]:
    """What is set of TLS can be used, and is."""
    origin = settings.origin
    given = [key for key in TLS_KEYS if getattr(origin, key) is not None]
    if not given:
        return
    if not origin.url.startswith("https:"):
        for key in given:
            message = "is for an origin with https, and origin.url has none"
            yield Conflict(("origin", key), message, ("origin", "url"))
        return
    if origin.key_file is not None and origin.certificate_file is None:
        yield Conflict(("origin", "key_file"), "is of no use without certificate_file")
        return
    try:
        client_context(origin.tls)
    except TlsFault as fault:
        yield Conflict(("origin", f"{fault.part}_file"), str(fault))


def listeners_by_tls(settings: Settings) -> Iterator[Conflict]:
    """Certificates and keys of listeners belong together."""
    for index, address in enumerate(settings.listen):
        if address.tls is None:
            continue
        try:
            server_context(address.tls)
        except TlsSettingsFault as fault:
            yield Conflict(("listen", index, "tls", *fault.path), str(fault))


def certificates_last(settings: Settings) -> Iterator[Conflict]:
    """Certificates of listeners last a while, and nobody else reads their keys."""
    for index, address in enumerate(settings.listen):
        found = () if address.tls is None else remarks(address.tls, time.time())
        for path, why in found:
            yield Conflict(("listen", index, "tls", *path), why)
