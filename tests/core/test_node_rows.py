"""The streams of a node, made of what its processes say of theirs."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.core.node_rows import (
    as_item,
    detail_as_item,
    detail_of_item,
    merged,
    merged_details,
    of_item,
    unheld,
)
from edge.core.stream_snapshot import (
    FaultNote,
    FollowerSnapshot,
    HeldPiece,
    StreamDetail,
    StreamOrder,
    StreamSnapshot,
)
from edge.core.values import PartitionKind


def row(name: str = "x", **changes: Any) -> StreamSnapshot:
    """A stream, as a front has it."""
    made = StreamSnapshot(
        route="/v1/stream/**",
        path=f"/v1/stream/{name}",
        partition=PartitionKind.ANONYMOUS,
        incarnation=1,
        viewers=1,
        parked=1,
        flights=0,
        bytes_held=10,
        end="5",
        tail="5",
        closed=False,
        followed=True,
        armed=True,
        identity=name,
    )
    return replace(made, **changes)


ROWS = st.builds(
    row,
    st.sampled_from("abcd"),
    viewers=st.integers(0, 5),
    viewers_by_events=st.integers(0, 5),
    parked=st.integers(0, 5),
    requests=st.integers(0, 50),
    lag=st.integers(0, 50),
    bytes_held=st.integers(0, 50),
    followed=st.booleans(),
    tail=st.none() | st.text(),
)


DETAILS = st.builds(
    StreamDetail,
    row=ROWS,
    content_type=st.none() | st.text(),
    held=st.lists(st.builds(HeldPiece, st.text(), st.text(), st.integers())).map(tuple),
    pieces=st.integers(),
    age=st.none() | st.floats(0, 9),
    grown=st.none() | st.floats(0, 9),
    follower=st.none() | st.builds(FollowerSnapshot, st.text(), st.booleans()),
    waiting=st.integers(),
    away=st.none() | st.text(),
    retry_in=st.floats(0, 9),
    faults=st.lists(
        st.builds(FaultNote, st.text(), st.integers(), st.floats(0, 9))
    ).map(tuple),
)


@given(DETAILS)
def test_a_stream_in_full_goes_through_json_as_it_is(one: StreamDetail) -> None:
    again = detail_of_item(json.loads(json.dumps(detail_as_item(one))))

    assert (again, again.row.identity) == (one, one.row.identity)


@given(st.lists(DETAILS), st.lists(DETAILS))
def test_each_stream_in_full_is_told_once_by_its_keeper_with_the_viewers_of_fronts(
    fronts: list[StreamDetail], keepers: list[StreamDetail]
) -> None:
    shown = merged_details(fronts, keepers)
    kept = {one.row.identity for one in keepers}

    assert {one.row.identity for one in shown} == kept | {
        one.row.identity for one in fronts
    }
    assert len(shown) == len({one.row.identity for one in shown})
    for one in shown:
        told_by = keepers if one.row.identity in kept else fronts
        assert any(replace(one, row=told.row) == told for told in told_by)
        mine = [f.row for f in fronts if f.row.identity == one.row.identity]
        assert one.row.viewers == sum(row.viewers for row in mine)


@given(ROWS)
def test_a_row_goes_through_json_as_it_is(one: StreamSnapshot) -> None:
    again = of_item(json.loads(json.dumps(as_item(one))))

    assert (again, again.identity) == (one, one.identity)


def test_viewers_are_those_of_fronts_and_all_else_is_the_keepers() -> None:
    """The viewers of a keeper are the two fronts."""
    kept = row(viewers=2, parked=2, end="7", tail="9", bytes_held=70, incarnation=4)
    fronts = [
        row(viewers=3, parked=2, viewers_by_events=1, requests=10, lag=5),
        row(viewers=4, parked=4, viewers_by_events=2, requests=20, lag=3),
    ]
    told = replace(kept, viewers=7, parked=6)
    told = replace(told, viewers_by_events=3, requests=30, lag=5)

    assert merged(fronts, [kept], 10) == [told]


def test_a_front_speaks_for_what_no_keeper_holds() -> None:
    fronts = [row(viewers=3, bytes_held=5), row(viewers=0, bytes_held=6, end="6")]
    (shown,) = merged(fronts, [], 10)

    assert (shown.viewers, shown.bytes_held, shown.end) == (3, 6, "6")
    assert unheld([shown], []) == [(shown.route, shown.path)]
    assert unheld([shown], [row()]) == []


def test_what_only_a_keeper_holds_has_no_viewers() -> None:
    (shown,) = merged([], [row(viewers=2, parked=1)], 10)

    assert (shown.viewers, shown.parked, shown.followed) == (0, 0, True)


def test_of_two_keepers_the_one_that_follows_speaks() -> None:
    """The other one is about to leave."""
    leaving = row(bytes_held=90, followed=False)
    for rows in ([leaving, row(end="8")], [row(end="8"), leaving]):
        assert [one.end for one in merged([], rows, 10)] == ["8"]


@given(st.lists(ROWS), st.lists(ROWS), st.sampled_from(StreamOrder))
def test_rows_are_in_the_order_that_is_asked_for(
    fronts: list[StreamSnapshot], keepers: list[StreamSnapshot], order: StreamOrder
) -> None:
    placed = [order.of(one) for one in merged(fronts, keepers, 100, order)]

    assert placed == sorted(placed, reverse=True)


@given(st.lists(ROWS), st.lists(ROWS), st.integers(0, 5))
def test_rows_are_bounded_and_no_viewer_is_lost_or_counted_twice(
    fronts: list[StreamSnapshot], keepers: list[StreamSnapshot], limit: int
) -> None:
    every = merged(fronts, keepers, 100)
    shown = merged(fronts, keepers, limit)

    assert sum(one.viewers for one in every) == sum(one.viewers for one in fronts)
    assert len({one.identity for one in every}) == len(every)
    assert shown == every[:limit]
    assert [one.viewers for one in every] == sorted(
        (one.viewers for one in every), reverse=True
    )
