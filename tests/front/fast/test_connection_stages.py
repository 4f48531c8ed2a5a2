"""FastConnection's stages, over a transport that is a list of bytes.

No socket and no clock: what comes, how much is taken, and every error at every call
is in the test's hand.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.values import Answer
from edge.front.app.app import Environ, exchange_of
from edge.front.fast.connection import FastConnection, check
from edge.front.fast.stages import BATCH_SIZE, READ_SIZE, Stage
from edge.front.options import Limits
from edge.policy.http.client_address import Peer
from tests.front.fake_edge import HIT, TEXT, FakePendingRead
from tests.front.fake_transport import FakeTransport
from tests.front.fast.test_connection import Bench, Kept
from tests.front.fast.test_grants import HeldClock

ADDRESS = ("192.0.2.1", 8080)


def request(path: str, *fields: str, method: str = "GET") -> bytes:
    """A head."""
    lines = [f"{method} /v1/stream/{path} HTTP/1.1", "Host: edge.test", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


DATE = rb"\r\nDate: [^\r]*"
KEPT = request("kept")
PARK = request("park?offset=7&live=long-poll")
EVENTS = request("park?offset=7&live=sse")
WRITE = request("a", "Content-Length: 4", "Range: x", method="POST") + b"body"
"""One that the fast way leaves to the whole way, for its Range."""


def whole_way(environ: Environ, start: Any) -> list[bytes]:
    """What stands where Falcon does: answers with what it was sent."""
    content = exchange_of(environ).request.body
    body = b"".join(content.pieces(None) if content else ())
    start("200 OK", [("Content-Length", str(len(body) + 4))])
    return [b"way:" + body]


class Watched(FastConnection):
    """A connection whose every move is remembered."""

    __slots__ = ("moves",)

    moves: list[tuple[Stage, Stage]]

    def __setattr__(self, name: str, value: object) -> None:
        if name == "stage" and isinstance(value, Stage):
            before = getattr(self, "stage", None)
            if before is None:
                self.moves = []
            elif before is not value:
                self.moves.append((before, value))
        super().__setattr__(name, value)


@dataclass(eq=False)
class Table(Bench):
    """One connection over a FakeTransport."""

    transport: FakeTransport = field(default_factory=FakeTransport)
    ended: int = 0

    def connect(self) -> None:
        self.server_context.app = whole_way
        self.connection = Watched(
            self.context, self.transport, Peer(), ADDRESS, self._ended
        )

    def _ended(self, _connection: FastConnection) -> None:
        self.ended += 1

    def close(self) -> None:
        self.connection.cut()
        self.transport.turn()
        assert self.connection.stage is Stage.CLOSED
        assert self.ended == 1
        assert self.transport.state in ("closed", "reset")
        assert not len(self.context.wheel)

    def turn(self) -> None:
        self.transport.turn()

    def feed(self, *chunks: bytes) -> None:
        """Have them read, one in each iteration of the loop."""
        for chunk in chunks:
            self.transport.feed(chunk)
            self.turn()

    def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(8):
            self.catch_up()
            self.turn()

    def parked(self) -> FakePendingRead:
        """The one that waits."""
        [pending] = self.read_service.parked
        return pending

    def at(self, stage: Stage) -> bool:
        return self.connection.stage is stage

    @property
    def defects(self) -> int:
        return self.server_context.counters.internal_errors


@pytest.fixture
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.close()


def bodies(said: bytes) -> list[bytes]:
    """The bodies of answers that have a length."""
    found = []
    while said:
        head, _, said = said.partition(b"\r\n\r\n")
        announced = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        length = int(announced[1]) if announced else 0
        found.append(said[:length])
        said = said[length:]
    return found


# Moves of reads and of what goes the whole way; ``test_stages`` has all of them.


def partial_head(table: Table) -> None:
    """IDLE to READING and back, with a hit."""
    table.feed(KEPT[:20], KEPT[20:])
    assert bodies(table.transport.take()) == [b"kept\n"]


def partial_head_that_parks(table: Table) -> None:
    table.feed(PARK[:20], PARK[20:])
    table.read_service.release()


def partial_head_that_is_not_plain(table: Table) -> None:
    table.feed(KEPT[:-2], b"Range: bytes=0-\r\n\r\n")
    table.settle()
    assert bodies(table.transport.take()) == [b"way:"]


def hit_that_does_not_fit(table: Table) -> None:
    table.transport.capacity = 5
    table.feed(KEPT)
    assert table.at(Stage.SENDING)
    table.transport.capacity = None
    table.turn()
    assert bodies(table.transport.take()) == [b"kept\n"]


def answer_that_does_not_fit(table: Table) -> None:
    table.feed(PARK)
    table.transport.capacity = 5
    table.read_service.release()
    assert table.at(Stage.SENDING)
    table.transport.capacity = None
    table.turn()
    assert table.at(Stage.IDLE)


def write_and_back(table: Table) -> None:
    table.feed(WRITE)
    table.settle()
    assert table.at(Stage.IDLE)
    assert bodies(table.transport.take()) == [b"way:body"]


def answer_that_closes_with_something_unread(table: Table) -> None:
    table.feed(request("park?offset=7&live=long-poll", "Connection: close"), b"more")
    table.read_service.release()
    assert table.at(Stage.HANDED)
    table.transport.finish()
    table.settle()


def sending(table: Table) -> None:
    table.transport.capacity = 5
    table.feed(KEPT)


STORIES: dict[str, Callable[[Table], None]] = {
    "a partial head": partial_head,
    "a partial head that parks": partial_head_that_parks,
    "a partial head that is not plain": partial_head_that_is_not_plain,
    "a hit that does not fit": hit_that_does_not_fit,
    "an answer that does not fit": answer_that_does_not_fit,
    "a write": write_and_back,
    "closing with something unread": answer_that_closes_with_something_unread,
    "cut while reading": lambda table: table.feed(KEPT[:20]),
    "cut while parked": lambda table: table.feed(PARK),
    "cut while handed over": lambda table: table.feed(WRITE[:-1]),
    "cut while sending": sending,
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Stage.IDLE, Stage.READING),
        (Stage.READING, Stage.PARKED),
        (Stage.PARKED, Stage.SENDING),
        (Stage.SENDING, Stage.PARKED),
        (Stage.HANDED, Stage.IDLE),
        *((stage, Stage.CLOSED) for stage in Stage if stage is not Stage.CLOSED),
    ],
)
def test_a_move_that_the_table_lists_is_made(before: Stage, after: Stage) -> None:
    """And every stage may be the last."""
    assert check(before, after) is after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Stage.CLOSED, Stage.IDLE),
        (Stage.CLOSED, Stage.CLOSED),
        (Stage.HANDED, Stage.SENDING),
        (Stage.PARKED, Stage.READING),
    ],
)
def test_a_move_that_nobody_thought_of_is_a_defect(before: Stage, after: Stage) -> None:
    """It is found where it is made."""
    with pytest.raises(RuntimeError):
        check(before, after)


# Reading.


@pytest.mark.parametrize("head", [KEPT, PARK, WRITE], ids=["hit", "parks", "write"])
def test_a_head_may_come_in_two_pieces_wherever_it_is_cut(head: bytes) -> None:
    def answers(*pieces: bytes) -> list[bytes]:
        table = Table()
        table.feed(*pieces)
        table.settle()
        table.read_service.release()
        said = bodies(table.transport.take())
        assert table.at(Stage.IDLE)
        table.close()
        return said

    whole = answers(head)
    assert len(whole) == 1
    for cut in range(1, len(head)):
        assert answers(head[:cut], head[cut:]) == whole


def test_a_head_may_come_byte_by_byte(table: Table) -> None:
    table.feed(*[KEPT[at : at + 1] for at in range(len(KEPT))])

    assert bodies(table.transport.take()) == [b"kept\n"]


@given(st.lists(st.integers(1, 5 * len(KEPT)), max_size=8))
def test_requests_that_are_sent_ahead_are_answered_in_order(cuts: list[int]) -> None:
    """Whatever of them comes together."""
    table = Table()
    heads = b"".join(request("kept", f"X-Request-Id: id-{at:04d}") for at in range(6))
    at = 0
    for cut in cuts:
        table.feed(heads[at : at + cut])
        at += cut
    table.feed(heads[at:])
    table.settle()
    said = table.transport.take()
    table.close()

    assert [said.find(b"id-%04d" % at) for at in range(6)] == sorted(
        said.find(b"id-%04d" % at) for at in range(6)
    )
    assert bodies(said) == [b"kept\n"] * 6


def test_of_many_requests_some_are_answered_in_each_iteration(table: Table) -> None:
    """Other clients get their turn in between."""
    table.feed(KEPT * (2 * BATCH_SIZE))
    assert len(bodies(table.transport.take())) == BATCH_SIZE
    table.catch_up_once()

    assert len(bodies(table.transport.take())) == BATCH_SIZE


def test_what_comes_while_it_is_parked_is_kept_up_to_a_bound(table: Table) -> None:
    """Then it is not read any more, until the answer is out."""
    table.feed(PARK, b"x" * READ_SIZE, b"y" * 10)
    assert repr(table.connection) == f"<FastConnection parked {READ_SIZE} ahead>"
    assert not table.transport.reading.active
    assert table.transport.peek() == b"y"


@pytest.mark.parametrize(
    ("come", "left"),
    [((), 0), ((KEPT[:20],), 0), ((PARK,), 1), ((PARK, KEPT), 1)],
    ids=["idle", "reading", "parked", "parked with more"],
)
def test_the_end_of_what_comes_is_the_end(
    table: Table, come: tuple[bytes, ...], left: int
) -> None:
    """E46: also while it is parked; the read that waits hears of it."""
    gone: list[FakePendingRead] = []
    table.feed(*come)
    gone += table.read_service.parked
    table.transport.finish()
    table.turn()

    assert table.at(Stage.CLOSED)
    assert [pending.over for pending in gone] == [True] * left


# Sending.


@given(st.integers(0, 400), st.lists(st.integers(0, 100), max_size=10))
@settings(deadline=None)
def test_an_answer_that_goes_out_in_pieces_is_the_same(
    first: int, more: list[int]
) -> None:
    """Also when a callback comes in vain."""
    table, at_once = Table(), Table()
    at_once.feed(request("kept", "X-Request-Id: same-id-for-both"))
    table.transport.capacity = first
    table.feed(request("kept", "X-Request-Id: same-id-for-both"))
    for capacity in (*more, 1 << 20):
        table.transport.capacity = capacity
        if table.connection._unsent is not None:
            table.connection._writable()
    said, expected = table.transport.take(), at_once.transport.take()
    assert table.at(Stage.IDLE) and table.transport.reading.active
    table.close()
    at_once.close()

    assert (
        said.partition(b"\r\nDate")[2][30:] == expected.partition(b"\r\nDate")[2][30:]
    )


def test_nothing_is_read_while_it_cannot_send(table: Table) -> None:
    """A client that takes nothing is not served more."""
    table.transport.capacity = 5
    table.feed(KEPT, KEPT)
    assert len(table.peeked) == 1 and table.transport.peek() == b"G"
    table.transport.capacity = None
    table.settle()

    assert bodies(table.transport.take()) == [b"kept\n", b"kept\n"]


def test_a_stream_is_told_when_it_may_write_again(table: Table) -> None:
    """One write is kept, and goes out before the next."""
    told: list[str] = []
    table.feed(EVENTS)
    pending = table.parked()
    pending.on_drained = lambda: told.append("drained")
    pending.sink.begin(Answer(200, TEXT, None), HIT)
    table.catch_up()
    table.transport.take()
    table.transport.capacity = 3
    assert not pending.sink.write([b"data:1\n\n"])
    table.turn()
    assert told == []
    table.transport.capacity = None
    table.turn()
    assert told == ["drained"]
    assert pending.sink.write([b"data:2\n\n"])

    assert table.transport.take() == b"8\r\ndata:1\n\n\r\n8\r\ndata:2\n\n\r\n"


def test_the_end_of_a_stream_goes_out_behind_what_was_kept(table: Table) -> None:
    table.feed(EVENTS)
    pending = table.parked()
    pending.sink.begin(Answer(200, TEXT, None), HIT)
    table.catch_up()
    table.transport.take()
    table.transport.capacity = 0
    assert not pending.sink.write([b"last"])
    pending.sink.finish()
    table.transport.capacity = None
    table.turn()

    assert table.transport.take() == b"4\r\nlast\r\n0\r\n\r\n"
    assert table.at(Stage.IDLE)


# Errors, at each call.


def test_a_client_that_is_lost_when_it_is_read_is_gone(table: Table) -> None:
    table.feed(PARK)
    pending = table.parked()
    table.transport.fail["recv"] = ConnectionResetError()
    table.turn()

    assert table.at(Stage.CLOSED) and pending.over


def test_a_client_that_is_lost_when_it_is_answered_is_gone(table: Table) -> None:
    table.transport.fail["send"] = BrokenPipeError()
    table.feed(KEPT)

    assert table.at(Stage.CLOSED)


def test_the_hub_is_not_called_back_from_within_its_own_call(table: Table) -> None:
    """It hears of a lost client when its call is over."""
    table.feed(EVENTS)
    pending = table.parked()
    table.transport.fail["send"] = BrokenPipeError()
    pending.sink.begin(Answer(200, TEXT, b"all"), HIT)
    heard = [pending.over]
    assert table.at(Stage.PARKED)
    table.catch_up()
    heard.append(pending.over)

    assert heard == [False, True] and table.at(Stage.CLOSED)


def test_a_client_that_is_lost_while_it_drains_is_gone(table: Table) -> None:
    table.feed(PARK)
    pending = table.parked()
    table.transport.capacity = 5
    pending.sink.begin(Answer(200, TEXT, None), HIT)
    table.catch_up()
    assert table.at(Stage.SENDING)
    table.transport.fail["sendmsg"] = ConnectionResetError()
    table.turn()

    assert table.at(Stage.CLOSED) and pending.over


@pytest.mark.parametrize("call", ["recv", "send"])
def test_a_defect_ends_its_connection_and_is_counted(table: Table, call: str) -> None:
    table.transport.fail[call] = ZeroDivisionError()
    table.feed(KEPT)

    assert table.at(Stage.CLOSED) and table.defects == 1


def test_a_defect_while_it_drains_is_counted(table: Table) -> None:
    table.transport.capacity = 5
    table.feed(KEPT)
    table.transport.fail["sendmsg"] = ZeroDivisionError()
    table.turn()

    assert table.at(Stage.CLOSED) and table.defects == 1


# Time.


def test_an_idle_connection_is_closed_when_its_time_is_up(table: Table) -> None:
    table.connection.expire()

    assert table.at(Stage.CLOSED) and not table.transport.sent


def test_a_head_that_does_not_come_in_time_is_told_so(table: Table) -> None:
    table.feed(KEPT[:20])
    table.connection.expire()
    table.transport.finish()
    table.settle()

    assert table.transport.take().startswith(b"HTTP/1.1 408 ")
    assert table.transport.state == "closed"


def test_the_deadline_follows_the_stage(table: Table) -> None:
    """Idle for long, a head for less, and each bit of progress counts anew."""
    limits: Limits = table.context.limits
    now = [1000.0]
    table.context.monotonic = lambda: now[0]
    table.feed(KEPT)
    assert table.connection.due_at == now[0] + limits.idle_timeout
    now[0] += 5
    table.feed(KEPT[:9])
    assert table.connection.due_at == now[0] + limits.head_timeout
    now[0] += 5
    table.feed(KEPT[9:20])
    assert table.connection.due_at == now[0] - 5 + limits.head_timeout
    table.transport.capacity = 5
    table.feed(KEPT[20:])
    for _ in range(2):
        now[0] += 5
        table.transport.capacity = 5
        table.turn()
        assert table.connection.due_at == now[0] + limits.send_timeout
    table.connection.expire()

    assert table.at(Stage.CLOSED)


def test_at_each_tick_connections_hear_that_their_time_is_up(table: Table) -> None:
    """The worker's one ticker turns the wheel that holds them."""

    def look(now: float) -> None:
        for one in table.looks:
            one(now)

    idle_ends = table.connection.due_at
    look(idle_ends - 1)
    assert table.at(Stage.IDLE)
    table.feed(PARK)
    look(idle_ends + 1)
    assert table.at(Stage.PARKED)
    table.read_service.release()
    look(idle_ends + 10 * table.context.limits.idle_timeout)

    assert table.at(Stage.CLOSED)


# Handing over.


def test_what_came_behind_a_request_is_served_when_it_is_back(table: Table) -> None:
    """First the whole way, then the fast one."""
    table.feed(WRITE + KEPT + WRITE + KEPT)
    table.settle()

    assert bodies(table.transport.take()) == [b"way:body", b"kept\n"] * 2
    assert table.at(Stage.IDLE)


def test_a_body_that_is_still_coming_is_waited_for(table: Table) -> None:
    """By the greenlet; the connection looks at nothing meanwhile."""
    table.feed(WRITE[:-3])
    assert table.at(Stage.HANDED)
    assert table.connection.idle_since is None and table.connection.slot is None
    table.feed(WRITE[-3:-1])
    assert table.at(Stage.HANDED)
    table.feed(WRITE[-1:])
    table.settle()

    assert bodies(table.transport.take()) == [b"way:body"]
    assert table.at(Stage.IDLE) and table.transport.reading.active
    assert table.connection.slot is not None


def test_a_client_that_leaves_during_a_request_is_closed(table: Table) -> None:
    table.feed(WRITE[:-3])
    table.transport.fail["recv"] = ConnectionResetError()
    table.settle()

    assert table.at(Stage.CLOSED) and table.transport.state == "closed"


def test_a_greenlet_that_is_killed_before_it_began_gives_back(table: Table) -> None:
    table.transport.feed(WRITE)
    table.connection._readable()
    table.connection.cut()
    gevent.sleep(0)

    assert table.at(Stage.CLOSED) and table.transport.state == "closed"


def test_what_cannot_be_parsed_is_refused_and_closed(table: Table) -> None:
    table.feed(b"GET  HTTP/1.1\r\n\r\n")
    table.transport.finish()
    table.settle()

    assert table.transport.take().startswith(b"HTTP/1.1 400 ")
    assert table.at(Stage.CLOSED)


@pytest.mark.parametrize("read", [True, False])
def test_what_is_left_when_it_closes_does_not_reset_the_answer_away(
    table: Table, read: bool
) -> None:
    """Whether it has been read already or not."""
    table.feed(request("park?offset=7&live=long-poll", "Connection: close"))
    table.transport.feed(b"more")
    if read:
        table.turn()
    table.read_service.release()
    assert table.at(Stage.HANDED)
    table.turn()
    assert table.transport.state == "half closed"
    table.transport.finish()
    table.settle()

    assert table.at(Stage.CLOSED)


# Dismissing.


def test_an_idle_connection_that_is_dismissed_ends(table: Table) -> None:
    """What had been sent before is still answered."""
    table.transport.feed(KEPT)
    table.connection.dismiss()
    table.turn()
    assert bodies(table.transport.take()) == [b"kept\n"]
    table.connection.dismiss()

    assert table.at(Stage.CLOSED)


def test_a_request_that_came_before_the_dismissal_may_wait_for_its_answer(
    table: Table,
) -> None:
    """E54: a dismissal that shut down reading made it look like a client that left."""
    table.transport.feed(PARK)
    table.connection.dismiss()
    table.turn()
    table.settle()
    assert table.at(Stage.PARKED)
    table.read_service.release()

    assert table.transport.take().startswith(b"HTTP/1.1 204 ")


def test_a_connection_is_idle_from_its_last_answer_on() -> None:
    """E54: an event stream that a drain ends has the whole of the time to ask again."""
    clock = HeldClock()
    table = Table(clock=clock)
    found = [table.connection.idle_since]
    for bytes_come in (EVENTS, b"", KEPT, PARK[:20]):
        clock.since += 10.0
        table.feed(bytes_come)
        if not bytes_come:
            table.read_service.release()
        found.append(table.connection.idle_since)
    table.close()

    assert found == [50.0, None, 70.0, 80.0, None]


def test_one_that_is_lost_already_is_closed_when_it_is_dismissed(table: Table) -> None:
    table.transport.fail["recv"] = OSError()
    table.connection.dismiss()

    assert table.at(Stage.CLOSED)


# Waking many.


def test_reads_that_are_paused_go_on_when_all_were_served(table: Table) -> None:
    table.feed(PARK)
    pending = table.parked()
    pending.sink.send_whole(Kept(Answer(200, TEXT, b"news\n"), HIT), pause_reads=True)
    table.feed(KEPT)
    assert bodies(table.transport.take()) == [b"news\n"]
    pending.sink.resume()
    table.turn()

    assert bodies(table.transport.take()) == [b"kept\n"]


def test_reads_are_not_paused_while_something_is_unsent(table: Table) -> None:
    """The pass may be over by then, and nobody would resume them."""
    table.feed(PARK)
    pending = table.parked()
    table.transport.capacity = 5
    pending.sink.send_whole(Kept(Answer(200, TEXT, b"news\n"), HIT), pause_reads=True)
    pending.sink.resume()
    table.transport.capacity = None
    table.settle()

    assert table.at(Stage.IDLE) and table.transport.reading.active
