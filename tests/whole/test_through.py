"""What goes through a real edge, from the wire of an origin to the wire of a client.

The origins here speak as real ones do, oddly and of themselves: by their own address,
in an old version of HTTP, with tags and fields for browsers of their own.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.support.patience import until
from tests.support.processes import Edge, edge
from tests.support.talk import ask
from tests.whole.plain_origin import PlainOrigin, answer, playing

PATH = "/v1/stream/a"
END = "0000000000000000_0000000000000005"
KNOWN = ("Content-Type: text/plain", f"Stream-Next-Offset: {END}")
NOT_PLAIN = {"x-twice": "a", "X-Twice": "b"}
"""Fields that the fast way leaves to the whole way: one name twice."""
WAYS = pytest.mark.parametrize("fields", [{}, NOT_PLAIN], ids=["fast", "whole"])

Told = tuple[int, dict[str, str], bytes]


def fetch(front: Edge, target: str, method: str = "GET", **fields: str) -> Told:
    """Ask, over a connection that closes behind the answer."""
    return ask(front.url + target, method, b"", connection="close", **fields)


def lines_of(front: Edge, request_id: str) -> list[dict[str, object]]:
    """The lines of the log for one request."""
    lines = front.process.log.read_text().splitlines()
    found = [json.loads(line) for line in lines if request_id in line]
    return [line for line in found if line.get("id") == request_id]


def logged(front: Edge, request_id: str) -> dict[str, object]:
    """The one line of a request. It is written soon, not at once."""
    until(lambda: lines_of(front, request_id))
    [line] = lines_of(front, request_id)
    return line


# Addresses


def redirecting(head: str) -> bytes:
    """Redirects to its own address, which it is told in Host, in every spelling."""
    here = head.partition("Host: ")[2].partition("\r\n")[0]
    return answer(
        "307 Temporary Redirect",
        f"Location: http://{here}/v1/stream/other?offset=1_snapshot",
        f"Content-Location: //{here}/v1/stream/a",
        f"Link: <http://{here}/next>; rel=next",
        f"Refresh: 1; url=http://{here}/v1/stream/other",
        f'Alt-Svc: h2="{here}"; ma=60',
        f"Set-Cookie: a=b; Domain={here.partition(':')[0]}; Path=/",
        "Cache-Control: private, max-age=5",
    )


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", "?offset=snapshot"),
        ("GET", ""),
        ("HEAD", ""),
        ("PUT", ""),
        ("GET", f"?offset={END}&live=long-poll"),
        ("GET", f"?offset={END}&live=sse"),
        ("GET", "?offset=-1&live=unheard-of"),
    ],
)
@WAYS
def test_nobody_is_told_where_the_origin_is(
    house: tuple[PlainOrigin, Edge],
    method: str,
    query: str,
    fields: dict[str, str],
) -> None:
    """O18: on reads as on writes, on the fast way as on the whole one."""
    origin, front = house
    status, told, _ = fetch(front, PATH + query, method, **fields)
    port = origin.authority.partition(":")[2]

    assert status == 307
    assert told["location"] == f"{front.url}/v1/stream/other?offset=1_snapshot"
    assert told["content-location"] == f"{front.url}/v1/stream/a"
    assert told["link"] == "</next>; rel=next"
    assert told["refresh"] == "1; url=/v1/stream/other"
    assert told["set-cookie"] == "a=b; Path=/"
    assert not [value for value in told.values() if port in value]


@pytest.mark.parametrize("url", ["http://no.such.name.invalid:1", "http://127.0.0.1:9"])
def test_clients_are_told_no_words_of_the_system(url: str) -> None:
    """The log has them, once, with the request's id: both ways, and of writes."""
    asks: list[tuple[str, dict[str, str]]] = [("GET", {}), ("GET", NOT_PLAIN)]
    asks.append(("PUT", {}))
    # Longer than a resolver takes that has to ask twice. All at once: some take long.
    with (
        edge(url, origin={"connect_timeout": "15s"}) as front,
        ThreadPoolExecutor(len(asks)) as pool,
    ):
        answers = [pool.submit(fetch, front, PATH, ask[0], **ask[1]) for ask in asks]
        for status, told, body in [answer.result() for answer in answers]:
            problem = json.loads(body)
            line = logged(front, told["x-request-id"])

            assert (status, problem["reason"]) == (502, "origin-unreachable")
            assert problem["detail"] == "the origin cannot be called"
            assert str(line["cause"]).startswith(urlsplit(url).netloc)
            assert "Errno" in str(line["cause"])


def test_the_words_of_a_parser_are_for_the_log_too(
    house: tuple[PlainOrigin, Edge],
) -> None:
    _, front = house
    status, told, body = fetch(front, "/v1/stream/bad")
    line = logged(front, told["x-request-id"])

    problem = json.loads(body)
    assert (status, problem["reason"]) == (502, "origin-garbage")
    assert problem["detail"] == "the answer's head is malformed"
    assert "header" in str(line["cause"]).lower()


# The wire


HEAD_OF_CHUNKS = b"\r\n".join(
    [
        b"HTTP/1.1 200 OK",
        b"Connection: close",
        b"Transfer-Encoding: chunked",
        *(field.encode() for field in KNOWN),
        b"\r\n",
    ]
)
ODD = (
    answer("200 OK", *KNOWN, body=b"hello", version="1.0"),
    b"HTTP/1.0 200 OK\r\n" + "\r\n".join(KNOWN).encode() + b"\r\n\r\nhello",
    HEAD_OF_CHUNKS + b"5 ;x\r\nhello\r\n0\r\n\r\n",
    HEAD_OF_CHUNKS + b"5; x = y\r\nhello\r\n0\r\n\r\n",
    HEAD_OF_CHUNKS + b"0005   \r\nhello\r\n0\r\n\r\n",
)


@pytest.mark.parametrize("number", range(len(ODD)))
def test_old_and_odd_origins_are_served(
    house: tuple[PlainOrigin, Edge], number: int
) -> None:
    _, front = house
    status, told, body = fetch(front, f"/v1/stream/{number}?offset=-1")

    assert (status, body) == (200, b"hello")
    assert told["stream-next-offset"] == END


def test_the_error_page_of_an_old_balancer_is_that_of_an_origin_away() -> None:
    """U1: HTTP/1.0, without a length."""
    page = b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\n<html>"
    with playing(lambda _: page) as origin, edge(origin.url) as front:
        status, told, body = fetch(front, PATH)

    assert (status, body) == (503, b"<html>")
    assert "retry-after" in told


# One to one


def tagged(head: str) -> bytes:
    """A private stream whose origin judges conditionals."""
    fields = (*KNOWN, "Cache-Control: private, max-age=60", 'ETag: "its"')
    if 'if-none-match: "its"' in head.lower():
        return answer("304 Not Modified", *fields)
    return answer("200 OK", *fields, body=b"hello")


@WAYS
def test_what_may_not_be_shared_is_asked_again_by_its_own_tag(
    house: tuple[PlainOrigin, Edge], fields: dict[str, str]
) -> None:
    """PROTOCOL.md section 10.1 wants both, tag and 304."""
    (origin, front), target = house, "/v1/stream/tagged?offset=-1"
    status, told, body = fetch(front, target, **fields)
    assert (status, told["etag"], body) == (200, '"its"', b"hello")
    again = {**fields, "if_none_match": '"its"'}
    status, told, body = fetch(front, target, **again)

    assert (status, told["etag"], body) == (304, '"its"', b"")
    assert 'if-none-match: "its"' in origin.asked[-1].lower()


def with_browser_fields(head: str) -> bytes:
    """An origin with rules of its own for browsers."""
    fields = (
        "Access-Control-Allow-Origin: https://app.example",
        "Access-Control-Allow-Credentials: true",
        "Cross-Origin-Resource-Policy: same-site",
        "Vary: Origin",
        'ETag: "page"',
    )
    if head.startswith("OPTIONS"):
        return answer("204 No Content", *fields, "Access-Control-Max-Age: 7")
    if "if-none-match" in head.lower():
        return answer("304 Not Modified", *fields)
    return answer("200 OK", *fields, *KNOWN, body=b"hello")


def test_off_the_routes_browsers_hear_the_origin_alone(
    house: tuple[PlainOrigin, Edge],
) -> None:
    """L18: a preflight too, and each field once. On a route they hear the edge."""
    (_, front), asks = house, {"origin": "https://app.example"}
    got = fetch(front, "/page", **asks)
    again = fetch(front, "/page", **asks, if_none_match='"page"')
    preflight = fetch(
        front, "/page", "OPTIONS", **asks, access_control_request_method="PUT"
    )
    routed = fetch(front, "/v1/stream/page?offset=-1", **asks)

    assert (got[0], again[0], preflight[0]) == (200, 304, 204)
    assert got[1]["etag"] == again[1]["etag"] == '"page"'
    assert preflight[1]["access-control-max-age"] == "7"
    for _, told, _ in (got, again, preflight):
        assert told["access-control-allow-origin"] == "https://app.example"
        assert told["access-control-allow-credentials"] == "true"
        assert told["cross-origin-resource-policy"] == "same-site"
        assert "access-control-expose-headers" not in told
        assert told["x-content-type-options"] == "nosniff"
    assert routed[1]["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in routed[1]
    assert routed[1]["cross-origin-resource-policy"] == "cross-origin"


def test_off_the_routes_what_the_edge_itself_says_can_be_read() -> None:
    """A script that may not read a refusal sees a network error."""
    with edge("http://127.0.0.1:9") as front:
        status, told, _ = fetch(front, "/page")

    assert (status, told["access-control-allow-origin"]) == (502, "*")


# All of it, behind one edge.


def play(head: str) -> bytes:
    """What the origin answers, by the last word of the path."""
    word = head.split(" ")[1].partition("?")[0].rpartition("/")[2]
    if word.isdecimal():
        return ODD[int(word)]
    if word == "bad":
        return b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n"
    plays = {"tagged": tagged, "page": with_browser_fields}
    return plays.get(word, redirecting)(head)


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[PlainOrigin, Edge]]:
    """An edge before this origin."""
    with playing(play) as origin, edge(origin.url) as front:
        yield origin, front
