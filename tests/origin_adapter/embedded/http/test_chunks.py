"""Chunks of requests: the body that was meant, or none."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin_adapter.embedded.http.chunks import (
    MAX_EXTRA,
    MAX_LINE,
    ChunkReader,
    MalformedChunks,
)

NEXT = b"GET / HTTP/1.1\r\n"


class Source:
    """Bytes that a client sent, and then no more."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    def line(self, most: int) -> bytes:
        line, found, rest = self.data.partition(b"\r\n")
        if not found or len(line) > most:
            raise EOFError("no line")
        self.data = rest
        return line


def whole(source: Source, size: int = 65536) -> bytes:
    reader = ChunkReader(source)
    body = b"".join(iter(lambda: reader.read(size), b""))
    assert reader.done
    return body


@given(
    body=st.binary(max_size=60),
    cuts=st.lists(st.integers(1, 59), max_size=5),
    size=st.integers(1, 70),
    extension=st.sampled_from([b"", b";x", b" ;x=y", b';x="a b"']),
    trailers=st.sampled_from([b"", b"A: b\r\n", b"A:\r\nX-Y: z\r\n"]),
)
def test_any_body_in_any_chunks_comes_back(
    body: bytes, cuts: list[int], size: int, extension: bytes, trailers: bytes
) -> None:
    """And what follows it is left for the next request."""
    ends = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    chunks = b"".join(
        b"%x%s\r\n%s\r\n" % (end - begin, extension, body[begin:end])
        for begin, end in pairwise(ends)
    )
    source = Source(chunks + b"0\r\n" + trailers + b"\r\n" + NEXT)

    assert whole(source, size) == body
    assert source.data == NEXT


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\nhello\r\n0\r\n\r\n",
        b";x\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a\x00\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"4\r\nhello\r\n0\r\n\r\n",
        b"6\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nno field\r\n\r\n",
        b"5\r\nhello\r\n0\r\nA : b\r\n\r\n",
        b"5\r\nhello\r\n0\r\n folded\r\n\r\n",
        b"5\r\nhello\r\n0\r\nA: b\x00\r\n\r\n",
        b"5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
        b"5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * (MAX_EXTRA // 4 + 1) + b"\r\n",
        b"5;" + b"x" * MAX_LINE + b"\r\nhello\r\n0\r\n\r\n",
        (b"1;" + b"x" * 4000 + b"\r\ny\r\n") * (MAX_EXTRA // 4000 + 1) + b"0\r\n\r\n",
        b"5\r\nhel",
        b"5\r\nhello",
        b"5\r\nhello\r\n",
        b"5\r\nhello\r\n0\r\n",
        b"5\r\nhello\r\n0\r\nA: b\r\n",
        b"",
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_two_readers_could_read_as_two_bodies_is_none(raw: bytes) -> None:
    """RFC 9112 sections 7.1 and 6.3; a cut one is none either (E44)."""
    with pytest.raises((MalformedChunks, EOFError)):
        whole(Source(raw))
