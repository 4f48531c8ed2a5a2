"""PathDigests: which slot, which keeper and which digests a path has.

All of them are keyed with the board's secret, which is made once, before the first
fork: the processes of a node agree, and nobody outside can aim at a slot or a keeper.
The path alone decides. Its route may be another one after a reload.
"""

import hashlib
from typing import NamedTuple

from edge.board.layout import SLOTS, TALLY_BUCKETS
from edge.board.slot_words import END_MASK, LIFE_MASK

SECRET_OCTETS = 32

TAG_BITS = 44
"""Of a tally's word, those that say whose it is (``edge.board.tally_table``)."""


class PathDigest(NamedTuple):
    """What follows from a path: its slot, its keeper's number, and the digest by which
    lives name it."""

    slot: int
    owner: int
    life: int


class PathDigests:
    """The digests of one board."""

    __slots__ = ("_keepers", "_secret")

    def __init__(self, secret: bytes, keepers: int) -> None:
        self._secret = secret
        self._keepers = keepers

    def of(self, path: str) -> PathDigest:
        """All that follows from ``path``, which is as it was received."""
        digest = hashlib.blake2b(
            path.encode("utf-8", "surrogatepass"),
            key=self._secret,
            digest_size=24,
            person=b"path",
        ).digest()
        number = int.from_bytes
        return PathDigest(
            number(digest[:8]) % SLOTS,
            number(digest[8:16]) % self._keepers,
            number(digest[16:]) & LIFE_MASK,
        )

    def end(self, path: str, offset: str) -> int:
        """The end digest of an offset of a path; never ``COVERS_NOBODY``."""
        # A path has no blank: the two cannot be cut in another place.
        digest = hashlib.blake2b(
            f"{path} {offset}".encode("utf-8", "surrogatepass"),
            key=self._secret,
            digest_size=8,
            person=b"end",
        ).digest()
        return int.from_bytes(digest) % END_MASK + 1

    def client(self, client: str, rate: str) -> int:
        """Stands for a client whose bad credentials are counted at a rate (W17)."""
        return self._number(f"{rate} {client}", b"client")

    def credential(self, digest: str) -> int:
        """Stands for a credential, of which this is the digest (W17)."""
        return self._number(digest, b"credential")

    def _number(self, text: str, person: bytes) -> int:
        digest = hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"),
            key=self._secret,
            digest_size=8,
            person=person,
        ).digest()
        return int.from_bytes(digest)

    def tally(self, what: str, key: str) -> tuple[int, tuple[int, int]]:
        """The tag, never 0, and the two buckets of what is counted of a key. ``what``
        has no blank."""
        digest = hashlib.blake2b(
            f"{what} {key}".encode("utf-8", "surrogatepass"),
            key=self._secret,
            digest_size=24,
            person=b"tally",
        ).digest()
        number = int.from_bytes
        first = number(digest[8:16]) % TALLY_BUCKETS
        further = 1 + number(digest[16:]) % (TALLY_BUCKETS - 1)
        tag = number(digest[:8]) % ((1 << TAG_BITS) - 1) + 1
        return tag, (first, (first + further) % TALLY_BUCKETS)
