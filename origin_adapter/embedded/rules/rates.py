"""Rates: a token bucket per client (section 12.5). Pure; time is an argument."""

from collections import OrderedDict

MAX_CLIENTS = 10_000


class RateLimiter:
    """Who may send how many requests per second, and how many at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Seconds until the client may send again; 0.0: now, and it is counted."""
        full_at = max(now, self._full_at.get(client, now))
        over = full_at - now - (self.burst - 1) / self.rate
        # What floating point leaves over is not worth a refusal.
        if over > 1e-9:
            return over
        self._full_at[client] = full_at + 1 / self.rate
        self._full_at.move_to_end(client)
        if len(self._full_at) > MAX_CLIENTS:
            self._full_at.popitem(last=False)
        return 0.0
