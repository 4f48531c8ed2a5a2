"""OldRecords: a client of TLS 1.2 that writes records of its own, beside OpenSSL's.

OpenSSL begins no handshake within a session where it must not; a hostile client does.
So its next records are made here, with the keys that its library tells (in the form of
``SSLKEYLOGFILE``). AES-256-GCM with SHA-384 alone.

Sources: RFC 5246 sections 5, 6.2.3.3 and 6.3; RFC 5288 section 3.
"""

import hashlib
import hmac
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CIPHER = "ECDHE-ECDSA-AES256-GCM-SHA384"

ALERT, HANDSHAKE, APPLICATION = 21, 22, 23
"""Kinds of records."""

HELLO_REQUESTED = b"\x01\x00\x00\x00"
"""The head of a hello: enough to ask for another handshake."""

_KEY, _SALT = 32, 4
_VERSION = b"\x03\x03"
_RANDOM = slice(11, 43)
"""Where a record that begins with a hello has its random octets."""


class OldRecords:
    """What a client says behind its handshake. ``hellos`` are both first flights,
    ``log`` is where its keys were told."""

    def __init__(self, hellos: tuple[bytes, bytes], log: Path) -> None:
        ours, theirs = (hello[_RANDOM] for hello in hellos)
        words = dict(
            line.split(" ", 1) for line in log.read_text().splitlines() if line
        )
        told, master = words["CLIENT_RANDOM"].split()
        assert bytes.fromhex(told) == ours
        block = _expanded(
            bytes.fromhex(master), b"key expansion" + theirs + ours, 2 * (_KEY + _SALT)
        )
        self._seal = AESGCM(block[:_KEY]).encrypt
        self._salt = block[2 * _KEY : 2 * _KEY + _SALT]
        # The first record of these keys was the end of the handshake.
        self._number = 1

    def record(self, kind: int, text: bytes) -> bytes:
        """The next one of this kind."""
        number = self._number.to_bytes(8, "big")
        self._number += 1
        head = bytes([kind]) + _VERSION
        length = len(text).to_bytes(2, "big")
        sealed = number + self._seal(self._salt + number, text, number + head + length)
        return head + len(sealed).to_bytes(2, "big") + sealed


def _expanded(secret: bytes, seed: bytes, size: int) -> bytes:
    """P_hash of RFC 5246 section 5."""
    found, link = b"", seed
    while len(found) < size:
        link = hmac.digest(secret, link, hashlib.sha384)
        found += hmac.digest(secret, link + seed, hashlib.sha384)
    return found[:size]
