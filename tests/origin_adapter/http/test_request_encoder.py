"""The bytes of a request: strict, built, and never complete by accident."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ClientBodyCut, ClientFault
from edge.core.reasons import Reason
from edge.core.values import OriginRequest
from origin_adapter.http.request_encoder import (
    EncodedRequest,
    checked_host,
    framed,
    request_head,
)


def test_host_comes_first_and_nothing_is_added() -> None:
    request = OriginRequest("GET", "/s?offset=-1", (("accept-encoding", "identity"),))

    assert request_head(request, "origin:1", "/base") == (
        b"GET /base/s?offset=-1 HTTP/1.1\r\nHost: origin:1\r\n"
        b"accept-encoding: identity\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "body", "length", "line"),
    [
        ("GET", None, None, b""),
        ("DELETE", None, None, b""),
        ("POST", None, None, b"Content-Length: 0\r\n"),
        ("PUT", None, None, b"Content-Length: 0\r\n"),
        ("PUT", iter([b"x"]), 1, b"Content-Length: 1\r\n"),
        ("PUT", iter([b"x"]), None, b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_the_framing_is_this_hop_s_own(
    method: str, body: Iterator[bytes] | None, length: int | None, line: bytes
) -> None:
    """RFC 9110 section 8.6, RFC 9112 section 6."""
    request = OriginRequest(method, "/", body=body, content_length=length)

    assert request_head(request, "h") == b"%b / HTTP/1.1\r\nHost: h\r\n%b\r\n" % (
        method.encode(),
        line,
    )


@pytest.mark.parametrize(
    "request_",
    [
        OriginRequest("GE T", "/"),
        OriginRequest("", "/"),
        OriginRequest("GET\r\n", "/"),
        OriginRequest("GET", ""),
        OriginRequest("GET", "s"),
        OriginRequest("GET", "/a b"),
        OriginRequest("GET", "/a\r\nX: 1"),
        OriginRequest("GET", "/a\x00"),
        OriginRequest("GET", "/a#b"),
        OriginRequest("GET", "/\xe9"),
        OriginRequest("GET", "http://other/"),
        OriginRequest("GET", "/", (("x", "a\r\nY: 1"),)),
        OriginRequest("GET", "/", (("x", "a\n"),)),
        OriginRequest("GET", "/", (("x", "a\x00"),)),
        OriginRequest("GET", "/", (("x", "\x7f"),)),
        OriginRequest("GET", "/", (("x", "\u20ac"),)),
        OriginRequest("GET", "/", (("x y", "a"),)),
        OriginRequest("GET", "/", (("x:", "a"),)),
        OriginRequest("GET", "/", (("", "a"),)),
        OriginRequest("GET", "/", (("Host", "other"),)),
        OriginRequest("GET", "/", (("Transfer-Encoding", "chunked"),)),
        OriginRequest("GET", "/", (("content-length", "5"),)),
        OriginRequest("GET", "/", (("Connection", "close"),)),
        OriginRequest("GET", "/", (("expect", "100-continue"),)),
    ],
)
def test_what_could_become_a_second_request_is_refused(request_: OriginRequest) -> None:
    with pytest.raises(ClientFault) as caught:
        request_head(request_, "h")

    assert (caught.value.status, caught.value.reason) == (400, Reason.BAD_HEAD)


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a\r\n", "\xe9"])
def test_a_host_that_cannot_be_sent_is_an_error_of_the_settings(host: str) -> None:
    with pytest.raises(ValueError, match="Host"):
        checked_host(host)


@given(st.text(), st.text())
def test_no_field_ever_adds_a_line(name: str, value: str) -> None:
    request = OriginRequest("GET", "/", ((name, value),))
    try:
        head = request_head(request, "h")
    except ClientFault:
        return

    assert head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == 4


@given(st.lists(st.binary(max_size=40)))
def test_chunks_carry_the_body_and_only_the_last_is_empty(pieces: list[bytes]) -> None:
    """An empty piece of the client's must not end the message."""
    wire = [piece.octets for piece in framed(iter(pieces), None)]

    assert wire[-1] == b"0\r\n\r\n"
    assert all(not chunk.startswith(b"0\r\n") for chunk in wire[:-1])
    carried = b"".join(chunk.partition(b"\r\n")[2][:-2] for chunk in wire[:-1])
    assert carried == b"".join(pieces)


@given(st.lists(st.binary(max_size=40)))
def test_a_counted_body_goes_out_as_it_is(pieces: list[bytes]) -> None:
    body = b"".join(pieces)

    wire = list(framed(iter(pieces), len(body)))

    assert b"".join(piece.octets for piece in wire) == body
    assert [piece.last for piece in wire] == [False] * (len(wire) - 1) + [True] * bool(
        body
    )


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1), st.integers(1, 99))
def test_a_short_body_is_told_before_it_could_look_complete(
    pieces: list[bytes], missing: int
) -> None:
    sent: list[bytes] = []

    with pytest.raises(ClientBodyCut):
        sent.extend(
            piece.octets
            for piece in framed(iter(pieces), len(b"".join(pieces)) + missing)
        )


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1), st.integers(1, 99))
def test_a_long_body_never_completes_the_message(
    pieces: list[bytes], surplus: int
) -> None:
    length = max(0, len(b"".join(pieces)) - surplus)
    sent: list[bytes] = []

    with pytest.raises(ClientFault) as caught:
        for piece in framed(iter(pieces), length):
            sent.append(piece.octets)

    assert caught.value.reason is Reason.BODY_TOO_LARGE
    assert length == 0 or len(b"".join(sent)) < length


@pytest.mark.parametrize("length", [4, None])
def test_a_body_that_raises_at_its_last_moment_is_incomplete(
    length: int | None,
) -> None:
    """All bytes were there, and still the reader of the client's body objects."""

    def body() -> Iterator[bytes]:
        yield b"ab"
        yield b"cd"
        raise ClientBodyCut("changed its mind")

    sent: list[bytes] = []
    with pytest.raises(ClientBodyCut):
        for piece in framed(body(), length):
            assert not piece.last
            sent.append(piece.octets)

    wire = b"".join(sent)
    assert wire == (b"ab" if length else b"2\r\nab\r\n2\r\ncd\r\n")


def test_an_empty_counted_body_is_checked_before_anything_is_sent() -> None:
    def body() -> Iterator[bytes]:
        yield from ()
        raise ClientBodyCut("gone")

    request = OriginRequest("PUT", "/", body=body(), content_length=0)

    with pytest.raises(ClientBodyCut):
        EncodedRequest.prepare(request, "h", "")


@pytest.mark.parametrize(
    ("method", "body", "resendable"),
    [
        ("GET", None, True),
        ("HEAD", None, True),
        ("DELETE", None, False),
        ("POST", None, False),
        ("GET", iter([b"x"]), False),
    ],
)
def test_what_may_be_sent_twice(
    method: str, body: Iterator[bytes] | None, resendable: bool
) -> None:
    """E22."""
    request = OriginRequest(method, "/", body=body)

    assert EncodedRequest.prepare(request, "h", "").resendable is resendable
