"""For which request the origin is asked: traceparent and X-Request-Id on every read.

They choose no answer: they are in no key, and who sends others shares all the same.
"""

from edge.core.values import Headers, Mode, OriginRequest, Purpose
from edge.protocol.http_grammar import trace_id
from origin_adapter.scripted import data
from tests.live.support import RecordingSink, scripted, watch

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = PARENT.replace("b7", "c8")
NAMES = ("traceparent", "x-request-id")


def trace(parent: str, own_id: str) -> Headers:
    return (("traceparent", parent), ("x-request-id", own_id))


def told(request: OriginRequest) -> list[str]:
    """The values of both fields, each of which is there once."""
    found = [pair for pair in request.headers if pair[0] in NAMES]
    assert tuple(name for name, _ in found) == NAMES
    return [value for _, value in found]


def test_a_shared_fetch_is_that_of_the_reader_who_began_it() -> None:
    """P1: the others share it, whatever they are called."""
    house, origin = scripted()
    first = house.ask(sink=RecordingSink(trace=trace(PARENT, "one")))
    second = house.ask(sink=RecordingSink(trace=trace(OTHER, "two")))
    sent = origin.expect()
    assert told(sent.request) == [PARENT, "one"]
    sent.reply(data(b"x", "0001"))

    assert first.done().status == second.done().status == 200
    assert len(origin.calls) == 1


def test_a_relayed_read_has_its_own() -> None:
    house, origin = scripted()
    opened = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    opened.done()
    house.ask(sink=RecordingSink(trace=trace(PARENT, "mine")))

    assert told(origin.expect(Purpose.RELAY).request) == [PARENT, "mine"]


def test_a_followers_polls_are_nobodys_and_have_new_ones_each_time() -> None:
    house, origin = scripted()
    _, poll = watch(house, origin, mode=Mode.SSE)
    first = told(poll.request)
    poll.reply(data(b"de", "0005"))
    second = told(origin.expect(Purpose.FOLLOW).request)

    assert trace_id(first[0]) and trace_id(second[0])
    assert first[0] != second[0] and first[1] != second[1]
