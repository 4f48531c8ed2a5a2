"""The small parts: what a full socket keeps, the table of stages."""

import socket

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import Answer
from edge.front.fast.connection import Stage, check
from edge.front.fast.response_encoder import ResponseEncoder
from edge.front.fast.write_buffer import WriteBuffer, rest, send
from edge.front.transport import PlainTransport
from edge.policy.streams.routes import Route
from tests.front.fake_edge import HIT, RealClock


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(0, 60))
def test_the_rest_is_what_was_not_sent(pieces: list[bytes], sent: int) -> None:
    """Byte for byte."""
    whole = b"".join(pieces)
    left = rest([memoryview(piece) for piece in pieces], sent)

    assert b"".join(left) == whole[sent:]


def test_a_full_socket_drains_in_order() -> None:
    """What was kept, then what was added, each byte once."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = PlainTransport.of(gevent.get_hub().loop, ours)
        data = bytes(range(256)) * 8000
        taken = send(transport, b"head", data)
        assert taken < len(data)
        left = rest([memoryview(b"head"), memoryview(data)], taken)
        outgoing = WriteBuffer(transport, left, lambda: None)
        outgoing.add(b"tail")
        outgoing.add(b"")
        received = bytearray()
        while len(received) < len(data) + 8:
            received += theirs.recv(1 << 16)
            outgoing.flush()
        outgoing.close()
        transport.close()

        assert bytes(received) == b"head" + data + b"tail"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Stage.IDLE, Stage.READING),
        (Stage.READING, Stage.PARKED),
        (Stage.PARKED, Stage.SENDING),
        (Stage.SENDING, Stage.PARKED),
        (Stage.HANDED, Stage.IDLE),
        *((stage, Stage.CLOSED) for stage in Stage if stage is not Stage.CLOSED),
    ],
)
def test_a_move_that_the_table_lists_is_made(before: Stage, after: Stage) -> None:
    """And every stage may be the last."""
    assert check(before, after) is after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Stage.CLOSED, Stage.IDLE),
        (Stage.CLOSED, Stage.CLOSED),
        (Stage.HANDED, Stage.SENDING),
        (Stage.PARKED, Stage.READING),
    ],
)
def test_a_move_that_nobody_thought_of_is_a_defect(before: Stage, after: Stage) -> None:
    """It is found where it is made."""
    with pytest.raises(RuntimeError):
        check(before, after)


def test_one_answer_on_two_routes_has_the_fields_of_each() -> None:
    """The head of an event stream is one object for all routes (L18)."""
    encoder = ResponseEncoder("ds-edge", RealClock())
    encoder.look_at_clock(0.0)
    open_route, own = Route(), Route(cors_origin="https://own.test")
    head = Answer(200, (("Content-Type", "text/event-stream"),), None)
    wires = [encoder.shared(head, HIT, route, False) for route in (open_route, own)]

    assert b"Allow-Origin: *\r\n".lower() in (wires[0].before + wires[0].after).lower()
    assert b"origin: https://own.test\r\n" in (wires[1].before + wires[1].after).lower()
    assert encoder.shared(head, HIT, own, False) is wires[1]
