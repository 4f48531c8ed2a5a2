"""CORS as a setting of the route, and the browser's security fields."""

import pytest

from edge.policy.http.cors import SECURITY_HEADERS, answer_headers, preflight
from edge.policy.streams.routes import Route
from edge.protocol import names

ROUTE = Route()
SHUT = Route(cors_origin="")


def listed(route: Route, name: str, *asked: str | None) -> list[str]:
    """The members of one list field of a preflight's answer."""
    fields = dict(
        preflight(route.cors_origin, route.request_headers, *(asked or ("GET", None)))
    )
    return fields[name].split(", ")


def test_every_answer_forbids_sniffing() -> None:
    """PROTOCOL.md section 12.7; E4."""
    assert SECURITY_HEADERS == (
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    )


def test_anybody_may_read_without_credentials() -> None:
    """L18: ``*`` and credentials never go together."""
    fields = dict(answer_headers(ROUTE.cors_origin, ROUTE.response_headers))

    assert fields["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in fields
    assert "Vary" not in fields


@pytest.mark.parametrize(
    "name",
    [
        names.NEXT_OFFSET,
        names.CURSOR,
        names.UP_TO_DATE,
        names.CLOSED,
        names.TTL,
        names.EXPIRES_AT,
        names.SSE_ENCODING,
        names.PRODUCER_EPOCH,
        names.PRODUCER_SEQ,
        names.PRODUCER_EXPECTED_SEQ,
        names.PRODUCER_RECEIVED_SEQ,
        "ETag",
        "Age",
        "Cache-Status",
        "Location",
        "Retry-After",
        "Content-Type",
        "Content-Encoding",
        "Vary",
        "X-Request-Id",
    ],
)
def test_a_script_can_read_what_the_protocol_says(name: str) -> None:
    """O19; the reference server hides the SSE encoding."""
    exposed = dict(answer_headers(ROUTE.cors_origin, ROUTE.response_headers))[
        "Access-Control-Expose-Headers"
    ]

    assert name in exposed.split(", ")


def test_a_script_can_read_what_the_route_keeps() -> None:
    route = Route(response_headers=("x-shard", "etag"))
    exposed = dict(answer_headers(route.cors_origin, route.response_headers))[
        "Access-Control-Expose-Headers"
    ].split(", ")

    assert "x-shard" in exposed
    assert [name for name in exposed if name.lower() == "etag"] == ["ETag"]


@pytest.mark.parametrize(
    "name",
    [
        "If-None-Match",
        "Content-Type",
        "Authorization",
        names.SEQ,
        names.TTL,
        names.EXPIRES_AT,
        names.CLOSED,
        names.FORKED_FROM,
        names.FORK_OFFSET,
        names.FORK_SUB_OFFSET,
        names.PRODUCER_ID,
        names.PRODUCER_EPOCH,
        names.PRODUCER_SEQ,
    ],
)
def test_a_preflight_allows_what_clients_send(name: str) -> None:
    """O19: the reference server forgets If-None-Match."""
    assert name in listed(ROUTE, "Access-Control-Allow-Headers")


def test_a_preflight_allows_every_method_of_the_protocol_and_patch() -> None:
    methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]

    assert listed(ROUTE, "Access-Control-Allow-Methods") == methods
    assert listed(ROUTE, "Access-Control-Allow-Methods", None, None) == methods
    assert listed(ROUTE, "Access-Control-Allow-Methods", "QUERY", None) == (
        [*methods, "QUERY"]
    )


@pytest.mark.parametrize("method", ["TRACE", "connect", "A B", "A\r\nB", "", "X" * 65])
def test_a_preflight_allows_no_method_that_a_script_must_not_use(method: str) -> None:
    allowed = listed(ROUTE, "Access-Control-Allow-Methods", method, None)

    assert allowed == listed(ROUTE, "Access-Control-Allow-Methods")


def test_a_preflight_allows_what_extensions_ask_for() -> None:
    route = Route(request_headers=("x-tenant",))
    allowed = listed(
        route, "Access-Control-Allow-Headers", "GET", "x-awareness,stream-seq , x-b"
    )

    assert allowed[-3:] == ["x-tenant", "x-awareness", "x-b"]
    assert [name for name in allowed if name.lower() == "stream-seq"] == ["Stream-Seq"]


@pytest.mark.parametrize(
    "asked", ["*", "a b", "x\r\nset-cookie: a", 'x"', "x:y", "é", "x" * 65, ",,", ""]
)
def test_a_preflight_reflects_no_name_that_is_none(asked: str) -> None:
    """P7: response splitting."""
    allowed = listed(ROUTE, "Access-Control-Allow-Headers", "GET", asked)

    assert allowed == listed(ROUTE, "Access-Control-Allow-Headers")


def test_a_preflight_reflects_a_bounded_number_of_names() -> None:
    asked = ",".join(f"x-{number}" for number in range(5000))

    assert len(listed(ROUTE, "Access-Control-Allow-Headers", "GET", asked)) < 64


def test_a_preflight_may_be_kept_and_says_what_it_was_chosen_by() -> None:
    fields = dict(preflight(ROUTE.cors_origin, ROUTE.request_headers, "GET", None))

    assert int(fields["Access-Control-Max-Age"]) > 0
    assert fields["Vary"] == (
        "Access-Control-Request-Method, Access-Control-Request-Headers"
    )


def test_a_route_may_name_one_origin() -> None:
    route = Route(cors_origin="https://app.example")
    expected = ("Access-Control-Allow-Origin", "https://app.example")

    assert expected in answer_headers(route.cors_origin, route.response_headers)
    assert expected in preflight(route.cors_origin, route.request_headers, "GET", None)


def test_a_route_may_switch_cors_off() -> None:
    assert answer_headers(SHUT.cors_origin, ()) == ()
    assert preflight(SHUT.cors_origin, SHUT.request_headers, "GET", "x-a") == ()
