"""Offsets that only a client named (L1; E11, E25, O22)."""

from edge.core.values import Mode, Purpose
from origin_adapter.scripted import LivingOrigin, data, head_answer
from tests.live.support import PATH, House, scripted, settle, warm
from tests.support.options import rules


def test_the_answer_serves_those_who_asked() -> None:
    """A cold edge: a crowd comes back at offsets that it knows and we do not."""
    house, origin = scripted()
    crowd = [house.ask("0003") for _ in range(5)]
    origin.expect().reply(data(b"de", "0005"))

    for asked in crowd:
        assert asked.done().body == b"de"
        assert asked.sink.header("Stream-Up-To-Date") == "true"
    assert len(origin.calls) == 1


def test_what_an_origin_makes_of_a_made_up_offset_moves_nothing() -> None:
    """The Node server answers one beyond the tail with the real tail."""
    house, origin = scripted()
    warm(house, origin)
    viewer = house.poll("0003")
    origin.expect().reply(head_answer("0003"))
    poll = origin.expect(Purpose.FOLLOW)
    beyond = house.ask("0009")
    for second, start in ((0, "0003"), (1, "0009")):
        house.pass_time(second)
        call = origin.expect(Purpose.CATCH_UP)
        assert call.request.target == f"{PATH}?offset={start}"
        call.reply(data(b"", "0003"))

    assert beyond.done().header("Stream-Next-Offset") == "0003"
    poll.reply(data(b"de", "0005"))
    assert viewer.done().body == b"de"
    assert not house.counters.drops


def test_an_echo_of_a_made_up_offset_is_not_the_tail() -> None:
    """Others return what they were asked with."""
    house, origin = scripted()
    first = house.ask("0009")
    origin.expect().reply(data(b"", "0009"))
    assert first.done().header("Stream-Next-Offset") == "0009"
    reader = house.ask()
    call = origin.expect()
    assert call.request.target == f"{PATH}?offset=-1"
    call.reply(data(b"abc", "0003"))

    assert reader.done().body == b"abc"
    assert reader.sink.header("Stream-Next-Offset") == "0003"


def test_an_offset_inside_a_message_is_kept_only_if_it_proves_itself() -> None:
    """Node answers it with the whole message: those bytes are not at that offset."""
    house, origin = scripted()
    warm(house, origin, b"abcdef")
    odd = house.ask("0004")
    origin.expect().reply(data(b"abcdef", "0006"))
    assert odd.done().body == b"abcdef"
    reader = house.ask()
    origin.expect().reply(data(b"", "0006"))

    assert reader.done().body == b"abcdef"
    assert not house.counters.drops


def test_an_offset_above_the_end_is_first_covered_by_a_delta() -> None:
    """Other readers wrote behind this edge; the client knows more than it does."""
    house, origin = scripted()
    warm(house, origin)
    crowd = [house.ask("0005") for _ in range(3)]
    call = origin.expect()
    assert call.request.target == f"{PATH}?offset=0003"
    call.reply(data(b"defg", "0007", up_to_date=False))
    settle()
    while any(asked.waits for asked in crowd):
        origin.expect().reply(data(b"fg", "0007"))
        settle()

    assert {asked.sink.whole for asked in crowd} == {b"fg"}


def test_a_viewer_at_a_made_up_offset_gets_history_page_by_page() -> None:
    """L25, also for what a guess brought."""
    house, origin = scripted(rules=rules(max_page=4))
    view = house.view("0003")
    origin.expect().reply(head_answer("0009"))
    origin.expect().reply(data(b"defghi", "0009"))
    origin.expect(Purpose.FOLLOW)
    settle()

    assert "".join(text for kind, text in view.sink.events if kind == "data") == (
        "defghi"
    )
    assert view.waits


def test_guesses_of_many_clients_are_answered_truly_by_a_real_stream() -> None:
    """Whatever they ask, they are given what the origin gives."""
    origin = LivingOrigin()
    origin.create(PATH)
    for word in (b"alpha", b"beta", b"gamma"):
        origin.append(PATH, word)
    house = House(origin)
    for position in (0, 3, 10, 12, 19, 20, 29, 40):
        offset = f"{0:016d}_{position:016d}"
        shared, alone = house.ask(offset), House(origin).ask(offset).done()
        settle()
        while shared.waits:
            # Above the end one read a second is made (U14).
            house.pass_time(1)
        assert shared.sink.whole == alone.whole
        tails = (shared.sink, alone)
        assert len({sink.header("Stream-Next-Offset") for sink in tails}) == 1
    live = house.ask("-1", Mode.LONG_POLL).done()

    assert live.body == b"alphabetagamma"
