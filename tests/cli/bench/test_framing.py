"""Answers out of bytes: every framing, every cut, every spelling; and what is none."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.bench.framing import (
    CHUNKED,
    MAX_HEAD,
    TO_THE_END,
    AnswerEnd,
    AnswerFraming,
    AnswerHead,
    BadAnswer,
    Part,
    head_of,
    whole,
)

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    b"Stream-Next-Offset: 0000_07\r\nStream-Cursor: 42\r\n"
)


def joined(parts: list[Part]) -> list[Part]:
    """Neighbouring pieces of a body as one."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and found and isinstance(found[-1], bytes):
            found[-1] = found[-1] + part
        else:
            found.append(part)
    return found


def with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def with_chunks(body: bytes, size: int = 3) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%X;name=value\r\n%s\r\n" % (len(p), p) for p in pieces)
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    return head + chunks + b"0\r\nTrailer: there\r\n\r\n"


def without_content(_: bytes) -> bytes:
    return b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nA: b\r\n\r\n"


bodies = st.binary(max_size=40) | st.sampled_from([b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
answers = st.builds(
    lambda make, body: bytes(make(body)),
    st.sampled_from([with_length, with_chunks, without_content]),
    bodies,
)


@given(st.lists(answers, min_size=1, max_size=3), st.data())
def test_the_same_is_read_whatever_the_pieces(
    all_: list[bytes], data: st.DataObject
) -> None:
    text = b"".join(all_)
    places = st.lists(st.integers(0, len(text)), max_size=8)
    cuts = [0, *sorted(data.draw(places)), len(text)]
    once, pieces = AnswerFraming(), AnswerFraming()

    at_once = once.feed(text)
    in_pieces = [part for a, b in pairwise(cuts) for part in pieces.feed(text[a:b])]

    assert joined(in_pieces) == joined(at_once)
    assert sum(isinstance(part, AnswerEnd) for part in at_once) == len(all_)
    assert once.resting
    assert pieces.resting


@given(bodies)
def test_length_and_chunks_carry_the_same_body(body: bytes) -> None:
    for text in (with_length(body), with_chunks(body)):
        parts = joined(AnswerFraming().feed(text))

        assert [part for part in parts if isinstance(part, bytes)] == [body][
            : bool(body)
        ]


@given(bodies)
def test_the_short_way_reads_what_the_long_way_does(body: bytes) -> None:
    found = whole(with_length(body))

    assert found is not None
    assert joined(AnswerFraming().feed(with_length(body))) == [
        found[0],
        *([found[1]] if found[1] else []),
        AnswerEnd(),
    ]


@pytest.mark.parametrize(
    "text",
    [
        with_length(b"body")[:-1],
        with_length(b"body") + b"H",
        with_chunks(b"body"),
        without_content(b""),
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ],
)
def test_the_short_way_is_for_one_answer_with_a_length_alone(text: bytes) -> None:
    assert whole(text) is None


def test_of_a_head_is_kept_what_a_viewer_needs() -> None:
    assert head_of(HEAD + b"Content-Length: 5\r\n\r\n") == AnswerHead(
        200, 5, b"0000_07", b"42", events=False, last=False, closed=False
    )


def test_names_are_known_in_any_spelling_and_values_stay_as_they_are() -> None:
    head = head_of(
        b"HTTP/1.1 200 OK\r\nSTREAM-NEXT-OFFSET:aB\r\nstream-cursor: \tX \r\n"
        b"content-TYPE: Text/Event-Stream; charset=utf-8\r\n"
        b"transfer-encoding: Chunked\r\nConnection: Close\r\n"
        b"stream-closed: True\r\n\r\n"
    )

    assert head == AnswerHead(
        200, CHUNKED, b"aB", b"X", events=True, last=True, closed=True
    )


def test_an_old_connection_ends_unless_it_says_otherwise() -> None:
    assert head_of(b"HTTP/1.0 200 OK\r\n\r\n").last
    assert not head_of(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").last


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    framing = AnswerFraming()

    parts = framing.feed(HEAD + b"\r\nall ") + framing.feed(b"of it")

    assert joined(parts) == [head_of(HEAD + b"\r\n"), b"all of it"]
    assert parts[0] == head_of(HEAD + b"\r\n")._replace(length=TO_THE_END)
    assert framing.end()


def test_an_end_within_an_answer_is_no_proper_one() -> None:
    framing = AnswerFraming()
    framing.feed(with_length(b"body")[:-1])

    assert not framing.end()
    assert not AnswerFraming().end()


@pytest.mark.parametrize(
    "text",
    [
        b"SSH-2.0-server\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK 200\r\n\r\n",
        HEAD + b"Content-Length: many\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nlong\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\ntoo much\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * (MAX_HEAD + 1),
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * MAX_HEAD,
    ],
)
def test_what_is_no_answer_is_refused(text: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerFraming().feed(text)
