"""The little hub of the tail's stories: it sends reads, hears answers and lets
readers arrive, all at one instant unless a story moves the clock, because order
must not hang on it."""

from edge.streamlog.tail import Arrival, Sent, Tail

HOLD, VERIFY = 30.0, 60.0


class Told:
    """A tail, and the verbs of its stories. ``now`` is moved by hand."""

    def __init__(self, offset: str | None = None) -> None:
        self.tail = Tail(HOLD)
        self.now = 100.0
        if offset is not None:
            self.hears(self.sends(), offset)

    def sends(self) -> Sent:
        return self.tail.send(self.now, 1)

    def polls(self) -> Sent:
        sent = self.sends()
        self.tail.arm(sent)
        return sent

    def hears(self, sent: Sent, offset: str, up_to_date: bool = True) -> None:
        self.tail.confirm(self.now, sent)
        self.tail.hear(sent, offset, up_to_date)

    def knows(self, arrival: Arrival, end: str, strict: bool = False) -> bool:
        return self.tail.is_known_to(arrival, end, self.now, strict)

    def trusts(self, arrival: Arrival) -> bool:
        return self.tail.is_confirmed_to(arrival, self.now, VERIFY)
