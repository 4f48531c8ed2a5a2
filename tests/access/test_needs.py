"""Needs: which right a request takes, and to what (A5, B5, B10)."""

from dataclasses import replace

import pytest

from edge.access import needs
from edge.policy.http.client_address import Caller
from edge.policy.streams.authorize import RequestHead
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import Right
from tests.support.requests import NOBODY, headers

ROOT = "/v1/stream"
ROUTE = Route(cors_origins=("https://app.example", "https://*.sub.example"))
ANY = Route(cors_origins=("*",))


def request(method: str, path: str, **fields: str) -> RequestHead:
    return RequestHead.of(method, path, headers(**fields) if fields else NOBODY)


@pytest.mark.parametrize(
    ("method", "right"),
    [
        ("GET", Right.READ),
        ("HEAD", Right.READ),
        ("PUT", Right.MANAGE),
        ("DELETE", Right.MANAGE),
        ("POST", Right.WRITE),
        ("PATCH", Right.WRITE),
        ("get", Right.WRITE),
        ("PURGE", Right.WRITE),
    ],
)
def test_reading_writing_and_managing_are_three_rights(
    method: str, right: Right
) -> None:
    """A5: what is unknown is a write."""
    assert needs.right_of(request(method, ROOT + "/a")) is right


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/__ds/subscriptions/s", "/__ds", "/%5F_ds/subscriptions", "/__ds;x/a"]
)
def test_control_paths_take_the_right_to_manage(method: str, path: str) -> None:
    """B5: reading there is no less."""
    assert needs.right_of(request(method, ROOT + path)) is Right.MANAGE


OPEN = [
    ("GET", "/__ds/jwks.json"),
    ("POST", "/__ds/subscriptions/s/callback"),
    ("POST", "/__ds/subscriptions/s/ack"),
    ("POST", "/__ds/subscriptions/a%2Fb/release"),
]


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_what_carries_the_origins_own_credentials_is_open(
    method: str, path: str
) -> None:
    """B5."""
    assert needs.is_open(request(method, ROOT + path))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/__ds/jwks.json"),
        ("HEAD", "/__ds/jwks.json"),
        ("GET", "/__ds/jwks%2Ejson"),
        ("GET", "/%5F_ds/jwks.json"),
        ("GET", "/__ds/jwks.json/a"),
        ("GET", "/__ds/x/__ds/jwks.json"),
        ("GET", "/%5F_ds/x/__ds/jwks.json"),
        ("GET", "/__ds;x/__ds/jwks.json"),
        ("POST", "/%5F_ds/x/__ds/subscriptions/s/ack"),
        ("GET", "/__ds/subscriptions/s/ack"),
        ("PUT", "/__ds/subscriptions/s/ack"),
        ("POST", "/__ds/subscriptions/s/claim"),
        ("POST", "/__ds/subscriptions/s/ACK"),
        ("POST", "/__ds/subscriptions/s/ack/"),
        ("POST", "/__ds/subscriptions//ack"),
        ("POST", "/__ds/subscriptions/s/t/ack"),
        ("POST", "/__ds/subscriptions/s%2Fack"),
        ("POST", "/__ds/subscriptions/s;x/ack/more"),
        ("GET", "/jwks.json"),
    ],
)
def test_everything_else_is_judged(method: str, path: str) -> None:
    """B5: compared raw. ``claim`` is judged: it gives a subscriber's turn away."""
    assert not needs.is_open(request(method, ROOT + path))


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/v1/stream/__ds/subscriptions/s", "/v1/stream"),
        ("/__ds/jwks.json", ""),
        ("/v1/a/__ds/b/__ds/c", "/v1/a"),
        ("/v1/stream/%5F_ds/x", ""),
        ("/v1/stream/%5F_ds/a/__ds/x", ""),
        ("/v1/stream/__ds;x/a/__ds/x", ""),
        ("/v1/stream%2F__ds/a/__ds/x", ""),
        ("/v1/stream/a__ds/__dsx/__ds/x", "/v1/stream/a__ds/__dsx"),
        ("/v1/stream/__ds", ""),
    ],
)
def test_a_control_path_speaks_for_all_below_its_root(path: str, root: str) -> None:
    """B5: whatever is not written plainly speaks for everything."""
    assert needs.root_of(path) == root


@pytest.mark.parametrize(
    ("fields", "route", "public_url", "elsewhere"),
    [
        ({}, ROUTE, None, True),
        ({"sec_fetch_site": "same-origin"}, ROUTE, None, False),
        ({"sec_fetch_site": "same-site"}, ROUTE, None, True),
        ({"sec_fetch_site": "none"}, ROUTE, None, True),
        ({"origin": "https://app.example"}, ROUTE, None, False),
        ({"origin": "https://app.example.evil"}, ROUTE, None, True),
        ({"origin": "https://app.example:444"}, ROUTE, None, True),
        ({"origin": "https://a.sub.example"}, ROUTE, None, False),
        ({"origin": "https://sub.example"}, ROUTE, None, True),
        ({"origin": "https://*.sub.example"}, ROUTE, None, True),
        ({"origin": "null"}, ROUTE, None, True),
        (
            {"origin": "https://app.example", "sec_fetch_site": "cross-site"},
            ROUTE,
            None,
            False,
        ),
        ({"origin": "https://["}, ANY, None, True),
        ({"origin": "https://[", "host": "["}, ANY, "https://c.d", True),
        ({"origin": "https://evil.example"}, ANY, None, True),
        ({"origin": "null"}, ANY, None, True),
        ({"origin": "null", "host": "null"}, ANY, None, True),
        ({"origin": "*"}, ANY, None, True),
        ({"origin": "https://edge.example", "host": "edge.example"}, ANY, None, False),
        ({"origin": "https://edge.example", "host": "EDGE.example"}, ANY, None, False),
        ({"origin": "https://edge.example", "host": "other"}, ANY, None, True),
        (
            {"origin": "http://a.b", "host": "a.b", "sec_fetch_site": "cross-site"},
            ANY,
            None,
            True,
        ),
        ({"origin": "https://a.b", "host": "a.b"}, ANY, "https://c.d", True),
        ({"origin": "https://c.d", "host": "a.b"}, ANY, "https://c.d", False),
        ({"origin": "http://c.d", "host": "c.d"}, ANY, "https://c.d", True),
        ({"origin": "https://c.d"}, ANY, "https://C.D:443", False),
        ({"origin": "https://c.d:8443"}, ANY, "https://c.d:8443", False),
        ({"origin": "https://[::1]"}, ANY, "https://[0::1]", False),
    ],
)
def test_a_cookie_lets_write_from_the_edges_own_pages_or_a_listed_origin(
    fields: dict[str, str], route: Route, public_url: str | None, elsewhere: bool
) -> None:
    """B10: a browser sends it whichever page asks; ``null`` never matches, and ``*``
    lists nobody."""
    asked = request("POST", ROOT + "/a", **fields)

    assert needs.is_of_another_site(asked, route, public_url) is elsewhere


@pytest.mark.parametrize(
    ("origin", "site", "told", "elsewhere"),
    [
        ("https://a.b", None, Caller("", "https", "a.b"), False),
        ("https://a.b", None, Caller("", "https", "a.b:443"), False),
        ("https://a.b:8443", None, Caller("", "https", "a.b:8443"), False),
        ("https://a.b", None, Caller("", "https", "a.b:99999"), True),
        ("https://a.b", None, Caller("", "https", "[::1::2]"), True),
        ("http://a.b", None, Caller("", "https", "a.b"), True),
        ("https://a.b:444", None, Caller("", "https", "a.b"), True),
        ("https://edge.test", None, Caller("", "https", "a.b"), True),
        ("https://edge.test", None, Caller("", "https"), False),
        ("http://edge.test", None, Caller("", "https"), True),
        ("http://a.b", None, Caller("", "", "a.b"), False),
        ("https://a.b", "cross-site", Caller("", "https", "a.b"), True),
    ],
)
def test_what_a_trusted_proxy_tells_is_the_edges_own_address(
    origin: str, site: str | None, told: Caller, elsewhere: bool
) -> None:
    """B10, P14: with the scheme, which Host does not tell."""
    fields = {"origin": origin, "host": "edge.test"}
    if site is not None:
        fields["sec_fetch_site"] = site
    asked = replace(request("POST", ROOT + "/a", **fields), client=lambda: told)

    assert needs.is_of_another_site(asked, ANY, None) is elsewhere
    # The operator's word goes over it.
    assert needs.is_of_another_site(asked, ANY, origin) is False
