"""Every move of the table of stages happens, and no other."""

from collections.abc import Callable

import pytest

from edge.core.errors import OriginTimeout
from edge.core.reasons import Reason
from edge.core.values import NO_END, Lease
from edge.front.fast.stages import MOVES, Stage
from edge.policy.streams.authorize import Grant
from tests.front.fast import test_connection_stages as reads
from tests.front.fast.test_connection_stages import Table, Watched
from tests.front.fast.writer_table import WriterTable, post

WRITE = post(b"body")


def write(table: WriterTable) -> None:
    table.feed(WRITE)
    table.call.answer(200, body=b"done")
    assert table.at(Stage.IDLE)


def write_in_pieces(table: WriterTable) -> None:
    table.feed(WRITE[:20], WRITE[20:-1], WRITE[-1:])
    table.call.receiver.failed(OriginTimeout("late"))
    assert table.at(Stage.IDLE)


def write_behind_part_of_its_head(table: WriterTable) -> None:
    table.feed(WRITE[:20], WRITE[20:])
    table.transport.capacity = 5
    table.call.receiver.failed(OriginTimeout("late"))
    assert table.at(Stage.SENDING)
    table.transport.capacity = None
    table.turn()


def body_that_is_cut(table: WriterTable) -> None:
    table.feed(WRITE[:-1])
    table.transport.finish()
    table.settle()


WRITES: dict[str, Callable[[WriterTable], None]] = {
    "a plain write": write,
    "a plain write in pieces": write_in_pieces,
    "a plain write behind part of its head": write_behind_part_of_its_head,
    "a body that is cut": body_that_is_cut,
    "cut while its body comes": lambda table: table.feed(WRITE[:-1]),
    "cut while it is upstream": lambda table: table.feed(WRITE),
}


def moves(table: Table, story: Callable[..., None]) -> list[tuple[Stage, Stage]]:
    story(table)
    table.close()
    assert table.defects == 0
    assert isinstance(table.connection, Watched)
    return table.connection.moves


def moves_of(name: str) -> list[tuple[Stage, Stage]]:
    if name in WRITES:
        return moves(WriterTable(), WRITES[name])
    return moves(Table(), reads.STORIES[name])


@pytest.mark.parametrize("name", [*reads.STORIES, *WRITES])
def test_a_connection_moves_as_the_table_says(name: str) -> None:
    """Also where it moves without a check, for speed."""
    allowed = {
        (before, after)
        for before, afters in MOVES.items()
        for after in (*afters, *([] if before is Stage.CLOSED else [Stage.CLOSED]))
    }

    assert set(moves_of(name)) <= allowed


def test_the_table_has_no_move_that_never_happens() -> None:
    happened = {move for name in [*reads.STORIES, *WRITES] for move in moves_of(name)}
    happened |= set(revoked_moves())

    assert {(a, b) for a, afters in MOVES.items() for b in afters} <= happened
    assert {a for a, b in happened if b is Stage.CLOSED} == {*Stage} - {Stage.CLOSED}


def revoked_moves() -> list[tuple[Stage, Stage]]:
    """One whose right is taken back while its body comes is handed over (B13)."""
    lease = Lease(NO_END)

    def story(table: WriterTable) -> None:
        table.feed(WRITE[:-1])
        lease.end(0.0, Reason.REVOKED)
        table.feed(WRITE[-1:])
        table.settle()

    return moves(WriterTable(authorizer=lambda *_: Grant(lease=lease)), story)
