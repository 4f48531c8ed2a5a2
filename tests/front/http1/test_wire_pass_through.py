"""What passes through, on the wire: writes, control paths, odd methods, relays."""

import pytest

from tests.front.edge_process import Client, EdgeProcess

TEXT = "Content-Type: text/plain"


def test_a_write_is_answered_with_what_the_origin_says(
    edge: EdgeProcess, client: Client
) -> None:
    """And the hub has heard of it by then (L4)."""
    client.request("PUT", "/v1/stream/wire", TEXT, body=b"abc")
    created = client.read()

    assert created.status == 201
    assert created["stream-next-offset"]
    assert "fwd=method; fwd-status=201" in created["cache-status"]
    assert edge.expect("wrote") == "wrote /v1/stream/** /v1/stream/wire PUT 201"


@pytest.mark.parametrize("method", ["PATCH", "PROPFIND", "FROBNICATE", "M-SEARCH"])
def test_a_method_that_falcon_does_not_know_passes(
    edge: EdgeProcess, client: Client, method: str
) -> None:
    """E23. Whether it writes, only the origin knows: the hub hears of it."""
    client.request(method, "/v1/stream/swallow", TEXT, body=b"abc")

    assert client.read().body == b"3 bytes, 3 at most"
    assert edge.expect("wrote").endswith(f"{method} 200")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_a_method_that_must_not_pass_is_refused(client: Client, method: str) -> None:
    """One is no proxy's; the other would show the edge's own credential."""
    target = "a.test:80" if method == "CONNECT" else "/v1/stream/hit"
    client.request(method, target)

    assert client.read().status == 501


def test_what_is_no_stream_passes(edge: EdgeProcess, client: Client) -> None:
    """Uncached, and no write as far as the hub is concerned."""
    client.request("POST", "/other/swallow", TEXT, body=b"abc")
    answered = client.read()

    assert answered.body == b"3 bytes, 3 at most"
    assert "detail=not-a-stream" in answered["cache-status"]
    client.request("PUT", "/v1/stream/marker", TEXT)
    client.read()
    assert edge.expect("wrote").endswith("/v1/stream/marker PUT 201")


def test_a_request_that_has_been_here_before_is_refused(client: Client) -> None:
    """L26, U10: this node's own id in CDN-Loop, on both ways and for writes too."""
    loop = "CDN-Loop: other, ds-edge;node=c0ffee"
    for method in ("GET", "HEAD", "POST"):
        client.request(method, "/v1/stream/hit", loop)
        answered = client.read(method)

        assert answered.status == 508
        assert "detail=loop" in answered["cache-status"]
    client.get("/v1/stream/hit", loop, "Connection: cdn-loop")
    assert client.read().problem()["reason"] == "loop"


def test_a_request_by_way_of_another_edge_is_served(client: Client) -> None:
    """L26, U10: a loop is this node's id again, not any edge's, nor this one's name."""
    client.get("/v1/stream/hit", "Via: 1.1 here", "CDN-Loop: ds-edge;node=decaf")

    assert client.read().status == 200


def test_an_origin_that_is_away_is_a_502(edge: EdgeProcess, client: Client) -> None:
    """With Retry-After, never stored; nothing was sent, so nothing was written."""
    client.request("DELETE", "/v1/stream/away")
    answered = client.read()

    assert answered.status == 502
    assert answered["retry-after"] == "1"
    assert answered["cache-control"] == "no-store"
    assert "detail=origin-unreachable" in answered["cache-status"]
    client.request("DELETE", "/v1/stream/lost")
    client.read()
    assert edge.expect("wrote") == "wrote /v1/stream/** /v1/stream/lost DELETE None"


def test_a_lost_answer_is_a_504_and_the_hub_hears_of_it(
    edge: EdgeProcess, client: Client
) -> None:
    """L4, L5: nobody knows whether the write happened."""
    client.request("POST", "/v1/stream/lost", TEXT, body=b"abc")

    assert client.read().problem()["reason"] == "origin-timeout"
    assert edge.expect("wrote").endswith("/v1/stream/lost POST None")


def test_an_answer_that_breaks_off_never_looks_complete(client: Client) -> None:
    """E44: passed on as it came, cut where it was cut."""
    client.request("POST", "/v1/stream/half", TEXT, body=b"x")
    answered = client.read()

    assert (answered.status, answered.body) == (200, b"half")
    assert not answered.complete


def test_an_endless_answer_ends_with_its_reader(
    edge: EdgeProcess, client: Client
) -> None:
    """The exchange is given up when the client leaves, silent as the origin is."""
    client.get("/v1/stream/forever?live=unknown")
    client.head()
    assert client.chunk() == b"data:first\n\n"
    client.close()

    edge.expect("exchange closed")


def test_a_preflight_is_answered_at_the_edge(client: Client) -> None:
    """PROTOCOL.md 12.7, O19: If-None-Match is allowed, the fields exposed."""
    client.request(
        "OPTIONS",
        "/v1/stream/hit",
        "Origin: https://app.test",
        "Access-Control-Request-Method: GET",
        "Access-Control-Request-Headers: if-none-match",
    )
    answered = client.read()

    assert answered.status == 204
    assert answered.all("access-control-allow-origin") == ["*"]
    assert "If-None-Match" in answered["access-control-allow-headers"]
    assert "PUT" in answered["access-control-allow-methods"]
    assert "ETag" in answered["access-control-expose-headers"]


@pytest.mark.parametrize("target", ["/v1/stream/hit", "*"])
def test_a_plain_options_says_what_is_allowed(client: Client, target: str) -> None:
    """Without the fields of a preflight."""
    client.request("OPTIONS", target)
    answered = client.read()

    assert answered.status == 204
    assert "DELETE" in answered["allow"]


def test_options_off_the_routes_is_the_origins_to_answer(client: Client) -> None:
    """L18: a preflight, too. The edge knows nothing of what is there."""
    for fields in ((), ("Access-Control-Request-Method: PUT",)):
        client.request("OPTIONS", "/other/swallow", *fields)
        answered = client.read()

        assert answered.body == b"0 bytes, 0 at most"
        assert not answered.all("access-control-allow-origin")
        assert not answered.all("cross-origin-resource-policy")
        assert answered.all("x-content-type-options") == ["nosniff"]
