"""What a write says of the keys of its path: U13, U5; L4 and L5 beside them."""

import pytest

from edge.core.errors import OriginUnreachable
from edge.core.values import Mode, Purpose, StreamKey, WriteOutcome
from origin_adapter.scripted import (
    Call,
    ScriptedOrigin,
    data,
    head_answer,
    no_content,
)
from tests.live.support import (
    ALICE,
    BOB,
    PATH,
    House,
    scripted,
    settle,
    warm,
    watch,
)
from tests.support.options import rules

AWARENESS = "awareness=x"
PATIENT = rules(verify=1000.0)
"""Nothing is read for its age."""


def is_hit(house: House, offset: str = "0003") -> bool:
    """Whether a read of the tail is answered from here, with the claim."""
    asked = house.ask(offset)
    if asked.waits:
        return False
    sink = asked.done()
    return sink.how == "hit" and sink.header("Stream-Up-To-Date") == "true"


def held(house: House, origin: ScriptedOrigin, key: StreamKey) -> None:
    """``abc`` is held at this key."""
    asked = house.ask(key=key)
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))
    assert asked.done().body == b"abc"


def proven(house: House, origin: ScriptedOrigin) -> Call:
    """A stream is followed, by the poll that is returned, and one awareness write left
    its tail where it was."""
    _, poll = watch(house, origin)
    house.clock.move(0.01)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0900")
    asked = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    asked.done()
    return poll


# U13: writes at other extension parameters


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE])
def test_a_write_elsewhere_costs_one_read_and_moves_nothing(mode: Mode) -> None:
    """U13: its offset is another stream's. It is beyond anything that comes here."""
    house, origin = scripted()
    watch(house, origin)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0900")
    reader = house.ask("0003", mode)
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    settle()

    assert is_hit(house), "the poll is on the wire still"
    assert len(origin.calls) == 3
    if mode is Mode.CATCH_UP:
        assert reader.done().header("Stream-Up-To-Date") == "true"
    elif mode is Mode.SSE:
        assert reader.sink.events[0][1]["upToDate"] is True
    else:
        assert reader.waits


def test_a_write_elsewhere_to_the_same_stream_after_all_is_read() -> None:
    """L4: an origin may ignore parameters. The writer reads what it wrote."""
    house, origin = scripted()
    watch(house, origin)
    house.wrote("POST", 204, "x=1", stream_next_offset="0005")
    reader = house.ask("0003")
    assert reader.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))
    assert reader.done().body == b"de"

    house.wrote("POST", 204, "x=1", stream_next_offset="0007")
    again = house.ask("0005")
    assert again.waits, "it is not taken for another stream's"


def test_ten_writes_a_second_elsewhere_are_nothing_to_a_followed_stream() -> None:
    """U13: once proven. No asking, no disarming, no kick."""
    house, origin = scripted()
    proven(house, origin)
    before = len(origin.calls)
    for number in range(100):
        house.clock.move(0.1)
        house.wrote("POST", 204, AWARENESS, stream_next_offset=f"{1000 + number}")
        assert is_hit(house)
        if number == 50:
            house.wrote("POST", None, AWARENESS)
            assert is_hit(house)

    assert len(origin.calls) == before


def test_a_proof_is_renewed_after_a_minute_by_one_read() -> None:
    """U13: the origin may have changed what its parameters mean."""
    house, origin = scripted(hold=1000.0, rules=PATIENT)
    proven(house, origin)
    house.clock.move(59.0)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0910")
    assert is_hit(house)
    house.clock.move(1.5)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0920")
    asked = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))

    assert asked.done().header("Stream-Up-To-Date") == "true"
    house.clock.move(1.0)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0930")
    assert is_hit(house)


def test_what_is_proven_of_some_parameters_says_nothing_of_others() -> None:
    """U13: each is asked for by itself."""
    house, origin = scripted()
    proven(house, origin)
    house.clock.move(0.01)
    house.wrote("POST", 204, "awareness=y", stream_next_offset="0900")
    reader = house.ask("0003")
    assert reader.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    assert reader.done().header("Stream-Up-To-Date") == "true"

    house.wrote("POST", 204, "awareness=y", stream_next_offset="0910")
    assert is_hit(house)


def test_a_write_to_this_stream_that_its_poll_overtook_proves_nothing() -> None:
    """U13: 1: it begins, by another name; 2: the poll brings it, and one after it;
    3: it is acknowledged. That the tail stands still from then on is no wonder."""
    house, origin = scripted()
    _, poll = watch(house, origin)
    route, begun_at = house.options.routes[0].match, house.clock.monotonic()
    named = (("stream-next-offset", "0005"),)
    write = WriteOutcome(route, PATH, "x=1", "POST", 204, named, begun_at)
    house.clock.move(0.01)
    poll.reply(data(b"defg", "0007"))
    origin.expect(Purpose.FOLLOW)
    house.clock.move(0.01)
    house.hub.wrote(write)
    reader = house.ask("0007")
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0007"))
    reader.done()

    house.wrote("POST", 204, "x=1", stream_next_offset="0009")
    assert house.ask("0007").waits


def test_a_document_that_grows_keeps_its_proofs() -> None:
    """U13: people type while others move about."""
    house, origin = scripted()
    poll = proven(house, origin)
    house.wrote("POST", 204, stream_next_offset="0005")
    poll.reply(data(b"de", "0005"))
    origin.expect(Purpose.FOLLOW)
    settle()
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0910")

    assert is_hit(house, "0005")


def test_a_write_of_its_own_is_read_among_all_those_elsewhere() -> None:
    """L4: what is ignored is the other parameters' alone."""
    house, origin = scripted()
    poll = proven(house, origin)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0910")
    house.wrote("POST", 204, stream_next_offset="0005")
    reader = house.ask("0003")
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0920")
    assert reader.waits
    poll.reply(data(b"de", "0005"))

    assert reader.done().body == b"de"


def test_a_read_on_its_way_is_no_answer_to_who_comes_after_the_write() -> None:
    """L4: judged by the answer, whatever the parameters."""
    house, origin = scripted()
    warm(house, origin)
    early = house.ask("0003")
    old = origin.expect()
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0900")
    late = house.ask("0003")
    old.reply(data(b"", "0003"))
    assert early.done().status == 200
    assert late.waits

    origin.expect().reply(data(b"", "0003"))
    assert late.done().header("Stream-Up-To-Date") == "true"


def test_a_close_elsewhere_closes_nothing_here() -> None:
    """U13: it is a doubt, as any other write."""
    house, origin = scripted()
    viewer, _ = watch(house, origin)
    house.wrote("POST", 204, AWARENESS, stream_closed="true", stream_next_offset="0003")
    settle()
    assert viewer.waits

    reader = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    assert reader.done().header("Stream-Closed") is None


def test_a_refusal_that_names_a_closed_end_elsewhere_is_nothing_here() -> None:
    """U13: it was refused, so it moved nothing."""
    house, origin = scripted()
    watch(house, origin)
    house.wrote("POST", 409, AWARENESS, stream_closed="true", stream_next_offset="0003")

    assert is_hit(house)


def test_a_write_elsewhere_does_not_end_a_back_off() -> None:
    """U13: that the origin takes it says nothing of this stream."""
    house, origin = scripted(backoff_first=1000.0, backoff_max=1000.0)
    _, poll = watch(house, origin)
    poll.cut()
    settle()
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0900")
    settle()

    origin.assert_quiet()


def test_the_keys_of_the_writers_own_parameters_take_its_offset() -> None:
    """L4: of every partition, and whatever their credentials are (U13)."""
    house, origin = scripted()
    signed = "awareness=x&expires=1900000000&signature=reader"
    keys = [
        house.key(extension=AWARENESS),
        house.key(extension=signed, partition=ALICE),
        house.key(extension=AWARENESS, partition=BOB),
    ]
    for key in keys:
        held(house, origin, key)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0005")

    for key in keys:
        reader = house.ask(key=key)
        fetch = origin.expect()
        assert "offset=0003" in fetch.request.target
        fetch.reply(data(b"de", "0005"))
        assert reader.done().body == b"abcde"
        assert "newer-write" in reader.sink.how


def test_create_and_delete_elsewhere_begin_a_new_incarnation_here() -> None:
    """L5: whatever the parameters; a log that is dropped for nothing is read again."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("DELETE", 204, AWARENESS)
    house.ask()

    assert origin.expect().request.target == f"{PATH}?offset=-1"


# U5: writes that were answered 5xx


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_an_append_that_failed_may_have_happened(status: int) -> None:
    """U5: as if its answer were lost; what a 5xx names is no place of it."""
    house, origin = scripted()
    watch(house, origin)
    house.wrote("POST", status, stream_next_offset="0003", stream_closed="true")
    reader = house.ask("0003")

    assert reader.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))
    assert reader.done().body == b"de"
    assert reader.sink.header("Stream-Closed") is None


def test_an_append_that_failed_costs_one_read() -> None:
    """U5: the poll is on the wire still."""
    house, origin = scripted()
    watch(house, origin)
    house.wrote("POST", 503)
    reader = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    reader.done()

    assert is_hit(house)


def test_an_append_elsewhere_that_failed_proves_nothing() -> None:
    """U5, U13: it may not have happened, so that the tail stands still says nothing."""
    house, origin = scripted()
    watch(house, origin)
    house.clock.move(0.01)
    house.wrote("POST", 500, AWARENESS, stream_next_offset="0900")
    reader = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    reader.done()
    house.clock.move(0.01)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0900")

    assert not is_hit(house)


@pytest.mark.parametrize("status", [500, None])
def test_a_failed_append_is_no_news_of_an_origin_that_is_well(
    status: int | None,
) -> None:
    """L21: only an acknowledged write ends a back-off."""
    house, origin = scripted(backoff_first=1000.0, backoff_max=1000.0)
    _, poll = watch(house, origin)
    poll.cut()
    settle()
    house.wrote("POST", status)
    settle()

    origin.assert_quiet()


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_create_or_delete_that_failed_makes_every_key_confirm(method: str) -> None:
    """U5: confirmed before the next byte, whatever the parameters; nothing is
    dropped."""
    house, origin = scripted()
    keys = [
        house.key(),
        house.key(extension=AWARENESS),
        house.key(partition=ALICE),
    ]
    for key in keys:
        held(house, origin, key)
    house.wrote(method, 503, AWARENESS)

    for key in keys:
        reader = house.ask(key=key)
        assert reader.waits
        # From before the end (L7): a stream that was made anew would differ.
        origin.expect().reply(data(b"abc", "0003"))
        assert reader.done().body == b"abc"
    assert not house.counters.drops


def test_a_delete_that_failed_and_happened_is_found_by_the_check() -> None:
    """U5: by the bytes, even if the stream was made anew at once."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("DELETE", 504)
    reader = house.ask()
    origin.expect().reply(data(b"XYZ", "0003"))
    origin.expect().reply(data(b"XYZ", "0003"))

    assert reader.done().body == b"XYZ"
    assert house.counters.drops["bytes-differ"] == 1


def test_a_read_sent_before_a_delete_that_failed_confirms_nothing() -> None:
    """L6: what it shows may be the stream that was deleted."""
    house, origin = scripted()
    warm(house, origin)
    early = house.ask("0003")
    old = origin.expect()
    house.wrote("DELETE", 500)
    old.reply(data(b"", "0003"))
    settle()
    assert early.waits

    origin.expect().answer(404, (("content-type", "text/plain"),), b"gone")
    assert early.done().status == 404


def test_after_a_delete_that_failed_an_origin_that_is_away_leaves_it_stale() -> None:
    """U5, L6: nothing was dropped; it goes out without claims."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("DELETE", 503)
    reader = house.ask()
    origin.expect().fail(OriginUnreachable("gone too"))

    assert reader.done().body == b"abc"
    assert reader.sink.how.endswith("stale")
    assert reader.sink.header("Stream-Up-To-Date") is None


def test_in_doubt_who_waits_for_an_origin_that_is_away_is_told_nothing() -> None:
    """U2, U5, U8: it is parked, and its time-out says neither that it has all nor that
    the stream is there. Once the origin is back, it is told."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("DELETE", 503)
    viewer = house.poll("0003")
    origin.expect(Purpose.CATCH_UP).fail(OriginUnreachable("gone too"))
    settle()
    assert viewer.waits
    house.pass_time(30.0)

    assert viewer.done().status == 204
    assert viewer.sink.header("Stream-Up-To-Date") is None
    again = house.poll("0003")
    origin.expect(Purpose.CATCH_UP).answer(404, (), b"no such stream")
    assert again.done().status == 404


def test_a_poll_from_before_a_delete_that_failed_vouches_for_nothing() -> None:
    """L3: until a read that was sent after it has ended where the poll waits."""
    house, origin = scripted()
    viewer, _ = watch(house, origin)
    house.wrote("DELETE", 503)
    house.pass_time(30.0)

    assert viewer.done().status == 204
    assert viewer.sink.header("Stream-Up-To-Date") is None


@pytest.mark.parametrize(
    ("method", "status"),
    [
        *(("POST", status) for status in (304, 400, 403, 404, 409, 413)),
        *(("PUT", status) for status in (200, 400, 403, 409)),
        *(("DELETE", status) for status in (403, 404, 405)),
        *(("PATCH", status) for status in (200, 500, None)),
    ],
)
@pytest.mark.parametrize("extension", ["", AWARENESS])
def test_what_was_refused_changes_nothing(
    method: str, status: int | None, extension: str
) -> None:
    """L5: by any parameters."""
    house, origin = scripted()
    watch(house, origin)
    house.wrote(method, status, extension)

    assert is_hit(house)
    assert len(origin.calls) == 2


def test_a_204_of_the_poll_proves_it_too() -> None:
    """U13: no reader is needed where the follower asks anyway."""
    house, origin = scripted()
    _, poll = watch(house, origin)
    house.clock.move(0.01)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0900")
    house.clock.move(20.0)
    poll.reply(no_content("0003"))
    again = origin.expect(Purpose.FOLLOW)
    house.clock.move(20.0)
    again.reply(no_content("0003"))
    origin.expect(Purpose.FOLLOW)
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0910")

    assert is_hit(house)


def test_a_cold_open_is_not_spoilt_by_writes_elsewhere() -> None:
    """L20: one HEAD and one poll, and nobody is relayed."""
    house, origin = scripted()
    viewers = [house.view("0003") for _ in range(10)]
    head = origin.expect()
    house.wrote("POST", 204, AWARENESS, stream_next_offset="0900")
    head.reply(head_answer("0003"))
    poll = origin.expect(Purpose.FOLLOW)
    settle()
    assert len(origin.calls) == 2
    poll.reply(data(b"de", "0005"))
    settle()

    for viewer in viewers:
        assert ("data", "de") in viewer.sink.events


@pytest.mark.parametrize("closed", [None, "true"])
def test_an_answer_to_a_write_of_another_life_brings_no_offset_back(
    closed: str | None,
) -> None:
    """L5. 1: an append is sent; 2: the stream is deleted, and made again; 3: the answer
    to 1 is heard, which names an end that was the old one's. Whoever comes then sees
    what was asked for since, and waits for no such end."""
    house, origin = scripted(rules=PATIENT)
    warm(house, origin)
    begun_at = house.clock.monotonic()
    house.clock.move(1.0)
    house.wrote("DELETE", 204)
    house.wrote("PUT", 201)
    fields = (("stream-next-offset", "0900"), ("stream-closed", closed or "false"))
    route = house.options.routes[0].match
    house.hub.wrote(WriteOutcome(route, PATH, "", "POST", 204, fields, begun_at))
    asked = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"new", "0003"))

    assert asked.done().body == b"new"
    (stream,) = house.hub.streams
    assert stream.log.tail.offset == "0003" and not stream.log.tail.closed
    assert not stream.log.knows("0900")


def test_a_write_that_was_begun_in_this_life_counts_by_its_offset() -> None:
    house, origin = scripted(rules=PATIENT)
    house.clock.move(1.0)
    house.wrote("PUT", 201)
    warm(house, origin)
    house.clock.move(1.0)
    house.wrote("POST", 204, stream_next_offset="0005")
    asked = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))

    assert asked.done().body == b"de"
