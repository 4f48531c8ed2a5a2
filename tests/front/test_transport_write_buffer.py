"""WriteBuffer: what a transport did not take at once, byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from edge.front.fast.connection import send_at_once
from edge.front.transport import WriteBuffer, rest
from tests.front.fake_transport import FakeTransport


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(0, 60))
def test_the_rest_is_what_was_not_sent(pieces: list[bytes], sent: int) -> None:
    """Byte for byte."""
    whole = b"".join(pieces)
    left = rest([memoryview(piece) for piece in pieces], sent)

    assert b"".join(left) == whole[sent:]


def test_what_was_kept_goes_out_in_order() -> None:
    """Then what was added, each byte once, however little is taken at a time."""
    transport, data = FakeTransport(capacity=1000), bytes(range(256)) * 40
    taken = send_at_once(transport, b"head", data)
    assert taken == 1000
    left = rest([memoryview(b"head"), memoryview(data)], taken)
    flushed: list[bool] = []
    kept = WriteBuffer(transport, left, lambda: flushed.append(kept.flush()))
    kept.add(b"tail")
    kept.add(b"")
    while not any(flushed):
        transport.capacity = 1000
        transport.turn()
    kept.close()

    assert transport.take() == b"head" + data + b"tail"
    assert flushed == [False] * 9 + [True]
    assert not transport.writing.active


def test_a_transport_that_is_full_takes_nothing() -> None:
    """That is no error, be it at first or later."""
    transport = FakeTransport(capacity=0)
    kept = WriteBuffer(transport, [memoryview(b"rest")], lambda: None)

    assert (
        send_at_once(transport, b"head", b"")
        == send_at_once(transport, b"head", b"body")
        == 0
    )
    assert not kept.flush()
