"""NodeBoard: the board, made once, and as the master has it.

The master makes it before the first fork, and every process inherits it. It gives a
lane before it forks the holder, and takes it back once the holder has been reaped:
from then on nobody stores there. A lane that is given again has in its slots what its
holders before stored, for words only ever grow, and no beat.

Only the master gives and takes back. A process looks and stores by its ``LaneView``.
"""

import logging
import time
from collections import deque
from collections.abc import Callable

from edge.board.lane_view import LaneView
from edge.board.layout import ANNOUNCED, DOUBTS, KEEPER_LANES, WORD, Field
from edge.board.memory import BoardMemory
from edge.board.sums import CountedNumbers, Sums
from edge.core.reasons import Reason
from edge.core.values import Place, Role

_log = logging.getLogger("edge.board")

_FORGOTTEN = (
    Field.BEAT,
    Field.BOOT,
    Field.CONNECTIONS,
    Field.VIEWERS,
    Field.ACCEPTS,
    Field.LEAVES,
    Field.PAUSED,
    Field.ANNOUNCED,
    Field.ACTED,
    Field.RELAYS,
    Field.TALLIED,
)
"""What a lane says of a holder that has ended no more. Its gaps and texts go on."""


class NodeBoard:
    """The board of one node."""

    def __init__(self, memory: BoardMemory) -> None:
        self._memory = memory
        self._sums = Sums(memory)
        # The one that was taken back longest ago is given first.
        self._free = deque(range(memory.layout.lanes))

    @classmethod
    def create(cls, keepers: int, fronts: int) -> "NodeBoard":
        """In the master, before any fork. At least one of each."""
        return cls(BoardMemory.make(keepers, fronts))

    @property
    def id(self) -> str:
        """Names this board on links; random, made once (W8)."""
        return self._memory.id

    @property
    def keepers(self) -> int:
        """How many places of keepers there are."""
        return self._memory.layout.keepers

    def owner(self, path: str) -> int:
        """The number of the keeper to which a path belongs. It never moves (W1)."""
        return self._memory.digests.of(path).owner

    def view(
        self, lane: int, boot: int, clock: Callable[[], float] = time.monotonic
    ) -> LaneView:
        """The board as the process with this boot has it, in the lane that it was
        given. Made in that process, once."""
        return LaneView(self._memory, self._sums, lane, boot, clock)

    # The master's part.

    def give(self, place: Place, boot: int, restart: bool = False) -> int | Reason:
        """A lane for the process that is forked next; LIMIT_LANES if none is free.

        Some lanes are kept for ``restart``: a process that died. For all others it
        is full before: they wait until somebody has drained. ``boot`` grows with every
        process that is forked, from 1.
        """
        kept = 0 if restart else self._memory.layout.reserve
        if len(self._free) <= kept:
            return Reason.LIMIT_LANES
        lane = self._free.popleft()
        self._store(Field.ROLE, lane, tuple(Role).index(place.role))
        self._store(Field.PLACE, lane, place.number)
        self._store(Field.BOOT, lane, boot)
        if place.role is Role.KEEPER and not self._installed(place.number):
            self.install(lane)
        return lane

    def install(self, lane: int) -> None:
        """From now on this keeper's beat is the one that counts for its place: its
        successor accepts there. The first keeper of a place needs not be told so."""
        number = self._memory.words[self._word(Field.PLACE, lane)]
        self._memory.words[KEEPER_LANES + number] = lane + 1

    def take_back(self, lane: int) -> None:
        """The holder has been reaped: what it counted is kept, and the lane is free."""
        words = self._memory.words
        boot = words[self._word(Field.BOOT, lane)]
        if not self._sums.take_back(lane, boot):
            _log.error("no room for what process %d counted", boot)
        announced = words[self._word(Field.ANNOUNCED, lane)]
        words[ANNOUNCED] = max(words[ANNOUNCED], announced)
        number = words[self._word(Field.PLACE, lane)]
        is_keeper = tuple(Role)[words[self._word(Field.ROLE, lane)]] is Role.KEEPER
        if is_keeper and self._installed(number) == lane + 1:
            words[KEEPER_LANES + number] = 0
        if words[self._word(Field.TALLIED, lane)]:
            self._clear_tallies(lane)
        for field in _FORGOTTEN:
            self._store(field, lane, 0)
        self._free.append(lane)

    def _clear_tallies(self, lane: int) -> None:
        layout = self._memory.layout
        first, words = layout.tally(lane), layout.tally_words
        self._memory.octets[first * WORD : (first + words) * WORD] = bytes(words * WORD)

    def raise_doubt(self) -> None:
        """A front died that may have written: every row confirms once (W4)."""
        self._memory.words[DOUBTS] += 1

    def store_text(self, octets: bytes) -> None:
        """The master's own text: a JSON object whose ``counters`` are in the sums."""
        if not self._sums.store_master(octets):
            _log.error("no room for a text of %d octets", len(octets))

    def totals(self) -> CountedNumbers:
        """See ``LaneView.totals``."""
        return self._sums.totals()

    def _installed(self, keeper: int) -> int:
        installed: int = self._memory.words[KEEPER_LANES + keeper]
        return installed

    def _word(self, field: Field, lane: int) -> int:
        return self._memory.layout.field(field) + lane

    def _store(self, field: Field, lane: int, value: int) -> None:
        self._memory.words[self._word(field, lane)] = value
