"""What those who are asked say, as it comes to a client and to the origin.

A16, B9, B11, B17.
"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from edge.access.credentials import by_ways
from edge.core.reasons import Reason
from edge.core.values import GRANTED, OriginRequest
from edge.policy.streams.authorize import Denied, Grant
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import ForwardWay, OriginWay
from origin_adapter.scripted import PlayedExchange
from tests.front.app.test_access import write
from tests.front.app.test_handler import Driver, get, head_of

A = "/v1/stream/a"


def test_a_refusal_in_the_endpoints_words_goes_out_as_it_is() -> None:
    """A16: and nobody keeps it."""
    said = Denied(
        Reason.ACCESS_REFUSED,
        "This is not let in.",
        401,
        'Bearer realm="app"',
        fields=(("content-type", "text/html"), ("set-cookie", "csrf=1")),
        body=b"<p>log in",
    )
    events = Driver().authorizing(lambda request: said)(get("hit"))

    assert head_of(events) == (
        401,
        {
            "Cache-Control": "no-store",
            "content-type": "text/html",
            "set-cookie": "csrf=1",
            "WWW-Authenticate": 'Bearer realm="app"',
        },
    )
    assert events[1:] == [("piece", b"<p>log in"), ("end", Reason.ACCESS_REFUSED)]


def test_a_refusal_without_words_is_the_edges_own() -> None:
    said = Denied(Reason.ACCESS_REFUSED, "This is not let in.", 302)
    said = replace(said, fields=(("location", "/login"),))
    status, fields = head_of(Driver().authorizing(lambda request: said)(get("hit")))

    assert (status, fields["location"]) == (302, "/login")
    assert fields["Content-Type"] == "application/problem+json"


def test_a_cookie_goes_on_the_answer_of_the_one_who_asked() -> None:
    """B11."""
    given = Grant(fields=(("set-cookie", "s=2"),))
    driver = Driver().authorizing(lambda request: given)

    for request in (get("hit"), write(A)):
        assert head_of(driver(request))[1]["set-cookie"] == "s=2"


@pytest.mark.parametrize(
    ("way", "cookie"),
    [
        (ForwardWay("https://a.example"), None),
        (ForwardWay("https://a.example", ("authorization",)), "a=b"),
    ],
)
def test_what_the_endpoint_judged_goes_no_further(
    way: ForwardWay, cookie: str | None
) -> None:
    """B9: all cookies, if it is sent the cookies."""
    own = (("x-edge", "1"),)
    route = by_ways(Route(origin_headers=own), (way,))
    given = Grant(GRANTED, way="forward", subject="alice")
    driver = Driver().authorizing(lambda request: given)
    driver.made = replace(driver.made, routes=(route,))
    driver(write(A, authorization="Bearer alice", cookie="a=b"))
    [sent] = driver.asked
    fields = dict(sent.headers)

    assert "authorization" not in fields and fields["x-edge"] == "1"
    assert fields.get("cookie") == cookie


def test_a_write_that_the_origin_judges_is_the_clients_own() -> None:
    """B9: without what is the edge's; and its answer is kept by nobody."""
    own = (("Authorization", "edge"), ("x-edge", "1"))
    route = by_ways(Route(origin_headers=own, identity=("x-user",)), (OriginWay(),))
    driver = Driver().authorizing(lambda request: Grant(way="origin"))
    driver.made = replace(driver.made, routes=(route,))
    sent: list[OriginRequest] = []

    def opened(request: OriginRequest, on_sent: Any = None) -> PlayedExchange:
        sent.append(request)
        told = (("cache-control", "public, max-age=60"), ("set-cookie", "own=1"))
        played = PlayedExchange(200, told)
        played.end()
        return played

    origin: Any = SimpleNamespace(open=opened)
    driver.made = replace(driver.made, origin=origin)
    request = write(
        f"{A}?token=t", authorization="Bearer alice", cookie="a=b", x_user="root"
    )
    status, fields = head_of(driver(request))
    named = dict(sent[0].headers)

    assert sent[0].target == f"{A}?token=t"
    assert (named["authorization"], named["cookie"]) == ("Bearer alice", "a=b")
    assert "x-edge" not in named and "x-user" not in named
    assert (status, fields["cache-control"]) == (200, "no-store")
    assert fields["set-cookie"] == "own=1"
