"""A list of pages on the wire, with real processes: every kind of answer.

A6, A11, A19; B10, B17, B23. What a browser makes of it: tests/client/test_pages.py.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from edge.access.signed import sign
from edge.policy.streams.ways import SignedWay
from tests.front.edge_process import Answered
from tests.support.processes import Edge, NodeOrigin, edge, node_origin
from tests.whole.crowd import PATH, call
from tests.whole.test_access import (
    BOTH,
    LINKS,
    WHOLE_WAY,
    bearer,
    client,
    created,
    get,
    token,
)

PAGE, ELSEWHERE = "https://app.example", "https://evil.example"


def listed(match: str, **more: Any) -> dict[str, Any]:
    """A route with the list."""
    origins = [PAGE, "https://*.sub.example"]
    return {"match": match, "cors_origins": origins, "cors_credentials": True, **more}


ROUTES: list[dict[str, Any]] = [
    listed("/v1/stream/links/**", access={"signed": BOTH["signed"] | {"public": True}}),
    listed("/v1/stream/open/**"),
    listed("/v1/stream/**", access={"jwt": BOTH["jwt"]}),
]
PUBLIC_LINKS = SignedWay(LINKS.keys, public=True)
OPEN, CLOSED = "/v1/stream/open/a", "/v1/stream/links/a"


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


@pytest.fixture(scope="module")
def served(origin: NodeOrigin) -> Iterator[Edge]:
    with edge(origin.url, routes=ROUTES, live={"long_poll_timeout": "1s"}) as running:
        created(running)
        call("PUT", origin.url + CLOSED, b"abc", **{"Stream-Closed": "true"})
        ask(running, "PUT", OPEN, "Content-Type: text/plain", "Content-Length: 0")
        yield running


def ask(running: Edge, method: str, target: str, *fields: str) -> Answered:
    with client(running) as one:
        one.request(method, target, *fields)
        return one.read(method)


def judge(answered: Answered, page: str | None) -> None:
    """A listed page may read it, and nobody else; whoever asked can tell that."""
    allowed = [page] if page == PAGE else []
    assert answered.all("access-control-allow-origin") == allowed
    credentials = answered.all("access-control-allow-credentials")
    assert credentials == ["true"] * len(allowed)
    assert "Origin" in answered["vary"].split(", ")


def tail(running: Edge, path: str, *fields: str) -> str:
    return ask(running, "HEAD", path, *fields)["stream-next-offset"]


every_page = pytest.mark.parametrize("page", [PAGE, ELSEWHERE, "null", None])
both_ways = pytest.mark.parametrize("whole", [(), WHOLE_WAY], ids=["fast", "whole"])


@every_page
@both_ways
@pytest.mark.parametrize("path", [PATH, OPEN])
def test_every_kind_of_answer_is_for_the_pages_of_the_list(
    served: Edge, path: str, page: str | None, whole: tuple[str, ...]
) -> None:
    """200 from memory, 304, 204, an event stream, HEAD, 404, 400, 401, a write."""
    own = (*([f"Origin: {page}"] if page else []), *whole)
    fields = (*own, bearer(token())) if path == PATH else own
    end = tail(served, path, *fields)
    kept = get(served, f"{path}?offset=-1", *fields)
    etag = f"If-None-Match: {kept['etag']}"
    said = {
        200: kept,
        304: get(served, f"{path}?offset=-1", etag, *fields),
        204: get(served, f"{path}?offset={end}&live=long-poll", *fields),
        404: get(served, "/v1/stream/open/none", *own),
        400: get(served, f"{path}?offset=", *fields),
    }
    head = ask(served, "HEAD", path, *fields)
    if path == PATH:
        said[401] = get(served, path, *own)
        assert said[401]["www-authenticate"] == 'Bearer realm="durable-streams"'

    assert {status: one.status for status, one in said.items()} == {s: s for s in said}
    for answered in (*said.values(), head):
        judge(answered, page)
    with client(served) as one:
        one.get(f"{path}?offset=-1&live=sse", *fields)
        judge(one.head(), page)


@every_page
def test_what_passes_has_one_policy_only(served: Edge, page: str | None) -> None:
    """L18: the origin allows everybody; this edge does not."""
    own = [f"Origin: {page}"] if page else []
    text = ("Content-Type: text/plain", "Content-Length: 0")
    for method, target in (("PUT", OPEN), ("GET", f"{OPEN}?offset=7&live=odd")):
        answered = ask(served, method, target, *own, *(text if method == "PUT" else ()))
        judge(answered, page)
        assert not answered.all("access-control-allow-methods")


def test_an_origin_that_is_away_can_be_told_from_a_page_that_may_not_ask() -> None:
    """A19: a 502 is a refusal too."""
    with edge("http://127.0.0.1:1", routes=ROUTES) as running:
        for whole in ((), WHOLE_WAY):
            for page in (PAGE, ELSEWHERE):
                answered = get(running, OPEN, f"Origin: {page}", *whole)
                assert answered.status == 502
                judge(answered, page)


@every_page
def test_a_preflight_needs_no_token(served: Edge, page: str | None) -> None:
    """A11: it tells the pages of the list what they may send, and others nothing."""
    own = [f"Origin: {page}"] if page else []
    asked = ("Access-Control-Request-Method: PUT",)
    answered = ask(served, "OPTIONS", PATH, *own, *asked)

    assert answered.status == 204
    judge(answered, page)
    methods = answered.all("access-control-allow-methods")
    assert bool(methods) is (page == PAGE)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((f"Origin: {PAGE}", "Sec-Fetch-Site: cross-site"), 204),
        (("Origin: https://a.b.sub.example", "Sec-Fetch-Site: cross-site"), 204),
        (("Sec-Fetch-Site: same-origin",), 204),
        ((f"Origin: {ELSEWHERE}", "Sec-Fetch-Site: cross-site"), 403),
        (("Origin: null", "Sec-Fetch-Site: cross-site"), 403),
        (("Origin: https://sub.example", "Sec-Fetch-Site: cross-site"), 403),
        (("Origin: https://[",), 403),
        ((), 403),
    ],
)
def test_a_cookie_lets_write_from_the_pages_of_the_list(
    served: Edge, fields: tuple[str, ...], status: int
) -> None:
    """B10: whoever may read by it, and pages of the edge's own."""
    cookie = f"Cookie: session={token()}"
    text = ("Content-Type: text/plain",)
    with client(served) as one:
        one.request("POST", PATH, cookie, *text, *fields, body=b"x")
        answered = one.read("POST")

    assert answered.status == status
    if status == 403:
        assert answered.problem()["reason"] == "cross-site"


@both_ways
@every_page
def test_only_a_listed_page_may_embed_what_a_cookie_opens(
    served: Edge, page: str | None, whole: tuple[str, ...]
) -> None:
    """B10: Cross-Origin-Resource-Policy."""
    own = [f"Origin: {page}"] if page else []
    answered = get(served, PATH, f"Cookie: session={token()}", *own, *whole)

    expected = "cross-origin" if page == PAGE else "same-origin"
    assert answered["cross-origin-resource-policy"] == expected


@both_ways
@pytest.mark.parametrize(
    ("seconds", "kept"),
    [(600, "public, max-age=30"), (61, "public, max-age=30"), (59, "no-store")],
)
def test_a_cache_may_share_what_a_public_link_reads_but_not_beyond_its_end(
    served: Edge, whole: tuple[str, ...], seconds: int, kept: str
) -> None:
    """A6, B17: and no credential selects it; an old cookie changes nothing."""
    link = sign(CLOSED, PUBLIC_LINKS, "k1", int(time.time()) + seconds)
    for _ in range(3):
        answered = get(served, link, "Cookie: session=old", *whole)

    assert answered.status == 200
    assert answered["cache-control"] == kept
    assert answered["vary"] == "Origin"
    assert not [name for name, _ in answered.fields if "cdn-cache" in name]
    assert get(served, CLOSED, *whole)["cache-control"] == "no-store"
