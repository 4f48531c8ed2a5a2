"""What goes to the origin and what comes back, one to one (no sockets here)."""

import time
from typing import Any

import pytest

from edge.core.errors import OriginTimeout, OriginUnreachable
from edge.core.ports import Exchange
from edge.core.values import Framing, Header, OriginRequest, Purpose, WriteOutcome
from edge.front.app.app import create_app
from edge.front.options import FrontOptions
from edge.policy.streams.routes import Route
from origin_adapter.blocking import BeginsByOpen, body_of
from origin_adapter.scripted import PlayedExchange
from tests.front.fake_edge import FakeReadService, parts
from tests.front.wsgi_client import WsgiClient
from tests.support.options import front_options, limits

ORIGIN = "http://127.0.0.1:4437"


class OneAnswer(BeginsByOpen):
    """An origin that gives one answer, and keeps what it was asked."""

    def __init__(self, status: int, *fields: Header, body: bytes = b"") -> None:
        self.request: OriginRequest | None = None
        self.received = b""
        self.exchange = PlayedExchange(
            status, fields, Framing.LENGTH, len(body) if body else None
        )
        self.exchange.put(body)
        self.exchange.end()

    def open(self, request: OriginRequest, on_sent: Any = None) -> Exchange:
        self.request = request
        self.received = body_of(request)
        if on_sent is not None:
            on_sent()
        return self.exchange

    @property
    def sent(self) -> dict[str, str]:
        """The fields of what it was asked."""
        assert self.request is not None
        return dict(self.request.headers)


def front(
    origin: OneAnswer,
    read_service: FakeReadService | None = None,
    options: FrontOptions | None = None,
    routes: tuple[Route, ...] = (Route(),),
) -> WsgiClient:
    """A client of the application before this origin."""
    given = options or front_options(origin_bases=(ORIGIN,))
    return WsgiClient(create_app(parts(read_service, origin, routes, given)))


def test_a_write_goes_on_with_its_fields_and_without_those_of_the_connection() -> None:
    """O17, P1; RFC 9110 section 7.6.1."""
    origin = OneAnswer(204)
    front(origin)(
        "POST",
        "/v1/stream/a",
        {
            "Content-Type": "text/plain",
            "Producer-Id": "p",
            "Authorization": "Bearer x",
            "Connection": "X-Hop",
            "X-Hop": "1",
            "X-Forwarded-Host": "evil.test",
            "X-Request-Id": "mine-1",
        },
        b"abc",
    )

    assert origin.received == b"abc"
    assert origin.request is not None
    assert origin.request.purpose is Purpose.WRITE
    assert origin.request.content_length == 3
    assert origin.sent["producer-id"] == "p"
    assert origin.sent["authorization"] == "Bearer x"
    assert origin.sent["x-request-id"] == "mine-1"
    assert origin.sent["via"] == "1.1 here"
    assert origin.sent["cdn-loop"] == "ds-edge;node=c0ffee"
    assert origin.sent["x-forwarded-for"] == "192.0.2.1"
    for name in ("host", "connection", "x-hop", "x-forwarded-host", "content-length"):
        assert name not in origin.sent


def test_the_origins_fields_come_back_but_for_those_that_the_edge_sets() -> None:
    """L18: CORS and the security fields are the edge's, once each."""
    origin = OneAnswer(
        200,
        ("stream-next-offset", "9"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("access-control-allow-origin", "https://other.test"),
        ("x-content-type-options", "nosniff"),
        ("via", "1.1 inner"),
        ("cache-status", "inner; hit"),
        ("connection", "keep-alive"),
    )
    answered = front(origin)("POST", "/v1/stream/a")

    assert answered["stream-next-offset"] == "9"
    assert answered["access-control-allow-origin"] == "*"
    assert answered["x-content-type-options"] == "nosniff"
    assert answered["via"] == "1.1 inner, 1.1 here"
    assert answered["cache-status"].startswith("inner; hit, ds-edge/here; fwd=method")
    assert "connection" not in answered
    assert sorted(answered.all("set-cookie")) == ["a=1", "b=2"]


def test_an_answer_without_a_content_type_stays_without_one() -> None:
    """Falcon would call it JSON."""
    assert "content-type" not in front(OneAnswer(204))("POST", "/a")
    answered = front(OneAnswer(200, body=b"x"))("POST", "/a")

    assert "content-type" not in answered


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        (f"{ORIGIN}/v1/stream/a", "https://edge.test/v1/stream/a"),
        ("http://0.0.0.0:1/v1/stream/a", "https://edge.test/v1/stream/a"),
        ("/v1/stream/a", "https://edge.test/v1/stream/a"),
        ("https://elsewhere.test/b", "https://elsewhere.test/b"),
    ],
)
def test_where_a_stream_was_made_is_told_by_the_edges_address(
    location: str, seen: str
) -> None:
    """O18: the origin writes its own, whatever Host says."""
    options = front_options(public_url="https://edge.test", origin_bases=(ORIGIN,))
    origin = OneAnswer(201, ("location", location))
    answered = front(origin, options=options)("PUT", "/v1/stream/a")

    assert answered["location"] == seen


def test_without_a_public_address_the_clients_own_word_for_it_counts() -> None:
    """Its Host, for its own answer, which nobody shares."""
    origin = OneAnswer(201, ("location", f"{ORIGIN}/v1/stream/a"))
    answered = front(origin)("PUT", "/v1/stream/a", {"Host": "seen.test:81"})

    assert answered["location"] == "http://seen.test:81/v1/stream/a"


def test_a_control_document_speaks_of_the_edge() -> None:
    """O18: their bodies hold the origin's addresses."""
    options = front_options(public_url="https://edge.test", origin_bases=(ORIGIN,))
    body = b'{"callback_url":"%s/v1/stream/__ds/x"}' % ORIGIN.encode()
    origin = OneAnswer(200, ("content-type", "application/json"), body=body)
    answered = front(origin, options=options)("GET", "/v1/stream/__ds/x")

    assert answered.json == {"callback_url": "https://edge.test/v1/stream/__ds/x"}
    assert answered["content-length"] == str(len(answered.body))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/stream/__ds/x", "application/octet-stream"),
        ("/elsewhere", "application/json"),
    ],
)
def test_nothing_else_is_rewritten(path: str, kind: str) -> None:
    """Data least of all."""
    body = b'{"url":"%s/v1/stream/__ds/x"}' % ORIGIN.encode()
    origin = OneAnswer(200, ("content-type", kind), body=body)

    assert front(origin)("GET", path).body == body


def test_a_large_control_document_passes_untouched() -> None:
    """It is streamed once it is known to be too large to be read whole."""
    body = b'["' + b"x" * (2 << 20) + b'"]'
    origin = OneAnswer(200, ("content-type", "application/json"), body=body)
    answered = front(origin)("GET", "/v1/stream/__ds/x")

    assert answered.body == body


def test_a_head_that_passes_tells_the_length_that_a_get_would_have() -> None:
    """RFC 9110 section 8.6: the origin's word, not the empty body's."""
    origin = OneAnswer(200, ("content-length", "42"))
    answered = front(origin)("HEAD", "/v1/stream/__ds/x")

    assert answered["content-length"] == "42"
    assert origin.exchange.closed.is_set()


def test_an_answer_to_a_write_is_not_stored_by_anybody() -> None:
    """Unless the origin says otherwise; heuristics would allow it downstream."""
    answered = front(OneAnswer(200))("POST", "/v1/stream/a")
    assert answered["cache-control"] == "no-store"
    origin = OneAnswer(200, ("cache-control", "public, max-age=300"))

    answered = front(origin)("GET", "/v1/stream/__ds/jwks")
    assert answered["cache-control"] == "public, max-age=300"


def test_the_exchange_is_let_go_of_however_the_request_ends() -> None:
    """It owns a connection."""
    origin = OneAnswer(200, ("content-type", "application/json"))
    origin.exchange = PlayedExchange(200, (("content-type", "application/json"),))
    origin.exchange.end(OriginTimeout("x"))
    answered = front(origin)("GET", "/v1/stream/__ds/x")

    assert answered.status == 504


def test_a_body_that_is_too_large_never_reaches_the_origin() -> None:
    """413, decided by what it announces."""
    origin = OneAnswer(204)
    options = front_options(limits=limits(max_body=2))
    answered = front(origin, options=options)("POST", "/v1/stream/a", body=b"abc")

    assert answered.json["reason"] == "body-too-large"
    assert origin.request is None


def test_an_unknown_live_asks_as_a_read_asks() -> None:
    """E23, L13: passed, but with the fields of its partition only."""
    origin = OneAnswer(200, body=b"x")
    front(origin)(
        "GET", "/v1/stream/a?live=odd&x=1", {"X-Odd": "1", "Range": "bytes=0-1"}
    )

    assert origin.request is not None
    assert origin.request.target == "/v1/stream/a?live=odd&x=1"
    assert origin.request.purpose is Purpose.RELAY
    assert "x-odd" not in origin.sent
    assert "range" not in origin.sent


def test_the_hub_hears_of_writes_to_streams_only() -> None:
    """Not of control paths, nor of what is no stream."""
    told: list[str] = []
    read_service = FakeReadService(told.append)
    client = front(OneAnswer(200, body=b"x"), read_service)
    client("PUT", "/v1/stream/__ds/x")
    client("PUT", "/elsewhere")
    client("PUT", "/v1/stream/a?x=1")

    assert told == ["wrote /v1/stream/** /v1/stream/a?x=1 PUT 200"]


class Dated(OneAnswer):
    """Keeps when it was asked; without an answer, if it is told so."""

    def __init__(self, lost: bool) -> None:
        super().__init__(204)
        self._lost = lost
        self.asked_at = 0.0

    def open(self, request: OriginRequest, on_sent: Any = None) -> Exchange:
        self.asked_at = time.monotonic()
        exchange = super().open(request, on_sent)
        if self._lost:
            raise OriginTimeout("it said nothing")
        return exchange


@pytest.mark.parametrize("lost", [False, True])
def test_a_write_began_before_the_origin_had_any_of_it(lost: bool) -> None:
    """U13: else the tail may seem to have been known before the write."""
    origin, outcomes = Dated(lost), []

    class Service(FakeReadService):
        def wrote(self, write: WriteOutcome) -> None:
            outcomes.append(write)

    front(origin, Service())("POST", "/v1/stream/a", body=b"x")

    assert [one.status for one in outcomes] == [None if lost else 204]
    assert outcomes[0].begun_at <= origin.asked_at


@pytest.mark.parametrize("unsent", [False, True])
def test_a_write_that_reached_nobody_was_not_lost(unsent: bool) -> None:
    """U26, L5: what is held of the stream need not be doubted."""
    told: list[str] = []

    class Away(OneAnswer):
        def open(self, request: OriginRequest, on_sent: Any = None) -> Exchange:
            body_of(request)
            fault = OriginUnreachable("nobody listens")
            fault.unsent = unsent
            raise fault

    client = front(Away(200), FakeReadService(told.append))
    assert client("PUT", "/v1/stream/a", body=b"x").status == 502

    assert told == ([] if unsent else ["wrote /v1/stream/** /v1/stream/a PUT None"])
