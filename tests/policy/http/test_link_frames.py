"""Frames of a channel: the same in whatever pieces, and never without bound."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.http.link_frames import (
    GREETING,
    BadFrame,
    Frame,
    FrameKind,
    FrameReader,
    Push,
    frame,
    push_of,
    push_payload,
)

LIMIT = 512
frames = st.builds(
    Frame,
    st.sampled_from(FrameKind),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=LIMIT),
)
offsets = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=64)
pushes = st.builds(
    Push,
    *(offsets, offsets, offsets, st.booleans(), st.booleans()),
    st.binary(max_size=LIMIT),
    st.booleans(),
    st.one_of(st.just(""), st.text("0123456789abcdef-", min_size=55, max_size=55)),
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """``data`` in the pieces between these places."""
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(at)]


@given(st.lists(frames, max_size=6), st.lists(st.integers(0), max_size=8))
def test_frames_come_as_they_were_sent_in_whatever_pieces(
    sent: list[Frame], cuts: list[int]
) -> None:
    reader = FrameReader(LIMIT)
    data = b"".join(frame(*one) for one in sent)
    heard = [one for piece in pieces(data, cuts) for one in reader.feed(piece)]

    assert heard == sent
    assert not reader.is_within


@given(st.binary(min_size=9, max_size=64))
def test_whatever_comes_is_frames_within_the_bound_or_refused(data: bytes) -> None:
    reader = FrameReader(LIMIT)
    try:
        heard = reader.feed(data)
    except BadFrame:
        return
    assert sum(9 + len(one.payload) for one in heard) <= len(data)
    # What is held of one that is not whole: never more than a frame.
    assert reader.feed(b"") == []


def test_a_length_above_the_bound_is_refused_before_anything_is_held() -> None:
    reader = FrameReader(LIMIT)
    head = frame(FrameKind.PUSH, 1, bytes(LIMIT + 1))[:9]
    with pytest.raises(BadFrame, match="513 octets"):
        reader.feed(head)


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadFrame, match="kind 9"):
        FrameReader(LIMIT).feed(b"\0\0\0\0\0\0\0\1\x09")


@given(pushes)
def test_a_push_is_read_as_it_was_told(push: Push) -> None:
    assert push_of(push_payload(push)) == push


@given(st.binary(max_size=64))
def test_a_push_that_makes_no_sense_is_refused(payload: bytes) -> None:
    try:
        push = push_of(payload)
    except BadFrame:
        return
    assert len(push.data) <= len(payload)


def test_an_offset_that_is_too_long_is_not_told() -> None:
    with pytest.raises(BadFrame):
        push_payload(Push("x" * 65_536, "y", "", False, False, b""))


def test_no_request_begins_as_a_channel_does() -> None:
    assert GREETING[:1] == b"\0"
