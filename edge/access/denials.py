"""Denials: how many bad credentials a client may show (B18, W17).

Whoever makes up credentials makes the edge check a signature, or ask somebody, for each
of them. So each client has an allowance of *no*s: so many at once, and as many again in
a time. When it is used up, nothing new of that client is judged before some of it came
back: 429, and when to try again.

The law is that of a token bucket, in its form with one time (GCRA)::

    step      the time for one *no*: seconds / count, in whole units, rounded up
    back at   when the client has all of its allowance back
    a no      moves it on by a step, from now if it has passed
    judged    whoever has one left: back at is at most count - 1 steps away

What costs nothing, and is judged however often others at the same address were refused:

- whatever is remembered, a *yes* or a *no*: it is not judged here at all;
- a credential that let somebody in lately (``knows``), also on another path, and also
  if it turns out to have ended: its owner must hear 401 to fetch a new one. Its first
  *no* ends that, unless it is about the stream and not about the credential.

Where fronts share a node (``shared``), a client's time is the node's, and a credential
that let somebody in at one front is known to all. A front remembers besides how far it
has moved a client on itself: a store may be lost where others store at the same
instant, but none of its own, so a client never has more than one allowance at each.

A client is an address as ``counted`` has it; one without an address has no bound. All
tables are bounded. Where too many clients have shown bad credentials, one is forgiven:
nobody is refused for what others did elsewhere.

Holds digests and addresses, no token. ``now`` gives monotonic seconds: nobody is locked
out by a clock that is put back. Called by ``key_judges`` and ``asked_verdicts``.
"""

from collections import OrderedDict
from collections.abc import Callable
from math import ceil, inf

from edge.access.judging import Case
from edge.core.client_bounds import counted
from edge.core.errors import TooManyDenied
from edge.core.ports import SharedDenials
from edge.core.reasons import Reason

COUNT, SECONDS = 100, 10.0
"""So many *no*s at once, and so many again within that time."""

MAX_CLIENTS = 16_384
"""Clients whose *no*s are counted."""

MAX_KNOWN = 65_536
"""Credentials that are known to be good."""

OF_STREAMS = frozenset(
    {Reason.ACCESS_ABSENT, Reason.PATH_NOT_GRANTED, Reason.PARAMETER_NOT_GRANTED}
)
"""What a good credential hears, too."""

OWN_UNITS = 1_000_000
"""Units of time in a second, where nobody shares it."""


def client_of(case: Case) -> str:
    """As whom the sender of a request counts."""
    return counted(case.request.client().address)


class Denials:
    """What clients have left, as one worker knows it."""

    def __init__(
        self,
        now: Callable[[], float],
        count: int | float = COUNT,
        seconds: float = SECONDS,
        shared: SharedDenials | None = None,
        max_clients: int = MAX_CLIENTS,
        max_known: int = MAX_KNOWN,
    ) -> None:
        """``count`` infinite: no bound. ``shared`` None: this worker is alone."""
        self._now = now
        self._count = count
        self._seconds = seconds
        self._shared = shared
        self._max_clients = max_clients
        self._max_known = max_known
        self._units = OWN_UNITS if shared is None else shared.units_per_second
        self._step = max(1, ceil(round(seconds * self._units) / count))
        # When a client has all back; the one whose *no* came last is the last.
        self._back_at: OrderedDict[str, int] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        may = f"{self._count} in {self._seconds} s"
        return f"<Denials {may}, {len(self._back_at)} clients>"

    def __len__(self) -> int:
        return len(self._back_at) + len(self._known)

    def knows(self, credential: str) -> bool:
        """Whether a credential, by its digest, let somebody in lately; "" is none."""
        if not credential:
            return False
        if self._shared is not None:
            return self._shared.knows(credential)
        return credential in self._known

    def check(self, client: str, credential: str) -> None:
        """Whether one more of a client's may be judged. Raises TooManyDenied."""
        if not client or self._count == inf:
            return
        left = self._when_back(client) - self._time()
        over = left - (self._count - 1) * self._step
        if over > 0 and not self.knows(credential):
            words = "Too many bad credentials have come from this address."
            raise TooManyDenied(words, retry_after=ceil(over / self._units))

    def let_in(self, credential: str) -> None:
        """It was judged, and it is good."""
        if not credential:
            return
        if self._shared is not None:
            self._shared.let_in(credential)
            return
        self._known[credential] = None
        self._known.move_to_end(credential)
        if len(self._known) > self._max_known:
            self._known.popitem(last=False)

    def denied(self, client: str, credential: str, reason: Reason) -> None:
        """It was judged, and it is bad."""
        if self.knows(credential):
            if reason not in OF_STREAMS:
                self._forget(credential)
            return
        if not client or self._count == inf:
            return
        now = self._time()
        back_at = max(self._when_back(client), now) + self._step
        if self._shared is not None:
            self._shared.store_back_at(client, back_at)
        self._back_at[client] = back_at
        self._back_at.move_to_end(client)
        self._forgive(now)

    def _forget(self, credential: str) -> None:
        if self._shared is not None:
            self._shared.forget(credential)
        else:
            del self._known[credential]

    def _time(self) -> int:
        """Now, in units."""
        return int(self._now() * self._units)

    def _when_back(self, client: str) -> int:
        """When a client has all of its allowance back; it may have passed."""
        own = self._back_at.get(client, 0)
        return own if self._shared is None else max(own, self._shared.back_at(client))

    def _forgive(self, now: int) -> None:
        """Forget whoever has got all back, from the one on whose latest *no* came
        longest ago; and that one, if there are too many."""
        while True:
            oldest = next(iter(self._back_at))
            if len(self._back_at) <= self._max_clients and self._back_at[oldest] > now:
                return
            del self._back_at[oldest]
