"""Joining: what an answer of the origin proves about the bytes held (L8).

``join`` is the only entrance; ``edge.streamlog.stream_log`` calls it. Overlapping
answers are the normal case with origins that never page, so nearly every answer meets
held bytes. An answer and what is held belong together only where

- the answer's start is a boundary held: then its bytes are laid along what is
  held from there on (``_along``), or
- the answer's end is a boundary held: then they are laid backwards from there
  (``_back_from``).

Positions count from that common offset, and every byte of the overlap must be
equal. Unequal bytes after a start that the origin minted are another
incarnation (DIFFERS); after a guessed one they prove nothing (L1). Without a common
offset the shorter piece is dropped. The end of the log never moves down.

Nothing changes before the verdict is certain, with one exception: an offset that the
origin named is marked as minted.
"""

import enum
from typing import NamedTuple

from edge.protocol.offsets import order
from edge.streamlog.segments import Segment, SegmentPosition, Segments


class Joined(enum.Enum):
    """What became of an answer that was offered to the log.

    GREW: something new is held, bytes or a boundary. SAME: all of it was.
    DIFFERS: it is of another incarnation. NO_PROOF: it was not taken, and says
    nothing about what is held.
    """

    GREW = "grew"
    SAME = "same"
    DIFFERS = "differs"
    NO_PROOF = "no-proof"


class _Piece(NamedTuple):
    """An answer, or the part of it that is not laid along anything yet.

    ``minted``: the origin returned ``start``. ``known``: the origin returned the start
    of the whole answer, and so unequal bytes mean another incarnation.
    """

    start: str
    end: str
    data: memoryview
    minted: bool
    known: bool

    @property
    def unequal(self) -> Joined:
        return Joined.DIFFERS if self.known else Joined.NO_PROOF


def join(segments: Segments, start: str, end: str, data: bytes, known: bool) -> Joined:
    """Take in the answer ``[start, end)``. ``known``: the origin returned start (L1).

    An answer that does not end beyond its start is never taken.
    """
    if order(end) <= order(start):
        return Joined.SAME if end == start and not data else Joined.NO_PROOF
    last = segments.last
    if last is not None and last.end == start:
        # What follows the end overlaps nothing: so goes nearly all that is live.
        segments.add(start, end, memoryview(data), True)
        return Joined.GREW
    piece = _Piece(start, end, memoryview(data), known, known)
    place = segments.find(start)
    if place is None:
        return _join_by_end(segments, piece)
    if known:
        segments.mark(place.segment, start, place.position, minted=True)
    return _along(segments, place, piece)


def _along(segments: Segments, place: SegmentPosition, piece: _Piece) -> Joined:
    """Lay the answer along what is held from its start on."""
    segment, position = place
    rest = piece.data
    while order(piece.end) > order(segment.end):
        held = segment.length - position
        # Also unequal: it has fewer bytes than are held here, yet ends beyond them.
        if len(rest) < held or not segment.matches(position, rest[:held]):
            return piece.unequal
        rest = rest[held:]
        following = segments.after(segment)
        if following is None:
            left = _Piece(segment.end, piece.end, rest, True, piece.known)
            return _join_by_end(segments, left)
        segment, position = following, 0
    if not segment.matches(position, rest):
        return piece.unequal
    if not segments.mark(segment, piece.end, position + len(rest), minted=True):
        return piece.unequal
    return Joined.SAME


def _join_by_end(segments: Segments, piece: _Piece) -> Joined:
    """Nothing is held at the start: prove by the end, or find that nothing overlaps."""
    met = segments.met(piece.start, piece.end)
    if not met:
        segments.add(piece.start, piece.end, piece.data, piece.minted)
        return Joined.GREW
    # Only the last one can hold the end: the others end before it begins.
    position = met[-1].position(piece.end)
    if position is None:
        return _instead(segments, met, piece)
    segments.mark(met[-1], piece.end, position, minted=True)
    return _back_from(segments, SegmentPosition(met[-1], position), piece)


def _back_from(segments: Segments, place: SegmentPosition, piece: _Piece) -> Joined:
    """Lay the answer along what is held before its end, backwards."""
    segment, position = place
    rest = piece.data
    while order(piece.start) < order(segment.start):
        left = len(rest) - position
        if left < 0 or not segment.matches(0, rest[left:]):
            return piece.unequal
        rest = rest[:left]
        previous = segments.before(segment)
        if previous is None:
            return _before(segments, segment, piece, rest)
        segment, position = previous, previous.length
    inside = position - len(rest)
    if inside < 0 or not segment.matches(inside, rest):
        return piece.unequal
    if not segments.mark(segment, piece.start, inside, piece.minted):
        return piece.unequal
    return Joined.GREW


def _before(
    segments: Segments, segment: Segment, piece: _Piece, rest: memoryview
) -> Joined:
    """Add ``rest``, the part of the answer before ``segment``, if a gap is there."""
    in_the_way = segments.met(piece.start, segment.start)[:-1]
    if in_the_way and not _outweighs(piece, rest, in_the_way):
        return Joined.NO_PROOF
    segments.remove(in_the_way)
    segments.fill(segment, piece.start, rest, piece.minted)
    return Joined.GREW


def _instead(segments: Segments, met: list[Segment], piece: _Piece) -> Joined:
    """No common offset: keep the longer piece, never both."""
    lowers_end = met[-1] is segments.last and order(piece.end) < order(met[-1].end)
    if lowers_end or not _outweighs(piece, piece.data, met):
        return Joined.NO_PROOF
    segments.remove(met)
    segments.add(piece.start, piece.end, piece.data, piece.minted)
    return Joined.GREW


def _outweighs(piece: _Piece, data: memoryview, held: list[Segment]) -> bool:
    """Whether ``data`` may take the place of ``held``: it is longer, and not a guess.

    Segments without bytes only keep a place; they give way to anything.
    """
    weight = sum(segment.length for segment in held)
    return piece.known and (len(data) > weight or weight == 0)
