"""The little hub of the tail's stories: it sends reads, hears answers and lets
readers arrive, all at one instant unless a story moves the clock, because order
must not hang on it."""

from edge.streamlog.barriers import ReadBarrier, RequestSnapshot
from edge.streamlog.tail import Tail

HOLD, VERIFY = 30.0, 60.0


class Told:
    """A tail, and the verbs of its stories. ``now`` is moved by hand."""

    def __init__(self, offset: str | None = None) -> None:
        self.tail = Tail(HOLD)
        self.now = 100.0
        if offset is not None:
            self.hears(self.sends(), offset)

    def sends(self) -> RequestSnapshot:
        return self.tail.request_snapshot(self.now, 1)

    def polls(self) -> RequestSnapshot:
        sent = self.sends()
        self.tail.arm(sent)
        return sent

    def hears(
        self,
        sent: RequestSnapshot,
        offset: str,
        up_to_date: bool | None = True,
        empty: bool = False,
    ) -> None:
        self.tail.confirm(self.now, sent)
        self.tail.hear(sent, offset, up_to_date, empty)

    def later(self) -> float:
        """The clock moves a little; what time it is then."""
        self.now += 0.01
        return self.now

    def writes_elsewhere(
        self, offset: str | None, parameters: str = "awareness=x"
    ) -> None:
        """A write at the same path, with other extension parameters, begins now and is
        acknowledged a little later (U13)."""
        begun_at = self.later()
        self.tail.acknowledge_foreign(parameters, offset, begun_at, self.later())

    def knows(self, barrier: ReadBarrier, end: str, strict: bool = False) -> bool:
        return self.tail.is_known_to(barrier, end, self.now, strict)

    def trusts(self, barrier: ReadBarrier) -> bool:
        return self.tail.is_confirmed_to(barrier, self.now, VERIFY)
