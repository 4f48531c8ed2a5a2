"""What the hand-run commands count: what is lost, what comes twice, what is whole."""

import pytest

from tests.bench.crowds import Seen
from tests.bench.faults import Count, Row


def found(*numbers: int) -> list[tuple[bytes, bytes]]:
    """Events of stream 0, as they stand in an answer."""
    return [(b"00000", b"%07d" % number) for number in numbers]


def test_events_in_their_order_are_whole() -> None:
    count = Count()

    assert count.came(0, 3, 0, found(3, 4, 5), 0.0) == 6
    assert (count.lost, count.doubled) == (0, 0)


def test_what_is_left_out_is_lost_and_what_was_there_comes_twice() -> None:
    """Also to a viewer that was cut, whose last offset stood behind it."""
    count = Count()

    assert count.came(0, 3, 3, found(2, 3, 6), 0.0) == 7
    assert (count.lost, count.doubled) == (2, 1)


@pytest.mark.parametrize(
    ("fault", "wrong", "is_wrong"),
    [
        ("HUP", {}, False),
        ("HUP", {"cut": 1}, True),
        ("HUP", {"failed": 1}, True),
        ("kill -9", {"cut": 1, "failed": 1}, False),
        ("kill -9", {"lost": 1}, True),
        ("STOP", {"doubled": 1}, True),
    ],
)
def test_only_a_reload_may_cut_nobody(
    fault: str, wrong: dict[str, int], is_wrong: bool
) -> None:
    counts = {"lost": 0, "doubled": 0, "cut": 0, "failed": 0, **wrong}

    assert Row(fault, "front", **counts, seconds=1.0).is_wrong is is_wrong


@pytest.mark.parametrize("odd", ["repeated", "failed", "expected"])
def test_a_crowd_is_whole_if_each_viewer_had_everything_once(odd: str) -> None:
    load = {"delivered": 10, "expected": 10, "repeated": 0, "failed": 0}

    assert Seen(loads=[load]).is_whole
    assert not Seen(loads=[{**load, odd: 11}]).is_whole
    assert not Seen(loads=[load], refused={"limit-connections": 1.0}).is_whole
