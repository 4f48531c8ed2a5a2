"""ForeignWrites: writes at other extension parameters, and which of them to ignore.

``PATH?awareness=x`` may be another stream than ``PATH``, or the same one: only its
origin knows. A write to it says nothing of the offsets of ``PATH``, but it may have
moved them, so each such acknowledgement is a doubt (``Tail.acknowledge_foreign``).
Where these are two streams, ten writes a second to the one would then cost a read of
the other each (U13).

Here is kept what settles it. A write is *noted* with the tail that was known before it
began. It is *proven* foreign by an answer that was sent after its acknowledgement and
says that the data still ends there. Writes with the same parameters are then ignored
for ``FOREIGN_SECONDS``. Two kinds of writes prove nothing, and are not noted: one that
names no offset, which may not have happened, and one that names this very tail, which
may be a duplicate of a write to this stream.
"""

from dataclasses import dataclass

from edge.core import costs

FOREIGN_SECONDS = 60.0
"""How long proven parameters are ignored, from the last write before the proof on."""

MAX_FOREIGN = 16
"""Parameters that are remembered for one tail; the oldest make room."""

MAX_LENGTH = 256
"""Parameters with more characters are not remembered: writers can make up long ones."""


@dataclass(slots=True)
class _Noted:
    """Writes with the same parameters.

    ``writes`` is the tail's count with the first of them, ``tail`` where the tail was.
    ``at`` is when the last one before the proof was acknowledged, in monotonic seconds.
    """

    at: float
    writes: int
    tail: str
    proven: bool = False


class ForeignWrites:
    """What is known of them, for one tail. Bounded."""

    __slots__ = ("_noted",)

    def __init__(self) -> None:
        self._noted: dict[str, _Noted] = {}

    def __len__(self) -> int:
        return len(self._noted)

    @property
    def cost(self) -> int:
        """Bytes that count in the budget."""
        return sum(costs.FOREIGN + len(given) for given in self._noted)

    def are_ignored(self, parameters: str, now: float) -> bool:
        """Whether writes with these parameters were proven to leave this tail alone."""
        noted = self._noted.get(parameters)
        if noted is None or not noted.proven:
            return False
        return now - noted.at < FOREIGN_SECONDS

    def note(self, parameters: str, tail: str, writes: int, now: float) -> None:
        """A write was acknowledged, the tail's ``writes``-th. The tail was known to be
        at ``tail`` before it began.

        While its proof is on the way, later writes wait for that one: a proof for
        the last of them would never come if they come faster than answers do.
        """
        noted = self._noted.get(parameters)
        if noted is not None and not noted.proven and noted.tail == tail:
            noted.at = now
            return
        if len(parameters) > MAX_LENGTH:
            return
        self._noted.pop(parameters, None)
        if len(self._noted) >= MAX_FOREIGN:
            del self._noted[next(iter(self._noted))]
        self._noted[parameters] = _Noted(now, writes, tail)

    def settle(self, tail: str, writes: int) -> None:
        """An answer sent after so many writes said that the data ends at ``tail``."""
        for parameters, noted in list(self._noted.items()):
            if noted.proven or noted.writes > writes:
                continue
            if noted.tail == tail:
                noted.proven = True
            else:
                # It may have been this write that moved it.
                del self._noted[parameters]
