"""Readers above the end of what is held: one read a second tells all of them (U14).

The stream holds ``abc`` up to 0003. Who stands above it knows more than this edge does,
or has made its offset up, or its stream was lost and made again.
"""

import pytest

from edge.core.errors import OriginUnreachable
from edge.core.reasons import Reason
from edge.core.values import Mode, Purpose
from edge.live.hub import MAX_ROUNDS
from edge.live.rows import Stream
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer
from tests.live.support import (
    ALICE,
    BOB,
    PATH,
    Asked,
    House,
    scripted,
    settle,
    warm,
    watch,
)

MODES = pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE])
LIVE = pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
ECHO, AT_END = data(b"", "0009"), data(b"", "0003")


def described() -> tuple[House, ScriptedOrigin]:
    """A stream that is held, and that a live reader was told of. Nobody is here, and
    nobody has asked above its end."""
    house, origin = scripted(linger=0.0)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    assert viewer.pending is not None
    viewer.pending.gone()
    house.pass_time(0.25)
    assert poll.closed.is_set()
    return house, origin


def asked_from(origin: ScriptedOrigin, start: str) -> Call:
    """The next call, which is a read from ``start`` that does not wait."""
    call = origin.expect(Purpose.CATCH_UP)
    assert call.request.target == f"{PATH}?offset={start}"
    return call


def place(house: House, origin: ScriptedOrigin, mode: Mode = Mode.LONG_POLL) -> Asked:
    """A reader at 0009: a delta, and a second later it may ask for itself."""
    asked = house.ask("0009", mode)
    asked_from(origin, "0003").reply(AT_END)
    settle()
    origin.assert_quiet()
    house.pass_time(1)
    return asked


def answered(house: House, origin: ScriptedOrigin) -> None:
    """It is known that the origin puts guesses at the end."""
    asked = place(house, origin)
    asked_from(origin, "0009").reply(AT_END)
    assert told(asked) == ("0003", True)


def told(asked: Asked) -> tuple[object, ...]:
    """What a reader was told, in any mode: where it is, and whether that is all."""
    sink = asked.done()
    if asked.sink.written:
        ((kind, control),) = sink.events
        assert kind == "control" and sink.finished
        return control["streamNextOffset"], control.get("upToDate", False)
    assert (sink.status, sink.body) in ((200, b""), (204, b""))
    return (
        sink.header("Stream-Next-Offset"),
        sink.header("Stream-Up-To-Date") == "true",
    )


# Where the origin puts them


@MODES
def test_who_is_put_at_the_end_is_told_at_once_and_never_parked(mode: Mode) -> None:
    """By a 200, a 204, or a control event with the end of the event stream."""
    house, origin = described()
    asked = place(house, origin, mode)
    asked_from(origin, "0009").reply(AT_END)

    assert told(asked) == ("0003", True)
    assert not house.hub.viewers and not house.hub.followers


def test_one_delta_and_one_guess_tell_a_crowd_whatever_they_made_up() -> None:
    house, origin = described()
    modes = (Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE)
    crowd = [house.ask(f"{9 - n % 5:04d}", modes[n % 3]) for n in range(60)]
    asked_from(origin, "0003").reply(AT_END)
    settle()
    house.pass_time(1)
    origin.expect(Purpose.CATCH_UP).reply(AT_END)

    assert {told(asked) for asked in crowd} == {("0003", True)}
    origin.assert_quiet()
    assert not house.counters.passes
    # What one guess has shown is true of the next ones, too: a delta is enough.
    house.clock.move(5)
    late = [house.ask(f"{n:04d}", Mode.LONG_POLL) for n in range(5, 9)]
    asked_from(origin, "0003").reply(AT_END)
    assert {told(asked) for asked in late} == {("0003", True)}


def test_an_origin_without_claims_is_repeated_without_them() -> None:
    """L3."""
    unclaimed = data(b"", "0003", up_to_date=False)
    house, origin = described()
    asked = house.poll("0009")
    asked_from(origin, "0003").reply(unclaimed)
    settle()
    house.pass_time(1)
    asked_from(origin, "0009").reply(unclaimed)

    assert told(asked) == ("0003", False)


@LIVE
def test_who_is_echoed_waits_unclaimed_to_its_own_deadline(mode: Mode) -> None:
    """Without a read of its own, whoever else grows the stream."""
    house, origin = described()
    asked = place(house, origin, mode)
    asked_from(origin, "0009").reply(ECHO)
    poll = origin.expect(Purpose.FOLLOW)
    other = house.ask("0008", mode)
    poll.reply(data(b"d", "0004"))
    origin.expect(Purpose.FOLLOW)
    settle()
    for _ in range(3):
        house.pass_time(1)
    assert asked.waits and other.waits
    origin.assert_quiet()

    house.pass_time(60)
    offsets = []
    for waits in (asked, other):
        sink = waits.done()
        if mode is Mode.LONG_POLL:
            assert sink.status == 204 and sink.header("Stream-Up-To-Date") is None
            offsets.append(sink.header("Stream-Next-Offset"))
        else:
            (control,) = {kind: told for kind, told in sink.events}.values()
            assert "upToDate" not in control
            offsets.append(control["streamNextOffset"])
    assert offsets == ["0009", "0008"]


@LIVE
def test_who_waits_where_it_was_echoed_is_served_once_the_stream_is_there(
    mode: Mode,
) -> None:
    """The offset was minted after all: then it is one as any other."""
    house, origin = described()
    asked = place(house, origin, mode)
    asked_from(origin, "0009").reply(ECHO)
    origin.expect(Purpose.FOLLOW).reply(data(b"defghi", "0009"))
    poll = origin.expect(Purpose.FOLLOW)
    settle()
    assert asked.waits
    poll.reply(data(b"jk", "0011"))
    origin.expect(Purpose.FOLLOW)

    if mode is Mode.LONG_POLL:
        assert asked.done().body == b"jk"
    else:
        settle()
        assert ("data", "jk") in asked.sink.events


def test_a_catch_up_read_that_is_echoed_gets_the_origins_own_answer() -> None:
    """Others at other offsets get the like of it."""
    house, origin = described()
    asked = place(house, origin, Mode.CATCH_UP)
    asked_from(origin, "0009").reply(data(b"", "0009", up_to_date=False))
    assert told(asked) == ("0009", False)

    house.clock.move(1)
    other = house.ask("0008")
    asked_from(origin, "0003").reply(AT_END)
    assert told(other) == ("0008", False)


@MODES
def test_a_message_that_began_before_the_guess_is_given_whole(mode: Mode) -> None:
    """O22: the guess was inside a message that this edge had not read."""
    house, origin = described()
    asked = house.ask("0005", mode)
    asked_from(origin, "0003").reply(data(b"defghi", "0009"))
    asked_from(origin, "0005").reply(data(b"defghi", "0009"))
    settle()

    if mode is Mode.SSE:
        assert ("data", "defghi") in asked.sink.events
    else:
        assert asked.done().body == b"defghi"


@MODES
def test_a_status_is_for_those_at_that_offset_and_no_others(mode: Mode) -> None:
    """Or one client could have others refused, by an offset that is no offset."""
    house, origin = described()
    crowd = {at: [house.ask(at, mode) for _ in range(3)] for at in ("0008", "0009")}
    asked_from(origin, "0003").reply(AT_END)
    settle()
    house.pass_time(1)
    call = origin.expect(Purpose.CATCH_UP)
    refused = call.request.target.removeprefix(f"{PATH}?offset=")
    call.answer(400, (), b"no offset")
    assert {asked.done().status for asked in crowd.pop(refused)} == {400}

    ((at, others),) = crowd.items()
    settle()
    assert all(asked.waits for asked in others)
    house.pass_time(1)
    asked_from(origin, at).reply(AT_END)
    assert {told(asked) for asked in others} == {("0003", True)}


@pytest.mark.parametrize("status", [404, 410])
def test_a_stream_that_is_gone_is_told_to_all_whatever_they_made_up(
    status: int,
) -> None:
    house, origin = described()
    modes = (Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE)
    crowd = [house.ask(f"{9 - n % 5:04d}", modes[n % 3]) for n in range(60)]
    asked_from(origin, "0003").answer(status, (), b"gone")

    assert {asked.done().status for asked in crowd} == {status}
    assert house.counters.drops == {"gone": 1}


def test_a_guess_that_is_not_found_raises_a_doubt_and_no_more() -> None:
    """L1, L5: the end is asked again, and is still there."""
    house, origin = described()
    asked = place(house, origin)
    call = asked_from(origin, "0009")
    other = house.poll("0008")
    call.answer(404, (), b"no such offset")
    assert asked.done().status == 404
    house.pass_time(1)
    asked_from(origin, "-1").reply(data(b"abc", "0003"))
    settle()
    house.pass_time(1)
    asked_from(origin, "0008").reply(AT_END)

    assert told(other) == ("0003", True)
    assert not house.counters.drops


# How often


@MODES
def test_who_comes_from_elsewhere_gets_its_bytes_at_once(mode: Mode) -> None:
    """Its offset is simply newer than this edge is."""
    house, origin = described()
    newer = house.ask("0005", mode)
    asked_from(origin, "0003").reply(data(b"defg", "0007"))
    settle()
    asked_from(origin, "0005").reply(data(b"fg", "0007"))
    settle()

    if mode is Mode.SSE:
        assert newer.sink.events[0] == ("data", "fg")
    else:
        assert newer.done().body == b"fg"


def test_the_second_that_comes_waits_for_its_second() -> None:
    house, origin = described()
    first = house.ask("0005")
    asked_from(origin, "0003").reply(data(b"de", "0005"))
    settle()
    assert told(first) == ("0005", True)
    second = house.ask("0007")
    settle()
    origin.assert_quiet()
    house.pass_time(0.75)
    origin.assert_quiet()

    house.pass_time(0.25)
    asked_from(origin, "0005").reply(data(b"fg", "0007"))
    assert told(second) == ("0007", True)


def test_what_the_poll_brings_ends_the_wait_for_the_second() -> None:
    """A followed stream costs no read, however often its readers are ahead of it."""
    house, origin = scripted()
    warm(house, origin)
    _, poll = watch(house, origin)
    first = house.ask("0004")
    asked_from(origin, "0003").reply(data(b"d", "0004"))
    assert told(first) == ("0004", True)
    second = house.poll("0006")
    settle()
    poll.reply(data(b"def", "0006"))
    poll = origin.expect(Purpose.FOLLOW)
    settle()
    assert second.waits
    poll.reply(data(b"g", "0007"))

    assert second.done().body == b"g"


def test_an_older_answer_tells_nobody_a_smaller_offset() -> None:
    """1: a guess is sent, and answered there; 2: the stream grows up to it; 3: a reader
    comes, who knows; 4: the answer is heard, which does not."""
    house, origin = described()
    asked = place(house, origin)
    call = asked_from(origin, "0009")
    newer = house.poll("0009")
    call.reply(AT_END)
    assert told(asked) == ("0003", True)
    settle()
    assert newer.waits

    house.pass_time(1)
    asked_from(origin, "0003").reply(data(b"defghi", "0009"))
    origin.expect(Purpose.FOLLOW)
    assert newer.waits


def test_an_older_answer_to_the_same_guess_is_for_who_came_before_it() -> None:
    """The same, where nothing is held."""
    house, origin = scripted()
    asked = house.ask("0009")
    call = asked_from(origin, "0009")
    newer = house.ask("0009")
    call.reply(AT_END)
    assert told(asked) == ("0003", True)
    asked_from(origin, "0009").reply(ECHO)

    assert told(newer) == ("0009", True)


def test_an_older_answer_takes_no_viewer_back_that_was_given_more_meanwhile() -> None:
    """1: a delta is sent, and answered there; 2: the stream grows; 3: a viewer's own
    read brings it all; 4: the answer to the delta is heard, which knows less."""
    house, origin = described()
    answered(house, origin)
    house.pass_time(1)
    view = house.view("0005")
    asked_from(origin, "0003").reply(data(b"defg", "0007"))
    own = asked_from(origin, "0005")
    other = house.ask("0008")
    settle()
    house.pass_time(1)
    delta = asked_from(origin, "0007")
    own.reply(data(b"fghi", "0009"))
    settle()
    assert view.sink.events[0] == ("data", "fghi")
    delta.reply(data(b"", "0007"))
    assert told(other) == ("0007", True)

    house.pass_time(1)
    asked_from(origin, "0007").reply(data(b"hi", "0009"))
    settle()
    ends = {told["streamNextOffset"] for kind, told in view.sink.events[1:]}
    assert view.waits and ends == {"0009"}


def test_who_reads_its_own_write_waits_for_no_second() -> None:
    """L4: its offset is no guess."""
    house, origin = described()
    guess = house.ask("0009")
    asked_from(origin, "0003").reply(AT_END)
    settle()
    house.wrote("POST", 204, stream_next_offset="0005")
    writer = house.ask("0005")
    asked_from(origin, "0003").reply(data(b"de", "0005"))

    assert told(writer) == ("0005", True)
    assert guess.waits


def test_who_reads_its_own_write_asks_for_it_at_once_where_a_delta_lacks_it() -> None:
    """L4: the delta came from a replica that lags."""
    house, origin = described()
    house.ask("0009")
    asked_from(origin, "0003").reply(AT_END)
    settle()
    house.wrote("POST", 204, stream_next_offset="0005")
    writer = house.ask("0005")
    asked_from(origin, "0003").reply(AT_END)
    asked_from(origin, "0005").reply(data(b"", "0005"))

    assert told(writer) == ("0005", True)


def test_who_is_told_nothing_by_many_answers_is_refused() -> None:
    """An origin that refuses each guess by itself: nobody waits for ever."""
    house, origin = described()
    crowd = [house.poll(f"{n:04d}") for n in range(1000, 1100)]
    for _ in range(MAX_ROUNDS):
        call = origin.expect(Purpose.CATCH_UP)
        if call.request.target == f"{PATH}?offset=0003":
            call.reply(AT_END)
        else:
            call.answer(400, (), b"no offset")
        settle()
        house.pass_time(1)
    settle()

    assert not any(asked.waits for asked in crowd)
    refused = [asked.sink.error for asked in crowd if asked.sink.error is not None]
    assert {(error.reason.value, error.status) for error in refused} == {
        ("limit-above-end", 503)
    }
    assert house.counters.refusals["limit-above-end"] == len(refused) == 95
    assert not house.counters.passes


def test_beyond_the_end_of_a_page_nobody_waits_for_a_second() -> None:
    """Readers come back to a long stream of which its first page is held (O23)."""
    house, origin = scripted()
    first = house.ask()
    asked_from(origin, "-1").reply(data(b"abc", "0003", up_to_date=False))
    first.done()
    crowd = {at: house.ask(at) for at in ("0007", "0011", "0015")}
    for at in crowd:
        asked_from(origin, at).reply(data(b"more", "0019"))

    assert {asked.done().body for asked in crowd.values()} == {b"more"}


@LIVE
def test_an_echo_of_an_offset_that_is_not_above_the_end_is_waited_for_too(
    mode: Mode,
) -> None:
    """An origin that contradicts itself: the offset lies within what it has given."""
    house, origin = scripted()
    warm(house, origin, b"abcdef")
    watch(house, origin, "0006")
    asked = house.ask("0004", mode)
    asked_from(origin, "0004").reply(data(b"", "0004"))
    settle()
    assert asked.waits

    house.pass_time(60)
    if mode is Mode.LONG_POLL:
        assert told(asked) == ("0004", False)
    assert not house.counters.passes


# Who waits


@LIVE
@pytest.mark.parametrize("closed", [False, True])
def test_who_stands_at_a_new_end_within_an_old_log_ends_that_log(
    mode: Mode, closed: bool
) -> None:
    """L2: the stream was made again, and is shorter. Polls from the old end and reads
    of the reader's own offset would follow each other for ever, as fast as they can."""
    house, origin = scripted()
    asked = house.ask()
    origin.expect().reply(data(b"abcdefghij", "0010", closed=closed))
    asked.done()
    asked = house.ask("0003", mode)
    origin.expect().reply(head_answer("0010", closed=closed))
    asked_from(origin, "0003").reply(data(b"", "0003"))
    if not closed:
        poll = origin.expect(Purpose.FOLLOW)
        assert poll.request.target.startswith(f"{PATH}?offset=0010&live")
        poll.reply(data(b"", "0003"))
        asked_from(origin, "0003").reply(data(b"", "0003"))
    head = origin.expect(Purpose.CATCH_UP)
    assert head.request.method == "HEAD"
    head.reply(head_answer("0003"))
    if mode is Mode.SSE and not closed:
        # It has begun: no event stream shows two incarnations (L5).
        assert asked.done().finished
    else:
        poll = origin.expect(Purpose.FOLLOW)
        assert poll.request.target.startswith(f"{PATH}?offset=0003&live")
        assert asked.waits
    assert house.counters.drops == {"tail-went-back": 1}


def test_two_credentials_ask_each_for_themselves() -> None:
    """L13."""
    house, origin = scripted()
    keys = [house.key(partition=partition) for partition in (ALICE, BOB)]
    for key in keys:
        house.ask(key=key)
        origin.expect().reply(data(b"abc", "0003"))
        settle()
    asked = [house.ask("0009", key=key) for key in keys]
    deltas = [asked_from(origin, "0003") for _ in asked]
    sent = [dict(call.request.headers)["authorization"] for call in deltas]
    assert sent == ["alice", "bob"]
    deltas[0].reply(AT_END)
    deltas[1].answer(403, (), b"not you")

    assert asked[1].done().status == 403
    assert asked[0].waits


@LIVE
def test_at_a_guess_a_live_reader_outwaits_an_outage_for_two_seconds(
    mode: Mode,
) -> None:
    """U2: as one does of whose stream nothing is known."""
    house, origin = described()
    asked = house.ask("0009", mode)
    asked_from(origin, "0003").fail(OriginUnreachable("nobody answers"))
    settle()
    assert asked.waits
    for _ in range(12):
        house.pass_time(0.25)
        for call in [c for c in list(origin._waiting) if not c.closed.is_set()]:
            origin.expect()
            call.fail(OriginUnreachable("nobody answers"))
        settle()

    error = asked.done().error
    assert error is not None and error.status == 502


@LIVE
def test_who_was_echoed_stays_parked_while_the_origin_is_away(mode: Mode) -> None:
    house, origin = described()
    asked = place(house, origin, mode)
    asked_from(origin, "0009").reply(ECHO)
    origin.expect(Purpose.FOLLOW).cut()
    settle()
    house.hub._wakeup.wake(row(house))
    settle()

    assert asked.waits


def row(house: House) -> Stream:
    return house.hub.streams.obtain(house.key())


def test_who_leaves_while_it_waits_is_asked_for_no_more() -> None:
    house, origin = described()
    first = house.ask("0009")
    asked_from(origin, "0003").reply(AT_END)
    settle()
    for asked in (first, late := house.poll("0008")):
        assert asked.pending is not None
        asked.pending.gone()
    house.pass_time(1)
    settle()

    origin.assert_quiet()
    assert late.waits and row(house).idle


def test_an_edge_that_stops_leaves_nobody_waiting_above_the_end() -> None:
    house, origin = described()
    crowd = [house.ask("0009", mode) for mode in Mode if mode is not Mode.HEAD]
    asked_from(origin, "0003").reply(AT_END)
    settle()
    house.hub.stop()
    settle()

    assert not any(asked.waits for asked in crowd)
    assert not house.ask("0009").waits


def test_when_a_drain_is_over_nobody_waits_for_its_second() -> None:
    """E54: it would be cut without a word."""
    house, origin = described()
    first = house.poll("0009")
    asked_from(origin, "0003").reply(AT_END)
    settle()
    crowd = [house.ask("0008", mode) for mode in Mode if mode is not Mode.HEAD]
    settle()
    house.hub.begin_drain()
    assert all(asked.waits for asked in (first, *crowd))
    house.hub.let_go()

    for asked in (first, *crowd):
        error = asked.done().error
        assert error is not None
        assert (error.status, error.reason) == (503, Reason.DRAINING)
    assert not house.hub.viewers
    house.pass_time(1)
    origin.assert_quiet()


# A stream that was lost and made again


@pytest.mark.parametrize("how", ["through-here", "elsewhere"])
def test_viewers_of_a_stream_that_was_made_again_are_told_its_end(how: str) -> None:
    """L2, L5: they are parked at the old end, far above the new one's."""
    house, origin = scripted()
    warm(house, origin, b"abcdef")
    viewer, poll = watch(house, origin, "0006")
    view = house.view("0006")
    settle()
    if how == "through-here":
        house.wrote("PUT", 201)
    else:
        poll.reply(data(b"", "0002"))
        asked_from(origin, "-1").reply(data(b"xy", "0002"))
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0002"))
    asked_from(origin, "0002").reply(data(b"", "0002"))
    settle()
    house.pass_time(1)
    asked_from(origin, "0006").reply(data(b"", "0002"))

    assert told(viewer) == ("0002", True)
    assert view.done().finished
    again = house.poll("0002")
    settle()
    assert again.waits
    assert origin.expect(Purpose.FOLLOW).request.target == (
        f"{PATH}?offset=0002&live=long-poll"
    )


def test_who_waits_for_its_second_is_decided_by_the_new_stream() -> None:
    """L5: the old one's pace is no reason to wait."""
    house, origin = described()
    house.ask("0009")
    asked_from(origin, "0003").reply(AT_END)
    settle()
    late = house.ask("0008")
    house.wrote("PUT", 201)
    house.pass_time(0.25)
    call = origin.expect()
    assert call.request.target in (f"{PATH}?offset=0008", f"{PATH}?offset=0009")
    other = origin.expect()
    for waits in (call, other):
        waits.reply(data(b"new", "0012"))

    assert late.done().body == b"new"


def gone() -> tuple[House, ScriptedOrigin]:
    """A stream is not there, as a HEAD says whose 404 is believed on this route."""
    house, origin = scripted()
    house.poll("0009")
    origin.expect(Purpose.CATCH_UP).answer(404)
    asked_from(origin, "now").answer(404, (), b"gone")
    settle()
    return house, origin


@LIVE
def test_live_readers_of_a_stream_that_is_gone_ask_once_a_second(mode: Mode) -> None:
    """The first one that comes back at once; and a 404 is never an old one (L15)."""
    house, origin = gone()
    first = house.ask("0009", mode)
    head = origin.expect(Purpose.CATCH_UP)
    crowd = [house.ask(f"{n:04d}", mode) for n in range(1, 30)]
    head.answer(404, (), b"gone")
    assert first.done().error or first.sink.status == 404
    crowd += [house.ask(f"{n:04d}", mode) for n in range(30, 60)]
    settle()
    origin.assert_quiet()
    assert all(asked.waits for asked in crowd)

    house.pass_time(1)
    head = origin.expect(Purpose.CATCH_UP)
    assert head.request.method == "HEAD"
    head.answer(404, (), b"gone")
    assert {told_404(asked) for asked in crowd} == {404}
    origin.assert_quiet()


def test_nobody_shares_a_head_from_before_it_came() -> None:
    """L15. 1: a HEAD is sent, and answered there; 2: the stream is made again; 3: live
    readers come; 4: their second is over; 5: the answer is heard."""
    house, origin = gone()
    house.ask("-1", Mode.HEAD)
    old = origin.expect(Purpose.CATCH_UP)
    crowd = [house.poll("0003") for _ in range(3)]
    house.pass_time(1)
    origin.assert_quiet()
    old.answer(404, (), b"gone")
    settle()
    assert all(asked.waits for asked in crowd)

    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"new", "0006"))
    assert {asked.done().body for asked in crowd} == {b"new"}


def told_404(asked: Asked) -> int:
    sink = asked.done()
    return sink.status if sink.error is None else sink.error.status


def test_a_catch_up_read_of_a_stream_that_is_gone_waits_for_nobody() -> None:
    house, origin = gone()
    house.poll("0009")
    origin.expect(Purpose.CATCH_UP).answer(404)
    settle()
    reader = house.ask("-1")

    asked_from(origin, "-1").reply(data(b"new", "0003"))
    assert reader.done().body == b"new"


def test_a_stream_that_is_made_here_is_there_at_once_for_who_waits() -> None:
    """L5."""
    house, origin = gone()
    house.poll("0009")
    origin.expect(Purpose.CATCH_UP).answer(404)
    settle()
    late = house.poll("-1")
    house.wrote("PUT", 201)
    house.pass_time(0.25)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    asked_from(origin, "-1").reply(data(b"new", "0003"))

    assert late.done().body == b"new"


def test_a_no_to_a_poll_ends_an_outage_for_who_comes_back() -> None:
    """U3: the origin is back, and empty. Nobody is told of the outage any more."""
    house, origin = scripted(backoff_first=0.001, backoff_max=0.002)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.fail(OriginUnreachable("nobody answers"))
    asked_from(origin, "-1").fail(OriginUnreachable("nobody answers"))
    asked_from(origin, "-1").answer(404, (), b"gone")
    assert viewer.done().status == 404

    back = house.poll("0003")
    head = origin.expect(Purpose.CATCH_UP)
    assert head.request.method == "HEAD"
    head.answer(404)
    asked_from(origin, "now").answer(404, (), b"gone")
    assert back.done().status == 404
    contact = row(house).contact
    assert contact is None or contact.fault is None
