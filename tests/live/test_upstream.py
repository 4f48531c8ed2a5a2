"""Upstream: one read, whole or not at all, and counted."""

from collections.abc import Callable

import pytest

from edge.core.counters import Counters
from edge.core.errors import (
    NotAsked,
    OriginBodyCut,
    OriginFault,
    OriginUnreachable,
)
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import Framing, Headers, OriginRequest, Purpose
from edge.live.context import HubContext
from edge.live.upstream import TooLarge, Upstream
from origin_adapter.blocking import BeginsByOpen
from tests.live.support import TestClock, fetch
from tests.support.hub_errors import HubError
from tests.support.options import hub_options

GET = OriginRequest("GET", "/v1/stream/a")
POLL = OriginRequest("GET", "/v1/stream/a?live=long-poll", purpose=Purpose.FOLLOW)


class Pieces:
    """An answer in pieces; an exception among them is raised in its turn."""

    def __init__(
        self,
        *pieces: bytes | OriginFault,
        content_length: int | None = None,
        framing: Framing = Framing.CHUNKED,
    ) -> None:
        self.status = 200
        self.headers: Headers = (("stream-next-offset", "0_5"),)
        self.framing = framing
        self.content_length = content_length
        self.closed = 0
        self._left = list(pieces)

    @property
    def unread(self) -> int:
        return len(self._left)

    def read(self) -> bytes:
        piece = self._left.pop(0) if self._left else b""
        if isinstance(piece, OriginFault):
            raise piece
        return piece

    def close(self) -> None:
        self.closed += 1


class OneAnswer(BeginsByOpen):
    """An origin that gives one answer, or fails."""

    def __init__(self, outcome: Pieces | OriginFault) -> None:
        self.outcome = outcome
        self.asked: list[OriginRequest] = []

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        self.asked.append(request)
        if on_sent is not None:
            on_sent()
        if isinstance(self.outcome, OriginFault):
            raise self.outcome
        return self.outcome


def upstream(
    outcome: Pieces | OriginFault, max_object: int = 10
) -> tuple[Upstream, Counters]:
    counters = Counters()
    context = HubContext(hub_options(max_object=max_object), counters, TestClock())
    return Upstream(OneAnswer(outcome), context, lambda headers: False), counters


def test_the_pieces_of_an_answer_become_one() -> None:
    pieces = Pieces(b"he", b"l", b"lo")
    source, counters = upstream(pieces)

    answer = fetch(source, GET)

    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers == pieces.headers
    assert answer.framing is Framing.CHUNKED
    assert pieces.closed
    assert counters.bytes_from_origin == 5
    assert counters.origin_requests["catch-up"] == 1


def test_how_it_was_framed_is_told() -> None:
    """What ends with its connection must not be shared (L15)."""
    source, _ = upstream(Pieces(b"x", framing=Framing.CLOSE))

    assert fetch(source, GET).framing is Framing.CLOSE


def test_a_caller_is_told_when_the_request_is_on_the_wire() -> None:
    """L3: a follower's poll is armed from then on."""
    sent: list[bool] = []
    source, counters = upstream(Pieces())

    fetch(source, POLL, lambda: sent.append(True))

    assert sent == [True]
    assert counters.origin_requests == {"follow": 1}


@pytest.mark.parametrize(
    "pieces",
    [
        Pieces(b"123456", b"78901", b"more"),
        Pieces(b"x" * 11, b"more"),
        Pieces(b"never read", content_length=11, framing=Framing.LENGTH),
    ],
    ids=["by pieces", "by one piece", "by its length"],
)
def test_an_answer_that_is_too_large_is_given_up_early(pieces: Pieces) -> None:
    """L11, P13: ``max_object`` bounds what is held in memory; it is no fault."""
    source, counters = upstream(pieces)

    with pytest.raises(TooLarge):
        fetch(source, GET)

    assert pieces.closed
    assert pieces.unread
    assert not counters.origin_faults


def test_an_answer_as_large_as_may_be_is_held() -> None:
    source, _ = upstream(
        Pieces(b"12345", b"67890", content_length=10, framing=Framing.LENGTH)
    )

    assert len(fetch(source, GET).body) == 10


def test_a_head_may_tell_the_length_of_what_does_not_come() -> None:
    """RFC 9110 section 8.6: of the body that a GET would have."""
    source, _ = upstream(Pieces(content_length=11, framing=Framing.NONE))

    assert fetch(source, OriginRequest("HEAD", "/v1/stream/a")).body == b""


def test_an_answer_cut_short_is_no_answer() -> None:
    """E44: a body that ended early is never stored."""
    pieces = Pieces(b"hal", OriginBodyCut("it ended early"))
    source, counters = upstream(pieces)

    with pytest.raises(OriginBodyCut):
        fetch(source, GET)

    assert pieces.closed
    assert counters.origin_faults == {Reason.ORIGIN_BODY_CUT.value: 1}
    assert counters.bytes_from_origin == 0


@pytest.mark.parametrize("streamed", [True, False])
def test_an_origin_that_is_away_is_counted_as_asked_and_failed(streamed: bool) -> None:
    source, counters = upstream(OriginUnreachable("nobody listens"))

    with pytest.raises(OriginUnreachable):
        source.open(GET) if streamed else fetch(source, GET)

    assert counters.origin_requests == {"catch-up": 1}
    assert counters.origin_faults == {Reason.ORIGIN_UNREACHABLE.value: 1}


@pytest.mark.parametrize("reason", [Reason.LIMIT_ORIGIN, Reason.LIMIT_DESCRIPTORS])
def test_a_call_that_was_not_made_is_no_fault_of_the_origin(reason: Reason) -> None:
    """U6: a limit of this edge, counted by the word that its readers get."""
    source, counters = upstream(NotAsked("no room", reason=reason))

    with pytest.raises(NotAsked):
        fetch(source, GET)

    assert counters.refusals == {reason.value: 1}
    assert not counters.origin_faults


def test_a_stream_passed_on_is_left_to_who_opened_it() -> None:
    """Relays read and close by themselves."""
    pieces = Pieces(b"x")
    source, counters = upstream(pieces)

    exchange = source.open(OriginRequest("GET", "/", purpose=Purpose.RELAY))

    assert exchange.read() == b"x"
    assert not pieces.closed
    assert counters.origin_requests == {"relay": 1}


def test_a_defect_of_the_exchange_still_closes_it(hub_errors: list[HubError]) -> None:
    """Every exit gives the connection back (ports.Exchange), and is told."""

    class Broken(Pieces):
        def read(self) -> bytes:
            raise ZeroDivisionError

    pieces = Broken()
    source, counters = upstream(pieces)

    with pytest.raises(OriginFault, match="a defect") as told:
        fetch(source, GET)

    assert told.value.reason is Reason.INTERNAL
    assert pieces.closed and [error.kind for error in hub_errors] == [ZeroDivisionError]
    assert counters.internal_errors == 1 and not counters.origin_faults
