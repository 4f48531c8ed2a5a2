"""Plain writes on the event loop: nothing sent twice, nobody left without an answer.

U26, U27, L4, L5. The client and the origin are in the test's hand.
"""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import (
    ClientFault,
    EdgeError,
    NotAsked,
    OriginBodyCut,
    OriginTimeout,
    OriginUnreachable,
)
from edge.core.reasons import Reason
from edge.core.values import NO_END, Lease, Purpose, WriteOutcome
from edge.front.fast.context import MAX_BODIES
from edge.front.fast.plain_writes import MAX_BODY_BYTES
from edge.front.fast.stages import READ_SIZE, Stage
from edge.front.log import AccessLog
from edge.policy.streams.authorize import Grant
from edge.protocol.http_grammar import LAST_CHUNK
from tests.front.fast.test_connection_stages import KEPT, bodies
from tests.front.fast.writer_table import WriterTable, post, writer
from tests.support.options import log_options

WRITE = post(b"body", "Content-Type: text/plain")
OFFSET = ("stream-next-offset", "9")


@pytest.fixture
def table() -> Iterator[WriterTable]:
    with writer() as made:
        yield made


def statuses(said: bytes) -> list[int]:
    """Of all answers in what was sent."""
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


def unsent(fault: OriginUnreachable) -> OriginUnreachable:
    """Of a call that found nobody to connect to."""
    fault.unsent = True
    return fault


# To the origin and back.


def test_a_write_goes_upstream_with_its_body_and_is_answered(
    table: WriterTable,
) -> None:
    """U26. Without a greenlet, and on a connection that is kept."""
    table.feed(WRITE)
    asked = table.call.request
    assert (asked.method, asked.target, asked.body) == ("POST", "/v1/stream/a", b"body")
    assert (asked.purpose, asked.content_length) == (Purpose.WRITE, 4)
    assert table.at(Stage.WRITING)
    table.call.answer(200, OFFSET, body=b"done")
    said = table.transport.take()

    assert bodies(said) == [b"done"] and b"stream-next-offset: 9\r\n" in said
    assert b"fwd=method; fwd-status=200; detail=method\r\n" in said
    assert table.at(Stage.IDLE) and table.transport.reading.active


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_without_a_body_none_is_announced(table: WriterTable, method: str) -> None:
    table.feed(f"{method} /v1/stream/a HTTP/1.1\r\nHost: edge.test\r\n\r\n".encode())

    assert (table.call.request.method, table.call.request.body) == (method, None)
    assert table.call.request.content_length is None


def test_the_hub_hears_of_it_before_the_client_does(table: WriterTable) -> None:
    """L4: else the client could read without its own write."""
    table.feed(WRITE)
    table.call.head(204, OFFSET, length=None)
    [(outcome, heard_by_then)] = table.wrote

    assert (outcome.path, outcome.status) == ("/v1/stream/a", 204)
    assert dict(outcome.headers) == dict([OFFSET]) and heard_by_then == 0
    assert table.transport.sent.startswith(b"HTTP/1.1 204 ")


@given(st.lists(st.integers(1, len(WRITE) - 1), max_size=5))
@settings(deadline=None)
def test_it_may_come_in_pieces_wherever_it_is_cut(cuts: list[int]) -> None:
    with writer() as table:
        places = [0, *sorted(cuts), len(WRITE)]
        for begin, end in pairwise(places):
            assert not table.origin.calls
            table.feed(WRITE[begin:end])
        table.call.answer(204)

        assert table.call.request.body == b"body"
        assert len(table.origin.calls) == 1 and table.at(Stage.IDLE)


def test_the_longest_body_is_waited_for_even_behind_other_requests(
    table: WriterTable,
) -> None:
    """More is held of it then than is read ahead otherwise."""
    body = bytes(range(256)) * (MAX_BODY_BYTES // 256)
    sent = KEPT * 30 + post(body)
    table.feed(*(sent[at : at + 5000] for at in range(0, len(sent), 5000)))
    table.settle()

    assert table.call.request.body == body
    assert table.context.bodies == 0


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Length: 4", "Content-Length: 4"], b"body"),
        (["Content-Length: 4, 4"], b"body"),
        (["Content-Length: +4"], b"body"),
        (["Content-Length: 04"], b"body"),
        (["Content-Length: 65537"], b"x" * 65537),
        (["Transfer-Encoding: chunked"], b"4\r\nbody\r\n0\r\n\r\n"),
        (["Content-Length: 4", "Range: bytes=0-1"], b"body"),
        (["Content-Length: 4", "Connection: keep-alive, x"], b"body"),
        (["Content-Length: 4", "X-Twice: a", "X-Twice: b"], b"body"),
    ],
)
def test_what_is_not_on_the_list_goes_the_whole_way(
    table: WriterTable, fields: list[str], body: bytes
) -> None:
    """Which alone knows what is wrong with it."""
    lines = ["POST /v1/stream/a HTTP/1.1", "Host: edge.test", *fields, "", ""]
    table.feed("\r\n".join(lines).encode(), body)
    table.transport.finish()
    table.settle()

    assert table.origin.calls == []


# What the client sends ahead.


def test_what_is_sent_behind_a_write_waits_unread_and_is_answered_in_order(
    table: WriterTable,
) -> None:
    """U27. What came with the write is held, and nothing more is read."""
    table.feed(post(b"1") + KEPT)
    table.feed(post(b"2") + KEPT)
    table.feed(KEPT * (2 * READ_SIZE // len(KEPT)))
    assert table.transport.unread > READ_SIZE
    assert not table.transport.reading.active
    assert [call.request.body for call in table.origin.calls] == [b"1"]
    table.call.answer(200, body=b"one")
    table.settle()
    assert [call.request.body for call in table.origin.calls] == [b"1", b"2"]
    table.call.answer(200, body=b"two")
    table.settle()

    assert bodies(table.transport.take())[:4] == [b"one", b"kept\n", b"two", b"kept\n"]


def test_a_hundred_writes_in_one_go_go_one_after_another(table: WriterTable) -> None:
    table.feed(b"".join(post(b"%02d" % number) for number in range(100)))
    for number in range(100):
        assert table.call.request.body == b"%02d" % number
        table.call.answer(204)
        table.settle()

    assert statuses(table.transport.take()) == [204] * 100


# Bodies that do not come.


def test_a_body_that_stops_arriving_is_refused_unsent(table: WriterTable) -> None:
    """E51: each bit of progress gives it time again."""
    limit = table.context.limits.body_timeout
    table.feed(WRITE[:-2])
    table.clock.since += 0.9 * limit
    table.feed(WRITE[-2:-1])
    table.clock.since += 0.9 * limit
    look(table)
    assert table.at(Stage.RECEIVING)
    table.clock.since += 0.2 * limit
    look(table)
    said = table.transport.take()

    assert statuses(said) == [408] and b'"reason":"body-timeout"' in said
    assert b"Connection: close\r\n" in said
    assert (table.origin.calls, table.wrote, table.context.bodies) == ([], [], 0)
    assert table.at(Stage.HANDED), "its client may still be sending"


def look(table: WriterTable) -> None:
    """A tick."""
    for one in table.looks:
        one(table.clock.monotonic() + 0.5)


def test_a_body_that_ends_early_is_refused_unsent(table: WriterTable) -> None:
    """U27: nothing that was cut goes upstream."""
    table.feed(WRITE[:-1])
    table.transport.finish()
    table.settle()
    said = table.transport.take()

    assert statuses(said) == [400] and b'"reason":"body-cut"' in said
    assert (table.origin.calls, table.wrote) == ([], [])
    assert table.at(Stage.CLOSED) and table.context.bodies == 0


def test_a_reset_before_the_body_was_whole_ends_it(table: WriterTable) -> None:
    table.feed(WRITE[:-1])
    for call in ("recv", "send", "sendmsg"):
        table.transport.fail[call] = ConnectionResetError()
    table.turn()
    table.catch_up()

    assert table.at(Stage.CLOSED)
    assert (table.origin.calls, table.context.bodies) == ([], 0)
    assert table.server_context.counters.client_faults["body-cut"] == 1


def test_beyond_a_bound_bodies_are_not_gathered(table: WriterTable) -> None:
    """U27: the whole way holds one piece of a body at a time."""
    table.context.bodies = MAX_BODIES - 3
    table.feed(WRITE[:-1])
    assert table.at(Stage.HANDED)
    table.feed(WRITE[-1:])
    table.settle()

    assert bodies(table.transport.take()) == [b"way:body"]
    assert table.origin.calls == []


@pytest.mark.parametrize("end", ["sent", "early", "failed", "cut"])
def test_a_body_counts_until_it_is_on_the_wire(table: WriterTable, end: str) -> None:
    """U27: an origin that takes none of them would have them all lie here."""
    table.origin.sends = False
    table.feed(WRITE)
    assert table.context.bodies == len(b"body")
    if end == "sent":
        table.call.receiver.sent()
    elif end == "early":
        table.call.head(409)
    elif end == "failed":
        table.call.receiver.failed(OriginTimeout("late"))
    else:
        table.connection.cut()

    assert table.context.bodies == 0


def test_of_a_long_head_nothing_is_kept_when_it_is_over(table: WriterTable) -> None:
    """Thousands of idle connections would hold what their clients made up."""
    table.write(b"body", f"X-Long: {'a' * 5000}")
    table.call.answer(204)
    assert table.connection._written is None
    table.write(b"body")
    table.call.answer(204)

    assert table.connection._written is not None


# Clients that leave.


def test_a_client_that_leaves_does_not_end_a_write(table: WriterTable) -> None:
    """U27: its answer is awaited, told to the hub, and counted."""
    table.feed(WRITE)
    table.transport.finish()
    table.turn()
    table.turn()
    assert table.at(Stage.WRITING) and not table.call.canceled
    table.call.answer(200, OFFSET)
    table.settle()

    assert table.outcomes == [("POST", 200)]
    assert table.server_context.counters.writes["2xx"] == 1
    assert table.at(Stage.CLOSED)


def test_a_client_that_has_reset_is_found_out_when_it_is_answered(
    table: WriterTable,
) -> None:
    table.feed(WRITE)
    for call in ("recv", "send", "sendmsg"):
        table.transport.fail[call] = ConnectionResetError()
    table.turn()
    assert table.at(Stage.WRITING)
    table.call.head(200, OFFSET, length=100)
    table.call.receiver.data(b"x")
    table.settle()

    assert table.outcomes == [("POST", 200)]
    assert table.call.canceled and table.at(Stage.CLOSED)


def test_an_answer_without_an_end_ends_with_its_reader(table: WriterTable) -> None:
    """E46: it has been told to the hub by then."""
    table.feed(WRITE)
    table.call.head(200, ("content-type", "text/event-stream"), length=None)
    for _ in range(3):
        table.call.receiver.data(b"data:x\n\n")
    table.settle()
    assert table.call.orders == []
    table.transport.finish()
    table.turn()

    assert table.call.canceled and table.at(Stage.CLOSED)
    assert table.outcomes == [("POST", 200)]


# Origins that fail.


@pytest.mark.parametrize(
    ("fault", "sends", "status", "told"),
    [
        (OriginTimeout("late"), True, 504, [("POST", None)]),
        (OriginUnreachable("cut"), True, 502, [("POST", None)]),
        (OriginUnreachable("cut"), False, 502, [("POST", None)]),
        (unsent(OriginUnreachable("nobody")), False, 502, []),
        (NotAsked("full", reason=Reason.ORIGIN_DOWN), False, 503, []),
        (ClientFault("bad"), False, 400, []),
    ],
    ids=["late", "cut", "cut in the body", "nobody there", "not asked", "unfit"],
)
def test_a_write_whose_answer_is_lost_may_have_happened(
    table: WriterTable,
    fault: EdgeError,
    sends: bool,
    status: int,
    told: list[tuple[str, int | None]],
) -> None:
    """L4, L5: the hub is told, unless nothing was sent."""
    table.origin.sends = sends
    table.feed(WRITE)
    table.call.receiver.failed(fault)

    assert statuses(table.transport.take()) == [status]
    assert table.outcomes == told
    assert table.at(Stage.IDLE), "its body was read whole"


def test_without_a_body_only_a_whole_head_can_be_acted_upon(
    table: WriterTable,
) -> None:
    table.origin.sends = False
    table.feed(post(b"", method="DELETE"))
    table.call.receiver.failed(OriginUnreachable("cut"))

    assert table.outcomes == []


def test_an_answer_that_breaks_off_never_looks_complete(table: WriterTable) -> None:
    """E44."""
    table.feed(WRITE)
    table.call.head(200, length=None)
    table.call.receiver.data(b"half")
    table.call.receiver.failed(OriginBodyCut("cut"))
    said = table.transport.take()

    assert said.endswith(b"4\r\nhalf\r\n")
    assert table.at(Stage.CLOSED) and table.outcomes == [("POST", 200)]


def test_an_early_answer_is_given_like_any_other(table: WriterTable) -> None:
    """413 or 409 before all of it was sent: it is not sent again (U26)."""
    table.origin.sends = False
    table.feed(WRITE, KEPT)
    table.call.answer(413, body=b"too much")
    table.settle()

    assert bodies(table.transport.take()) == [b"too much", b"kept\n"]
    assert table.outcomes == [("POST", 413)] and len(table.origin.calls) == 1


def test_a_field_that_cannot_be_sent_is_a_defect_and_no_answer(
    table: WriterTable,
) -> None:
    table.feed(WRITE)
    table.call.head(200, ("x-odd", "a\x01"), length=4)
    table.call.receiver.data(b"body")
    table.settle()

    assert statuses(table.transport.take()) == [500]
    assert table.call.canceled and table.defects == 1


# Clients that are slow.


def test_an_answer_comes_no_faster_than_its_client_takes_it(table: WriterTable) -> None:
    """64 MiB go through, and no more than a piece of it is held."""
    piece = b"x" * READ_SIZE
    table.feed(WRITE)
    table.call.head(200, length=1024 * len(piece))
    taken = 0
    for _ in range(1024):
        table.transport.capacity = 1000
        table.call.receiver.data(piece)
        assert table.call.orders[-1] == "pause" and table.at(Stage.SENDING)
        table.transport.capacity = None
        table.turn()
        assert table.call.orders[-1] == "resume"
        taken += len(table.transport.take())
    table.call.receiver.ended()

    assert taken > 1024 * len(piece) and table.at(Stage.IDLE)


def test_one_that_takes_nothing_is_given_up(table: WriterTable) -> None:
    """E51; the write itself was done and told."""
    table.feed(WRITE)
    table.transport.capacity = 0
    table.call.head(200, OFFSET, length=10)
    table.call.receiver.data(b"0123456789")
    table.clock.since += table.context.limits.send_timeout + 1
    look(table)

    assert table.at(Stage.CLOSED) and table.call.canceled
    assert table.outcomes == [("POST", 200)]


# The worker's end.


def drain(table: WriterTable) -> None:
    table.server_context.draining = True


STEPS: dict[str, Callable[[WriterTable], None]] = {
    "before the body": lambda table: table.feed(WRITE[:-1]),
    "before the answer": lambda table: table.feed(WRITE),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_drains_answers_and_closes(table: WriterTable, step: str) -> None:
    """U27; RFC 9112 section 9.6."""
    STEPS[step](table)
    drain(table)
    assert table.connection.idle_since is None
    if step == "before the body":
        table.feed(WRITE[-1:])
    table.call.answer(200, OFFSET, body=b"done")
    said = table.transport.take()

    assert b"Connection: close\r\n" in said and bodies(said) == [b"done"]
    assert table.at(Stage.CLOSED) and table.outcomes == [("POST", 200)]


def test_a_worker_that_ends_before_the_answer_tells_the_hub(table: WriterTable) -> None:
    """L5: nobody will ever know."""
    table.feed(WRITE)
    table.connection.cut()

    assert table.outcomes == [("POST", None)] and table.call.canceled


def test_a_worker_that_ends_before_the_body_tells_nobody(table: WriterTable) -> None:
    """But the log says that it was there, and that it was cut."""
    lines: list[str] = []
    table.server_context.access_log = AccessLog(
        log_options(access=1), lines.append, table.clock
    )
    table.feed(WRITE[:-1])
    table.connection.cut()

    assert (table.wrote, table.context.bodies) == ([], 0)
    [line] = map(json.loads, lines)
    assert (line["method"], line["status"], line["lost"]) == ("POST", 0, 1)
    assert table.server_context.counters.passes["method"] == 1


EVENT_STREAM = ("content-type", "text/event-stream")
EVENT = b"id: 1\ndata: a\n\n"


def chunked(said: bytes) -> bytes:
    """What came behind the head."""
    return said.partition(b"\r\n\r\n")[2]


def whole(*pieces: bytes) -> bytes:
    """A chunked body, with its end."""
    return b"".join(b"%X\r\n%b\r\n" % (len(p), p) for p in pieces) + LAST_CHUNK


@pytest.mark.parametrize("sent", [[], [EVENT], [EVENT, b": still here\n\n"]])
def test_an_event_stream_in_answer_to_a_write_ends_whole_in_a_drain(
    table: WriterTable, sent: list[bytes]
) -> None:
    """E54: as on the whole way. Its connection stays for what its client asks next."""
    table.feed(WRITE)
    table.call.head(200, EVENT_STREAM, length=None)
    for piece in sent:
        table.call.receiver.data(piece)
    look(table)
    table.settle()
    under_way = not table.call.canceled
    assert table.at(Stage.PARKED) and under_way
    table.leaving = True
    look(table)
    table.settle()

    assert chunked(table.transport.take()) == whole(*sent)
    assert table.call.canceled and table.at(Stage.IDLE)
    assert table.server_context.counters.bytes_out == len(b"".join(sent))


def test_one_in_the_middle_of_an_event_ends_behind_it(table: WriterTable) -> None:
    """E54."""
    table.feed(WRITE)
    table.call.head(200, EVENT_STREAM, length=None)
    table.call.receiver.data(EVENT[:-3])
    table.leaving = True
    look(table)
    look(table)
    table.settle()
    assert table.at(Stage.PARKED)
    table.call.receiver.data(EVENT[-3:])
    table.call.receiver.data(EVENT)
    table.settle()

    assert chunked(table.transport.take()) == whole(EVENT[:-3], EVENT[-3:])
    assert table.call.canceled and table.at(Stage.IDLE)


def test_an_event_stream_that_is_over_is_let_go_of_no_more(table: WriterTable) -> None:
    table.feed(WRITE)
    table.call.head(200, EVENT_STREAM, length=None)
    table.call.receiver.data(EVENT)
    table.call.receiver.ended()
    table.leaving = True
    look(table)
    table.settle()

    assert chunked(table.transport.take()) == whole(EVENT)
    assert table.call.orders == []


def test_nothing_that_is_told_after_the_end_is_heard(table: WriterTable) -> None:
    """A call that was given up may have had something under way."""
    table.feed(WRITE)
    call = table.call
    table.connection.cut()
    call.answer(200, OFFSET, body=b"late")
    call.receiver.failed(OriginTimeout("late"))

    assert table.outcomes == [("POST", None)] and table.transport.take() == b""


# Time.


def test_how_long_an_answer_may_take_is_the_adapters_to_say(table: WriterTable) -> None:
    table.feed(WRITE)
    table.clock.since += 10 * table.context.limits.idle_timeout
    look(table)

    assert table.at(Stage.WRITING)


# Defects.


def test_a_defect_is_answered_and_gives_the_call_up(table: WriterTable) -> None:
    """U25: whatever is raised, the client is not left waiting."""

    def broken(write: WriteOutcome) -> None:
        raise ZeroDivisionError

    table.read_service.wrote = broken  # type: ignore[method-assign]
    table.feed(WRITE)
    table.call.head(200, OFFSET)

    assert statuses(table.transport.take()) == [500]
    assert table.call.canceled and table.defects == 1


def test_an_origin_that_raises_is_a_defect(
    table: WriterTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(request: object, receiver: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(table.origin, "begin", broken)
    table.feed(WRITE, KEPT)
    table.settle()

    assert statuses(table.transport.take()) == [500, 200]
    assert table.defects == 1


# Grants.


def test_a_write_whose_right_was_revoked_meanwhile_is_judged_anew_unsent() -> None:
    """B13. One that ended by itself lets a write end that it has let begin."""
    for why, calls in ((Reason.REVOKED, 0), (Reason.GRANT_ENDED, 1)):
        lease = Lease(NO_END)
        grant = Grant(lease=lease)
        table = WriterTable(authorizer=lambda *_, given=grant: given)
        table.feed(WRITE[:-1])
        lease.end(table.clock.monotonic(), why)
        table.feed(WRITE[-1:])
        table.settle()

        assert len(table.origin.calls) == calls
        assert table.at(Stage.WRITING if calls else Stage.IDLE)
        table.close()


def test_a_write_is_judged_again_only_if_anything_is_new() -> None:
    """B2: where a route judges, any field may decide; the same bytes need no judge."""
    judged: list[str | None] = []

    def judge(route: object, request: object, now: float) -> Grant:
        judged.append(request.lookup("x-number"))  # type: ignore[attr-defined]
        return Grant()

    table = WriterTable(authorizer=judge)
    for number in (1, 1, 1, 2, 2):
        table.feed(post(b"body", f"X-Number: {number}"))
        table.call.answer(204)
    table.close()

    assert judged == ["1", "2"]


# Figures.


def test_everything_is_counted_as_on_the_whole_way(table: WriterTable) -> None:
    """docs/metrics.md."""
    counters = table.server_context.counters
    table.feed(WRITE)
    table.call.answer(200, OFFSET, body=b"12345")
    table.feed(WRITE)
    table.call.receiver.failed(OriginTimeout("late"))
    length = len(bodies(table.transport.take())[1])

    assert counters.passes["method"] == 2
    assert counters.origin_requests["write"] == 2
    assert dict(counters.writes) == {"2xx": 1, "lost": 1}
    assert counters.origin_faults["origin-timeout"] == 1
    assert counters.problems["504"] == 1
    assert (counters.bytes_from_origin, counters.bytes_out) == (5, 5 + length)
