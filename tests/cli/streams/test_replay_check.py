"""Each byte goes out once; other bytes than before are an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.streams.replay_check import ReplayCheck, ReplayMismatch


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=5), st.data())
def test_cuts_anywhere_lose_and_repeat_nothing(
    body: bytes, cuts: list[int], chance: st.DataObject
) -> None:
    once, out = ReplayCheck(), b""
    for cut in [*cuts, len(body)]:
        once.restart()
        split = chance.draw(st.integers(0, cut))
        out += once.fresh(body[:cut][:split]) + once.fresh(body[:cut][split:])
        assert once.out == len(out)
    once.settle()

    assert out == body
    assert once.out == 0


def test_other_bytes_than_before_are_an_error() -> None:
    once = ReplayCheck()
    once.fresh(b"abc")
    once.restart()

    with pytest.raises(ReplayMismatch):
        once.fresh(b"abXd")


def test_fewer_bytes_than_before_are_an_error() -> None:
    once = ReplayCheck()
    once.fresh(b"abc")
    once.restart()
    assert once.fresh(b"ab") == b""

    with pytest.raises(ReplayMismatch):
        once.settle()


def test_a_new_offset_forgets_what_was_before_it() -> None:
    once = ReplayCheck()
    once.fresh(b"abc")
    once.settle()
    once.restart()

    assert once.fresh(b"xyz") == b"xyz"
