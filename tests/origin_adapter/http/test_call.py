"""Calls that nobody waits for: what their receivers are told, and what is left of them.

What an origin may answer is played in test_response_parser, test_exchange and
test_reuse: ``open`` is the same machine, waited for by a greenlet. Here is what only a
receiver meets. In a callback of the loop gevent itself refuses to block; for what runs
in a greenlet ``unswitched`` looks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import greenlet
import pytest
from gevent.event import Event

from edge.core.errors import (
    ClientFault,
    NotAsked,
    OriginBodyCut,
    OriginTimeout,
    OriginUnreachable,
)
from edge.core.reasons import Reason
from edge.core.values import OriginRequest, Purpose
from origin_adapter.http import HttpOrigin
from origin_adapter.http.connection import UpstreamConnection
from origin_adapter.http.response_parser import LengthBody
from tests.origin_adapter.http.raw_origin import OK, Origins, Peer, answering, settle
from tests.support.hub_errors import HubError
from tests.support.origin_contract import Defect, Recorder
from tests.support.patience import PATIENCE

GET = OriginRequest("GET", "/s")
POST = OriginRequest("POST", "/s", purpose=Purpose.WRITE, body=b"x")
FOLLOW = OriginRequest("GET", "/s", purpose=Purpose.FOLLOW)
EVENTS = OriginRequest("GET", "/s", purpose=Purpose.EVENTS)
START = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"


def begin(
    pool: HttpOrigin, request: OriginRequest = GET, recorder: Recorder | None = None
) -> Recorder:
    recorder = recorder or Recorder()
    recorder.call = pool.begin(request, recorder)
    return recorder


@contextmanager
def unswitched() -> Iterator[None]:
    """No greenlet may be switched to within."""
    switches: list[object] = []

    def note(event: str, args: tuple[Any, Any]) -> None:
        switches.append((event, *args))

    before = greenlet.settrace(note)
    try:
        yield
    finally:
        greenlet.settrace(before)
    assert switches == []


def begun(peer: Peer) -> None:
    peer.request()
    peer.send(START)
    peer.stay()


def silent(peer: Peer) -> None:
    peer.request()
    peer.stay()


# Nobody waits.


@pytest.mark.parametrize("request_", [GET, POST])
def test_neither_beginning_nor_giving_up_switches(
    origins: Origins, request_: OriginRequest
) -> None:
    """U25. Over a kept connection, and where one has to be made."""
    _, pool = origins(answering(OK), silent, silent)
    kept = begin(pool, request_).wait()
    assert kept.fault is None

    for told in (["sent"], []):
        with unswitched():
            recorder = begin(pool, request_)
            recorder.call.pause()
            recorder.call.resume()
            recorder.call.cancel()
        assert recorder.told == told
    assert pool.counts.reused == 1


def test_what_goes_wrong_at_once_is_told_later(origins: Origins) -> None:
    _, pool = origins(begun, catch_up_connections=1, queue_limit=0)
    held = begin(pool)
    refused, full = Recorder(), Recorder()

    with unswitched():
        begin(pool, OriginRequest("GET", "/a b"), refused)
        begin(pool, GET, full)
    assert refused.told == full.told == []

    assert isinstance(refused.wait().fault, ClientFault)
    assert isinstance(full.wait().fault, NotAsked)
    pool.close()
    closed = begin(pool).wait()
    assert isinstance(closed.fault, OriginUnreachable)
    assert held.wait().told[-1] == "failed"


def test_a_request_that_is_given_up_before_it_was_refused_tells_nothing(
    origins: Origins,
) -> None:
    _, pool = origins()
    recorder = begin(pool, OriginRequest("GET", "/a b"))

    recorder.call.pause()
    recorder.call.resume()
    recorder.call.cancel()
    settle()

    assert recorder.told == []


def test_a_body_in_pieces_needs_somebody_who_pulls_it(origins: Origins) -> None:
    _, pool = origins()

    with pytest.raises(TypeError):
        pool.begin(OriginRequest("PUT", "/s", body=iter([b"x"])), Recorder())


def test_the_next_call_may_begin_where_one_ends(origins: Origins) -> None:
    """A follower's polls: one connection, and nobody waits in between."""
    raw, pool = origins(answering(OK, OK, OK))
    over = Event()

    class Follower(Recorder):
        def ended(self) -> None:
            super().ended()
            if len(raw.requests) < 3:
                begin(pool, FOLLOW, Follower())
            else:
                over.set()

    begin(pool, FOLLOW, Follower())

    assert over.wait(PATIENCE)
    assert (raw.accepted, pool.counts.reused) == (1, 2)


def test_what_was_told_stays_as_it_was(origins: Origins) -> None:
    """Nothing points into the buffer into which all connections receive."""
    turn = [Event(), Event()]

    def play(letter: bytes, mine: Event, next_: Event) -> Callable[[Peer], None]:
        def talk(peer: Peer) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nX-Who: %b\r\n\r\n" % (letter * 9))
            for _ in range(3):
                mine.wait()
                mine.clear()
                peer.send(letter * 9)
                settle()
                next_.set()

        return talk

    class Keeper(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.pieces: list[bytes] = []

        def data(self, piece: bytes) -> None:
            super().data(piece)
            self.pieces.append(piece)

    _, pool = origins(play(b"a", *turn), play(b"b", *reversed(turn)))
    keepers = []
    for _ in range(2):
        keeper = Keeper()
        begin(pool, GET, keeper)
        assert keeper.began.wait(PATIENCE)
        keepers.append(keeper)
    turn[0].set()

    for keeper, letter in zip(keepers, "ab", strict=True):
        keeper.wait()
        assert b"".join(keeper.pieces) == letter.encode() * 27
        assert keeper.answer is not None
        assert keeper.answer.headers == (("x-who", letter * 9),)


# Connections.


@pytest.mark.parametrize("ending", ["close", "reset", "unasked"])
def test_a_kept_connection_is_looked_into_directly_before_a_write(
    origins: Origins, ending: str
) -> None:
    """U24: what came since the loop last looked would cost a POST."""
    peers: list[Peer] = []

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peers.append(peer)
        peer.stay()

    raw, pool = origins(play, OK)
    assert begin(pool, POST).wait().fault is None
    assert "write: 0 active, 1 idle" in repr(pool)

    # The loop does not run between these two.
    peers[0].send(OK) if ending == "unasked" else getattr(peers[0], ending)()
    recorder = begin(pool, POST)

    assert recorder.wait().body == b"hi"
    assert (raw.accepted, pool.counts.reused, pool.counts.retries) == (2, 0, 0)


def test_an_idle_connection_that_ends_is_closed_at_once(origins: Origins) -> None:
    hang_up = Event()

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        hang_up.wait()

    _, pool = origins(play)
    begin(pool).wait()
    assert "catch-up: 0 active, 1 idle" in repr(pool)

    hang_up.set()
    settle()

    assert "catch-up: 0 active, 0 idle" in repr(pool)


def test_a_body_is_heard_out_while_it_is_sent(origins: Origins) -> None:
    """U25: 413 before the end. The rest is not sent, the connection not kept."""
    gone = Event()

    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
        peer.to_the_end()
        gone.set()

    _, pool = origins(play)
    body = b"x" * (32 << 20)
    request = OriginRequest("POST", "/s", purpose=Purpose.WRITE, body=body)

    recorder = begin(pool, request).wait()

    assert (recorder.status, recorder.body) == (413, b"no!")
    assert "sent" not in recorder.told
    assert gone.wait(PATIENCE)
    assert "write: 0 active, 0 idle" in repr(pool)


def test_a_large_body_is_sent_whole(origins: Origins) -> None:
    body = bytes(range(256)) * (16 << 10)

    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        assert peer.exactly(len(body)) == body
        peer.send(OK)

    _, pool = origins(play)
    request = OriginRequest("POST", "/s", purpose=Purpose.WRITE, body=body)

    assert begin(pool, request).wait().told == ["sent", "head", "data", "ended"]


# Ends.


@pytest.mark.parametrize("where", ["sent", "head", "data"])
def test_a_receiver_may_give_up_while_it_is_told(origins: Origins, where: str) -> None:
    gone = Event()

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(START)
        peer.to_the_end()
        gone.set()

    class Leaver(Recorder):
        def _maybe_raise(self, what: str) -> None:
            if what == where:
                self.call.cancel()

    _, pool = origins(play)

    recorder = begin(pool, GET, Leaver())

    assert gone.wait(PATIENCE)
    assert recorder.told[-1] == where
    assert "catch-up: 0 active, 0 idle" in repr(pool)
    assert pool.counts.faults == {}, "that was nobody's fault"


@pytest.mark.parametrize("where", ["sent", "head", "data", "ended", "failed"])
def test_a_receiver_that_raises_costs_its_connection_alone(
    origins: Origins, where: str, hub_errors: list[HubError]
) -> None:
    """U25."""
    gone = Event()

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(START if where == "failed" else START + b"you")
        if where != "failed":
            peer.to_the_end()
        gone.set()

    _, pool = origins(play, answering(OK))

    recorder = begin(pool, GET, Recorder(raises=where)).wait()

    assert [error.kind for error in hub_errors] == [Defect]
    told_last = recorder.told[-1]
    assert told_last == ("ended" if where == "ended" else "failed")
    if recorder.fault is not None and where != "failed":
        assert (recorder.fault.reason, recorder.fault.status) == (Reason.INTERNAL, 500)
    if where == "ended":
        assert "catch-up: 0 active, 1 idle" in repr(pool)
    else:
        assert gone.wait(PATIENCE)
        assert "catch-up: 0 active, 0 idle" in repr(pool)
        assert begin(pool).wait().fault is None


@pytest.mark.parametrize("where", ["feed", "pool"])
def test_a_defect_of_the_machine_ends_the_call(
    origins: Origins,
    where: str,
    hub_errors: list[HubError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """U25: whatever is wrong here, whoever waits is told."""

    def broken(*args: object) -> Any:
        raise ZeroDivisionError

    _, pool = origins(answering(OK, OK), OK)
    assert begin(pool).wait().fault is None
    with monkeypatch.context() as patched:
        if where == "feed":
            patched.setattr(LengthBody, "feed", broken)
        else:
            patched.setattr(
                type(pool._pools.of(GET.purpose)), "idle_connection", broken
            )
        recorder = begin(pool).wait()

    assert recorder.fault is not None
    assert recorder.fault.reason is Reason.INTERNAL
    assert [error.kind for error in hub_errors] == [ZeroDivisionError]
    assert pool.counts.faults == {Reason.INTERNAL: 1}
    assert "catch-up: 0 active" in repr(pool)


def hangs_up(peer: Peer) -> None:
    peer.request()


@pytest.mark.parametrize("play", [hangs_up, silent])
def test_a_write_that_was_on_the_wire_may_have_happened(
    origins: Origins, play: Callable[[Peer], None]
) -> None:
    """U26: unlike one that found nobody."""
    _, pool = origins(play)
    recorder = begin(pool, POST)
    assert recorder.was_sent.wait(PATIENCE)
    if play is silent:
        pool.close()
    fault = recorder.wait().fault

    assert isinstance(fault, OriginUnreachable) and not fault.unsent


def test_a_write_whose_answer_was_cut_may_have_happened(origins: Origins) -> None:
    _, pool = origins(START)

    fault = begin(pool, POST).wait().fault

    assert isinstance(fault, OriginBodyCut) and not fault.unsent


def test_closing_the_pool_ends_every_call(origins: Origins) -> None:
    _, pool = origins(silent, begun, follow_connections=1)
    in_head, in_line = begin(pool, FOLLOW), begin(pool, FOLLOW)
    in_body = begin(pool)
    assert in_body.began.wait(PATIENCE)
    assert in_head.was_sent.wait(PATIENCE)
    connecting = begin(pool, POST)

    with unswitched():
        pool.close()

    for recorder in (in_head, in_line, connecting):
        assert isinstance(recorder.fault, OriginUnreachable)
    assert isinstance(in_body.fault, OriginBodyCut)


def test_who_is_given_up_in_the_line_leaves_it(origins: Origins) -> None:
    _, pool = origins(silent, OK, catch_up_connections=1)
    first, second, third = (begin(pool) for _ in range(3))
    assert first.was_sent.wait(PATIENCE)
    assert "1 active, 0 idle, 2 waiting" in repr(pool)

    second.call.cancel()
    assert "1 active, 0 idle, 1 waiting" in repr(pool)
    first.call.cancel()

    assert third.wait().body == b"hi"
    assert (first.told, second.told) == (["sent"], [])


def test_a_slot_of_somebody_who_gives_up_at_that_moment_goes_on(
    origins: Origins,
) -> None:
    """Between the granting of the slot and the turn of the loop that goes on."""
    _, pool = origins(silent, OK, catch_up_connections=1)
    first, second, third = (begin(pool) for _ in range(3))
    assert first.was_sent.wait(PATIENCE)

    first.call.cancel()
    second.call.cancel()

    assert third.wait().body == b"hi"
    assert second.told == []


# Times.


def test_who_waits_in_the_line_too_long_was_not_asked(origins: Origins) -> None:
    _, pool = origins(silent, catch_up_connections=1, queue_timeout=0.01)
    held, waiting = begin(pool), begin(pool)

    fault = waiting.wait().fault

    assert isinstance(fault, NotAsked)
    assert (fault.reason, waiting.told) == (Reason.LIMIT_ORIGIN, ["failed"])
    held.call.cancel()


def test_a_session_that_takes_nothing_is_late_though_its_socket_has_room(
    origins: Origins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U24: so it is with TLS, while OpenSSL waits for the origin. No try earns time: it
    would be tried in each turn of the loop, for ever."""
    monkeypatch.setattr(UpstreamConnection, "send", lambda self, data: 0)
    _, pool = origins(silent, idle_timeout=0.5)

    recorder = begin(pool, POST)

    assert isinstance(recorder.wait().fault, OriginTimeout)
    assert recorder.told == ["failed"]


def test_what_is_paused_is_never_too_late(origins: Origins) -> None:
    """A slow reader is no slow origin. Another call tells the time."""
    _, pool = origins(begun, begun, silent, idle_timeout=0.01, head_timeout=0.01)
    paused = begin(pool, FOLLOW, Recorder(pauses=True))
    assert paused.began.wait(PATIENCE)

    for _ in range(2):
        assert isinstance(begin(pool).wait().fault, OriginTimeout)
    assert paused.told == ["sent", "head", "data"]

    paused.call.resume()
    assert isinstance(paused.wait().fault, OriginTimeout)


def test_a_call_that_is_paused_before_its_answer_reads_none(origins: Origins) -> None:
    _, pool = origins(answering(OK), silent, head_timeout=0.01)
    paused = begin(pool, POST)
    paused.call.pause()

    assert isinstance(begin(pool).wait().fault, OriginTimeout)
    assert paused.told == ["sent"]

    paused.call.resume()
    assert paused.wait().body == b"hi"


def test_the_event_stream_of_a_follower_is_outwaited(origins: Origins) -> None:
    """Its receiver knows when it is to speak. It has a connection of a follower."""
    _, pool = origins(
        begun, silent, idle_timeout=0.01, head_timeout=0.01, hold_timeout=0.01
    )
    events = begin(pool, EVENTS)
    assert events.began.wait(PATIENCE)
    assert "follow: 1 active" in repr(pool)

    assert isinstance(begin(pool).wait().fault, OriginTimeout)
    assert events.told == ["sent", "head", "data"]

    events.call.cancel()
    assert "follow: 0 active, 0 idle" in repr(pool)


def test_an_event_stream_that_does_not_begin_is_too_late(origins: Origins) -> None:
    _, pool = origins(silent, head_timeout=0.01)

    assert isinstance(begin(pool, EVENTS).wait().fault, OriginTimeout)
