"""ResponseEncoder: what may be shared, and what may not."""

import pytest

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


@pytest.mark.parametrize(
    "field",
    [
        ("bad name", "a"),
        ("", "a"),
        ("x\r\ny", "a"),
        ("x-a", "b\r\nset-cookie: c"),
        ("x-a", "b\nc"),
        ("x-a", "\0"),
        ("x-a", "\x7f"),
        ("x-a", "\u0100"),
        ("x-a", "\u2028"),
    ],
)
def test_a_field_that_would_break_an_answer_is_refused_each_time(
    field: tuple[str, str],
) -> None:
    encoder = ResponseEncoder(front_options(), RealClock())

    for _ in range(2):
        with pytest.raises(ValueError, match="a field that cannot be sent"):
            encoder.once(Answer(200, (field,)), HIT, Route(), False)


@pytest.mark.parametrize("value", ["", " a\tb ", "caf\xe9", "a" * 5000])
def test_any_value_of_the_grammar_goes_out_under_a_lower_case_name(value: str) -> None:
    """RFC 9110 section 5.5: a tab, and octets beyond ASCII too."""
    encoder = ResponseEncoder(front_options(), RealClock())

    made = encoder.once(Answer(200, (("X-Odd", value),)), HIT, Route(), False)

    line = f"\r\nx-odd: {value.strip()}\r\n".encode("latin-1")
    assert line in made.before + made.after
