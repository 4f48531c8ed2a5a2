"""NodeDenials: what the fronts of a node know of bad credentials and good ones (W17).

Two tables of the board, both of ``TimedTags``:

========= ======================= ================================== =================
table     key                     tag and time                       who gives way
--------- ----------------------- ---------------------------------- -----------------
denied    a client, at a rate     24 bits; when it has all of its    the one that has
                                  allowance back, in ms              all back first
known     a credential            40 bits; when it let somebody in   the one that let
                                  last, in 16 s                      in longest ago
========= ======================= ================================== =================

Times are monotonic, one clock for all processes of a machine. A rate is in the key:
where a reload changes ``limits.denied_per_client``, clients begin anew at the new one.

Keys are digests under the board's secret, so no client can choose its bucket, or that
of another one; and what stands in the words says nothing of a credential, of which it
is 54 bits of a keyed digest of a digest. Two clients are taken for each other only if
their buckets and their tags are equal: in a full bucket that is one chance in two
million for a client, and it would then be counted with that other one. A made-up
credential is taken for a known one once in 10^11 times, and is judged then.

Implements ``edge.core.ports.SharedDenials``.
"""

from collections.abc import Callable

from edge.board.layout import BoardTable
from edge.board.memory import BoardMemory
from edge.board.timed_tags import TimedTags

DENIED_TAG_BITS = 24
KNOWN_TAG_BITS = 40

KNOWN_SECONDS = 16.0
"""The unit in which it is told how long ago a credential let somebody in: as many of
them as a tag leaves room for are eight years."""

UNITS_PER_SECOND = 1000
"""Of a client's time. As many of them as a tag leaves room for are 34 years."""


class NodeDenials:
    """The board's tables as one process has them. ``rate`` names the allowance that it
    counts by."""

    __slots__ = ("_clock", "_denied", "_digests", "_known", "_rate")

    units_per_second = UNITS_PER_SECOND

    def __init__(
        self, memory: BoardMemory, rate: str, clock: Callable[[], float]
    ) -> None:
        self._denied = TimedTags(memory.table(BoardTable.DENIED), DENIED_TAG_BITS)
        self._known = TimedTags(memory.table(BoardTable.KNOWN), KNOWN_TAG_BITS)
        self._digests = memory.digests
        self._rate = rate
        self._clock = clock

    def back_at(self, client: str) -> int:
        """See ``edge.core.ports.SharedDenials``."""
        return self._denied.get(self._client(client))

    def store_back_at(self, client: str, back_at: int) -> None:
        """See ``edge.core.ports.SharedDenials``."""
        self._denied.put(self._client(client), back_at)

    def knows(self, credential: str) -> bool:
        """See ``edge.core.ports.SharedDenials``."""
        return self._known.get(self._digests.credential(credential)) > 0

    def let_in(self, credential: str) -> None:
        """See ``edge.core.ports.SharedDenials``."""
        time = 1 + int(self._clock() / KNOWN_SECONDS)
        self._known.put(self._digests.credential(credential), time)

    def forget(self, credential: str) -> None:
        """See ``edge.core.ports.SharedDenials``."""
        self._known.drop(self._digests.credential(credential))

    def _client(self, client: str) -> int:
        return self._digests.client(client, self._rate)
