"""Chunks as RFC 9112 section 7.1 writes them, and as old servers do."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.core.errors import OriginGarbage
from origin_adapter.http.chunked_coding import MAX_OVERHEAD, ChunkDecoder

LAST = b"0\r\n\r\n"

spaces = st.sampled_from([b"", b" ", b"\t", b"  "])
extensions = st.one_of(
    st.just(b""),
    st.tuples(spaces, spaces, spaces).map(lambda s: b"%b;%bx%b= y" % s),
    st.just(b';q="a;b\\""'),
    spaces,
)
zeros = st.sampled_from([b"", b"0", b"000000000000000000000"])
chunks = st.tuples(zeros, st.binary(min_size=1, max_size=40), extensions)


def decoded(*pieces: bytes) -> tuple[bytes, ChunkDecoder]:
    """The body in ``pieces``, as far as it goes, and the decoder behind it."""
    decoder = ChunkDecoder()
    body = b""
    for piece in pieces:
        assert not decoder.done
        body += decoder.feed(piece)
    return body, decoder


@given(st.lists(chunks, max_size=5), st.data())
def test_the_body_is_the_same_wherever_packets_end(
    written: list[tuple[bytes, bytes, bytes]], data: st.DataObject
) -> None:
    coded = b"".join(
        b"%b%x%b\r\n%b\r\n" % (zero, len(body), extension, body)
        for zero, body, extension in written
    )
    coded += LAST
    cuts = sorted(data.draw(st.sets(st.integers(1, len(coded) - 1), max_size=6)))
    ends = zip([0, *cuts], [*cuts, len(coded)], strict=True)

    body, decoder = decoded(*(coded[start:end] for start, end in ends))

    assert body == b"".join(piece for _, piece, _ in written)
    assert decoder.done and decoder.ended_bare


@given(st.lists(chunks, max_size=3), st.integers(1, 40))
def test_a_part_is_never_done(
    written: list[tuple[bytes, bytes, bytes]], left_out: int
) -> None:
    """E44."""
    coded = b"".join(b"%x\r\n%b\r\n" % (len(b), b) for _, b, _ in written) + LAST

    _, decoder = decoded(coded[:-left_out])

    assert not decoder.done


@pytest.mark.parametrize(
    "last",
    [b"0 \r\n\r\n", b"00\r\n\r\n", b"0;x\r\n\r\n", b"0\r\nA: b\r\n\r\n", LAST + b"H"],
)
def test_only_behind_a_bare_last_chunk_can_another_answer_be_trusted(
    last: bytes,
) -> None:
    _, decoder = decoded(b"2\r\nhi\r\n" + last)

    assert decoder.done and not decoder.ended_bare


@pytest.mark.parametrize(
    "coded",
    [
        b" 2\r\nhi\r\n",
        b"+2\r\nhi\r\n",
        b"0x2\r\nhi\r\n",
        b"2_0\r\nhi\r\n",
        b"2 0\r\nhi\r\n",
        b"\r\nhi\r\n",
        b";x\r\nhi\r\n",
        b"2\nhi\r\n",
        b"2\n",
        b"2;x\ny\r\nhi\r\n",
        b"2;\x00\r\nhi\r\n",
        b"2\r\nhi\n",
        b"2\r\nhix",
        b"2\r\nhi\rx",
        b"8000000000000000\r\n",
        b"10000000000000000\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1" * (MAX_OVERHEAD + 1),
        b"0\r\n" + b"A: b\r\n" * MAX_OVERHEAD,
    ],
)
@pytest.mark.parametrize("step", [1 << 20, 1])
def test_what_two_readers_may_read_in_two_ways_is_garbage(
    coded: bytes, step: int
) -> None:
    """P9."""
    decoder = ChunkDecoder()

    with pytest.raises(OriginGarbage):
        for at in range(0, len(coded), step):
            decoder.feed(coded[at : at + step])


parts = st.sampled_from([b"1", b"0", b"2", b"a", b";", b"\r\n", b"\r\n0\r\n\r\n"])


@given(st.lists(parts))
@example([b"1", b"\r\n", b"a", b"\r\n0\r\n\r\n"])
@example([b"2", b"\r\n", b"a", b"\r\n0\r\n\r\n"])
@example([b"1", b"\r\n", b"a", b"\r\n0\r\n\r\n", b"1"])
def test_a_body_in_one_piece_is_what_it_is_byte_by_byte(written: list[bytes]) -> None:
    """Small bodies come whole, and are not read line by line then."""
    coded = b"".join(written)

    def told(*pieces: bytes) -> tuple[bytes, bool, bool] | None:
        decoder, body = ChunkDecoder(), b""
        try:
            for piece in pieces:
                if decoder.done:
                    # Something stands behind the end.
                    return body, True, False
                body += decoder.feed(piece)
        except OriginGarbage:
            return None
        return body, decoder.done, decoder.ended_bare

    assert told(coded) == told(*(coded[n : n + 1] for n in range(len(coded))))
