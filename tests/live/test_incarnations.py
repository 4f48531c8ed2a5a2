"""A new stream at an old URL shares nothing with the last one (L5, L2; E5, E6, E8)."""

import pytest

from edge.core.values import Mode, Purpose
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer
from tests.live.support import (
    ALICE,
    PATH,
    QUICK,
    Asked,
    House,
    refuse_head,
    scripted,
    settle,
    warm,
    watch,
)
from tests.support.patience import PATIENCE

NOT_FOUND = (("content-type", "text/plain"),)


@pytest.mark.parametrize(
    ("method", "status"),
    [("PUT", 201), ("DELETE", 204), ("DELETE", 200), ("PUT", None), ("DELETE", None)],
)
def test_what_was_held_is_dropped_by_create_and_delete(
    method: str, status: int | None
) -> None:
    """L5: also when the answer was lost, for it may have happened."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote(method, status)
    reader = house.ask()
    origin.expect().reply(data(b"xyz", "0003"))

    assert reader.done().body == b"xyz"
    assert origin.targets()[-1] == f"GET {PATH}?offset=-1"


@pytest.mark.parametrize(
    ("method", "status"), [("PUT", 200), ("PUT", 409), ("DELETE", 404)]
)
def test_what_was_refused_or_was_there_already_drops_nothing(
    method: str, status: int
) -> None:
    house, origin = scripted()
    warm(house, origin)
    house.wrote(method, status)
    house.ask()

    assert origin.expect().request.target.endswith("offset=0003")
    assert not house.counters.drops


@pytest.mark.parametrize("start", ["-1", "0003"])
def test_an_answer_of_the_old_incarnation_is_thrown_away(start: str) -> None:
    """E6: its readers are decided again, by the stream that is there now."""
    house, origin = scripted()
    warm(house, origin)
    reader = house.ask(start)
    old = origin.expect()
    house.wrote("DELETE", 204)
    house.wrote("PUT", 201)
    old.reply(data(b"OLD", "0006"))
    origin.expect().reply(data(b"new", "0009"))

    assert reader.done().body == b"new"
    assert house.counters.not_stored["old-incarnation"] == 1


def test_a_poll_of_the_old_incarnation_is_given_up() -> None:
    house, origin = scripted()
    viewer, old = watch(house, origin)
    house.wrote("PUT", 201)
    assert old.closed.wait(PATIENCE)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0000"))

    # It stands where the new stream has nothing: the origin itself shall say (U14).
    for second, start in ((0, "0000"), (1, "0003")):
        house.pass_time(second)
        call = origin.expect(Purpose.CATCH_UP)
        assert call.request.target == f"{PATH}?offset={start}"
        call.reply(data(b"", "0000"))
    assert viewer.done().status == 204
    assert viewer.sink.header("stream-next-offset") == "0000"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_who_waits_for_now_waits_for_the_now_of_the_new_stream(method: str) -> None:
    """Where the old one ended is no place of the new one, and nobody was told it."""
    house, origin = scripted()
    viewer = house.poll("now")
    origin.expect().reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW)
    house.wrote(method, None)
    origin.expect().reply(head_answer("0009"))
    poll = origin.expect(Purpose.FOLLOW)
    assert "offset=0009" in poll.request.target
    poll.reply(data(b"xy", "0011"))

    assert viewer.done().body == b"xy"


def test_readers_of_the_poll_are_decided_by_the_new_stream_alone() -> None:
    """L5: nothing of the old log is shown once it is known to be gone."""
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    house.wrote("POST", 204, stream_next_offset="0005")
    reader = house.ask()
    settle()
    house.wrote("PUT", 201)
    fetches = [origin.expect(), origin.expect()]
    fetch = next(c for c in fetches if c.request.method == "GET")
    assert fetch.request.target == f"{PATH}?offset=-1"
    fetch.reply(data(b"new", "0009"))

    assert reader.done().body == b"new"


def test_an_event_stream_never_shows_two_incarnations() -> None:
    """E5: it ends after a whole event; the viewer comes back to what is there."""
    house, origin = scripted()
    view = house.view("-1")
    origin.expect().reply(head_answer("0003"))
    origin.expect().reply(data(b"abc", "0003"))
    origin.expect(Purpose.FOLLOW)
    settle()
    house.wrote("DELETE", 204)
    house.wrote("PUT", 201)

    assert view.done().finished
    assert [kind for kind, _ in view.sink.events] == ["data", "control"]
    assert house.counters.viewers_ended["old-incarnation"] == 1


def test_create_and_delete_act_on_all_partitions_and_extensions() -> None:
    house, origin = scripted()
    keys = [house.key(), house.key(partition=ALICE), house.key(extension="a=1")]
    for key in keys:
        asked = house.ask(key=key)
        origin.expect().reply(data(b"abc", "0003"))
        asked.done()
    house.wrote("DELETE", 204)

    for key in keys:
        house.ask(key=key)
        assert "offset=-1" in origin.expect().request.target
    assert house.counters.drops["rewritten"] == 3


@pytest.mark.parametrize("status", [404, 410])
def test_a_stream_that_is_gone_ends_its_log_and_its_viewers(status: int) -> None:
    """E6: the poll gets a 404; who waits is told what the origin told."""
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    stream = house.view("0003")
    poll.answer(status, NOT_FOUND, b"Stream not found")

    assert viewer.done().status == status
    assert viewer.sink.body == b"Stream not found"
    assert stream.done().finished
    house.ask("0003")
    assert origin.expect().request.target == f"{PATH}?offset=0003"
    assert house.counters.drops["gone"] == 1


def test_a_404_is_shared_by_those_who_wait_and_never_remembered() -> None:
    """StreamFS reads a 404 and creates the stream at once (O7)."""
    house, origin = scripted()
    crowd = [house.ask() for _ in range(5)]
    origin.expect().answer(404, NOT_FOUND, b"Stream not found")
    assert {asked.done().status for asked in crowd} == {404}
    house.wrote("PUT", 201)
    reader = house.ask()
    origin.expect().reply(data(b"abc", "0003"))

    assert reader.done().body == b"abc"


def test_a_404_from_before_the_create_is_not_for_who_came_after() -> None:
    """L4 and L5 for statuses."""
    house, origin = scripted()
    early = house.ask()
    call = origin.expect()
    house.wrote("PUT", 201)
    late = house.ask()
    call.answer(404, NOT_FOUND, b"Stream not found")
    origin.expect().reply(data(b"abc", "0003"))

    assert late.done().body == b"abc"
    assert early.done().body == b"abc"


def test_a_write_to_the_last_life_closes_no_range_of_the_next_one() -> None:
    """L16: nothing of the last one was held, and it was replaced behind the edge."""
    house, origin = scripted()
    gone = house.ask()
    origin.expect().answer(404, NOT_FOUND, b"Stream not found")
    assert gone.done().status == 404
    house.wrote("POST", 204, stream_next_offset="0009")

    for start, body in (("-1", b"abc"), ("0003", b"")):
        reader, call = house.ask(), origin.expect()
        assert call.request.target == f"{PATH}?offset={start}"
        call.reply(data(body, "0003"))
        assert reader.done().body == b"abc"
        told = reader.sink.header("cache-control")
        assert told == "public, max-age=0, must-revalidate"


def test_retention_takes_the_beginning_and_leaves_the_rest() -> None:
    """E8: a 410 for an old offset does not drop what comes after it."""
    house, origin = scripted()
    watch(house, origin)
    old = house.ask("0001")
    origin.expect().answer(410, NOT_FOUND, b"Gone")
    assert old.done().status == 410

    assert not house.counters.drops
    reader = house.ask("0003")
    if reader.waits:
        origin.expect().reply(data(b"", "0003"))
    assert reader.done().header("Stream-Next-Offset") == "0003"


def test_another_content_type_is_another_stream() -> None:
    house, origin = scripted()
    warm(house, origin)
    reader = house.ask()
    origin.expect().reply(data(b"[]", "0003", content_type="application/json"))
    origin.expect().reply(data(b'[{"a":1}]', "0007", content_type="application/json"))

    assert reader.done().body == b'[{"a":1}]'
    assert house.counters.drops["type-changed"] == 1


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.LONG_POLL])
def test_a_known_offset_that_is_refused_is_of_another_stream(mode: Mode) -> None:
    """L5: it was made anew, and has no boundary there. Who asked from the beginning is
    answered by what is there now, and not by that 400."""
    house, origin = scripted()
    warm(house, origin)
    grown = house.ask("0003")
    origin.expect().reply(data(b"def", "0006"))
    assert grown.done().body == b"def"
    house.pass_time(61)
    reader = house.ask("-1", mode)
    check = after_heads(origin)
    assert check.request.target == f"{PATH}?offset=0003"
    check.answer(400, NOT_FOUND, b"no boundary")
    anew = after_heads(origin)
    assert anew.request.target == f"{PATH}?offset=-1"
    anew.reply(data(b"another", "0009"))

    assert reader.done().body == b"another"
    assert house.counters.drops["offset-refused"] == 1


def after_heads(origin: ScriptedOrigin) -> Call:
    """The next GET; before it the stream is described."""
    call = origin.expect(Purpose.CATCH_UP)
    while call.request.method == "HEAD":
        call.reply(head_answer("0009"))
        call = origin.expect(Purpose.CATCH_UP)
    return call


def test_a_poll_that_is_refused_its_offset_ends_the_log() -> None:
    """L5: viewers who stand there are told, and nothing old is shown any more."""
    house, origin = scripted()
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.answer(400, NOT_FOUND, b"no boundary")

    assert viewer.done().status == 400
    assert house.counters.drops["offset-refused"] == 1
    house.ask()
    assert origin.expect().request.target == f"{PATH}?offset=-1"


def test_a_tail_that_went_back_is_confirmed_by_one_head() -> None:
    """L2: then it is a new incarnation, and nothing old is shown."""
    house, origin = scripted()
    warm(house, origin, b"abcdef")
    readers = [house.ask("0006") for _ in range(3)]
    origin.expect().reply(data(b"", "0002"))
    head = origin.expect()
    assert head.request.method == "HEAD"
    head.reply(head_answer("0002"))
    delta = origin.expect()
    assert delta.request.target == f"{PATH}?offset=0002"
    delta.reply(data(b"", "0002"))
    # They stand where the new stream has nothing: the origin itself shall say (U14).
    settle()
    house.pass_time(1)
    guess = origin.expect(Purpose.CATCH_UP)
    assert guess.request.target == f"{PATH}?offset=0006"
    guess.reply(data(b"", "0002"))
    assert {reader.done().header("stream-next-offset") for reader in readers} == {
        "0002"
    }
    fresh = house.ask()
    origin.expect().reply(data(b"xy", "0002"))

    assert fresh.done().body == b"xy"
    assert house.counters.drops["tail-went-back"] == 1


def test_a_tail_that_only_seemed_to_go_back_changes_nothing() -> None:
    """L2: a replica that lags is not a new stream."""
    house, origin = scripted()
    warm(house, origin, b"abcdef")
    reader = house.ask("0006")
    origin.expect().reply(data(b"", "0002"))
    origin.expect().reply(head_answer("0006"))

    assert reader.done().header("Stream-Next-Offset") == "0006"
    assert not house.counters.drops


@pytest.mark.parametrize("tail", ["0003", "0006"])
def test_a_closed_stream_that_is_open_again_is_another_one(tail: str) -> None:
    """L2, L4: it was deleted and created anew behind the edge, as a fork that begins
    with the same bytes. A HEAD that opens it for a viewer finds it open."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("POST", 204, stream_next_offset="0003", stream_closed="true")
    house.clock.move(house.options.rules.verify + 1)
    viewer = house.poll("now")
    for _ in range(2):  # it finds the new stream, and opens it
        origin.expect(Purpose.CATCH_UP).reply(head_answer(tail))
    poll = origin.expect(Purpose.FOLLOW)

    assert poll.request.target == f"{PATH}?offset={tail}&live=long-poll"
    assert viewer.waits
    assert house.counters.drops["tail-went-back"] == 1


def test_a_read_that_finds_a_closed_stream_open_is_confirmed_by_one_head() -> None:
    """L2: nothing is told as closed then."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("POST", 204, stream_next_offset="0003", stream_closed="true")
    house.clock.move(house.options.rules.verify + 1)
    reader = house.ask("0003")
    origin.expect().reply(data(b"abc", "0003"))
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))

    assert reader.done().header("Stream-Next-Offset") == "0003"
    assert reader.sink.header("Stream-Closed") is None
    assert house.counters.drops["tail-went-back"] == 1


def the_tail_seems_back(house: House, origin: ScriptedOrigin) -> list[Asked]:
    """Three readers at the end of ``abcdef`` are told of an earlier one."""
    warm(house, origin, b"abcdef")
    readers = [house.ask("0006") for _ in range(3)]
    origin.expect().reply(data(b"", "0002"))
    return readers


@pytest.mark.parametrize("known", [True, False])
def test_without_head_a_tail_that_went_back_is_confirmed_by_one_get(
    known: bool,
) -> None:
    """U12: of ``now``, whether HEAD was refused before or is just now."""
    house, origin = scripted()
    if known:
        house.ask(mode=Mode.HEAD)
        refuse_head(origin)
    readers = the_tail_seems_back(house, origin)
    if not known:
        refuse_head(origin)
    confirmed = origin.expect(Purpose.CATCH_UP)
    assert confirmed.request.target == f"{PATH}?offset=now"
    confirmed.reply(data(b"", "0002"))
    own = origin.expect(Purpose.CATCH_UP)
    assert own.request.target == f"{PATH}?offset=0006"
    own.reply(data(b"", "0002"))

    assert {reader.done().status for reader in readers} == {200}
    assert {r.sink.header("Stream-Next-Offset") for r in readers} == {"0002"}
    assert house.counters.drops["tail-went-back"] == 1
    assert len(origin.calls) == 5


def test_without_head_a_tail_that_only_seemed_to_go_back_is_still_there() -> None:
    """U12: a replica that lags."""
    house, origin = scripted()
    readers = the_tail_seems_back(house, origin)
    refuse_head(origin)
    origin.expect().reply(data(b"", "0006"))

    assert {r.done().header("Stream-Next-Offset") for r in readers} == {"0006"}
    assert not house.counters.drops
    assert len(origin.calls) == 4


def test_a_head_that_tells_of_no_stream_confirms_no_going_back() -> None:
    """U12: it is as if it had been refused."""
    house, origin = scripted()
    readers = the_tail_seems_back(house, origin)
    origin.expect().answer(200, [("content-type", "text/html")])
    call = origin.expect(Purpose.CATCH_UP)
    assert call.request.target == f"{PATH}?offset=now"
    call.reply(data(b"", "0006"))

    assert {r.done().header("Stream-Next-Offset") for r in readers} == {"0006"}
    assert len(origin.calls) == 4


def test_a_first_sign_by_now_is_no_confirmation() -> None:
    """L2: one more GET is, that was sent after it."""
    house, origin = scripted()
    house.ask(mode=Mode.HEAD)
    refuse_head(origin)
    warm(house, origin, b"abcdef")
    viewer = house.poll("now")
    origin.expect().reply(data(b"", "0002"))
    settle()
    assert not house.counters.drops
    origin.expect().reply(data(b"", "0002"))
    origin.expect().reply(data(b"", "0002"))
    poll = origin.expect(Purpose.FOLLOW)

    assert poll.request.target == f"{PATH}?offset=0002&live=long-poll"
    assert viewer.waits
    assert house.counters.drops["tail-went-back"] == 1


def test_where_now_cannot_confirm_each_reader_asks_for_itself() -> None:
    """U12: an origin that takes neither."""
    house, origin = scripted()
    readers = the_tail_seems_back(house, origin)
    refuse_head(origin)
    origin.expect().answer(400, (), b"what is now?")
    for reader in readers:
        relay = origin.expect(Purpose.RELAY)
        assert relay.request.target == f"{PATH}?offset=0006"
        relay.reply(data(b"", "0002"))
        assert reader.done().status == 200

    assert not house.counters.drops


def test_an_old_answer_that_comes_late_is_no_sign_of_going_back() -> None:
    """L2: sent before the tail was learnt, it may well end before it."""
    house, origin = scripted()
    warm(house, origin)
    slow = house.ask()
    late = origin.expect()
    house.wrote("POST", 204, stream_next_offset="0005")
    quick = house.ask("now")
    origin.expect().reply(data(b"", "0005"))
    quick.done()
    late.reply(data(b"", "0003"))

    assert slow.done().body == b"abc"
    assert slow.sink.header("Stream-Up-To-Date") is None
    assert not house.counters.drops


def test_a_read_that_finds_another_stream_makes_the_other_keys_confirm() -> None:
    """L5: 404 or other bytes act on one key; the rest of the path asks again."""
    house, origin = scripted(**QUICK)
    warm(house, origin)
    key = house.key(partition=ALICE)
    hers = house.ask(key=key)
    origin.expect().reply(data(b"abc", "0003"))
    hers.done()
    mine = house.ask()
    origin.expect().answer(404, NOT_FOUND, b"Stream not found")
    assert mine.done().status == 404

    again = house.ask(key=key)
    probe = origin.expect()
    assert probe.request.target == f"{PATH}?offset=-1"
    probe.reply(data(b"xyz", "0003"))
    origin.expect().reply(data(b"xyz", "0003"))
    assert again.done().body == b"xyz"
