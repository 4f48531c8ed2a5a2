"""Whatever becomes of those who lend, the others are told everything. A3, A4, B7.

Stories of viewers who come and leave, of credentials that the origin refuses from some
moment on, of events, of polls that end and of time that goes by.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.ports import Exchange, Receiver, UpstreamCall
from edge.core.values import (
    GRANTED,
    Lease,
    LentCredential,
    Mode,
    OriginRequest,
    Purpose,
)
from edge.policy.streams.routes import Access, Route, UpstreamCredential
from edge.policy.streams.ways import OriginWay
from origin_adapter.blocking import BeginsByOpen
from origin_adapter.scripted import LivingOrigin, PlayedExchange
from tests.live.support import PATH, QUICK, Asked, House, settle

TRUST = 1000.0
ROUTE = Route(
    access=Access.GRANTED, ways=(OriginWay(TRUST),), upstream=UpstreamCredential.LENT
)
NAMES = "abcde"


def lender(request: OriginRequest) -> str:
    (name,) = (value for key, value in request.headers if key == "authorization")
    return name


@dataclass(eq=False)
class Guarded(BeginsByOpen):
    """An origin that lets nobody in whose credential was taken back.

    ``asked`` are the credentials by which it was asked, in order, each with who was
    there at that moment.
    """

    living: LivingOrigin = field(default_factory=LivingOrigin)
    taken_back: dict[str, int] = field(default_factory=dict)
    here: Callable[[], set[str]] = set
    asked: list[tuple[str, set[str]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        self.asked.append((lender(request), self.here()))
        return super().begin(request, receiver)

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        name = lender(request)
        if request.purpose is not Purpose.RELAY:
            assert name not in self.refused, f"{name} was asked for after its no"
        status = self.taken_back.get(name)
        if status is None:
            return self.living.open(request, on_sent)
        if on_sent is not None:
            on_sent()
        if request.method == "GET" and request.purpose is not Purpose.RELAY:
            self.refused.append(name)
        answer = PlayedExchange(status)
        answer.end()
        return answer


@dataclass(eq=False)
class Viewer:
    """One request: whose it is, what it must be told, and how it went."""

    name: str
    mode: Mode
    asked: Asked
    lease: Lease
    begun_at: int
    left: bool = False

    @property
    def waits(self) -> bool:
        return self.asked.waits and not self.left

    def has_been_told(self, events: list[bytes]) -> bool:
        """Whether it has, in order and once, what was appended since it came. A poll is
        answered by the first of it."""
        due = b"".join(events[self.begun_at :]).decode()
        if self.mode is Mode.SSE:
            frames = self.asked.sink.events
            return due == "".join(data for kind, data in frames if kind == "data")
        if self.waits:
            return not due
        told = self.asked.sink.whole.decode()
        return due.startswith(told) and bool(told or not due)


class Story:
    """A hub before that origin, and everybody who came."""

    def __init__(self) -> None:
        self.origin = Guarded()
        self.origin.living.create(PATH)
        self.origin.here = lambda: {v.name for v in self.viewers if v.waits}
        self.house = House(self.origin, routes=(ROUTE,), **QUICK)
        self.viewers: list[Viewer] = []
        self.events: list[bytes] = []

    def come(self, name: str, mode: Mode) -> None:
        if name in self.origin.taken_back:
            return  # The front would not let it in.
        now = self.house.clock.monotonic()
        lent = LentCredential(name, (("authorization", name),), (), now + TRUST)
        lease = Lease(now + TRUST, lent)
        key = self.house.key(partition=GRANTED)
        tail = self.origin.living.tail(PATH)
        asked = self.house.ask(tail, mode, key=key, lease=lease)
        self.viewers.append(Viewer(name, mode, asked, lease, len(self.events)))
        settle()

    def leave(self, name: str) -> None:
        for viewer in self.viewers:
            if viewer.name == name and viewer.waits:
                viewer.left = True
                assert viewer.asked.pending is not None
                viewer.asked.pending.gone()
        settle()

    def pass_time(self) -> None:
        """Time goes by, and whoever pauses has paused enough."""
        self.house.pass_time(0.6)
        for stream in self.house.hub.streams:
            self.house.hub.followers.kick(stream)
        settle()

    def happen(self, step: str, name: str) -> None:
        if step in ("long-poll", "sse"):
            self.come(name, Mode(step))
        elif step == "leave":
            self.leave(name)
        elif step == "append":
            self.events.append(b"<%d>" % len(self.events))
            self.origin.living.append(PATH, self.events[-1])
        elif step == "lapse":
            # So late that a poll's end is no failure.
            self.house.clock.move(2.0)
            self.origin.living.lapse()
        elif step == "tick":
            self.pass_time()
        else:
            self.origin.taken_back[name] = int(step)
        settle()


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("long-poll", "sse", "sse", "leave", "append", "append"),
                *("lapse", "tick", "401", "403"),
            ]
        ),
        st.sampled_from(NAMES),
    ),
    max_size=25,
)


@given(_STEPS)
@settings(max_examples=150, deadline=None)
def test_the_crowd_hears_everything_and_nobody_is_asked_for_in_vain(
    steps: list[tuple[str, str]],
) -> None:
    """Every event comes to everybody whose lease holds. A credential that was refused
    is not sent again, and none is sent for who is not here."""
    story = Story()
    for step, name in steps:
        story.happen(step, name)
    for _ in range(12):
        story.pass_time()

    now = story.house.clock.monotonic()
    for viewer in story.viewers:
        if not viewer.left and now < viewer.lease.ends_at:
            assert viewer.has_been_told(story.events), viewer
    for name, here in story.origin.asked:
        assert name in here
    assert not story.house.counters.internal_errors
    story.house.hub.stop()
    settle()
    assert all(not v.asked.waits or v.left for v in story.viewers)
