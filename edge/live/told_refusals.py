"""ToldRefusals: what the origin has refused, told to all fronts of a node (W16).

In a node the origin's *no* to a lent credential is heard by a keeper, and any front may
have readers who brought it. So a keeper remembers each refusal (``refusal_marks``), and
before it answers a front anything else, it tells what that has not heard of yet. A
front takes this as if it had heard it itself, and asks again::

    1  a front has readers by ann's and ben's credentials; its poll, by ben's, is
       answered, and the next one goes by ann's
    2  the keeper's next poll had gone by ben's before that, and is refused
    3  the keeper asks by another one's, and in the next turn tells all fronts whose
       polls wait there
    4  each of them ends its readers by ben's, and polls again by ann's

It is the next turn, or there would be nobody by whose credential to ask in 3. A front
that is on its way between two polls in 3 is told when it comes. Who was judged before 3
and comes after 4 is judged anew. Who was asked about after 3 was not refused.

Called by ``lending`` and by the hub's entrance. Nothing here asks the origin, and
nothing switches.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from edge.core.errors import LendersRefused
from edge.core.lent_refusals import LentRefusals
from edge.core.reasons import Reason
from edge.core.values import (
    Lease,
    LentCredential,
    OriginAnswer,
    OriginRequest,
)
from edge.live.context import HubContext
from edge.live.delivery import Delivery
from edge.live.refusal_marks import RefusalMarks
from edge.live.rows import Reader, State, Stream
from edge.live.upstream import next_turn
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import OriginWay

_HERE = frozenset({State.WAITING, State.PARKED})


class ToldRefusals:
    """Tells fronts, where this is a keeper."""

    def __init__(self, context: HubContext, delivery: Delivery) -> None:
        self._options = context.options
        self._clock = context.clock
        self._guard = context.guard
        self._delivery = delivery

    def heard(
        self,
        stream: Stream,
        readers: Iterable[Reader],
        lent: LentCredential,
        answer: OriginAnswer,
    ) -> None:
        """The origin has refused this credential. The fronts that brought it hear its
        answer, since they have let in their readers; the others hear of it soon."""
        now = self._clock.monotonic()
        self._marks(stream).add(lent.digest, now)
        for reader in readers:
            reader.lease.end(now)
            if reader.state in _HERE:
                self._guard.serve(partial(self._answer, answer), reader)

    def pass_on(self, stream: Stream, refusals: LentRefusals) -> None:
        """The keeper before this one has told of these: the fronts hear of them."""
        marks, now = self._marks(stream), self._clock.monotonic()
        if refusals.lost:
            marks.lose(now)
        for digest in refusals.digests:
            marks.add(digest, now)

    def _marks(self, stream: Stream) -> RefusalMarks:
        """Where to note what the fronts that wait are told in the next turn."""
        lenders = stream.lenders
        assert lenders is not None
        if lenders.log is None:
            lenders.log = RefusalMarks()
        next_turn(self._guard.call, self._tell_waiting, stream)
        return lenders.log

    def turns_away(self, reader: Reader) -> bool:
        """Whether this reader, who has just come, was told of refusals, and is done.

        A keeper tells a front of others; and what the origin has said to the credential
        that it comes with, if that is no older than the front's verdict (W10). In a
        front, whoever comes by a verdict that is too old is judged anew.
        """
        keeps = self._options.serves_fronts
        if keeps and self._tell(reader):
            return True
        if not keeps and not self._options.is_front:
            return False
        lenders = reader.stream.lenders
        status = None if lenders is None else lenders.refused(reader.lease)
        if status is None:
            return False
        if keeps:
            answer = OriginAnswer(status, ())
            self._guard.serve(partial(self._answer, answer), reader)
        else:
            forget_verdict(reader.lease)
            reader.lease.end(self._clock.monotonic())
        return keeps

    def _tell_waiting(self, stream: Stream) -> None:
        for reader in () if stream.lenders is None else stream.lenders.fronts():
            if reader.is_live and reader.state in _HERE:
                self._tell(reader)

    def _tell(self, reader: Reader) -> bool:
        """Tell a front who was refused; False: it has heard of all."""
        lenders, lent = reader.stream.lenders, reader.lease.lends
        if lenders is None or lent is None:
            return False
        # Twice: who was let in may stay so for as long again (A17).
        oldest = self._clock.monotonic() - 2 * trust_of(reader.stream.route)
        refusals = lenders.untold(lent, oldest)
        if refusals is None:
            return False
        self._guard.serve(partial(self._send, refusals), reader)
        return True

    def _send(self, refusals: LentRefusals, reader: Reader) -> None:
        said = "the origin has refused others who lend for this stream"
        self._delivery.refuse(reader, LendersRefused(refusals, said))

    def _answer(self, answer: OriginAnswer, reader: Reader) -> None:
        """Answer a front as the origin answered the credential that it lent."""
        self._delivery.raw(reader, answer, Reason.REFUSED)


def forget_verdict(lease: Lease) -> None:
    """Nobody else is let in by the verdict behind it."""
    if lease.lends is not None:
        lease.lends.refused()


def trust_of(route: Route) -> float:
    """For how many seconds a verdict is fresh that lets lend on this route."""
    ways = (way for way in route.ways if isinstance(way, OriginWay))
    return max((way.trust for way in ways), default=0.0)


def that_hears(request: OriginRequest, heard: int) -> OriginRequest:
    """The request of a front that has heard of refusals up to this mark, and is to be
    told of others. What is asked of the origin itself stays as it is."""
    link = request.link
    if link is None or link.lent is None:
        return request
    lent = replace(link.lent, heard=heard)
    return replace(request, link=replace(link, lent=lent))
