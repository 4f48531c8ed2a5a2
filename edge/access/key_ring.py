"""KeyRing: all keys of one way, those at hand and those at URLs.

``KeyRings`` has one for each way of a worker's routes. Files hold what they held when
the settings were read: a reload reads them anew. Called by the authorizer.
"""

from collections.abc import Callable, Iterable

from edge.access.jwks_client import PATIENCE_SECONDS, Fetch, JwksClient
from edge.access.keys import KeySet, load
from edge.core.counters import Counters
from edge.core.ports import Clock
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import JwksUrl, JwtWay


class KeyRing:
    """The keys by which one way judges."""

    def __init__(
        self, at_hand: KeySet, clients: tuple[JwksClient, ...], clock: Clock
    ) -> None:
        self._at_hand = at_hand
        self._clients = clients
        self._clock = clock

    @property
    def may_change(self) -> bool:
        """Whether any of the keys lie at a URL."""
        return bool(self._clients)

    def keys(self) -> KeySet | None:
        """The keys that may be believed now; None: there are none. Never switches."""
        if not self._clients:
            return self._at_hand
        there = [keys for one in self._clients if (keys := one.keys()) is not None]
        if not there and not self._at_hand.keys:
            return None
        return KeySet.joined((self._at_hand, *there))

    def are_believed(self) -> bool:
        """Whether what was judged by these keys holds: as long as all of them do.

        Call it for each verdict that was remembered, too. Keys that are old are renewed
        by whoever looks at them, and newer ones may end the verdict.
        """
        return None not in [one.keys() for one in self._clients]

    def wait(self) -> bool:
        """Wait for newer keys. Returns whether all of them were asked for from now on:
        then a key that is not there does not exist."""
        until = self._clock.monotonic() + PATIENCE_SECONDS
        return all([client.wait(until) for client in self._clients])


class KeyRings:
    """The rings of one worker. ``changed`` is called when keys have become others."""

    def __init__(
        self,
        routes: Iterable[Route],
        read: Callable[[str], bytes],
        fetch: Fetch,
        clock: Clock,
        counters: Counters,
    ) -> None:
        """``read`` gives a file's octets by its path. Raises KeyFault."""
        self.changed: Callable[[], None] = lambda: None
        self._rings: dict[int, KeyRing] = {}
        for way in (way for route in routes for way in route.ways):
            if isinstance(way, JwtWay):
                clients = tuple(
                    JwksClient(source, fetch, clock, counters, lambda: self.changed())
                    for source in way.keys
                    if isinstance(source, JwksUrl)
                )
                self._rings[id(way)] = KeyRing(load(way.keys, read), clients, clock)

    def of(self, way: JwtWay) -> KeyRing:
        """The ring of a way, known by identity: the routes hold it."""
        return self._rings[id(way)]
