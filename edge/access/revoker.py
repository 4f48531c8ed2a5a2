"""Revoker: takes orders, puts them in force, keeps them, and hears of others' orders.

The order of steps matters, and the first three do not switch greenlets::

    1  the order is in force: no judge lets in by what it names (``revocations``)
    2  all verdicts are forgotten; a judge that is under way keeps none (their epoch)
    3  the leases that it names end: nothing more is given to whoever holds one
    4  the other processes of the node are told, and have done the same (W14)
    5  the order is written, on a thread (``revocation_file``)
    6  its giver is answered

If 4 or 5 fails the order stays in force here, its giver is told so, and writing is
tried again until it works: an order is never forgotten silently.

Other workers write to the same file. Each looks at it at every tick of the clock, and
takes in what is new. So this holds, too: 1: a new worker has read the file; 2: an order
is given to the old one; 3: the new one accepts. Its next tick, a quarter second later
at most, finds another file than it has read, and ends what step 3 let in.

One for each worker. The admin page and the tick call it.
"""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import gevent
from gevent.lock import RLock

from edge.access.leases import Leases
from edge.access.revocation_file import RevocationFault, RevocationFile
from edge.access.revocations import (
    MAX_UNTIL,
    Revocation,
    Revocations,
    RevokedBy,
    token_digest,
)
from edge.access.tokens import claimed_end
from edge.core.counters import Counters
from edge.core.errors import Refusal
from edge.core.ports import Clock
from edge.core.reasons import Reason

RETRY_SECONDS = 5.0
"""Between two tries with a file that could not be written, or read."""

T = TypeVar("T")

_log = logging.getLogger("edge.access")


@dataclass(frozen=True, slots=True)
class Revoked:
    """What came of an order: how many leases ended here, and until when it is kept
    (Unix seconds). ``kept``: where a restart finds it."""

    ended: int
    until: float
    kept: bool


class Heard(NamedTuple):
    """What came of an order where it was not given: how many leases ended, and up to
    which second tokens of its subject are in use there."""

    ended: int
    at: int


class Revoker:
    """The orders of one worker. ``forget`` is called when orders are new in force, to
    begin a new epoch of verdicts. ``tell_others`` hands an order to the node's other
    processes, and returns what they heard; it may block, and raise EdgeError. ``file``
    None: orders live as long as the worker."""

    def __init__(
        self,
        revocations: Revocations,
        leases: Leases,
        file: RevocationFile | None,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self.forget: Callable[[], None] = lambda: None
        self.tell_others: Callable[[Revocation], Heard] | None = None
        self._revocations = revocations
        self._leases = leases
        self._file = file
        self._clock = clock
        self._counters = counters
        # One greenlet at a time reads or writes the file.
        self._at_file = RLock()
        self._unwritten = False
        self._retry_at = 0.0
        self._looking = False

    def load(self) -> None:
        """Read the file, before anybody is let in. Raises RevocationFault, OSError."""
        if self._file is not None:
            self._revocations.merge(self._file.load(), self._clock.wall())

    def revoke(
        self, by: RevokedBy, value: str, issuer: str | None = None, until: float = 0.0
    ) -> Revoked:
        """Execute an order; ``value`` as in Revocation. Blocks until it is written, and
        the node's other processes have executed it.

        Raises Refusal: limit-revocations, not-written (it is in force all the same),
        and what ``tell_others`` raises.
        """
        now = self._clock.wall()
        order = Revocation(by, value, math.floor(now), issuer, until)
        order = self._up_to_the_newest(order, now)
        self._revocations.add(order, now)
        ended = self._apply([order])
        self._counters.revocations[by.value] += 1
        try:
            ended += self._tell(order)
        finally:
            # Even if another process is late.
            said = "revoked by order: %s %s, issuer %s: %d grants ended"
            _log.info(said, by.value, value, issuer or "any", ended)
            if self._file is not None:
                self._unwritten = True
                self._write()
        kept_until = self._revocations.kept_until(order)
        lasts = self._file is not None and self._file.lasts
        return Revoked(ended, kept_until, lasts)

    def revoke_token(self, text: str) -> Revoked:
        """Execute an order about one token. Raises as ``revoke`` does."""
        until = min(claimed_end(text), MAX_UNTIL)
        return self.revoke(RevokedBy.TOKEN, token_digest(text), None, until)

    def hear(self, order: Revocation) -> Heard:
        """Execute an order that was given to another process of the node, which also
        writes it. Never switches."""
        now = self._clock.wall()
        order = self._up_to_the_newest(order, now)
        new = self._revocations.merge([order], now)
        return Heard(self._apply([order]) if new else 0, order.at)

    def _tell(self, order: Revocation) -> int:
        """Step 4; how many leases ended. Raises EdgeError."""
        if self.tell_others is None:
            return 0
        heard = self.tell_others(order)
        if heard.at <= order.at:
            return heard.ended
        # Another process has let in by a newer token of its subject.
        order = replace(order, at=heard.at)
        self._revocations.merge([order], self._clock.wall())
        return heard.ended + self._apply([order]) + self.tell_others(order).ended

    def look(self, now: float) -> None:
        """At each tick: take in what other workers wrote, and try again to write. Never
        switches (``edge.core.ports.Ticks``); ``now`` is monotonic."""
        if self._file is None or self._looking or now < self._retry_at:
            return
        if self._unwritten or _has_changed(self._file):
            self._looking = True
            gevent.spawn(self._look)

    def _up_to_the_newest(self, order: Revocation, now: float) -> Revocation:
        """The order, up to the newest token of its subject that is in use: the clock of
        its issuer may go ahead of ours."""
        if order.by is not RevokedBy.SUBJECT:
            return order
        facts = [
            lease.facts.issued_at or 0.0
            for lease in self._leases.named([order])
            if order.issuer in (None, lease.facts.issuer)
        ]
        newest = math.floor(max(facts, default=0.0))
        return replace(order, at=max(order.at, newest))

    def _apply(self, orders: Iterable[Revocation]) -> int:
        """Steps 2 and 3; how many leases ended."""
        self.forget()
        now = self._clock.monotonic()
        return self._leases.end(orders, self._revocations.refuses, now)

    # The file.

    def _write(self) -> None:
        """Write all orders. Raises Refusal (not-written)."""
        assert self._file is not None
        with self._at_file:
            if not self._unwritten:
                return
            self._revocations.drop_ended(self._clock.wall())
            orders = tuple(self._revocations)
            # What comes while the thread writes sets it again.
            self._unwritten = False
            others: tuple[Revocation, ...] | None = None
            try:
                others = _on_a_thread(self._file.save, orders)
            except (OSError, RevocationFault) as error:
                self._fail("written", error)
                detail = (
                    "It is in force, but could not be written: should this process end "
                    "before that works, it is forgotten. The log says why."
                )
                raise Refusal(detail, reason=Reason.NOT_WRITTEN) from error
            finally:
                # However it ended, a kill of this greenlet among others.
                self._unwritten = self._unwritten or others is None
        self._take_in(others)

    def _look(self) -> None:
        assert self._file is not None
        try:
            if self._unwritten:
                self._write()
            else:
                with self._at_file:
                    orders = _on_a_thread(self._file.load)
                self._take_in(orders)
        except Refusal:
            # It is logged, and tried again.
            pass
        except (OSError, RevocationFault) as error:
            self._fail("read", error)
        finally:
            self._looking = False

    def _fail(self, what: str, error: Exception) -> None:
        self._retry_at = self._clock.monotonic() + RETRY_SECONDS
        _log.error("revocations could not be %s: %s", what, error)

    def _take_in(self, orders: tuple[Revocation, ...]) -> None:
        """Put others' orders in force here."""
        if self._revocations.merge(orders, self._clock.wall()):
            ended = self._apply(orders)
            _log.info("took in revocations of another worker: %d grants ended", ended)


def _has_changed(file: RevocationFile) -> bool:
    try:
        return file.has_changed()
    except OSError:
        # Reading it will say why.
        return True


def _on_a_thread(act: Callable[..., T], *arguments: object) -> T:
    """What ``act`` returns, or raises (OSError, RevocationFault); the event loop goes
    on meanwhile."""

    def outcome() -> T | OSError | RevocationFault:
        # What a thread raises would be reported as a defect.
        try:
            return act(*arguments)
        except (OSError, RevocationFault) as error:
            return error

    found: T | OSError | RevocationFault = gevent.get_hub().threadpool.apply(outcome)
    if isinstance(found, OSError | RevocationFault):
        raise found
    return found
