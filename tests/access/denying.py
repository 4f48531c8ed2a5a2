"""Denials to which clients come: of one worker, or of fronts on one board."""

from collections.abc import Sequence
from itertools import cycle

from edge.access.denials import COUNT, SECONDS, Denials
from edge.board.lane_view import LaneView
from edge.core.errors import TooManyDenied
from edge.core.reasons import Reason
from edge.core.values import Role
from tests.board.nodes import BoardNode

BAD = Reason.TOKEN_SIGNATURE


def refused(denials: Denials, client: str, credential: str) -> int | None:
    """After how many seconds to come back; None: it may be judged."""
    try:
        denials.check(client, credential)
    except TooManyDenied as error:
        assert (error.status, error.reason) == (429, Reason.LIMIT_DENIED)
        return error.retry_after
    return None


class Place:
    """Where clients come to: ``fronts`` of a node, each request at another one than
    the one before it; or one worker alone. Time is ``now``."""

    def __init__(
        self, fronts: int, count: float = COUNT, seconds: float = SECONDS
    ) -> None:
        self.now = 1000.0
        self._allowance = count, seconds
        self._node = BoardNode(fronts=fronts)
        self._views: list[LaneView | None] = [None]
        if fronts > 1:
            starts = self._node.starts
            self._views = [starts(Role.FRONT, number) for number in range(fronts)]
        self.each = [self._made(view) for view in self._views]
        self._next = cycle(range(len(self.each)))
        self._shown = 0

    def knows(self, credential: str) -> bool:
        return self._turn().knows(credential)

    def let_in(self, credential: str) -> None:
        self._turn().let_in(credential)

    def denied(self, client: str, credential: str, reason: Reason = BAD) -> None:
        self._turn().denied(client, credential, reason)

    def refused(self, client: str, credential: str) -> int | None:
        """See the function."""
        return refused(self._turn(), client, credential)

    def shown(self, client: str, count: int) -> int:
        """How many of so many made up credentials were judged; all of them are bad."""
        judged = 0
        for _ in range(count):
            denials = self._turn()
            self._shown += 1
            if refused(denials, client, f"bad {self._shown}") is None:
                denials.denied(client, f"bad {self._shown}", BAD)
                judged += 1
        return judged

    def replaced(self, number: int) -> None:
        """A front dies, and is reaped; another one begins in its place."""
        view = self._views[number]
        assert view is not None
        self._views[number] = self._node.is_followed(view)
        self.each[number] = self._made(self._views[number])

    def with_allowance(self, count: float, seconds: float) -> None:
        """A reload: all fronts are replaced, and go by another allowance."""
        self._allowance = count, seconds
        for number in range(len(self._views)):
            self.replaced(number)

    def _turn(self) -> Denials:
        return self.each[next(self._next)]

    def _made(self, view: LaneView | None) -> Denials:
        count, seconds = self._allowance
        shared = None if view is None else view.denials(f"{count}/{seconds}s")
        return Denials(lambda: self.now, count, seconds, shared)


def is_within(told: Sequence[float], count: int, seconds: float) -> bool:
    """Whether in no span of time more *no*s were told than an allowance, and what came
    back of it; ``told`` are their times."""
    return all(
        last - first + 1 <= count + (told[last] - began) * count / seconds + 1e-4
        for first, began in enumerate(told)
        for last in range(first, len(told))
    )
