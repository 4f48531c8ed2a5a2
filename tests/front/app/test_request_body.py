"""RequestBody: counted, so that a cut body is never taken for whole."""

import io

import pytest
from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkSize,
    NoMoreData,
)
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ClientBodyCut, ClientFault
from edge.core.reasons import Reason
from edge.front.app.request_body import PIECE, RequestBody
from edge.front.request_context import RequestContext


class Broken:
    """An input that gives some bytes and then fails."""

    def __init__(self, first: bytes, error: Exception) -> None:
        self._first = first
        self._error = error

    def read(self, _size: int) -> bytes:
        first, self._first = self._first, b""
        if not first:
            raise self._error
        return first


def record_of(source: object, length: int | None) -> RequestContext:
    """The record of a POST with this input."""
    environ = {"REQUEST_METHOD": "POST", "RAW_URI": "/", "wsgi.input": source}
    if length is None:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    else:
        environ["CONTENT_LENGTH"] = str(length)
    return RequestContext.begin(environ, 0.0)


@given(st.binary(max_size=3 * PIECE), st.booleans())
def test_what_was_sent_comes_out_in_pieces(sent: bytes, chunked: bool) -> None:
    """Whole, in order, never more than a piece at a time."""
    ctx = record_of(io.BytesIO(sent), None if chunked else len(sent))
    pieces = list(RequestBody(ctx, None))

    assert b"".join(pieces) == sent
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    assert not ctx.body_left


@given(st.binary(max_size=2 * PIECE), st.integers(1, 2 * PIECE))
def test_a_body_shorter_than_announced_is_cut(sent: bytes, missing: int) -> None:
    """gunicorn ends it as if it were whole (E44)."""
    ctx = record_of(io.BytesIO(sent), len(sent) + missing)

    with pytest.raises(ClientBodyCut):
        list(RequestBody(ctx, None))
    assert ctx.body_left


def test_what_follows_a_body_is_left_alone() -> None:
    """The next request on the connection begins there."""
    source = io.BytesIO(b"bodyGET /")
    list(RequestBody(record_of(source, 4), None))

    assert source.read() == b"GET /"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (NoMoreData(), 400, Reason.BODY_CUT),
        (ConnectionResetError(), 400, Reason.BODY_CUT),
        (ChunkMissingTerminator(b""), 400, Reason.BODY_CUT),
        (ChunkMissingTerminator(b"xx"), 400, Reason.UNSUPPORTED_FRAMING),
        (InvalidChunkSize(b"x"), 400, Reason.UNSUPPORTED_FRAMING),
        (TimeoutError(), 408, Reason.BODY_TIMEOUT),
    ],
)
def test_a_body_that_fails_says_why(
    error: Exception, status: int, reason: Reason
) -> None:
    """A cut one is a ClientBodyCut, whatever it looked like from here."""
    body = RequestBody(record_of(Broken(b"abc", error), None), None)

    with pytest.raises(ClientFault) as caught:
        list(body)
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert isinstance(caught.value, ClientBodyCut) == (reason is Reason.BODY_CUT)
    assert body.begun


def test_a_body_that_announces_too_much_is_refused_unread() -> None:
    """413 before anything is sent upstream."""
    with pytest.raises(ClientFault) as caught:
        RequestBody(record_of(Broken(b"", AssertionError()), 11), 10)
    assert (caught.value.status, caught.value.reason) == (413, Reason.BODY_TOO_LARGE)


def test_a_chunked_body_is_refused_once_it_is_too_large() -> None:
    """It announces nothing, so it is counted."""
    with pytest.raises(ClientFault) as caught:
        list(RequestBody(record_of(io.BytesIO(b"x" * 11), None), 10))
    assert caught.value.reason is Reason.BODY_TOO_LARGE


def test_a_body_may_be_as_large_as_is_allowed() -> None:
    """To the byte."""
    assert list(RequestBody(record_of(io.BytesIO(b"x" * 10), 10), 10)) == [b"x" * 10]
