"""TLS: whom to believe, and who we are. ``client_context`` is for one origin; a server
takes ``identify`` and ``believe``.

From octets of PEM to a context. The octets are read with the settings, so that a worker
which starts later finds what was checked then, whatever became of the files. The
library reads keys from files alone; so they lie in memory for that moment, under no
name. Raises TlsFault, which names the part that is wrong.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How one origin is spoken to by TLS. All are PEM.

    ``ca`` are the certificates that are believed, in place of the system's.
    ``certificate`` is our own, with those between it and its authority; ``key`` is its
    private key, None: it is in the same text. ``server_name`` is whose certificate is
    expected, and asked for (SNI); None: the host of the url.
    """

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None


class TlsFault(ValueError):
    """What is wrong with one part; ``part`` is ``ca``, ``certificate`` or ``key``."""

    def __init__(self, part: str, detail: str) -> None:
        super().__init__(detail)
        self.part = part


def client_context(options: TlsOptions) -> ssl.SSLContext:
    """A context that verifies the origin's certificate and name. Raises TlsFault.

    No handshake begins anew in a session (RFC 9325 section 3.5): until the origin ended
    it, nothing could be sent over a socket that has room.
    """
    context = _believing(options.ca)
    context.options |= ssl.OP_NO_RENEGOTIATION
    if options.certificate is not None:
        identify(context, options.certificate, options.key)
    return context


def _believing(ca: bytes | None) -> ssl.SSLContext:
    if ca is None:
        return ssl.create_default_context()
    _require_certificate("ca", ca)
    return ssl.create_default_context(cadata=ca.decode("ascii"))


def believe(context: ssl.SSLContext, ca: bytes) -> None:
    """Believe in these certificates, too. Raises TlsFault."""
    _require_certificate("ca", ca)
    context.load_verify_locations(cadata=ca.decode("ascii"))


def identify(context: ssl.SSLContext, certificate: bytes, key: bytes | None) -> None:
    """Show this certificate, with its key (None: that is in the same text). Raises
    TlsFault."""
    _require_certificate("certificate", certificate)
    part = "certificate" if key is None else "key"
    # An encrypted key: else the library would ask at the terminal.
    encrypted = TlsFault(part, "holds a private key that is encrypted")

    def password() -> str:
        raise encrypted

    try:
        with _as_file(certificate) as chain, _as_file(key or certificate) as secret:
            context.load_cert_chain(chain, secret, password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            detail = "holds a private key that is not the certificate's"
        else:
            detail = "holds no private key in PEM"
        raise TlsFault(part, detail) from None


def _require_certificate(part: str, octets: bytes) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=octets.decode("ascii")
        )
    except (ssl.SSLError, ValueError):
        raise TlsFault(part, "holds no certificate in PEM") from None


@contextmanager
def _as_file(octets: bytes) -> Iterator[str]:
    """The path of a file that holds ``octets`` for now."""
    if not hasattr(os, "memfd_create"):  # another system than Linux
        with tempfile.NamedTemporaryFile() as file:
            file.write(octets)
            file.flush()
            yield file.name
        return
    with os.fdopen(os.memfd_create("pem"), "wb") as file:
        file.write(octets)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
