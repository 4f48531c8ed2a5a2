"""A passing event stream when the edge drains, and what else ends a body."""

from collections.abc import Callable

import gevent
import pytest

from edge.core.errors import OriginBodyCut
from edge.core.ports import Look
from edge.core.reasons import Reason
from edge.core.values import Lease
from edge.front.app.passed_body import PassedBody, PassedEvents
from edge.front.exchange import AnswerCut
from origin_adapter.scripted import PlayedExchange
from tests.live.support import TestClock, settle
from tests.support.patience import PATIENCE

EVENT = b"id: 1\ndata: a\n\n"
NOTHING = ""


class Draining:
    """An edge that drains when it is told to, and whose ticks a test makes."""

    def __init__(self) -> None:
        self.begun = False
        self._looks: list[Look] = []
        self.events = PassedEvents(lambda: self.begun, self)

    def register(self, look: Look) -> None:
        self._looks.append(look)

    def tick(self) -> None:
        for look in self._looks:
            look(0.0)
        settle()


class Sent:
    """What is sent of a body, by a greenlet as in the front."""

    def __init__(self, edge: Draining, *, events: bool = True) -> None:
        self.exchange = PlayedExchange(200)
        self.pieces: list[bytes] = []
        self.lease, self.clock = Lease(3600.0), TestClock()
        self.clock.time = 0.0
        self.body = PassedBody(
            self.exchange, b"", lambda piece: piece, self.lease, self.clock, events
        )
        self.over: Callable[[], None] = edge.events.add(self.body)
        self._sending = gevent.spawn(self._send)
        settle()

    def _send(self) -> str:
        try:
            self.pieces.extend(self.body)
        except AnswerCut as cut:
            return cut.error.reason.value
        return "whole"

    def piece(self, data: bytes) -> None:
        self.exchange.put(data)
        settle()

    @property
    def ended(self) -> str:
        """How it ended; "" as long as it goes on."""
        return self._sending.get(timeout=PATIENCE) if self._sending.ready() else NOTHING


@pytest.fixture
def edge() -> Draining:
    return Draining()


@pytest.mark.parametrize("sent", [b"", EVENT, EVENT + b": still here\n\n"])
def test_a_silent_event_stream_ends_whole_when_the_edge_drains(
    edge: Draining, sent: bytes
) -> None:
    """E54. Its client comes back to the successor."""
    sending = Sent(edge)
    sending.piece(sent)
    edge.tick()
    assert sending.ended == NOTHING
    edge.begun = True
    edge.tick()

    assert sending.ended == "whole"
    assert b"".join(sending.pieces) == sent
    assert sending.exchange.closed.is_set()


@pytest.mark.parametrize(
    ("sent", "rest"),
    [
        (b"id: 1\ndata: a", b"bc\n\n"),
        (b"event: data\ndata: a\n\n", b'event: control\ndata: {"x":1}\n\n'),
    ],
)
def test_one_that_is_in_the_middle_ends_behind_what_comes_next(
    edge: Draining, sent: bytes, rest: bytes
) -> None:
    sending = Sent(edge)
    sending.piece(sent)
    edge.begun = True
    edge.tick()
    edge.tick()
    assert sending.ended == NOTHING
    sending.piece(rest)

    assert sending.ended == "whole"
    assert b"".join(sending.pieces) == sent + rest


def test_an_event_that_comes_as_the_stream_ends_is_not_sent_in_part(
    edge: Draining,
) -> None:
    """1: its greenlet waits; 2: a piece comes; 3: it is let go; 4: it goes on."""
    sending = Sent(edge)
    sending.piece(EVENT)
    sending.exchange.put(EVENT)
    sending.body.let_go()
    settle()

    assert (sending.ended, b"".join(sending.pieces)) == ("whole", EVENT)


def test_other_bodies_are_finished(edge: Draining) -> None:
    """They are not among the event streams; here one that is over."""
    sending = Sent(edge, events=False)
    sending.over()
    edge.begun = True
    edge.tick()
    sending.piece(b"half")
    assert sending.ended == NOTHING
    sending.exchange.end()
    settle()

    assert (sending.ended, b"".join(sending.pieces)) == ("whole", b"half")


def test_an_origin_that_breaks_off_while_the_edge_drains_is_no_end(
    edge: Draining,
) -> None:
    """In the middle of an event: the answer must not look whole."""
    sending = Sent(edge)
    sending.piece(b"data: a")
    edge.begun = True
    edge.tick()
    sending.exchange.end(OriginBodyCut("it broke off"))
    settle()

    assert sending.ended == Reason.ORIGIN_BODY_CUT.value


def test_a_grant_that_ends_cuts_the_body(edge: Draining) -> None:
    """B3, also while the edge drains."""
    sending = Sent(edge)
    sending.piece(EVENT)
    sending.clock.time = 3600.0
    gevent.spawn(sending.body.end_with_lease)
    settle()

    assert sending.ended == Reason.GRANT_ENDED.value
