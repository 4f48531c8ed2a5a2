"""Outages: which requests are not made while the origin is away, who waits, and what
readers are told.

``decide`` says what a reader needs. Before a check or a delta is sent, the hub asks
here whether it is to be sent (U3, U7). While a stream is known to be away, one request
for each step of the back-off decides; all others are decided by the last fault, at
once.
A reader that something held can serve never waits for that request, and waits at most
``stale_after`` for any other check. Whoever nothing held can serve is told here, too.
"""

from contextlib import suppress

from edge.core.errors import OriginFault, OriginTimeout, Refusal
from edge.core.reasons import Reason
from edge.live.contacts import Contacts, asks_again
from edge.live.context import HubContext
from edge.live.delivery import Delivery
from edge.live.flights import Flights
from edge.live.lending import no_lender
from edge.live.rows import Reader, State
from edge.live.waiters import Waiters
from edge.policy.streams.decide import decide
from edge.policy.streams.decisions import Decision, Fetch, Refuse, Serve
from edge.streamlog.barriers import reaches

_SLOW = OriginTimeout("the origin has not answered in time", reason=Reason.ORIGIN_SLOW)

_CHECKS = frozenset({Reason.UNCONFIRMED, Reason.TAIL_UNKNOWN, Reason.SLIDING_TTL})
"""Why readers ask that may be given what is held instead. Not behind a write: its
acknowledgement shows that the origin is there, and its writer expects to see it (L4).
"""


class Outages:
    """Holds requests back, one instance for a hub."""

    def __init__(
        self,
        context: HubContext,
        contacts: Contacts,
        flights: Flights,
        waiters: Waiters,
        delivery: Delivery,
    ) -> None:
        self._rules = context.options.rules
        self._clock = context.clock
        self._contacts = contacts
        self._flights = flights
        self._waiters = waiters
        self._delivery = delivery

    def holds_back(self, reader: Reader, fetch: Fetch, now: float) -> bool:
        """Whether this request is not to be made: ``reader.fault`` then tells why, and
        the reader is to be decided again."""
        stream = reader.stream
        if not self._flights.may_join(reader, fetch):
            reader.fault = no_lender()
            return True
        if stream.contact is None or not asks_again(stream, fetch.start):
            return False
        fault = self._contacts.fault_now(stream, now)
        if fault is None:
            fault = self._decide_by_one(reader, fetch)
        if fault is None:
            return False
        reader.fault = fault
        return True

    def be_patient(self, reader: Reader, fetch: Fetch) -> None:
        """The reader waits for a check, but not for long if held bytes can serve it."""
        if fetch.reason not in _CHECKS or _is_behind_write(reader):
            return
        if isinstance(self._without(reader, _SLOW), Serve):
            self._waiters.be_patient(reader, reader.stream.route.stale_after)

    def tell(self, reader: Reader, fault: OriginFault) -> None:
        """The origin is away. A live reader waits a little until it is back (U2): an
        event stream that has begun thus never ends within a second."""
        wait = self._contacts.wait(reader.stream)
        if self._waiters.may_wait(reader, wait):
            reader.move(State.WAITING)
            self._waiters.retry_later(reader)
        elif reader.begun:
            self._waiters.end(reader, fault.reason)
        else:
            self._delivery.away(reader, fault, wait)

    def _decide_by_one(self, reader: Reader, fetch: Fetch) -> OriginFault | None:
        """A step is over: this reader asks (None), or one request is made that nobody
        waits for."""
        stream = reader.stream
        fault = None if stream.contact is None else stream.contact.fault
        if fault is None:
            return None
        if isinstance(self._without(reader, fault), Refuse):
            self._contacts.probe_sent(stream)
            return None
        if not self._contacts.follower_asks(stream):
            self._contacts.probe_sent(stream)
            # Where there is no room, a later reader tries again.
            with suppress(Refusal):
                hops, trace = reader.read.hops, reader.sink.trace
                self._flights.begin(stream, fetch.start, hops, trace)
        return fault

    def _without(self, reader: Reader, fault: OriginFault) -> Decision:
        """What would be decided if the request failed now."""
        state = reader.read_state(self._clock.monotonic(), self._clock.wall())
        return decide(
            reader.read,
            reader.stream.log,
            state._replace(fault=fault),
            reader.stream.route,
            self._rules,
        )


def _is_behind_write(reader: Reader) -> bool:
    """Whether what is held lacks a write that was acknowledged before it arrived."""
    barrier, end = reader.barrier, reader.stream.log.end
    known = barrier.ack is not None or barrier.mark is not None
    return known and (end is None or not reaches(barrier, end))
