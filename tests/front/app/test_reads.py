"""ReadSink and ReadBody: between a hub that never blocks and one greenlet."""

from collections.abc import Callable

import gevent
import pytest

from edge.core.errors import OriginTimeout
from edge.core.values import Answer, CacheStatus, PerResponse
from edge.front.app.reads import ReadBody, ReadSink
from edge.front.exchange import BLIND, PIECE, AnswerCut, ClientGone
from tests.support.patience import PATIENCE

HEAD = Answer(200, (), None)
STAMP = PerResponse(CacheStatus())


class Pending:
    """Counts what it is told."""

    brought_by: None = None

    def __init__(self) -> None:
        self.drains = 0

    def drained(self) -> None:
        self.drains += 1

    def gone(self) -> None:
        raise AssertionError("not the body's to tell")


def test_a_sink_is_full_after_each_write() -> None:
    """ports.Sink: at most one write is kept."""
    sink = ReadSink()
    sink.begin(HEAD, STAMP)

    assert not sink.write([b"a", b"b"])
    assert sink.take() == b"ab"
    assert sink.take() == b""


def test_a_body_gives_the_head_before_there_is_anything_to_say() -> None:
    """Whoever opens an event stream must not wait for its first event to see it."""
    sink = ReadSink()
    body = ReadBody(sink, Pending(), BLIND)

    assert next(body) == b""


def test_the_hub_hears_of_a_write_once_it_was_sent() -> None:
    """Which is when the next piece is asked for; not before."""
    sink, pending = ReadSink(), Pending()
    body = ReadBody(sink, pending, BLIND)
    sink.write([b"a"])
    assert (next(body), pending.drains) == (b"a", 0)
    sink.write([b"b"])
    assert (next(body), pending.drains) == (b"b", 1)
    sink.finish()

    assert list(body) == []
    assert pending.drains == 2


def test_a_large_write_goes_out_in_pieces() -> None:
    """The send time-out is one of progress; the hub hears once, at its end."""
    sink, pending = ReadSink(), Pending()
    body = ReadBody(sink, pending, BLIND)
    sink.write([b"x" * (PIECE + 1)])

    assert [len(next(body)), len(next(body))] == [PIECE, 1]
    assert pending.drains == 0
    sink.finish()
    assert list(body) == []
    assert pending.drains == 1


def test_what_was_written_before_the_end_is_sent_first() -> None:
    """finish() may follow write() at once."""
    sink = ReadSink()
    sink.write([b"a"])
    sink.finish()

    assert list(ReadBody(sink, None, BLIND)) == [b"a"]


def test_a_body_that_is_aborted_is_cut_after_what_it_had() -> None:
    """ports.Sink.abort: it must not look complete."""
    sink = ReadSink()
    sink.write([b"a"])
    sink.abort(OriginTimeout("x"))
    body = ReadBody(sink, Pending(), BLIND)

    assert next(body) == b"a"
    with pytest.raises(AnswerCut) as caught:
        next(body)
    assert isinstance(caught.value.error, OriginTimeout)


@pytest.mark.parametrize("how", ["begin", "write", "finish", "abort"])
def test_whatever_the_hub_does_wakes_the_greenlet_that_waits(how: str) -> None:
    """Every waiter is always released."""
    sink = ReadSink()
    acts: dict[str, Callable[[], object]] = {
        "begin": lambda: sink.begin(HEAD, STAMP),
        "write": lambda: sink.write([b"a"]),
        "finish": sink.finish,
        "abort": lambda: sink.abort(OriginTimeout("x")),
    }
    waiting = gevent.spawn(sink.wait)
    gevent.sleep(0)
    assert not waiting.ready()
    acts[how]()

    waiting.get(timeout=PATIENCE)


@pytest.mark.usefixtures("hub_errors")
@pytest.mark.parametrize("early", [True, False])
def test_a_client_that_leaves_ends_the_wait(early: bool) -> None:
    """Whether it left before the wait began or later (E46)."""
    sink = ReadSink()
    if early:
        sink.hang_up()
    waiting = gevent.spawn(sink.wait)
    gevent.sleep(0)
    sink.hang_up()
    waiting.join(timeout=PATIENCE)

    assert isinstance(waiting.exception, ClientGone)
