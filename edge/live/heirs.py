"""Heirs: what a keeper's successor is answered, for as long as both are there.

A keeper that is replaced holds logs, and has a poll on the wire for each stream that is
followed. Its successor asks it as a front would, but for what is *held* alone: what can
be read from a log, and the poll that waits already. All else is *handed* to it, with
the lineage of what was held, so that fronts see no other life (W8). From then on it
asks the origin.

So nothing here ever asks the origin for a successor. Once the keeper is retired it arms
nothing more: with the answer to the poll that it has on the wire, a stream goes over,
and the fronts that still wait for it here are told to ask anew. A drain releases no
successor; the end of its grace hands over all that is left.

This module changes readers alone. The hub asks it before it acts on a decision.
"""

from edge.core.errors import NotHeld
from edge.core.reasons import Reason
from edge.core.values import Lineage, Mode
from edge.live.context import HubContext
from edge.live.delivery import Delivery
from edge.live.followers import Followers
from edge.live.rows import Reader, State
from edge.live.waiters import Waiters
from edge.policy.streams.decisions import Decision, Fetch, Kind, Park, Serve

_CHECKS = frozenset({Reason.UNCONFIRMED, Reason.SLIDING_TTL})
"""Reasons to ask the origin before anything that is held is shown."""


class Heirs:
    """Answers the readers that are successors (``Read.only_held``), and those whom a
    retired keeper can serve no more."""

    def __init__(
        self,
        context: HubContext,
        delivery: Delivery,
        waiters: Waiters,
        followers: Followers,
    ) -> None:
        self._clock = context.clock
        self._guard = context.guard
        self._keeps = context.options.serves_fronts
        self._boot = context.options.boot
        self._rules = context.options.rules
        self._delivery = delivery
        self._waiters = waiters
        self._followers = followers
        self._let_go = False

    def take(self, reader: Reader, decision: Decision) -> bool:
        """Answer the reader instead of acting on this decision. False: act on it."""
        if isinstance(decision, Serve):
            return False
        if isinstance(decision, Park) and self._may_park(reader):
            return False
        if not reader.read.only_held:
            return isinstance(decision, Park) and self._send_on(reader, decision)
        held = None
        if isinstance(decision, Fetch):
            if self._brings(reader, decision):
                reader.move(State.WAITING)
                return True
            held = self._held(reader, decision)
        if held is None:
            self.hand(reader)
        else:
            self._delivery.serve(reader, held)
        return True

    def hand(self, reader: Reader) -> None:
        """Hand the reader's stream over. One whose event stream has begun is ended
        after a whole event, and asks again."""
        if reader.begun:
            self._waiters.end(reader, Reason.HANDED)
            return
        said = "this keeper has a successor, and neither holds nor follows that"
        self._delivery.refuse(reader, NotHeld(said, self._lineage(reader)))

    def begin_drain(self) -> None:
        """A drain begins for all who wait here. A keeper that drains is retired."""
        if self._keeps:
            self._followers.retired = True
        self._waiters.begin_drain()

    def let_go(self) -> None:
        """The grace is over: hand over all that successors wait for, and let go of all
        others."""
        self._let_go = True
        for stream in self._waiters.crowded:
            for reader in list(stream.parked):
                if reader.read.only_held and reader.state is State.PARKED:
                    self._guard.serve(self.hand, reader)
        self._waiters.let_go()

    def _may_park(self, reader: Reader) -> bool:
        """Whether somebody tells of the end here."""
        if not reader.read.only_held:
            return not self._followers.retired or reader.stream.follower is not None
        tail = reader.stream.log.tail
        return not self._let_go and tail.is_armed(self._clock.monotonic())

    def _held(self, reader: Reader, fetch: Fetch) -> Serve | None:
        """The range that is held where it stands, as a page, without any word of the
        end: so it is right whatever followed. It shows no write (``Tail.shows``). None:
        nothing is held there, or it needs a check before it is shown (L6, L7, L23)."""
        log = reader.stream.log
        stood = reader.read.mode is Mode.CATCH_UP and log.holds(reader.offset)
        if not stood or fetch.reason in _CHECKS:
            return None
        end = log.page_end(reader.offset, self._rules.max_page)
        return None if end is None else Serve(Kind.CLOSED_RANGE, reader.offset, end)

    def _brings(self, reader: Reader, fetch: Fetch) -> bool:
        """Whether the poll on the wire may bring what is asked for (L4)."""
        reader.rounds += 1
        newer = fetch.reason is Reason.NEWER_WRITE and reader.rounds == 1
        return newer and self._followers.wait(reader)

    def _send_on(self, reader: Reader, park: Park) -> bool:
        """A front is to ask the successor, by the same poll. Where contact was lost it
        is to hear so instead: that is told by whoever lets go of it."""
        if reader.stream.log.tail.unverified or reader.is_sse:
            self._waiters.park(reader, park.offset)
            self._waiters.end(reader, Reason.DRAINING)
        else:
            self.hand(reader)
        return True

    def _lineage(self, reader: Reader) -> Lineage | None:
        """Of what is held, if that is known to be the origin's still (L6)."""
        log, now = reader.stream.log, self._clock.monotonic()
        tail = log.tail
        if log.is_empty or tail.unverified:
            return None
        verify = self._rules.verify_for(log, reader.read.key.partition.kind)
        if now - tail.confirmed_at > verify and not tail.is_armed(now):
            return None
        return log.told_lineage(self._boot)
