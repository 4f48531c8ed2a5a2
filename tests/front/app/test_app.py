"""The application under any WSGI server: routes, preflights, the fixed fields."""

import pytest

from edge.core.values import Mode
from edge.front.app.app import create_app
from edge.policy.streams.routes import Route
from tests.front.fake_edge import FakeReadService, parts
from tests.front.wsgi_client import WsgiClient


def test_a_read_is_the_one_that_policy_makes_of_it() -> None:
    """One entrance: the hub sees a Read and nothing of HTTP."""
    read_service = FakeReadService()
    client = WsgiClient(create_app(parts(read_service)))
    client("GET", "/v1/stream/hit?offset=7&live=long-poll&cursor=5&x=1")
    [read] = read_service.reads

    assert (read.offset, read.mode, read.cursor) == ("7", Mode.LONG_POLL, 5)
    assert read.key.extension == "x=1"


def test_each_route_has_its_own_cors() -> None:
    """L18: a setting of the route; an empty list switches it off."""
    routes = (
        Route(match="/a/**", cors_origins=("https://app.test",)),
        Route(match="/b/**", cors_origins=()),
    )
    client = WsgiClient(create_app(parts(routes=routes)))
    page = {"Origin": "https://app.test"}

    one = client("GET", "/a/hit", page)
    assert one["access-control-allow-origin"] == "https://app.test"
    assert "access-control-allow-origin" not in client("GET", "/b/hit", page)


@pytest.mark.parametrize("path", ["/v1/stream/hit", "/v1/stream/fail", "/v1/stream/.."])
def test_answers_and_errors_carry_the_same_fields(path: str) -> None:
    """PROTOCOL.md section 12.7: nosniff and CORP on every answer."""
    client = WsgiClient(create_app(parts()))
    fields = client("GET", path)

    assert fields["x-content-type-options"] == "nosniff"
    assert fields["cross-origin-resource-policy"] == "cross-origin"
    assert fields["access-control-allow-origin"] == "*"
    assert fields["via"] == "1.1 here"
    assert fields["x-request-id"]
    assert fields["cache-status"].startswith("ds-edge/here; ")


def test_a_streamed_read_is_streamed() -> None:
    """Without the worker too."""
    client = WsgiClient(create_app(parts()))
    answered = client("GET", "/v1/stream/events?offset=-1&live=sse")

    assert answered.body == b"data:0\n\ndata:1\n\ndata:2\n\n"


def test_faults_are_counted_where_they_are_answered() -> None:
    """Once each, by reason and by status."""
    made = parts()
    client = WsgiClient(create_app(made))
    client("GET", "/v1/stream/hit?live=sse")
    client("GET", "/v1/stream/fail")
    client("GET", "/v1/stream/broken")

    assert made.counters.client_faults == {"offset-required": 1}
    assert made.counters.problems == {"400": 1, "504": 1, "500": 1}
    assert made.counters.internal_errors == 1


def test_applications_share_nothing() -> None:
    """There is no state outside of the parts."""
    one, other = parts(), parts()
    WsgiClient(create_app(one))("GET", "/v1/stream/..")
    create_app(other)

    assert one.counters.client_faults == {"bad-path": 1}
    assert other.counters.client_faults == {}
