"""How a range lies in files: pieces of 64 MiB, each with the head of the whole (S2).

A piece is ``MAGIC``, the head's size, the head (JSON) and its digest; then records of
at most ``RECORD_SIZE`` bytes, each behind a digest that also covers which record it is
and of which range. So nothing is believed that was cut, mixed up, or decayed. Whatever
reads otherwise than it was written is a ``Damaged``.
"""

import json
import struct
from errno import EBADMSG
from hashlib import blake2b
from typing import Any, NamedTuple

from edge.core.file_ports import RECORD_SIZE, KeptHead, KeptName

MAGIC = b"DSEDGE 1\n"
DIGEST_SIZE = 16
PIECE_RECORDS = 64
"""Records of a piece: 64 MiB."""

MAX_HEAD = 16 * 1024 * 1024
_SIZE = struct.Struct(">I")


class Damaged(OSError):
    """A file does not hold what was written to it."""

    def __init__(self) -> None:
        super().__init__(EBADMSG, "what was kept on the disk is damaged")


class PieceHead(NamedTuple):
    """What stands before the records of each piece. ``id`` is the range's own: pieces
    of two ranges do not fit together. ``origin`` says whose answers they are."""

    id: str
    number: int
    origin: str
    name: KeptName
    head: KeptHead


def write_head(piece: PieceHead) -> bytes:
    """The octets before the records."""
    text = json.dumps(piece).encode()
    return MAGIC + _SIZE.pack(len(text)) + text + _digest(b"head", text)


def head_size(first: bytes) -> int:
    """The size of all that stands before the records, by the file's first octets.
    Raises Damaged."""
    start = len(MAGIC) + _SIZE.size
    if len(first) < start or not first.startswith(MAGIC):
        raise Damaged
    (size,) = _SIZE.unpack(first[len(MAGIC) : start])
    if size > MAX_HEAD:
        raise Damaged
    return start + int(size) + DIGEST_SIZE


FIRST = len(MAGIC) + _SIZE.size
"""So many octets tell ``head_size``."""


def read_head(octets: bytes) -> PieceHead:
    """The head of a piece. Raises Damaged."""
    text, digest = octets[FIRST:-DIGEST_SIZE], octets[-DIGEST_SIZE:]
    if _digest(b"head", text) != digest:
        raise Damaged
    id_, number, origin, name, head = json.loads(text)
    return PieceHead(id_, number, origin, KeptName(*name), _head(head))


def _head(told: list[Any]) -> KeptHead:
    *plain, headers, boundaries = told
    fields = tuple((name, value) for name, value in headers)
    places = tuple((offset, position) for offset, position in boundaries)
    return KeptHead._make((*plain, fields, places))


def record_place(number: int) -> tuple[int, int]:
    """In which piece a record lies, and how far behind its head."""
    piece, within = divmod(number, PIECE_RECORDS)
    return piece, within * (RECORD_SIZE + DIGEST_SIZE)


def write_record(id_: str, number: int, data: bytes) -> bytes:
    """A record with its digest."""
    return _digest(b"%s %d" % (id_.encode(), number), data) + data


def read_record(id_: str, number: int, octets: bytes) -> bytes:
    """The data of a record. Raises Damaged."""
    digest, data = octets[:DIGEST_SIZE], octets[DIGEST_SIZE:]
    if _digest(b"%s %d" % (id_.encode(), number), data) != digest:
        raise Damaged
    return data


def size_on_disk(head: KeptHead, piece_head: int) -> int:
    """Bytes that the files of a range take, with heads of this size."""
    records = -(-head.size // RECORD_SIZE)
    # The number of a piece may take a digit more in its head than that of the first.
    longest = piece_head + len(str(records))
    return head.size + records * DIGEST_SIZE + pieces_of(head) * longest


def pieces_of(head: KeptHead) -> int:
    """How many pieces a range has."""
    return max(1, -(-head.size // (PIECE_RECORDS * RECORD_SIZE)))


def records_size(piece: PieceHead) -> int:
    """Bytes that stand behind the head of this piece."""
    each = PIECE_RECORDS * RECORD_SIZE
    data = min(each, max(0, piece.head.size - piece.number * each))
    return data + -(-data // RECORD_SIZE) * DIGEST_SIZE


def _digest(what: bytes, data: bytes) -> bytes:
    made = blake2b(what, digest_size=DIGEST_SIZE)
    made.update(data)
    return made.digest()
