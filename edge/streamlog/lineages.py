"""Lineages: whether an answer is of the life of the stream that is held (W8).

A keeper says with each answer which life of a stream it speaks of: by the boot of its
own process, the number of its row, and a number that moves where a new incarnation
begins there (L5). In this order, they only ever grow. ``compare`` holds that against
what the log was told before. It is asked before an answer is looked at in any other
way, and judges no byte: what it lets through is judged by L1 to L8 like a stranger's
(W1). Pure. Called by ``edge.live.lineage_results``.

=============== ======================== ===========================================
held            told                     the answer
--------------- ------------------------ -------------------------------------------
any             None                     SAME: the origin itself has answered
None, no log    any                      SAME: it is the first word
None, a log     any                      UNPROVEN: somebody else told what is held
any             the same                 SAME
                a lower one              OLDER
                a higher one, numbered   NEWER: an incarnation began since
                a higher one, unknown    UNPROVEN: the row was forgotten, or its
                                         process ended, and it was made anew
=============== ======================== ===========================================
"""

import enum

from edge.core.values import Lineage

_UNKNOWN = -1
"""Before any number: the life in which a row was made comes before all that begin."""


class Descent(enum.Enum):
    """What an answer's lineage says of it."""

    SAME = "same"  # it is of the life that is held, as far as lineages tell
    OLDER = "older"  # it is of a life before that: throw it away, and ask again
    NEWER = "newer"  # a new incarnation has begun
    UNPROVEN = "unproven"  # nobody knows: bytes must prove it (L7)


def compare(held: Lineage | None, told: Lineage | None, is_empty: bool) -> Descent:
    """What an answer with the lineage ``told`` is to a log that was told ``held``.

    ``is_empty``: nothing is known of the stream yet, so there is nothing to prove.
    """
    if told is None or told == held:
        return Descent.SAME
    if held is None:
        return Descent.SAME if is_empty else Descent.UNPROVEN
    if _order(told) < _order(held):
        return Descent.OLDER
    return Descent.UNPROVEN if told.incarnation is None else Descent.NEWER


def _order(lineage: Lineage) -> tuple[int, int, int]:
    number = lineage.incarnation
    return lineage.boot, lineage.row, _UNKNOWN if number is None else number
