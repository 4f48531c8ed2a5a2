"""What the words of a slot say, and when an end covers them (W4, W5). Pure.

In each slot a lane has two words. Readers compare a whole slot with what they saw.

**Writes**: 32 bits of *count*, 32 of an *end digest*, a digest of (path, next offset).
A row whose end has that digest shows that write. But a reader looks now and then, and
sees only the last of many stores. So the count does not count stores, it counts where
a *chain* breaks. A chain is a run of acknowledged writes to one path, and the digest
in the word is that of the furthest of them:

================================= ====== ==================== ======================
a store                            count  digest               the chain then
--------------------------------- ------ -------------------- ----------------------
further than the chain             + 0    its own              goes on
not further (it was overtaken)     + 1    the chain's          goes on as it was
to another path                    + 1    its own              begins here
without an offset                  + 1    COVERS_NOBODY        none; the next begins
after another life in the slot     + 2    its own              begins here
the first of this process          + 2    its own              begins here
the first of all in this word      + 1    its own              begins here
overtaken MAX_OVERTAKEN times      + 2    its own              begins here
================================= ====== ==================== ======================

**The covering rule**: what a lane stored since a reader last looked is covered by an
end with the digest that stands there now, if the count moved by no more than one.

Why. Let the reader have seen count c, and see c or c + 1 with the digest of (p, e),
and let a write to p, acknowledged in between, lie further than e.

- At c: nothing broke, so all stores since are of one chain, whose path is p by the
  digest. The furthest of it is e. So there is no such write.
- At c + 1: one store broke. Those before it go on with the chain that the reader saw,
  those from it on are of the chain that now stands there, whose furthest is e. So the
  write is among those before. Then the chain before was p's, and what broke it was
  neither another path, nor a write without an offset (its digest is nobody's), nor
  anything that moves the count by two. It was overtaken: and then it left the digest
  of the furthest, which is e.

A count that moved by two covers nobody: there, between two looks, might stand *p at 9;
q at 1; p at 5*, whose digest an end of 5 has. Each lane is judged by itself, and all
that changed must be covered. So two lanes to which one path's writes came are covered
by a row that has reached both ends (``ends`` of ``edge.core.ports.Board.covers``).

Which interleavings were thought of (the tests drive them all):

- 1: the poll brings the bytes; 2: the acknowledgement is stored; 3: a reader looks. Its
  end has the digest: nobody asks.
- 1: two writes, the second is acknowledged first; 2: both are stored; 3: a row that
  has the first alone looks. The digest is the second's: it asks.
- 1: the poll brings two writes; 2: the first is stored; 3: a reader looks. The row's
  end is further, but it knows the end of the first: covered, if it names that, too.
- 1: a write; 2: its answer is lost, and stored without an offset; 3: a later one is
  stored. The count moved by two, and nobody is covered.
- 1: a process dies; 2: its successor has its lane, and knows nothing of its chain;
  3: it stores. It moves the count by two: what its predecessor stored is not vouched
  for.
- 1: a stream is deleted and made anew by another process, which stores the lives; 2: a
  write to the new one is stored here, and lies lower. The lives were looked at first:
  the chain begins anew.
- A close without data names the end that is there, and an end does not show it. So
  whoever stores it names no offset.

A digest of 32 bits is another's once in four thousand million writes that a reader
looks at before it has them. It is made with the board's secret, so nobody can aim.

**Lives**: 40 bits of count, 8 of *run*, 16 of a digest of the path. The run is how many
stores in a row named this path (255: so many or more). A row of another path needs not
care if the count moved by no more than the run. Two paths may share a digest: then
both care, which does no harm.

Counts wrap around. A count of 0 is left out, for 0 is a word into which nobody stored.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from edge.core.node_board import COVERS_NOBODY
from edge.protocol.offsets import order

COUNT_MASK = 0xFFFF_FFFF
END_MASK = 0xFFFF_FFFF
MAX_OVERTAKEN = 8
"""Writes in a row that lie lower than a chain's furthest, after which the chain is
thought to be another life's that nobody told of."""

LIFE_COUNT_MASK = (1 << 40) - 1
MAX_RUN = 0xFF
LIFE_MASK = 0xFFFF

EndDigest = Callable[[str, str], int]
"""The end digest of (path, offset): never COVERS_NOBODY."""


class Chain(NamedTuple):
    """The writes of one path that a lane stored in a slot, one behind the other.

    ``furthest`` is the furthest offset of them. ``lives`` is what stood in the slot's
    lives when it began. ``overtaken``: how many in a row were not further.
    """

    path: str
    furthest: str
    lives: bytes
    overtaken: int = 0


NO_CHAIN = Chain("", "", b"")
"""After a write without an offset. No path is empty."""


def write_stored(
    word: int,
    chain: Chain | None,
    new: Chain,
    end_digest: EndDigest,
) -> tuple[int, Chain]:
    """The word and the chain after a write to ``new.path`` that named ``new.furthest``.

    ``chain`` None: this process has stored nothing in this slot yet. ``new.lives`` is
    what stands in the slot's lives now.
    """
    own = end_digest(new.path, new.furthest)
    if chain is None:
        return _moved(word, 1 if word == 0 else 2, own), new
    if chain.path != new.path:
        return _moved(word, 1, own), new
    if chain.lives != new.lives:
        return _moved(word, 2, own), new
    if order(new.furthest) > order(chain.furthest):
        return _moved(word, 0, own), new
    if chain.overtaken >= MAX_OVERTAKEN:
        return _moved(word, 2, own), new
    furthest = end_digest(chain.path, chain.furthest)
    overtaken = chain.overtaken + 1
    return (
        _moved(word, 1, furthest),
        Chain(chain.path, chain.furthest, chain.lives, overtaken),
    )


def unplaced_write_stored(word: int) -> int:
    """The word after a write without an offset. The chain is NO_CHAIN then."""
    return _moved(word, 1, COVERS_NOBODY)


def _moved(word: int, steps: int, end: int) -> int:
    count = (word >> 32) + steps
    if count > COUNT_MASK:
        # 0 is left out: the count seems to have moved further, which covers less.
        count = (count & COUNT_MASK) + 1
    return count << 32 | end


def covering_end(seen: int, word: int) -> int:
    """The digest of the end that covers all that came between these two words of a
    lane; COVERS_NOBODY if none does."""
    moved = ((word >> 32) - (seen >> 32)) & COUNT_MASK
    return word & END_MASK if moved <= 1 else COVERS_NOBODY


def covering_ends(
    seen: Sequence[int], words: Sequence[int], but: int
) -> tuple[int, ...]:
    """That of each lane whose word changed, but for lane ``but``."""
    return tuple(
        covering_end(old, new)
        for lane, (old, new) in enumerate(zip(seen, words, strict=True))
        if old != new and lane != but
    )


def life_stored(word: int, path: int) -> int:
    """The word after another life of a path with this digest."""
    count, run = (word >> 24) + 1, (word >> 16) & MAX_RUN
    if count > LIFE_COUNT_MASK:
        count = 1
    run = min(run + 1, MAX_RUN) if word and word & LIFE_MASK == path else 1
    return count << 24 | run << 16 | path


def lives_concern(
    seen: Sequence[int], words: Sequence[int], but: int, path: int
) -> bool:
    """Whether a path with this digest may have begun another life, by what lanes other
    than ``but`` stored."""
    return any(
        old != new and lane != but and _life_concerns(old, new, path)
        for lane, (old, new) in enumerate(zip(seen, words, strict=True))
    )


def _life_concerns(seen: int, word: int, path: int) -> bool:
    moved = ((word >> 24) - (seen >> 24)) & LIFE_COUNT_MASK
    return word & LIFE_MASK == path or moved > (word >> 16) & MAX_RUN
