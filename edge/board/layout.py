"""Layout: where each word and each text of the board lies. Pure arithmetic.

All words come first, then the texts::

    doubts            how often a process died that may have written
    announced         the furthest order of those whose lanes were taken back
    gone texts        how many texts were stored of those who are gone
    keeper lanes      for each keeper: 1 + the lane of the one that answers; 0: none
    lane fields       for each ``Field`` one word for each lane, and one of the master's
    slots             for each slot: writes of all lanes, then lives of all lanes
    tables            for each ``BoardTable`` its buckets; all processes store there
    tallies           for each lane: how many of each key its holder has
    texts             for each lane one, one of the master's, and one of those gone

Read and stored by ``edge.board.node_board``, ``lane_view``, ``tally_table``, ``texts``
and ``node_denials``.
"""

import enum
from dataclasses import dataclass

WORD = 8
"""Octets of a word."""

SLOTS = 16_384
"""Slots of a board. Two paths that share one cost each other a look, no more."""

TALLY_BUCKETS = 8192
TALLY_BUCKET_WORDS = 8
"""Buckets of a lane's tallies, and how many keys each has room for. Half a MiB for each
lane, of which there is only what was looked at (``edge.board.tally_table``)."""

LANES_PER_PLACE = 4
"""One that serves, two generations that drain, and one for who must start again."""

TEXT_OCTETS = 64 * 1024
"""The longest text of a lane."""

GONE_OCTETS = 4 * TEXT_OCTETS
"""The longest text of all who are gone: they may have told of different things."""

TEXT_HEADS = 3 * WORD
"""What stands before the octets of a text: see ``edge.board.texts``."""

DOUBTS = 0
ANNOUNCED = 1
GONE_TEXTS = 2
KEEPER_LANES = 3


class Field(enum.IntEnum):
    """What a lane says of its holder, one word each.

    BEAT: when it last gave a sign of life, in ms. GAPS: how often it was without one
    for too long. BOOT: which process holds it; 0: none. ROLE and PLACE: where that one
    stands. ACCEPTS: how many connections it takes; 0: no new ones. LEAVES: whether it
    is about to end. PAUSED: until when it lets others accept, in ms. ANNOUNCED, ACTED:
    orders that it gave, and that it carried out. TEXTS: how many texts were stored.
    TALLIED: whether it has stored tallies.
    """

    BEAT = 0
    GAPS = 1
    BOOT = 2
    ROLE = 3
    PLACE = 4
    CONNECTIONS = 5
    VIEWERS = 6
    ACCEPTS = 7
    LEAVES = 8
    PAUSED = 9
    ANNOUNCED = 10
    ACTED = 11
    TEXTS = 12
    RELAYS = 13
    TALLIED = 14


class BoardTable(enum.Enum):
    """A table that belongs to no lane, and how many words it has: whole buckets (see
    ``edge.board.timed_tags``).

    Twice as many as one worker remembers: of buckets of eight that are half full on the
    average, two in a hundred have more than they can hold.
    """

    DENIED = 32_768
    KNOWN = 131_072


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a board for so many keepers and fronts."""

    keepers: int
    fronts: int

    @property
    def lanes(self) -> int:
        """How many lanes processes have. The master's is the one after them."""
        return LANES_PER_PLACE * (self.keepers + self.fronts)

    @property
    def reserve(self) -> int:
        """How many lanes are kept for processes that are started again."""
        return self.keepers + self.fronts

    def field(self, field: Field) -> int:
        """The word of the first lane; those of the others follow."""
        return KEEPER_LANES + self.keepers + field * (self.lanes + 1)

    @property
    def slot_words(self) -> int:
        """Words of one slot."""
        return 2 * self.lanes

    def slot(self, number: int) -> int:
        """The first word of a slot."""
        return (
            self.field(Field(len(Field) - 1))
            + self.lanes
            + 1
            + (number * self.slot_words)
        )

    def table(self, table: BoardTable) -> int:
        """The first word of a table."""
        before = tuple(BoardTable)[: tuple(BoardTable).index(table)]
        return self.slot(SLOTS) + sum(one.value for one in before)

    @property
    def tally_words(self) -> int:
        """Words of the tallies of one lane."""
        return TALLY_BUCKETS * TALLY_BUCKET_WORDS

    def tally(self, lane: int) -> int:
        """The first word of a lane's tallies."""
        tables = sum(table.value for table in BoardTable)
        return self.slot(SLOTS) + tables + lane * self.tally_words

    @property
    def words(self) -> int:
        """How many words there are."""
        return self.tally(self.lanes)

    def text(self, lane: int) -> int:
        """The first octet of a lane's text; the lane after the last is the master's,
        and the one after that belongs to those who are gone."""
        return self.words * WORD + lane * 2 * (TEXT_HEADS + TEXT_OCTETS)

    @property
    def octets(self) -> int:
        """How long the board is."""
        return self.text(self.lanes + 1) + 2 * (TEXT_HEADS + GONE_OCTETS)
