"""Denials: how many bad credentials a client may show (B18).

Whoever makes up credentials makes the edge check a signature, or ask somebody, for each
of them. So each client has an allowance of *no*s: so many at once, and as many again in
a time. When it is used up, nothing new of that client is judged before some of it came
back: 429, and when to try again.

What costs nothing, and is judged however often others at the same address were refused:

- whatever is remembered, a *yes* or a *no*: it is not judged here at all;
- a credential that let somebody in lately (``knows``), also on another path, and also
  if it turns out to have ended: its owner must hear 401 to fetch a new one. Its first
  *no* ends that, unless it is about the stream and not about the credential.

A client is an address as ``counted`` has it; one without an address has no bound. All
tables are bounded. Where too many clients have shown bad credentials, the one that has
done so longest ago is forgiven: nobody is refused for what others did elsewhere.

Holds digests and addresses, no token and no clock: ``now`` is Unix time. Called by
``key_judges`` and ``asked_verdicts``.
"""

from collections import OrderedDict
from math import ceil, inf

from edge.access.judging import Case
from edge.core.client_bounds import counted
from edge.core.errors import TooManyDenied
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

_ROUNDING = 1e-6
"""Unix time has no more digits."""


def client_of(case: Case) -> str:
    """As whom the sender of a request counts."""
    return counted(case.request.client().address)


class Denials:
    """What the clients of one worker have left."""

    def __init__(
        self,
        count: float = COUNT,
        seconds: float = SECONDS,
        max_clients: int = MAX_CLIENTS,
        max_known: int = MAX_KNOWN,
    ) -> None:
        """``count`` infinite: no bound."""
        self._count = count
        self._seconds = seconds
        self._max_clients = max_clients
        self._max_known = max_known
        # What a client has used up, and when that was so; the latest one is the last.
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        may = f"{self._count} in {self._seconds} s"
        return f"<Denials {may}, {len(self._used)} clients>"

    def __len__(self) -> int:
        return len(self._used) + len(self._known)

    def knows(self, credential: str) -> bool:
        """Whether a credential, by its digest, let somebody in lately; "" is none."""
        return credential in self._known

    def check(self, client: str, credential: str, now: float) -> None:
        """Whether one more of a client's may be judged. Raises TooManyDenied."""
        if self.knows(credential):
            return
        over = self._used_by(client, now) - (self._count - 1)
        if over > _ROUNDING:
            wait = max(1, ceil(over * self._seconds / self._count))
            words = "Too many bad credentials have come from this address."
            raise TooManyDenied(words, retry_after=wait)

    def let_in(self, credential: str) -> None:
        """It was judged, and it is good."""
        if not credential:
            return
        self._known[credential] = None
        self._known.move_to_end(credential)
        if len(self._known) > self._max_known:
            self._known.popitem(last=False)

    def denied(self, client: str, credential: str, now: float, reason: Reason) -> None:
        """It was judged, and it is bad."""
        was_good = credential in self._known
        if was_good and reason not in OF_STREAMS:
            del self._known[credential]
        if was_good or not client or self._count == inf:
            return
        self._used[client] = self._used_by(client, now) + 1, now
        self._used.move_to_end(client)
        self._forgive(now)

    def _used_by(self, client: str, now: float) -> float:
        """What a client has used up and not got back. A clock that was put back gives
        all of it back."""
        used, at = self._used.get(client, (0.0, now))
        if now < at:
            return 0.0
        return max(0.0, used - (now - at) * self._count / self._seconds)

    def _forgive(self, now: float) -> None:
        """Forget whoever has got all back, from the one on whose latest *no* came
        longest ago; and that one, if there are too many."""
        while True:
            oldest = next(iter(self._used))
            if len(self._used) <= self._max_clients and self._used_by(oldest, now):
                return
            del self._used[oldest]
