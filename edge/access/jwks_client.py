"""JwksClient: the keys at a URL, fetched now and then (B15).

The first keys are waited for. Later ones are fetched beside what goes on: whoever finds
them old begins a fetch in a greenlet of its own, and goes on with the old ones. A fetch
that fails changes nothing. Keys that cannot be renewed are believed for an hour beyond
their time, then not at all. A token whose key nobody knows makes one fetch in ten
seconds at most, and waits for it.

``fetch`` is given by wiring: it gets the document's octets, follows no redirect, and
ends in time. Only the greenlet of a request that must wait blocks here.
"""

import logging
from collections.abc import Callable

import gevent
from gevent.event import Event

from edge.access.keys import KeyFault, KeySet
from edge.core.counters import Counters
from edge.core.errors import EdgeError
from edge.core.ports import Clock
from edge.policy.streams.ways import JwksUrl

FETCH_AGAIN_SECONDS = 10.0
"""Two fetches of one URL begin no closer together."""

STALE_SECONDS = 3600.0
"""How long keys are believed after they should have been renewed."""

PATIENCE_SECONDS = 2.0
"""How long a request waits for keys."""

Fetch = Callable[[str], bytes]
"""Raises EdgeError or OSError."""

_log = logging.getLogger("edge.access")


class JwksClient:
    """One URL's keys. ``changed`` is called when they have become others."""

    def __init__(
        self,
        source: JwksUrl,
        fetch: Fetch,
        clock: Clock,
        counters: Counters,
        changed: Callable[[], None],
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._clock = clock
        self._counters = counters
        self._changed = changed
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        # When the latest fetch was begun, and how many were; it is under way until
        # ``_ended`` is set.
        self._begun_at: float | None = None
        self._begun = 0
        self._answered = 0
        self._ended = Event()
        self._ended.set()

    def __repr__(self) -> str:
        held = "no" if self._keys is None else len(self._keys.keys)
        return f"<JwksClient {self._source.url} {held} keys>"

    def keys(self) -> KeySet | None:
        """The keys, without waiting; None: there are none that may be believed.

        Begins a fetch when they are old. Never switches.
        """
        age = self._clock.monotonic() - self._fetched_at
        if self._keys is None or age >= self._source.refresh:
            self._begin()
        if self._keys is not None and age >= self._source.refresh + STALE_SECONDS:
            return None
        return self._keys

    def wait(self, until: float) -> bool:
        """Wait for newer keys until a time (monotonic) at most. Returns whether they
        were asked for from now on: then a key that is not there does not exist.

        A fetch that is under way already is waited for too, since most often it was
        begun for the same key; but it may have been answered before that was there.
        """
        before = self._begun
        self._ended.wait(self._left(until))
        pause = self._pause()
        if self._begun == before and 0 < pause <= self._left(until):
            gevent.sleep(pause)
        if self._begun == before:
            self._begin()
        self._ended.wait(self._left(until))
        return self._answered > before

    def _left(self, until: float) -> float:
        return max(0.0, until - self._clock.monotonic())

    def _pause(self) -> float:
        """Seconds until the next fetch may begin."""
        if self._begun_at is None:
            return 0.0
        return self._begun_at + FETCH_AGAIN_SECONDS - self._clock.monotonic()

    def _begin(self) -> None:
        """Begin a fetch, unless there is one, or was one lately."""
        if not self._ended.is_set() or self._pause() > 0:
            return
        self._begun_at = self._clock.monotonic()
        self._begun += 1
        self._ended.clear()
        gevent.spawn(self._renew, self._begun)

    def _renew(self, number: int) -> None:
        try:
            keys = KeySet.of_jwks(self._fetch(self._source.url))
        except (EdgeError, OSError, KeyFault) as error:
            self._counters.key_fetches["failed"] += 1
            said = "the keys at %s could not be fetched: %s"
            _log.warning(said, self._source.url, error)
        else:
            self._counters.key_fetches["answered"] += 1
            self._take(keys, number)
        finally:
            # Also when it is killed: nobody is left waiting.
            self._ended.set()

    def _take(self, keys: KeySet, number: int) -> None:
        before, self._keys = self._keys, keys
        self._fetched_at = self._clock.monotonic()
        self._answered = number
        if before is not None and before.keys == keys.keys:
            return
        if keys.skipped:
            said = "%d keys at %s are of no use here"
            _log.warning(said, keys.skipped, self._source.url)
        self._changed()
