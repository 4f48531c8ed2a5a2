"""Each byte goes out once, however often the server has to send it.

Between two offsets a stream's bytes never change (section 4). After a cut within an
answer, the same bytes are asked for again. Those that already went out are swallowed:
counted, and compared by their digest. If they differ, another stream is at the URL now,
and that is an error. Pure; ``output`` calls it.
"""

import hashlib

ANOTHER = (
    "the bytes after the last offset are not those of before: "
    "the stream at this URL is another one now"
)


class ReplayMismatch(Exception):
    """The bytes that are sent again differ from those that went out."""


class ReplayCheck:
    """Bytes that went out since the last known offset, and those to come again."""

    def __init__(self) -> None:
        self._out = self._awaited = 0
        self._digest, self._again = _digest(), _digest()

    @property
    def out(self) -> int:
        """Bytes that went out since the last known offset."""
        return self._out

    def settle(self) -> None:
        """A new offset is known. Raises ReplayMismatch when fewer bytes led to it."""
        if self._awaited:
            raise ReplayMismatch(ANOTHER)
        self._out = 0
        self._digest = _digest()

    def restart(self) -> None:
        """From here on the server sends again, from the last known offset."""
        self._awaited = self._out
        self._again = _digest()

    def fresh(self, piece: bytes) -> bytes:
        """The part of ``piece`` that has not gone out. Raises ReplayMismatch."""
        if self._awaited:
            piece = self._swallow(piece)
        self._digest.update(piece)
        self._out += len(piece)
        return piece

    def _swallow(self, piece: bytes) -> bytes:
        known, fresh = piece[: self._awaited], piece[self._awaited :]
        self._again.update(known)
        self._awaited -= len(known)
        if not self._awaited and self._again.digest() != self._digest.digest():
            raise ReplayMismatch(ANOTHER)
        return fresh


def _digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)
