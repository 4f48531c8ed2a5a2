"""Nothing is claimed or shown before the board was looked at (W5, W6).

The house is one process of a node, and its origin is what it asks: a keeper, where it
is a front. What another process heard, it has stored on the board.
"""

from dataclasses import replace

import pytest

from edge.core.values import Lineage, Mode, Provenance, Purpose, Read, RowWord
from edge.live.followers import POLL_PATIENCE_SECONDS
from edge.live.rows import Stream
from origin_adapter.scripted import data, head_answer, no_content
from tests.live.node_house import NodeHouse, front, keeper
from tests.live.support import PATH, Asked, RecordingSink, settle, warm, watch

LIVE = [Mode.LONG_POLL, Mode.SSE]


def row(node: NodeHouse) -> Stream:
    (stream,) = node.house.hub.streams
    return stream


def up_to_date(asked: Asked) -> str | None:
    return asked.done().header("Stream-Up-To-Date")


# Writes


def test_a_write_through_another_process_is_waited_for_as_ones_own_is() -> None:
    """One request for each event, though its offset is not known here."""
    node = front()
    house, origin = node.house, node.origin
    viewer, poll = watch(house, origin)
    node.keeper.store_write(PATH, "0005")
    readers = [house.ask("0003"), house.poll("0003")]
    settle()
    assert len(origin.calls) == 2 and all(reader.waits for reader in readers)
    poll.reply(data(b"de", "0005"))

    assert {one.done().body for one in (viewer, *readers)} == {b"de"}
    settle()
    assert len(origin.calls) == 3


def test_a_poll_that_does_not_bring_it_is_not_waited_for_long() -> None:
    node = front()
    house, origin = node.house, node.origin
    watch(house, origin)
    node.keeper.store_write(PATH, "0005")
    reader = house.ask("0003")
    settle()
    origin.assert_quiet()
    node.pass_time(POLL_PATIENCE_SECONDS)
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))

    assert reader.done().body == b"de"


def test_who_comes_before_two_writes_are_told_apart_asks() -> None:
    """Of two that are known by sight, one sight cannot tell."""
    node = front()
    house, origin = node.house, node.origin
    watch(house, origin)
    node.keeper.store_write(PATH, "0005")
    house.ask("0003")
    node.other.store_write(PATH, "0007")
    reader = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).reply(data(b"defg", "0007"))

    assert reader.done().body == b"defg"


def test_a_write_that_named_no_offset_is_asked_for_at_once() -> None:
    """Or that was lost: only an answer to a request sent after it shows it."""
    node = front()
    house, origin = node.house, node.origin
    watch(house, origin)
    node.other.store_write(PATH, None)
    reader = house.ask("0003")
    assert reader.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))

    assert up_to_date(reader) == "true"
    # The poll waits behind that write, as was just said.
    assert house.ask("0003").done().how == "hit"


def test_a_row_whose_own_end_is_what_was_written_asks_nobody() -> None:
    """The poll has brought it before the keeper had its acknowledgement."""
    node = front()
    house, origin = node.house, node.origin
    viewer, poll = watch(house, origin)
    poll.reply(data(b"de", "0005"))
    viewer.done()
    origin.expect(Purpose.FOLLOW)
    node.keeper.store_write(PATH, "0005")

    assert up_to_date(house.ask("0005")) == "true"
    assert house.ask("0003").done().how == "hit"
    assert len(origin.calls) == 3


def test_its_writers_own_front_has_heard_of_it_already() -> None:
    """1: the keeper stores it; 2: the answer is here; 3: a reader looks."""
    node = front()
    house, origin = node.house, node.origin
    _, poll = watch(house, origin)
    node.keeper.store_write(PATH, "0005")
    house.wrote("POST", 204, stream_next_offset="0005")
    reader = house.ask("0003")
    poll.reply(data(b"de", "0005"))

    assert reader.done().body == b"de"
    settle()
    assert len(origin.calls) == 3


def test_an_answer_that_was_sent_before_the_write_covers_nobody_after_it() -> None:
    """1: a fetch is sent; 2: a write, elsewhere; 3: a reader comes; 4: it lands."""
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    early = house.ask()
    old = origin.expect(Purpose.CATCH_UP)
    node.keeper.store_write(PATH, "0005")
    late = house.ask()
    old.reply(data(b"", "0003"))

    assert early.done().body == b"abc"
    assert late.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))
    assert late.done().body == b"abcde"


def test_an_answer_is_not_repeated_after_a_write_elsewhere() -> None:
    node = front()
    house, origin = node.house, node.origin
    watch(house, origin)
    read, hub = Read(house.key(), "0003"), house.hub
    hub.ask(read, RecordingSink(), house.clock.monotonic())
    assert hub.answer_cache.peek(read, house.clock.monotonic()) is not None

    node.keeper.store_write(PATH, "0005")

    assert hub.answer_cache.peek(read, house.clock.monotonic()) is None


def test_a_viewer_is_not_told_that_this_is_all_after_a_write_elsewhere() -> None:
    """It may have written through another front, and hears it by the poll."""
    node = front()
    house, origin = node.house, node.origin
    watch(house, origin)
    node.keeper.store_write(PATH, "0005")
    viewer = house.view("0003")
    settle()

    assert all("upToDate" not in told for _, told in viewer.sink.events)


def test_a_long_poll_that_times_out_claims_nothing_after_a_write_elsewhere() -> None:
    node = front()
    house, origin = node.house, node.origin
    viewer, _ = watch(house, origin)
    node.other.store_write(PATH, None)
    node.pass_time(house.options.long_poll_timeout)

    assert viewer.done().status == 204
    assert viewer.sink.header("Stream-Up-To-Date") is None


# Lives


def test_after_a_delete_elsewhere_nothing_is_shown_before_somebody_was_asked() -> None:
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    node.keeper.store_life(PATH)
    reader = house.ask()
    assert reader.waits
    origin.expect(Purpose.CATCH_UP).answer(404, (), b"no such stream")

    assert reader.done().status == 404


def test_a_stream_that_is_what_it_was_is_shown_again() -> None:
    """The life was another path's, in the same slot: a look, and nothing is dropped."""
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    node.keeper.store_life(PATH)
    reader = house.ask()
    call = origin.expect(Purpose.CATCH_UP)
    call.reply(data(b"abc", "0003"))

    assert reader.done().body == b"abc"
    assert not house.counters.drops


def test_what_may_have_been_deleted_is_not_even_shown_stale() -> None:
    """L6 shows held bytes while the origin is away; these may be a dead stream's."""
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    node.keeper.store_life(PATH)
    reader = house.ask()
    origin.expect(Purpose.CATCH_UP).cut()

    assert reader.done().error is not None or reader.sink.status >= 500


def test_who_waits_for_a_keeper_that_cannot_tell_hears_nothing_of_the_stream() -> None:
    """U2, U8: a viewer is parked, and its time-out claims nothing. Then it is told."""
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    node.keeper.store_life(PATH)
    viewer = house.poll("0003")
    origin.expect(Purpose.CATCH_UP).cut()
    settle()
    assert viewer.waits
    node.pass_time(house.options.long_poll_timeout)

    assert viewer.done().status == 204
    assert viewer.sink.header("Stream-Up-To-Date") is None
    again = house.poll("0003")
    origin.expect(Purpose.CATCH_UP).answer(404, (), b"no such stream")
    assert again.done().status == 404


def test_an_answer_from_before_the_delete_ends_no_doubt() -> None:
    """1: a check is sent; 2: DELETE, elsewhere; 3: the check is answered."""
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    node.pass_time(house.options.rules.verify + 1)
    early = house.ask()
    check = origin.expect(Purpose.CATCH_UP)
    node.keeper.store_life(PATH)
    late = house.ask()
    check.reply(data(b"abc", "0003"))
    settle()

    assert early.waits and late.waits
    origin.expect(Purpose.CATCH_UP).answer(404, (), b"no such stream")
    assert early.done().status == late.done().status == 404


@pytest.mark.parametrize("mode", LIVE)
def test_a_slot_that_is_shared_costs_a_look_and_not_a_crowd(mode: Mode) -> None:
    """A thousand lives in the slot of a crowd: it stays, and one request tells."""
    node = front()
    house, origin = node.house, node.origin
    first, poll = watch(house, origin, mode=mode)
    crowd = [first, *(house.ask("0003", mode) for _ in range(50))]
    calls = len(origin.calls)
    for _ in range(1000):
        node.keeper.store_life(PATH)
    node.pass_time(0.25)
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    settle()
    node.pass_time(0.25)

    assert len(origin.calls) == calls + 1
    assert all(viewer.waits for viewer in crowd) and not house.counters.drops
    poll.reply(data(b"de", "0005"))
    settle()
    given = [viewer.sink.whole for viewer in crowd]
    assert all(b"de" in whole for whole in given)


@pytest.mark.parametrize("mode", LIVE)
def test_viewers_of_a_stream_that_is_gone_hear_of_it_by_one_request(mode: Mode) -> None:
    """Nothing is asked of them: the ticker looks."""
    node = front()
    house, origin = node.house, node.origin
    first, _ = watch(house, origin, mode=mode)
    crowd = [first, *(house.ask("0003", mode) for _ in range(9))]
    node.keeper.store_life(PATH)
    node.pass_time(0.25)
    calls = len(origin.calls) - 1
    origin.expect(Purpose.CATCH_UP).answer(404, (), b"no such stream")
    settle()
    if mode is Mode.LONG_POLL:
        # They ask anew, together: by HEAD, and then by what judges it (U12).
        for _ in range(2):
            origin.expect(Purpose.CATCH_UP).answer(404, ())

    assert all(viewer.done() for viewer in crowd)
    assert len(origin.calls) <= calls + 3


# Silence


def test_while_the_keeper_gives_no_sign_of_life_nothing_is_claimed() -> None:
    node = front()
    house, origin = node.house, node.origin
    watch(house, origin)
    assert house.ask("0003").done().how == "hit"
    node.pass_time(1.6, node.own, node.other)
    reader = house.ask("0003")

    assert reader.waits


def test_a_keeper_that_is_back_is_believed_once_it_has_answered() -> None:
    """The poll that waits there counts again; it was not given up."""
    node = front()
    house, origin = node.house, node.origin
    _, poll = watch(house, origin)
    node.pass_time(1.6, node.own, node.other)
    node.pass_time(0.25)
    node.pass_time(0.25)
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    settle()

    assert house.ask("0003").done().how == "hit"
    assert not poll.closed.is_set()


def test_a_silence_between_two_looks_is_seen_afterwards() -> None:
    """1: the keeper stops; 2: it goes on, and beats; 3: a reader comes."""
    node = front()
    house, origin = node.house, node.origin
    watch(house, origin)
    house.clock.move(10)
    node.beats(node.own, node.other)
    node.beats()

    assert house.ask("0003").waits


def test_who_was_stopped_itself_claims_nothing_when_it_goes_on() -> None:
    """All its polls may have been answered meanwhile."""
    node = front()
    house, origin = node.house, node.origin
    watch(house, origin)
    house.clock.move(10)
    node.beats(node.keeper, node.other)
    node.beats()

    assert house.ask("0003").waits


def test_silence_forbids_no_stale_answers() -> None:
    """What is deleted through this node would be on the board."""
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    node.pass_time(1.6, node.own, node.other)
    reader = house.ask()
    origin.expect(Purpose.CATCH_UP).cut()

    assert reader.done().body == b"abc" and "stale" in reader.sink.how


# Doubt


def test_after_the_death_of_a_front_each_row_is_confirmed_once() -> None:
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    node.node.board.raise_doubt()
    node.beats()
    reader = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))

    assert reader.done().body == b"abc"
    house.ask()
    assert len(origin.calls) == 2


def test_a_keepers_row_is_confirmed_by_the_poll_on_the_wire() -> None:
    """So a front that dies costs the origin nothing for streams that are followed."""
    node = keeper()
    house, origin = node.house, node.origin
    watch(house, origin)
    node.node.board.raise_doubt()
    node.beats()

    assert house.ask("0003").done().how == "hit"


# What one has to say


def test_what_one_heard_itself_is_stored_before_the_writer_hears_it() -> None:
    node = keeper()
    watched = node.other.watch(PATH)
    node.house.wrote("POST", 204, stream_next_offset="0005")

    news = node.other.news(watched, node.node.now)
    assert news is not None and news.writes
    assert node.other.covers(watched, news, ("0005",))


def test_a_close_is_covered_by_no_end() -> None:
    """Who holds the end has not heard that it is the last one."""
    node = keeper()
    watched = node.other.watch(PATH)
    closes = {"stream_next_offset": "0005", "stream_closed": "true"}
    node.house.wrote("POST", 204, **closes)

    news = node.other.news(watched, node.node.now)
    assert news is not None and not node.other.covers(watched, news, ("0005",))


@pytest.mark.parametrize(
    ("method", "status", "lives"),
    [
        ("PUT", 201, True),
        ("PUT", 200, False),
        ("PUT", 503, True),
        ("DELETE", 204, True),
        ("DELETE", None, True),
        ("DELETE", 404, False),
        ("POST", None, False),
    ],
)
def test_what_may_have_begun_another_life_is_stored_as_one(
    method: str, status: int | None, lives: bool
) -> None:
    node = keeper()
    watched = node.other.watch(PATH)
    node.house.wrote(method, status)

    news = node.other.news(watched, node.node.now)
    assert (news is not None and news.lives) is lives


# Over a hop


def test_a_page_that_was_asked_for_after_a_write_may_end_before_it() -> None:
    """A keeper that has heard more answers a poll by what its front can read at once,
    without a claim: the write may lie behind that (L4)."""
    node = front()
    house, origin = node.house, node.origin
    viewer, poll = watch(house, origin)
    node.keeper.store_write(PATH, "0009")
    poll.reply(data(b"de", "0005", up_to_date=False))
    viewer.done()
    after = origin.expect(Purpose.FOLLOW)
    after.reply(data(b"fg", "0007", up_to_date=False))
    settle()
    follows = origin.expect(Purpose.FOLLOW)
    crowd = [house.poll("0003"), house.poll("0007"), house.ask("0007")]
    events = house.ask("0003", Mode.SSE)
    settle()

    assert up_to_date(crowd[0]) is None
    assert crowd[1].waits and crowd[2].waits
    assert b"upToDate" not in b"".join(events.sink.written)
    follows.reply(data(b"hi", "0009"))
    assert up_to_date(crowd[1]) == up_to_date(crowd[2]) == "true"


def test_where_another_life_may_have_begun_no_write_of_the_last_one_is_waited_for() -> (
    None
):
    """It lies beyond the end of what is there now: that would seem to be no end."""
    node = front()
    house, origin = node.house, node.origin
    asked = house.ask("now")
    house.wrote("POST", 204, stream_next_offset="0009")
    node.keeper.store_life(PATH)
    origin.expect(Purpose.CATCH_UP)
    reader = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))

    assert asked.waits
    assert up_to_date(reader) == "true"


def test_an_answer_that_is_not_of_the_row_is_as_old_as_the_origin_says() -> None:
    """L14: it proves nothing to a row in doubt, which was confirmed long ago."""
    node = keeper()
    house, origin = node.house, node.origin
    warm(house, origin)
    node.pass_time(8.0)
    row(node).log.tail.mark_unverified(house.clock.monotonic())
    reader = house.ask("0001")
    origin.expect(Purpose.CATCH_UP).reply(data(b"xyz", "0004"))

    told = reader.done().per_response
    assert told is not None and isinstance(told.told, RowWord)
    assert told.told.confirmed_at == house.clock.monotonic()


def test_a_front_is_told_the_status_of_the_origin_and_no_fault() -> None:
    """It has no text for a reader; the front has its own (W10)."""
    node = keeper()
    reader = node.house.ask("0003")
    node.origin.expect(Purpose.CATCH_UP).answer(404, [])

    sink = reader.done()
    assert sink.status == 404 and sink.error is None
    assert sink.per_response is not None
    assert isinstance(sink.per_response.told, RowWord)


def test_ages_do_not_add_up_per_hop() -> None:
    """L6, L23: what a keeper answers is as old as what the origin said to it."""
    node = front()
    house, origin = node.house, node.origin
    warm(house, origin)
    for _ in range(60):
        house.clock.move(1.0)
        node.beats()
    reader = house.ask("0003")
    told = Provenance(confirmed_ago=50.0, read_ago=20.0, lineage=Lineage(1, None, 1))
    origin.expect(Purpose.CATCH_UP).reply(replace(data(b"", "0003"), provenance=told))
    again = origin.expect(Purpose.CATCH_UP)
    again.reply(replace(data(b"abc", "0003"), provenance=told))

    reader.done()
    log, now = row(node).log, house.clock.monotonic()
    assert log.tail.age(now) == 50.0
    assert now - log.last_read_sent == 20.0


def test_a_front_is_told_when_no_poll_waits_for_it_any_more() -> None:
    """U8: it would take this keeper's silence for the origin's."""
    node = keeper()
    house, origin = node.house, node.origin
    polls, poll = watch(house, origin)
    poll.cut()
    settle()

    assert polls.done().status == 204
    assert polls.sink.header("Stream-Up-To-Date") is None


def test_a_front_that_polls_is_answered_as_an_edge_by_a_keeper_alone() -> None:
    node = front()
    house, origin = node.house, node.origin
    polls, poll = watch(house, origin)
    poll.reply(no_content("0003"))
    settle()

    assert polls.waits


@pytest.mark.parametrize("leaves", [True, False])
def test_a_keeper_that_lets_its_polls_go_as_it_ends_does_not_spin(leaves: bool) -> None:
    """W12: its successor is asked at once. From one that stays, a poll that comes back
    at once with nothing is a failure (L21)."""
    node = front(backoff_first=1000.0, backoff_max=1000.0)
    house, origin = node.house, node.origin
    told = Provenance(confirmed_ago=0.0, read_ago=0.0, lineage=Lineage(2, 3, 1))
    asked = house.ask()
    begin = replace(data(b"abc", "0003"), provenance=told)
    origin.expect(Purpose.CATCH_UP).reply(begin)
    asked.done()
    viewer = house.poll("0003")
    described = replace(head_answer("0003"), provenance=told)
    origin.expect(Purpose.CATCH_UP).reply(described)
    poll = origin.expect(Purpose.FOLLOW)
    settle()
    if leaves:
        node.keeper.store_leaves()
    poll.reply(replace(no_content("0003", up_to_date=False), provenance=told))
    settle()

    assert viewer.waits
    assert house.counters.origin_faults["origin-spin"] == (not leaves)
    if leaves:
        origin.expect(Purpose.FOLLOW)
    else:
        origin.assert_quiet()


def test_what_a_keeper_says_behind_its_successor_ends_no_poll_for_long() -> None:
    """W8, W12: a read had the successor's word first."""
    node = front(backoff_first=1000.0, backoff_max=1000.0)
    house, origin = node.house, node.origin
    successor, last = (
        Provenance(confirmed_ago=0.0, read_ago=0.0, lineage=Lineage(boot, 3, 1))
        for boot in (9, 2)
    )
    asked = house.ask()
    begin = replace(data(b"abc", "0003"), provenance=successor)
    origin.expect(Purpose.CATCH_UP).reply(begin)
    asked.done()
    viewer = house.poll("0003")
    described = replace(head_answer("0003"), provenance=successor)
    origin.expect(Purpose.CATCH_UP).reply(described)
    poll = origin.expect(Purpose.FOLLOW)
    node.keeper.store_leaves()
    poll.reply(replace(data(b"xx", "0005"), provenance=last))
    again = origin.expect(Purpose.FOLLOW)
    again.reply(replace(data(b"de", "0005"), provenance=successor))

    assert viewer.done().body == b"de"


# A back-off, and who ends it (U7)


SLOW = {"backoff_first": 1000.0, "backoff_max": 1000.0}


def backs_off(node: NodeHouse) -> Asked:
    """A viewer whose follower backs off, since its poll was refused."""
    house, origin = node.house, node.origin
    viewer, poll = watch(house, origin)
    poll.answer(503, (), b"no")
    settle()
    contact = row(node).contact
    assert contact is not None and contact.poll_failures == 1
    return viewer


def polls_of(node: NodeHouse) -> int:
    """How often the origin was polled."""
    return [one.purpose for one in node.origin.calls].count(Purpose.FOLLOW)


def test_a_write_seen_elsewhere_ends_the_pause_of_polls() -> None:
    """As a write through this process would; nobody need come for that."""
    node = front(**SLOW)
    viewer = backs_off(node)
    node.pass_time(0.25)
    node.origin.assert_quiet()
    node.other.store_write(PATH, "0005")
    node.pass_time(0.25)
    node.origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"


def test_a_front_that_asks_after_a_write_ends_the_pause_of_its_keeper() -> None:
    """The keeper has let it go when its poll was refused (U8): nobody waits there."""
    node = keeper(**SLOW)
    backs_off(node)
    node.house.poll("0003")
    settle()
    assert polls_of(node) == 1
    node.other.store_write(PATH, "0005")
    node.house.poll("0003")
    settle()

    assert polls_of(node) == 2


def test_a_write_seen_elsewhere_ends_the_pause_of_reads() -> None:
    node = front(**SLOW)
    house, origin = node.house, node.origin
    warm(house, origin)
    row(node).log.tail.mark_unverified(house.clock.monotonic())
    away = house.ask()
    origin.expect().answer(503, (), b"no")
    away.done()
    house.ask().done()
    origin.assert_quiet()
    node.other.store_write(PATH, "0005")
    asked = house.ask()
    origin.expect().reply(data(b"abcde", "0005"))

    assert asked.done().body == b"abcde"


def test_a_life_seen_elsewhere_ends_the_pause_of_reads() -> None:
    """Nobody is told that the origin is away, which has just made the stream."""
    node = front(**SLOW)
    backs_off(node)
    node.other.store_life(PATH)
    node.pass_time(0.25)

    assert node.origin.expect()


@pytest.mark.parametrize("of", ["an unknown offset", "another stream"])
def test_what_is_no_write_that_the_origin_took_ends_no_pause(of: str) -> None:
    """One that was lost or refused has no offset."""
    node = front(**SLOW)
    backs_off(node)
    path = PATH if of == "an unknown offset" else "/v1/stream/quite-another"
    node.other.store_write(path, None if path == PATH else "0005")
    node.pass_time(0.25)

    assert polls_of(node) == 1


def test_nothing_elsewhere_ends_what_a_retry_after_asked_for() -> None:
    node = front(**SLOW)
    house, origin = node.house, node.origin
    viewer, poll = watch(house, origin)
    poll.answer(503, [("retry-after", "3600")], b"later")
    settle()
    node.other.store_write(PATH, "0005")
    node.pass_time(0.25)

    assert viewer.waits
    origin.assert_quiet()
