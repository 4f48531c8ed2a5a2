"""TLS at a listener: what is set of it, and the context that is made of that.

The files are read with the settings, so that a worker which starts later has what was
checked then. ``server_context`` is called to check, and once more in the master before
workers are forked: a context holds the keys of session tickets, which all workers of
one start or reload must share (``edge.front.tls``).

Sources: RFC 9325 sections 3.1, 3.3, 3.5 and 4.2; RFC 6125 section 6.4.3 (names with a
wildcard); RFC 7301 (ALPN).
"""

import enum
import math
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from cryptography import x509
from pydantic import Field

from edge.settings.files import KeyFile, PemFile
from edge.settings.section import Section
from edge.settings.units import DAY
from origin_adapter.tls import TlsFault, believe, identify

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; version 1.3 has no others that are bad."""


SOON_DAYS = 14
"""A certificate that ends within so many days is worth a warning."""


class ClientCertificates(enum.Enum):
    """Whether clients must show a certificate."""

    OPTIONAL = "optional"
    REQUIRED = "required"


class MinVersion(enum.Enum):
    """The oldest version of TLS that is spoken."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class CertificateSettings(Section):
    """One certificate, with those between it and its authority, and its key."""

    cert: PemFile
    key: PemFile


class TlsSettings(CertificateSettings):
    """How TLS is spoken at one listener. ``more`` are for other names (SNI)."""

    more: tuple[CertificateSettings, ...] = ()
    client_ca: PemFile | None = None
    client_certificates: ClientCertificates | None = None
    min_version: MinVersion = MinVersion.TLS_1_2

    @property
    def certificates(self) -> tuple[CertificateSettings, ...]:
        """All of them; the first is for whoever names no other."""
        return (self, *self.more)

    @property
    def expires_at(self) -> float:
        """When the first of them expires, in seconds of the wall clock."""
        return min(expires_at(each.cert) for each in self.certificates)


class HasTls(Section):
    """What stands beside an address: a mapping, so that errors name their key."""

    tls: Annotated[TlsSettings | None, Field()] = None


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """What sessions of this listener are made of. Raises TlsSettingsFault."""
    first, *others = [
        _context(settings, each, place) for each, place in _placed(settings)
    ]
    by_name = {
        name: context
        for context, each in zip(others, settings.more, strict=True)
        for name in names(each.cert)
    }
    # The first one has the last word on its own names.
    by_name.update(dict.fromkeys(names(settings.cert), first))

    def choose(session: Any, name: str | None, _first: ssl.SSLContext) -> None:
        found = by_name.get((name or "").lower()) or by_name.get(_wild(name or ""))
        if found is not None:
            session.context = found

    if others:
        _call_by_name(first, choose)
    return first


def _call_by_name(context: ssl.SSLContext, choose: Callable[..., None]) -> None:
    """Have ``choose`` called with the name that a client asks for. gevent's class of
    contexts, which it puts in the place of Python's, calls it for sockets alone."""
    *_, lowest = (
        kind for kind in type(context).__mro__ if "sni_callback" in vars(kind)
    )
    vars(lowest)["sni_callback"].__set__(context, choose)


class TlsSettingsFault(ValueError):
    """What is wrong, and with which key below ``tls``."""

    def __init__(self, path: tuple[str | int, ...], detail: str) -> None:
        super().__init__(detail)
        self.path = path


def remarks(
    settings: TlsSettings, now: float
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What works at ``now`` (wall clock), and will not do for long: by the key below
    ``tls``."""
    for each, place in _placed(settings):
        ends = expires_at(each.cert)
        left = (ends - now) / DAY
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ends))
        if left < 0:
            yield (*place, "cert"), f"expired on {when}: clients refuse it"
        elif left < SOON_DAYS:
            days = f"{math.ceil(left)} days" if left > 1 else "a day"
            yield (*place, "cert"), f"expires within {days}, on {when}"
        if each.key.open:
            yield (*place, "key"), "can be read by everybody on this machine: chmod 600"


def expires_at(file: KeyFile) -> float:
    """When the certificate in a file expires. Raises ValueError: it holds none."""
    return _leaf(file).not_valid_after_utc.timestamp()


def names(file: KeyFile) -> list[str]:
    """The host names that the certificate in a file is for, in lower case."""
    try:
        found = _leaf(file).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]


def _leaf(file: KeyFile) -> x509.Certificate:
    return x509.load_pem_x509_certificates(file.octets)[0]


def _wild(name: str) -> str:
    """The name with a wildcard that covers this one: its first label alone."""
    return "*." + name.lower().partition(".")[2]


def _placed(
    settings: TlsSettings,
) -> Iterator[tuple[CertificateSettings, tuple[str | int, ...]]]:
    yield settings, ()
    for index, each in enumerate(settings.more):
        yield each, ("more", index)


def _context(
    settings: TlsSettings, own: CertificateSettings, place: tuple[str | int, ...]
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3
        if settings.min_version is MinVersion.TLS_1_3
        else ssl.TLSVersion.TLSv1_2
    )
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        identify(context, own.cert.octets, own.key.octets)
        expires_at(own.cert)
    except TlsFault as fault:
        key = "cert" if fault.part == "certificate" else "key"
        raise TlsSettingsFault((*place, key), str(fault)) from None
    except ValueError:
        detail = "holds a certificate that cannot be read"
        raise TlsSettingsFault((*place, "cert"), detail) from None
    _believe(context, settings)
    return context


def _believe(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Whose certificates clients may show, if any."""
    wanted = settings.client_certificates
    if settings.client_ca is None:
        if wanted is not None:
            detail = "is without client_ca: nobody says which certificates are good"
            raise TlsSettingsFault(("client_certificates",), detail)
        return
    try:
        believe(context, settings.client_ca.octets)
    except TlsFault as fault:
        raise TlsSettingsFault(("client_ca",), str(fault)) from None
    optional = wanted is ClientCertificates.OPTIONAL
    context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
