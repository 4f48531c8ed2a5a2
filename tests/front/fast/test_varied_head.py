"""Heads that differ in one idle value are known by what stands around it."""

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.front.fast.plain_requests import PlainRead
from edge.front.fast.request_memo import RequestMemo
from edge.front.fast.varied_head import VariedHead, varied
from edge.policy.streams.pipeline import RequestPipeline
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import ForwardWay
from tests.front.fake_edge import RealClock
from tests.front.fast.test_connection import Bench, bench
from tests.front.fast.test_request_memo import LINE, numbered, plain, request_memo
from tests.support.options import front_options

__all__ = ["bench"]


def known(*sent: bytes, by: RequestMemo | None = None) -> VariedHead | None:
    """What is known of a client that has sent these heads."""
    by, last, found = by or request_memo(), None, None
    for raw in sent:
        last, judged = by.head(raw, len(raw) - 4, last)
        assert last is not None and isinstance(judged, PlainRead)
        found = varied(raw, last, judged)
    return found


def numbering() -> VariedHead:
    found = known(numbered("1"), numbered("2"))
    assert found is not None
    return found


@pytest.mark.parametrize("value", ["3", "", "a b\tc", "x" * 5000])
def test_the_next_number_is_known(value: str) -> None:
    assert numbering().fits(numbered(value))
    assert numbering().fits(numbered(value).replace(b"X-Number: ", b"X-Number:"))


@pytest.mark.parametrize(
    "then",
    [
        numbered("3\r\nRange: bytes=0-1"),
        numbered("3\r\n\r\nGET / HTTP/1.1\r\nHost: b"),
        numbered("3\n"),
        numbered("\x00"),
        numbered("\xe9"),
        numbered("3", "Expect: 100-continue"),
        numbered("3").replace(b"a?offset", b"b?offset"),
        numbered("3").replace(b"Accept", b"Cookie"),
        numbered("3").replace(b"GET", b"PUT"),
        numbered("a" * 9000),
        numbered("3") + b"GET",
        numbered("3")[:-2],
        b"",
    ],
)
def test_what_else_differs_is_not(then: bytes) -> None:
    """Never laxer than the memo, which judges all of these anew."""
    assert not numbering().fits(then)


def test_a_client_that_changes_nothing_or_what_decides_is_not_known_so() -> None:
    same = numbered("1")
    assert known(same, same) is None
    assert known(same, numbered("2"), same.replace(b"X-Number", b"X-Letter")) is None
    asked = [f"{LINE}\r\nHost: a\r\nX-Request-Id: {n}\r\n\r\n".encode() for n in "12"]
    assert known(*asked) is None


def test_where_the_caller_decides_each_head_is_judged() -> None:
    """Who calls may be told in the very field that changes."""
    way = ForwardWay("http://127.0.0.1:1", ())
    route = Route(ways=(way,))
    by = RequestMemo(RequestPipeline((route,)), front_options(), RealClock())
    line, found = by.line(LINE.encode()), plain("Host: a")
    assert line is not None and found is not None and line.by_caller
    found.line, raw = line, numbered("2")
    block = request_memo().block(raw.partition(b"\r\n")[2][:-2])
    assert block is not None
    block.before = b"Host: a"

    assert varied(raw, block, found) is None


@settings(max_examples=400)
@given(st.data())
def test_what_fits_is_what_the_memo_would_have_made_of_it(data: st.DataObject) -> None:
    """Any piece of a head replaced by any bytes."""
    ours, raw = numbering(), bytearray(numbered("3"))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    raw[start:end] = data.draw(st.binary(max_size=9) | st.sampled_from(PIECES))
    head = bytes(raw)
    if ours.fits(head):
        assert head.find(b"\r\n\r\n") == len(head) - 4
        _, judged = request_memo().head(head, len(head) - 4, None)
        assert isinstance(judged, PlainRead)
        assert judged.read == ours.plain.read
        assert (judged.close, judged.request_id, judged.host) == (
            ours.plain.close,
            ours.plain.request_id,
            ours.plain.host,
        )


PIECES = [b"\r\n", b"\r\n\r\n", b"\n", b": ", b"77", b" ", b"X-Number: 4\r\n"]


def test_a_client_that_numbers_its_requests_is_answered_without_judging(
    bench: Bench,
) -> None:
    """From the third on; what comes in between is judged, and answered in order."""
    judged: list[bytes] = []
    memo = bench.context.request_memo
    judge = memo.head

    def counting(held: bytes, *of: object) -> object:
        judged.append(held)
        return judge(held, *of)  # type: ignore[arg-type]

    memo.head = counting  # type: ignore[method-assign,assignment]
    for number in range(6):
        bench.get("kept", f"X-Number: {number}")
        assert bench.client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    assert len(judged) == 2

    bench.get("kept", "X-Number: 7", "X-Other: 8")
    bench.get("kept", "X-Number: 9")
    bench.catch_up()
    gevent.sleep(0)
    assert bench.client.recv(4096).count(b"HTTP/1.1 200 OK") == 2
    assert len(judged) > 2
