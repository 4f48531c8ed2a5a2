"""Header fields of what passes through, each way, and loops."""

import pytest

from edge.core.values import Headers, Node
from edge.policy.http.forwarding import is_loop, request_headers, response_headers

NODE = Node("n1", "7f3a")
MARKS: Headers = (
    ("accept-encoding", "identity"),
    ("via", "1.1 n1"),
    ("cdn-loop", "ds-edge;node=7f3a"),
)


def sent(*headers: tuple[str, str]) -> Headers:
    """What goes upstream of these fields, without what the edge always adds."""
    out = request_headers(headers, node=NODE)
    assert out[-3:] == MARKS
    return out[:-3]


def test_a_write_keeps_its_own_fields() -> None:
    """O17: all of the protocol's, credentials, and what extensions add."""
    own = (
        ("content-type", "application/json"),
        ("authorization", "Bearer a"),
        ("cookie", "a=b"),
        ("stream-closed", "true"),
        ("stream-ttl", "60"),
        ("stream-forked-from", "/v1/stream/a"),
        ("producer-id", "p"),
        ("producer-epoch", "1"),
        ("producer-seq", "5"),
        ("content-encoding", "gzip"),
        ("if-match", '"a"'),
        ("user-agent", "curl"),
        ("x-request-id", "r"),
        ("x-tenant", "blue"),
    )

    assert sent(*own) == own


def test_names_go_in_lower_case_and_in_order() -> None:
    assert sent(("X-B", "1"), ("X-A", "2"), ("X-B", "3")) == (
        ("x-b", "1"),
        ("x-a", "2"),
        ("x-b", "3"),
    )


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "HTTP2-Settings",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Proxy-Anything",
        "Host",
        "Content-Length",
        "Expect",
        "Accept-Encoding",
    ],
)
def test_what_belongs_to_one_connection_stays_there(name: str) -> None:
    """RFC 9110 section 7.6.1, P9."""
    assert sent((name, "x"), ("x-kept", "y")) == (("x-kept", "y"),)


@pytest.mark.parametrize(
    "name",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Scheme",
        "X-Forwarded-Anything",
        "X_Forwarded_For",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X_Rewrite_Url",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Real-IP",
        "X-Host",
    ],
)
def test_a_client_cannot_speak_as_a_proxy(name: str) -> None:
    """P1: unkeyed fields that change what an origin sees."""
    assert sent((name, "evil")) == ()


def test_what_connection_lists_goes_no_further() -> None:
    headers = (
        ("Connection", "close, X-Hop"),
        ("connection", "x-other"),
        ("X-Hop", "1"),
        ("x-other", "2"),
        ("x-kept", "3"),
    )

    assert sent(*headers) == (("x-kept", "3"),)


def test_the_edge_alone_says_who_forwarded() -> None:
    out = request_headers(
        [("x-forwarded-for", "1.2.3.4")],
        node=NODE,
        forwarded=(("x-forwarded-for", "203.0.113.9"),),
    )

    assert out == (("x-forwarded-for", "203.0.113.9"), *MARKS)


def test_via_and_cdn_loop_grow_by_this_node() -> None:
    """RFC 9110 section 7.6.3 and RFC 8586 section 2."""
    out = dict(
        request_headers(
            [("Via", "1.1 a, 2 b"), ("via", "1.1 c"), ("CDN-Loop", "x; v=1")],
            node=NODE,
        )
    )

    assert out["via"] == "1.1 a, 2 b, 1.1 c, 1.1 n1"
    assert out["cdn-loop"] == "x; v=1, ds-edge;node=7f3a"


def test_connection_cannot_hide_a_loop() -> None:
    """RFC 8586 section 2.1: CDN-Loop must survive whatever a client asks for (U10)."""
    hidden = [("Connection", "via, cdn-loop"), ("Via", "1.1 a"), ("CDN-Loop", "b")]
    out = dict(request_headers(hidden, node=NODE))

    assert out["via"] == "1.1 a, 1.1 n1"
    assert out["cdn-loop"] == "b, ds-edge;node=7f3a"
    assert is_loop([("Connection", "cdn-loop"), ("cdn-loop", out["cdn-loop"])], NODE)


@pytest.mark.parametrize(
    ("name", "value", "loop"),
    [
        ("cdn-loop", "ds-edge;node=7f3a", True),
        ("CDN-Loop", "other, ds-edge; node=7f3a; v=2, x", True),
        ("cdn-loop", 'x; by="a, b;", ds-edge ;\tnode="7f3a"', True),
        ("cdn-loop", "ds-edge;node=7f3b, ds-edge;node=7f3a", True),
        ("cdn-loop", "ds-edge;node=7f3", False),
        ("cdn-loop", "ds-edge;node=7F3A", False),
        ("cdn-loop", "ds-edge", False),
        ("cdn-loop", "7f3a, n1", False),
        ("cdn-loop", "other;node=7f3a", False),
        ("cdn-loop", 'other; by="ds-edge;node=7f3a"', False),
        ("cdn-loop", 'other; by="x, ds-edge;node=7f3a', False),
        ("cdn-loop", "", False),
        ("x-cdn-loop", "ds-edge;node=7f3a", False),
    ],
)
def test_a_loop_is_this_nodes_own_id_seen_again(
    name: str, value: str, loop: bool
) -> None:
    """L26, U10, E34: another edge in front is no loop but a point of presence."""
    assert is_loop([("host", "x"), (name, value)], NODE) is loop


@pytest.mark.parametrize("via", ["1.1 n1", "1.0 a (n1), HTTP/1.1 n1 (ds-edge)"])
def test_a_name_in_via_is_never_a_loop(via: str) -> None:
    """U10: it is for people; two pods of one name may stand one behind the other."""
    assert not is_loop([("via", via)], NODE)


def test_what_one_node_sends_is_a_loop_to_it_and_to_no_other() -> None:
    """U10: not even to one of the same name, in another cluster."""
    out = request_headers((), node=NODE)

    assert is_loop(out, NODE)
    assert is_loop(out, Node("renamed", NODE.id))
    assert not is_loop(out, Node(NODE.name, "90b1"))


# -- and back -----------------------------------------------------------------


def test_an_answer_keeps_what_the_protocol_says() -> None:
    """O17; L18. Set-Cookie is one client's own on this way."""
    own = (
        ("content-type", "text/plain"),
        ("stream-next-offset", "0_7"),
        ("stream-closed", "true"),
        ("stream-up-to-date", "true"),
        ("producer-epoch", "1"),
        ("producer-seq", "5"),
        ("producer-expected-seq", "1"),
        ("producer-received-seq", "5"),
        ("etag", '"a"'),
        ("location", "http://o/v1/stream/a"),
        ("retry-after", "3"),
        ("www-authenticate", "Bearer"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("content-encoding", "gzip"),
        ("vary", "accept-encoding"),
        ("via", "1.1 origin-proxy"),
        ("cache-control", "public, max-age=300"),
    )

    assert response_headers(own) == own


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Proxy-Authenticate",
        "Content-Length",
        "Date",
        "Server",
        "Alt-Svc",
        "Access-Control-Allow-Origin",
        "Access-Control-Expose-Headers",
        "X-Content-Type-Options",
        "Cross-Origin-Resource-Policy",
    ],
)
def test_what_the_edge_sets_itself_does_not_come_twice(name: str) -> None:
    """RFC 9110 section 7.6.1; L18, E29: CORS is a setting of the route."""
    out = response_headers([(name, "x"), ("cache-control", "no-store")])

    assert out == (("cache-control", "no-store"),)


def test_what_an_origin_lists_in_connection_goes_no_further() -> None:
    out = response_headers(
        [("connection", "close, x-hop"), ("X-Hop", "1"), ("Cache-Control", "private")]
    )

    assert out == (("cache-control", "private"),)


def test_an_answer_that_says_nothing_of_caching_is_not_cacheable() -> None:
    """E14: a 204 or a 404 without a word is heuristically cacheable."""
    assert response_headers(()) == (("cache-control", "no-store"),)
    assert response_headers((), cache_control="private") == (
        ("cache-control", "private"),
    )
