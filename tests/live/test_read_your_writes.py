"""Read your writes (L4): the answer is judged, not the join. E10, E22."""

import pytest

from edge.core.values import Mode, Purpose
from edge.live.followers import POLL_PATIENCE_SECONDS
from origin_adapter.scripted import data, head_answer, no_content
from tests.live.support import PATH, QUICK, scripted, settle, warm, watch


def acked(tail: str) -> dict[str, str]:
    return {"stream_next_offset": tail}


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE])
def test_a_fetch_sent_before_the_write_does_not_serve_who_came_after(
    mode: Mode,
) -> None:
    house, origin = scripted()
    warm(house, origin)
    early = house.ask()
    old = origin.expect(Purpose.CATCH_UP)
    house.wrote("POST", 204, **acked("0005"))
    late = house.ask("0003", mode)
    old.reply(data(b"", "0003"))

    assert early.done().body == b"abc"
    assert late.waits
    origin.expect().reply(data(b"de", "0005"))
    settle()
    sink = late.sink
    assert ("data", "de") in sink.events if mode is Mode.SSE else sink.body == b"de"


def test_an_old_fetch_that_reaches_the_write_all_the_same_will_do() -> None:
    """L4: ... or if its next is at or above the acknowledged offset."""
    house, origin = scripted()
    warm(house, origin)
    house.ask()
    old = origin.expect()
    house.wrote("POST", 204, **acked("0005"))
    late = house.ask("0003")
    old.reply(data(b"de", "0005"))

    assert late.done().body == b"de"
    assert len(origin.calls) == 2


def test_the_reader_joins_the_armed_poll_that_brings_the_write() -> None:
    """One request per event: the poll is on its way with the bytes."""
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    house.wrote("POST", 204, **acked("0005"))
    readers = [house.ask("0003") for _ in range(5)]
    settle()
    assert len(origin.calls) == 2
    poll.reply(data(b"de", "0005"))

    assert {reader.done().body for reader in readers} == {b"de"}
    assert viewer.done().body == b"de"
    settle()
    assert len(origin.calls) == 3


def test_a_poll_that_keeps_its_readers_waiting_is_not_waited_for() -> None:
    """The poll may be stuck: after POLL_PATIENCE_SECONDS the reader asks by itself."""
    house, origin = scripted()
    _, poll = watch(house, origin)
    house.wrote("POST", 204, **acked("0005"))
    reader = house.ask("0003")
    house.pass_time(POLL_PATIENCE_SECONDS / 2)
    origin.assert_quiet()
    house.pass_time(POLL_PATIENCE_SECONDS)
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))

    assert reader.done().body == b"de"
    assert not poll.closed.is_set()


def test_a_poll_answered_from_before_the_write_sends_its_readers_on() -> None:
    house, origin = scripted()
    _, poll = watch(house, origin)
    house.wrote("POST", 204, **acked("0005"))
    reader = house.ask("0003")
    house.clock.move(20)
    poll.reply(no_content("0003"))

    calls = [origin.expect(), origin.expect()]
    fetch = next(c for c in calls if c.request.purpose is Purpose.CATCH_UP)
    fetch.reply(data(b"de", "0005"))
    assert reader.done().body == b"de"


def test_a_write_that_is_held_already_costs_nothing() -> None:
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    poll.reply(data(b"de", "0005"))
    viewer.done()
    origin.expect()
    house.wrote("POST", 204, **acked("0005"))

    assert house.ask("0003").done().how == "hit"
    assert house.ask("0005").done().header("Stream-Up-To-Date") == "true"
    assert len(origin.calls) == 3


def test_answers_to_writes_may_overtake_each_other() -> None:
    """The furthest acknowledged offset counts, not the last."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("POST", 204, **acked("0009"))
    house.wrote("POST", 204, **acked("0005"))
    reader = house.ask()
    origin.expect().reply(data(b"defghi", "0009"))

    assert reader.done().body == b"abcdefghi"


@pytest.mark.parametrize("status", [204, None])
def test_a_write_of_which_nobody_knows_where_it_is_makes_the_tail_unknown(
    status: int | None,
) -> None:
    """L4: a duplicate's 204 names no offset; a lost answer names nothing."""
    house, origin = scripted()
    watch(house, origin)
    assert house.ask("0003").done().how == "hit"
    house.wrote("POST", status)
    reader = house.ask("0003")

    assert reader.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))
    assert reader.done().body == b"de"


def test_a_close_that_is_acknowledged_ends_everybody_at_once() -> None:
    """L4: an ack with Stream-Closed sets the end; nobody waits for a poll."""
    house, origin = scripted()
    viewer, _ = watch(house, origin)
    stream = house.view("0003")
    house.wrote("POST", 204, stream_closed="true", **acked("0003"))

    assert viewer.done().status == 204
    assert viewer.sink.header("Stream-Closed") == "true"
    assert (
        viewer.sink.per_response is not None and viewer.sink.per_response.cursor is None
    )
    last = stream.done().events[-1]
    assert last == (
        "control",
        {"streamNextOffset": "0003", "upToDate": True, "streamClosed": True},
    )
    assert house.ask("0003").done().header("Stream-Closed") == "true"
    assert len(origin.calls) == 2


def test_an_answer_from_before_a_close_that_ends_there_tells_the_close() -> None:
    """L4. 1: a read of an offset that nobody here has seen is answered at the origin;
    2: the stream is closed through the edge; 3: a reader joins that read; 4: the answer
    arrives, and has all the bytes."""
    house, origin = scripted()
    house.ask("0003")
    call = origin.expect()
    house.wrote("POST", 204, Stream_Next_Offset="0005", Stream_Closed="true")
    reader = house.ask("0003")
    call.reply(data(b"de", "0005"))

    assert reader.done().body == b"de"
    assert reader.sink.header("Stream-Closed") == "true"


def test_an_append_that_closes_is_brought_by_the_poll_with_its_bytes() -> None:
    """One request per event, the last one too."""
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    stream = house.view("0003")
    house.wrote("POST", 204, stream_closed="true", **acked("0005"))
    settle()
    assert viewer.waits and stream.waits
    poll.reply(data(b"de", "0005", closed=True))

    assert viewer.done().body == b"de"
    assert viewer.sink.header("Stream-Closed") == "true"
    assert ("data", "de") in stream.done().events
    assert len(origin.calls) == 2


def test_a_refusal_because_it_is_closed_tells_the_end() -> None:
    """L4: a 409 with Stream-Closed is as good as the close's own answer."""
    house, origin = scripted()
    viewer, _ = watch(house, origin)
    house.wrote("POST", 409, stream_closed="true", **acked("0003"))

    assert viewer.done().header("Stream-Closed") == "true"


def test_a_write_is_looked_for_at_every_extension_of_its_path() -> None:
    """U13: the origin may not know the parameter, so it may be the same stream."""
    house, origin = scripted()
    key = house.key(extension="awareness=x")
    asked = house.ask(key=key)
    origin.expect().reply(data(b"abc", "0003"))
    asked.done()
    house.wrote("POST", 204, **acked("0005"))
    again = house.ask("0003", key=key)

    origin.expect().reply(data(b"de", "0005"))
    assert again.done().body == b"de"
    assert origin.targets()[-1] == f"GET {PATH}?offset=0003&awareness=x"


def test_news_ends_a_back_off() -> None:
    """The writer has just reached the origin: the follower need not hold back."""
    house, origin = scripted(backoff_first=1000.0, backoff_max=1000.0)
    viewer, poll = watch(house, origin)
    poll.cut()
    settle()
    origin.assert_quiet()
    house.wrote("POST", 204, **acked("0005"))
    origin.expect().reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"


def test_a_cold_open_begun_before_the_write_does_not_hide_it() -> None:
    """L20 with L4: the HEAD's tail is older than the write."""
    house, origin = scripted(**QUICK)
    first = house.poll("0003")
    head = origin.expect()
    house.wrote("POST", 204, **acked("0005"))
    late = house.poll("0003")
    head.reply(head_answer("0003"))
    settle()
    while late.waits:
        call = origin.expect()
        if call.request.method == "HEAD":
            call.reply(head_answer("0005"))
        else:
            call.reply(data(b"de", "0005"))
        settle()

    assert late.done().body == b"de"
    assert first.done().body == b"de"


def test_a_hole_in_the_log_does_not_hide_a_write() -> None:
    """Two reads of a cold stream, from two offsets, leave one between them (L20)."""
    house, origin = scripted()
    early = house.ask()
    old = origin.expect()
    house.wrote("POST", 204, **acked("0005"))
    house.wrote("POST", 204, **acked("0007"))
    other = house.ask("0005")
    origin.expect().reply(data(b"fg", "0007"))
    assert other.done().body == b"fg"
    old.reply(data(b"abc", "0003"))
    assert early.done().body == b"abc"

    late = house.ask()
    origin.expect().reply(data(b"defg", "0007"))
    assert late.done().body == b"abcdefg"
