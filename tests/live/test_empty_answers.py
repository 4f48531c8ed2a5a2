"""An empty 200 at the tail tells its reader that this is all there is (L3, L4, U2).

A reader that is told nothing, and not that it has everything, asks again at once. So an
empty answer goes out without the claim only if the origin itself answers so.
"""

import pytest

from edge.core.values import Mode, Purpose
from edge.protocol.offsets import NOW
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer
from tests.live.support import Asked, House, RecordingSink, scripted, settle

AT_THE_TAIL = pytest.mark.parametrize("offset", ["0003", NOW])


def asked_and_overtaken(
    house: House, origin: ScriptedOrigin, offset: str
) -> tuple[Asked, Call]:
    """A read of a cold stream is on its way. A HEAD that was sent after it is answered
    before it. Nothing else is known of the stream."""
    reader = house.ask(offset)
    read = origin.expect(Purpose.CATCH_UP)
    head = house.ask(offset, Mode.HEAD)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    assert head.done().status == 200
    assert reader.waits
    return reader, read


def is_all(sink: RecordingSink) -> bool:
    assert (sink.status, sink.body) == (200, b"")
    assert sink.header("Stream-Next-Offset") == "0003"
    return sink.header("Stream-Up-To-Date") == "true"


@AT_THE_TAIL
def test_a_head_that_overtakes_a_read_does_not_take_its_claim(offset: str) -> None:
    """1: the read is sent; 2: the HEAD is sent; 3: the HEAD is answered; 4: the read
    is answered, with the claim. The HEAD is newer, but says nothing about the claim."""
    house, origin = scripted()
    reader, read = asked_and_overtaken(house, origin, offset)
    read.reply(data(b"", "0003"))

    assert is_all(reader.done())
    origin.assert_quiet()


@AT_THE_TAIL
def test_a_head_alone_is_no_reason_to_answer_nothing(offset: str) -> None:
    """It tells where the tail is. That the origin makes no claims it does not tell."""
    house, origin = scripted()
    reader, read = asked_and_overtaken(house, origin, offset)
    read.cut()

    sink = reader.done()
    assert sink.answer is None and sink.error is not None
    assert sink.error.status == 502


def test_a_page_that_ends_where_the_reader_stands_sends_it_to_ask_again() -> None:
    """The page is newer than the reader's own answer, and says that more follows."""
    house, origin = scripted()
    reader = house.ask("0003")
    own = origin.expect(Purpose.CATCH_UP)
    house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003", up_to_date=False))
    settle()
    own.reply(data(b"", "0003"))
    assert reader.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))

    assert reader.done().body == b"de"


@AT_THE_TAIL
def test_an_origin_that_never_makes_the_claim_is_believed(offset: str) -> None:
    """L3: its answers go out without the claim, and it is asked once."""
    house, origin = scripted()
    reader, read = asked_and_overtaken(house, origin, offset)
    read.reply(data(b"", "0003", up_to_date=False))

    assert not is_all(reader.done())
    origin.assert_quiet()
