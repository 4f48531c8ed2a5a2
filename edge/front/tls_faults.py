"""Why a handshake of TLS failed, in our words. ``edge.front.tls`` calls it."""

import ssl

from edge.core.errors import ClientFault
from edge.core.reasons import Reason

_HANDSHAKE = 0x16
"""The first octet of a connection that begins with TLS: a record of a handshake."""

_LETTERS = frozenset(range(ord("A"), ord("Z") + 1))
"""With one of these begins a method of HTTP."""

_BY_WORD = {
    "UNSUPPORTED_PROTOCOL": Reason.TLS_VERSION,
    "WRONG_VERSION_NUMBER": Reason.TLS_VERSION,
    "VERSION_TOO_LOW": Reason.TLS_VERSION,
    "INAPPROPRIATE_FALLBACK": Reason.TLS_VERSION,
    "NO_SHARED_CIPHER": Reason.TLS_CIPHER,
    "NO_SUITABLE_KEY_SHARE": Reason.TLS_CIPHER,
    "NO_SHARED_GROUPS": Reason.TLS_CIPHER,
    "NO_SUITABLE_GROUPS": Reason.TLS_CIPHER,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": Reason.TLS_CIPHER,
    "NO_SHARED_SIGNATURE_ALGORITHMS": Reason.TLS_CIPHER,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Reason.TLS_CERTIFICATE,
    "CERTIFICATE_VERIFY_FAILED": Reason.TLS_CERTIFICATE,
    "HTTP_REQUEST": Reason.HTTP_TO_TLS,
}
"""OpenSSL's words for what a client does."""


def check_first(octet: int) -> None:
    """Raises ClientFault if a connection that begins so speaks no TLS."""
    if octet == _HANDSHAKE:
        return
    if octet in _LETTERS:
        detail = "This port speaks HTTPS, and the request came by plain HTTP."
        raise ClientFault(detail, reason=Reason.HTTP_TO_TLS)
    raise ClientFault("This is no TLS.", reason=Reason.NOT_TLS)


def late() -> ClientFault:
    """The handshake was not done in time."""
    detail = "The handshake was not done in time."
    return ClientFault(detail, reason=Reason.TLS_LATE)


def fault_of(error: ssl.SSLError) -> ClientFault:
    """Why a handshake failed. The words of OpenSSL are the cause."""
    said = error.reason or "OTHER"
    reason = _BY_WORD.get(said, Reason.TLS_BROKEN)
    if "_ALERT_" in said:
        # The client's own verdict, most often on our certificate.
        reason = Reason.TLS_REFUSED
    cause = said.lower().replace("_", " ")
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = f"{cause}: {error.verify_message}"
    return ClientFault("The handshake failed.", reason=reason, cause=cause)
