"""Verdicts: what the ways said lately, so that a credential is judged once.

A verdict is remembered under all that its judge saw (B2): the way, the route, the
right, the raw path, the extension parameters and the credential's digest. Never longer
than the credential lives. A *no* is believed for some seconds only, since time or newer
keys can change it. Both are bounded, each for itself: whoever sends bad credentials
pushes out other *no*s, and never a *yes* (B18).

``forget`` begins a new epoch: what was said by keys that have changed since, or before
an order to revoke, is not kept, not even by a judge that began before (``epoch``). But
it is known who had been let in (``was_let_in``): they are asked about before strangers.
Holds no token and no clock. Called by the judges.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from edge.access.revocations import NO_FACTS, TokenFacts
from edge.core.values import Headers
from edge.policy.streams.authorize import Denied
from edge.policy.streams.ways import Right

MAX_YES = 65_536
MAX_NO = 4096
"""Verdicts of each kind that are remembered."""

MAX_KEY_LENGTH = 256
"""Characters of a path and its parameters beyond which no verdict is remembered:
clients can make up long ones, and thousands of them must not be held."""

NO_SECONDS = 10.0
"""How long a *no* is believed."""


class VerdictKey(NamedTuple):
    """All that a judge saw. ``way`` is the number of the way on its route."""

    route: str
    way: int
    right: Right
    path: str
    extension: str
    credential: str


@dataclass(frozen=True, slots=True)
class AskedTimes:
    """The times of a *yes* that somebody told who was asked. All are Unix seconds.

    It was asked for at ``asked_at``, and is believed until ``fresh_until``. From
    ``renews_at`` on, it is asked for anew beside what goes on. If nobody answers then,
    it stands until ``kept_until`` for whoever was let in.
    """

    asked_at: float
    fresh_until: float
    renews_at: float
    kept_until: float


@dataclass(frozen=True, slots=True)
class LetIn:
    """A *yes*: until when (Unix seconds), and whom.

    ``asked``: by somebody who was asked; None: by keys. ``fields`` go on the answer of
    the one request that was asked for. ``key``: under which it is remembered, to be
    taken back. ``facts`` are what an order to revoke may name.
    """

    ends_at: float
    subject: str = ""
    asked: AskedTimes | None = None
    fields: Headers = ()
    key: VerdictKey | None = None
    facts: TokenFacts = NO_FACTS


class Verdicts:
    """The verdicts of one worker. All times are Unix seconds."""

    def __init__(self, max_yes: int = MAX_YES, max_no: int = MAX_NO) -> None:
        self.epoch = 0
        self._max_yes = max_yes
        self._max_no = max_no
        self._yes: OrderedDict[VerdictKey, LetIn] = OrderedDict()
        # Whom others let in during epochs before, and were not asked about since.
        self._before: OrderedDict[VerdictKey, None] = OrderedDict()
        # A *no*, when it was said, and for how many seconds it is believed.
        self._no: OrderedDict[VerdictKey, tuple[Denied, float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._yes) + len(self._no)

    def get(self, key: VerdictKey, now: float) -> LetIn | Denied | None:
        """What was said and still holds; None: it must be judged."""
        let_in = self.standing(key, now)
        if let_in is not None and now < let_in.ends_at:
            self._yes.move_to_end(key)
            return let_in
        denied, said_at, seconds = self._no.get(key, (None, 0.0, 0.0))
        return denied if 0 <= now - said_at < seconds else None

    def standing(self, key: VerdictKey, now: float) -> LetIn | None:
        """The *yes* that holds, or that held and stands if nobody answers (A17, B11).

        One that was said after ``now`` is none: the clock was put back.
        """
        let_in = self._yes.get(key)
        if let_in is None:
            return None
        asked = let_in.asked
        over = let_in.ends_at if asked is None else asked.kept_until
        if now >= over or (asked is not None and now < asked.asked_at):
            del self._yes[key]
            return None
        return let_in

    def was_let_in(self, key: VerdictKey, now: float) -> bool:
        """Whether a *yes* stands, or did when the epoch began. It is no verdict."""
        return self.standing(key, now) is not None or key in self._before

    def keep(
        self,
        key: VerdictKey,
        verdict: LetIn | Denied,
        now: float,
        epoch: int,
        no_seconds: float = NO_SECONDS,
    ) -> None:
        """Remember what a judge says that began in ``epoch``; a *no* for that long."""
        if epoch != self.epoch or len(key.path) + len(key.extension) > MAX_KEY_LENGTH:
            return
        self._before.pop(key, None)
        if isinstance(verdict, LetIn):
            self._yes[key] = verdict
            if len(self._yes) > self._max_yes:
                self._yes.popitem(last=False)
            return
        self._no[key] = (verdict, now, no_seconds)
        self._no.move_to_end(key)
        if len(self._no) > self._max_no:
            self._no.popitem(last=False)

    def end(self, key: VerdictKey) -> None:
        """Nobody is let in by it any more, as somebody who was asked said."""
        self._yes.pop(key, None)
        self._before.pop(key, None)

    def forget(self) -> None:
        """Keys have changed, or something was revoked: nothing that was said holds any
        more."""
        self.epoch += 1
        by_others = (key for key, one in self._yes.items() if one.asked is not None)
        self._before |= dict.fromkeys(by_others)
        while len(self._before) > self._max_yes:
            self._before.popitem(last=False)
        self._yes.clear()
        self._no.clear()
