"""From an environ to a Request, and its body: counted, so a cut one is never whole."""

import io
import socket

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
from edge.front.app.app import begin, exchange_of
from edge.front.exchange import BLIND, PIECE, RequestBody
from edge.policy.http.client_address import Caller


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


def body_of(source: object, length: int | None) -> RequestBody:
    """The body of a POST with this input."""
    environ = {"REQUEST_METHOD": "POST", "RAW_URI": "/", "wsgi.input": source}
    if length is None:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    else:
        environ["CONTENT_LENGTH"] = str(length)
    body = begin(environ, 0.0).request.body
    assert body is not None
    return body


def test_a_request_is_what_its_environ_says() -> None:
    """Names in lower case; Content-Type has a name of its own in WSGI."""
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/a%2Fb?x",
        "HTTP_HOST": "edge.test",
        "HTTP_X_REQUEST_ID": "mine",
        "CONTENT_TYPE": "text/plain",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.url_scheme": "https",
    }
    request, ctx = begin(environ, 3.0)

    assert (request.method, request.target) == ("GET", "/a%2Fb?x")
    assert request.fields == {
        "host": "edge.test",
        "x-request-id": "mine",
        "content-type": "text/plain",
    }
    assert (request.scheme, request.client) == ("https", Caller("192.0.2.1"))
    assert request.body is None and not request.body_left
    assert (ctx.request_id, ctx.started) == ("mine", 3.0)
    assert exchange_of(environ) == (request, ctx)


def test_a_foreign_server_rebuilds_the_target() -> None:
    """It may hand over the decoded parts alone."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "QUERY_STRING": "b=1"}

    assert exchange_of(environ).request.target == "/a?b=1"


def test_a_foreign_socket_is_not_watched() -> None:
    """gunicorn's own workers hand over a socket without a transport."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/", "gunicorn.socket": ours}
        watch = begin(environ, 0.0).request.watch

        assert watch(lambda: None) is BLIND


def test_an_empty_body_leaves_nothing_unread() -> None:
    """The connection may be kept."""
    assert not body_of(io.BytesIO(), 0).left


@given(st.binary(max_size=3 * PIECE), st.booleans())
def test_what_was_sent_comes_out_in_pieces(sent: bytes, chunked: bool) -> None:
    """Whole, in order, never more than a piece at a time."""
    body = body_of(io.BytesIO(sent), None if chunked else len(sent))
    pieces = list(body.pieces(None))

    assert b"".join(pieces) == sent
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    assert not body.left


@given(st.binary(max_size=2 * PIECE), st.integers(1, 2 * PIECE))
def test_a_body_shorter_than_announced_is_cut(sent: bytes, missing: int) -> None:
    """gunicorn ends it as if it were whole (E44)."""
    body = body_of(io.BytesIO(sent), len(sent) + missing)

    with pytest.raises(ClientBodyCut):
        list(body.pieces(None))
    assert body.left


def test_what_follows_a_body_is_left_alone() -> None:
    """The next request on the connection begins there."""
    source = io.BytesIO(b"bodyGET /")
    list(body_of(source, 4).pieces(None))

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
    body = body_of(Broken(b"abc", error), None)

    with pytest.raises(ClientFault) as caught:
        list(body.pieces(None))
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert isinstance(caught.value, ClientBodyCut) == (reason is Reason.BODY_CUT)
    assert body.begun


def test_a_body_that_announces_too_much_is_refused_unread() -> None:
    """413 before anything is sent upstream."""
    with pytest.raises(ClientFault) as caught:
        body_of(Broken(b"", AssertionError()), 11).pieces(10)
    assert (caught.value.status, caught.value.reason) == (413, Reason.BODY_TOO_LARGE)


def test_a_chunked_body_is_refused_once_it_is_too_large() -> None:
    """It announces nothing, so it is counted."""
    with pytest.raises(ClientFault) as caught:
        list(body_of(io.BytesIO(b"x" * 11), None).pieces(10))
    assert caught.value.reason is Reason.BODY_TOO_LARGE


def test_a_body_may_be_as_large_as_is_allowed() -> None:
    """To the byte."""
    assert list(body_of(io.BytesIO(b"x" * 10), 10).pieces(10)) == [b"x" * 10]
