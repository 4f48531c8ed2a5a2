"""ResponseEncoder: what may be shared, and what may not."""

from edge.core.values import Answer
from edge.front.fast.response_encoder import ResponseEncoder
from edge.policy.streams.routes import Route
from tests.front.fake_edge import HIT, RealClock
from tests.support.options import front_options


def test_one_answer_on_two_routes_has_the_fields_of_each() -> None:
    """The head of an event stream is one object for all routes (L18)."""
    encoder = ResponseEncoder(front_options(), RealClock())
    open_route, own = Route(), Route(cors_origins=())
    head = Answer(200, (("Content-Type", "text/event-stream"),), None)
    wires = [encoder.encoded(head, HIT, route, False) for route in (open_route, own)]

    assert b"Allow-Origin: *\r\n".lower() in (wires[0].before + wires[0].after).lower()
    assert b"allow-origin" not in (wires[1].before + wires[1].after).lower()
    assert encoder.encoded(head, HIT, own, False) is wires[1]
