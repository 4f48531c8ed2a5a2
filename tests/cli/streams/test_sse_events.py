"""Events are the same however their bytes are cut (PROTOCOL.md section 5.8, L25)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.streams.sse_events import EventTooLarge, SseEvent, SseParser
from edge.protocol import sse

TEXT = st.text(st.sampled_from("ab \r\n:é\ufeff"), max_size=12)


def parsed(*pieces: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def test_an_event_has_its_type_and_its_joined_lines() -> None:
    assert parsed(b"event: data\ndata:one\ndata: two\ndata:  three\n\n") == [
        SseEvent("data", b"one\ntwo\n three")
    ]


def test_an_event_without_a_type_is_a_message() -> None:
    assert parsed(b"data:x\n\n") == [SseEvent("message", b"x")]


def test_an_empty_data_line_is_an_event_and_none_at_all_is_not() -> None:
    assert parsed(b"event: data\ndata:\n\nevent: data\n\n") == [SseEvent("data", b"")]


def test_a_type_does_not_outlive_an_event_without_data() -> None:
    assert parsed(b"event: data\n\ndata:x\n\n") == [SseEvent("message", b"x")]


def test_comments_ids_and_unknown_fields_are_passed_over() -> None:
    assert parsed(b": hi\nid: 5\nfoo: bar\nfoo\ndata: x\n\n") == [
        SseEvent("message", b"x")
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_line_end_ends_a_line(end: bytes) -> None:
    assert parsed(end.join([b"data:a", b"data:b", b"", b""])) == [
        SseEvent("message", b"a\nb")
    ]


def test_a_carriage_return_ends_its_line_before_the_next_piece_comes() -> None:
    assert parsed(b"data:x\r\r") == [SseEvent("message", b"x")]


def test_an_event_that_the_end_cut_off_is_not_given_out() -> None:
    assert parsed(b"data:x\n\ndata:y\n") == [SseEvent("message", b"x")]


@pytest.mark.parametrize(
    "pieces", [(b"\xef\xbb\xbfdata:x\n\n",), (b"\xef", b"\xbb", b"\xbfdata:x\n\n")]
)
def test_a_byte_order_mark_at_the_beginning_is_none_of_the_text(
    pieces: tuple[bytes, ...],
) -> None:
    assert parsed(*pieces) == [SseEvent("message", b"x")]


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    assert parsed(b"data:\xff\xfe\n\n") == [SseEvent("message", b"\xff\xfe")]


def test_the_server_may_ask_for_a_wait() -> None:
    parser = SseParser()
    assert list(parser.feed(b"retry: 1500\nretry: soon\n\n")) == []
    assert parser.retry == 1.5


@pytest.mark.parametrize("piece", [b"data:" + b"x" * 50, b"data:xxxxxxxxx\n" * 5])
def test_an_event_has_a_largest_size(piece: bytes) -> None:
    with pytest.raises(EventTooLarge):
        list(SseParser(limit=40).feed(piece))


def test_many_small_events_are_never_too_large() -> None:
    assert len(list(SseParser(limit=40).feed(b"data:xxxxxxxxx\n\n" * 50))) == 50


@given(st.lists(TEXT, max_size=4), st.data())
def test_cutting_changes_nothing(texts: list[str], chance: st.DataObject) -> None:
    whole = b"".join(b"event: data\ndata:%b\n\n" % text.encode() for text in texts)
    cuts = sorted(chance.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    ends = zip([0, *cuts], [*cuts, len(whole)], strict=True)

    assert parsed(*(whole[a:b] for a, b in ends)) == parsed(whole)


@given(TEXT)
def test_what_the_edge_frames_is_read_back(text: str) -> None:
    """L25: the space that clients strip, and line ends of three kinds."""
    (event,) = parsed(sse.data_event(text.encode(), sse.Encoding.TEXT))

    assert event.data.decode() == text.replace("\r\n", "\n").replace("\r", "\n")
