"""FollowedPushes: a stream that a front follows by what its keeper pushes (W15).

It is an event stream (``followed_events``) over a channel of the node, and so there is
less to be proved and less to be suspected. What is different:

- Each piece of its body is one whole push: the bytes as they are held, of any type,
  with their start and their end. Nothing is repeated that is held already.
- Its silence is no sign of anything, and never ends it. A keeper whose own contact is
  lost ends it (U8), one that dies takes its channel with it, and one that stands still
  has an old beat, by which nothing is claimed (W6). It vouches for the end until then.
- Nothing stands in between that could hold events up: it is never late, nor slow, nor
  behind a write, which readers wait for as behind a poll (L4).
- However its keeper ends it, nobody is to blame. The follower polls until a poll brings
  something, as it does where nothing is pushed.

Pure: time and chance are arguments.
"""

from edge.core.reasons import Reason
from edge.core.values import OriginAnswerHead
from edge.policy.http.link_frames import BadFrame, Push, push_of
from edge.policy.streams.followed_events import (
    NOT_YET,
    EventBatch,
    EventsEnd,
    EventsSignal,
    EventsState,
    FollowedEvents,
    Heard,
)
from edge.protocol.event_stream import ControlEvent
from edge.protocol.offsets import order
from edge.protocol.sse import Encoding


class FollowedPushes(FollowedEvents):
    """One followed stream of a channel; the parameters are those of an event stream."""

    def __init__(
        self, start: str, *, max_object: int, chance: float, life: float
    ) -> None:
        super().__init__(
            *(start, start, Encoding.BASE64),
            max_object=max_object,
            chance=chance,
            life=life,
            slows=False,
        )

    is_exact = True

    @property
    def vouches_until(self) -> float:
        """For as long as the channel stands."""
        return NOT_YET

    def head(self, head: OriginAnswerHead, now: float) -> EventsEnd | None:
        """The keeper will push it, if it says so."""
        if head.status != 200:
            return self.end(Reason.PUSHES_ENDED, now)
        return self._move(EventsSignal.HEAD, now)

    def heard(self, piece: bytes, now: float) -> list[Heard]:
        """One push."""
        if self.is_over:
            return []
        try:
            push = push_of(piece)
        except BadFrame:
            return [self.end(Reason.CONTACT_LOST, now)]
        one = self._take_push(push, now)
        if one is None:
            return []
        if not isinstance(one, EventsEnd) and one.closed:
            return [one, self._ended(Reason.CLOSED, now)]
        if self.state is EventsState.BETWEEN and now >= self._ends_at:
            return [one, self.end(Reason.LIFETIME, now)]
        return [one]

    def _take_push(self, push: Push, now: float) -> Heard | None:
        if push.start != self.position and order(push.start) != order(self.position):
            # It says nothing of what lies before it: a read has to bring that.
            return self.end(Reason.EVENTS_MOVED, now)
        if push.stale:
            return self.end(Reason.PUSHES_ENDED, now)
        if push.data:
            self._data.append(push.data)
        cursor = push.cursor or None
        control = ControlEvent(push.next, cursor, push.up_to_date, push.closed)
        taken = self._take_control(control, now)
        if push.trace and isinstance(taken, EventBatch):
            return taken._replace(trace=push.trace)
        return taken

    def ended(self, now: float) -> EventsEnd | None:
        """Its keeper has ended it."""
        return None if self.is_over else self.end(Reason.PUSHES_ENDED, now)

    def lost(self, now: float) -> EventsEnd | None:
        """The channel is gone."""
        return None if self.is_over else self.end(Reason.CONTACT_LOST, now)

    def look(self, now: float) -> EventsEnd | None:
        """The clock went on: it ends when its life is over."""
        is_due = now >= self._ends_at and self.state is EventsState.BETWEEN
        return self.end(Reason.LIFETIME, now) if is_due else None

    def is_behind(self, now: float) -> bool:
        """Never: see the module."""
        return False

    def expect(self, offset: str, now: float) -> None:
        """A write was acknowledged. Who reads behind it waits as behind a poll."""

    def _is_late(self, now: float) -> bool:
        return False
