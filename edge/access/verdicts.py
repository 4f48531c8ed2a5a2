"""Verdicts: what the ways said lately, so that a credential is judged once.

A verdict is remembered under all that its judge saw (B2): the way, the route, the
right, the raw path, the extension parameters and the credential's digest. Never longer
than the credential lives. A *no* is believed for some seconds only, since time or newer
keys can change it. Both are bounded, each for itself: whoever sends bad credentials
pushes out other *no*s, and never a *yes* (B18).

``forget`` begins a new epoch: what keys said that have changed since is not kept, not
even by a judge that began before (``epoch``). Holds no token and no clock. Called by
the authorizer alone.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from edge.access.revocations import NO_FACTS, TokenFacts
from edge.core.values import UNLIMITED, Lease
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
class LetIn:
    """A *yes*: until when (Unix seconds), and whom. ``facts`` are what an order to
    revoke it may name, ``lease`` is what everybody holds who comes by it."""

    ends_at: float
    subject: str = ""
    facts: TokenFacts = NO_FACTS
    lease: Lease = field(default=UNLIMITED, compare=False)


class Verdicts:
    """The verdicts of one worker. All times are Unix seconds."""

    def __init__(self, max_yes: int = MAX_YES, max_no: int = MAX_NO) -> None:
        self.epoch = 0
        self._max_yes = max_yes
        self._max_no = max_no
        self._yes: OrderedDict[VerdictKey, LetIn] = OrderedDict()
        self._no: OrderedDict[VerdictKey, tuple[Denied, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._yes) + len(self._no)

    def get(self, key: VerdictKey, now: float) -> LetIn | Denied | None:
        """What was said and still holds; None: it must be judged."""
        let_in = self._yes.get(key)
        if let_in is not None:
            if now < let_in.ends_at:
                self._yes.move_to_end(key)
                return let_in
            del self._yes[key]
        denied = self._no.get(key)
        if denied is None or not 0 <= now - denied[1] < NO_SECONDS:
            return None
        return denied[0]

    def keep(
        self, key: VerdictKey, verdict: LetIn | Denied, now: float, epoch: int
    ) -> None:
        """Remember what a judge says that began in ``epoch``."""
        if epoch != self.epoch or len(key.path) + len(key.extension) > MAX_KEY_LENGTH:
            return
        if isinstance(verdict, LetIn):
            self._yes[key] = verdict
            if len(self._yes) > self._max_yes:
                self._yes.popitem(last=False)
            return
        self._no[key] = (verdict, now)
        self._no.move_to_end(key)
        if len(self._no) > self._max_no:
            self._no.popitem(last=False)

    def forget(self) -> None:
        """Keys have changed, or something was revoked: nothing that was said holds any
        more."""
        self.epoch += 1
        self._yes.clear()
        self._no.clear()
