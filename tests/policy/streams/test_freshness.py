"""Cache-Control per kind and partition, and what an origin forbids."""

import pytest

from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    PUBLIC,
    OriginAnswer,
    Partition,
    PartitionKind,
)
from edge.policy.streams.freshness import (
    Kind,
    freshness_of,
    origin_forbids,
    vary,
)
from edge.policy.streams.routes import Access, OriginNoStore, Recreate, Route
from edge.protocol.http_grammar import cache_directives
from tests.support.options import freshness_options

ROUTE = Route()
OPTIONS = freshness_options()
FINAL = Route(recreate=Recreate.NEVER)
SECRET = Partition(PartitionKind.CREDENTIAL, "d")
EVERYBODY = PartitionKind.ANONYMOUS
ONE = PartitionKind.CREDENTIAL


@pytest.mark.parametrize(
    ("kind", "route", "cap", "value"),
    [
        (Kind.CLOSED_RANGE, ROUTE, None, "max-age=60, stale-while-revalidate=300"),
        (Kind.CLOSED_RANGE, ROUTE, 1000, "max-age=60, stale-while-revalidate=300"),
        (Kind.CLOSED_RANGE, ROUTE, 360, "max-age=60, stale-while-revalidate=300"),
        (Kind.CLOSED_RANGE, ROUTE, 100, "max-age=60, stale-while-revalidate=40"),
        (Kind.CLOSED_RANGE, ROUTE, 60, "max-age=60"),
        (Kind.CLOSED_RANGE, ROUTE, 7, "max-age=7"),
        (Kind.CLOSED_RANGE, FINAL, None, "max-age=31536000, immutable"),
        (Kind.CLOSED_RANGE, FINAL, 7, "max-age=7, immutable"),
        (Kind.TAIL, ROUTE, None, "max-age=0, must-revalidate"),
        (Kind.TAIL, FINAL, 7, "max-age=0, must-revalidate"),
        (Kind.LIVE, ROUTE, None, "max-age=20"),
        (Kind.LIVE, FINAL, None, "max-age=20"),
        (Kind.LIVE, ROUTE, 7, "max-age=7"),
    ],
)
def test_what_may_be_kept_downstream_and_by_whom(
    kind: Kind, route: Route, cap: int | None, value: str
) -> None:
    """L12, L16, E7, E36, E37. Never stale beyond the cap."""

    def said(partition: PartitionKind) -> str:
        return freshness_of(
            kind, partition, route, cap=cap, options=OPTIONS
        ).cache_control

    assert said(EVERYBODY) == f"public, {value}"
    assert said(PartitionKind.PUBLIC) == f"public, {value}"
    assert said(ONE) == f"private, {value}"


@pytest.mark.parametrize("partition", list(PartitionKind))
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.EMPTY, "no-store"),
        (Kind.ERROR, "no-store"),
        (Kind.STALE, "no-store"),
        (Kind.SSE, "no-cache"),
    ],
)
def test_what_is_never_kept(kind: Kind, value: str, partition: PartitionKind) -> None:
    """E14, E21, E38; L6: stale bytes go out without a promise."""
    for cap in (None, 60):
        fresh = freshness_of(kind, partition, FINAL, cap=cap, options=OPTIONS)
        assert fresh.cache_control == value


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("cap", [0, -1])
def test_nothing_outlives_its_stream_or_its_signature(kind: Kind, cap: int) -> None:
    """L14, L16."""
    assert (
        freshness_of(kind, EVERYBODY, FINAL, cap=cap, options=OPTIONS).cache_control
        == "no-store"
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_no_credential_partition_ever_says_public(kind: Kind) -> None:
    """L12: nor ``s-maxage``, which only shared caches read."""
    for route in (ROUTE, FINAL, Route(access=Access.PUBLIC)):
        for cap in (None, 1, 1000):
            value = freshness_of(
                kind, ONE, route, cap=cap, options=OPTIONS
            ).cache_control
            assert "public" not in value
            assert "s-maxage" not in value


def test_the_numbers_are_settings() -> None:
    options = freshness_options(
        closed_max_age=5, stale_while_revalidate=0, immutable_max_age=50, live_max_age=1
    )

    def value(kind: Kind, route: Route) -> str:
        return freshness_of(kind, EVERYBODY, route, options=options).cache_control

    assert value(Kind.CLOSED_RANGE, ROUTE) == "public, max-age=5"
    assert value(Kind.CLOSED_RANGE, FINAL) == "public, max-age=50, immutable"
    assert value(Kind.LIVE, ROUTE) == "public, max-age=1"


def test_vary_names_what_the_edge_chooses_by() -> None:
    """L13 continued downstream: a header in the partition selects there too."""
    assert vary(ROUTE) == "Accept-Encoding"
    assert vary(Route(request_headers=("x-tenant",))) == "Accept-Encoding, x-tenant"


# -- what the origin forbids --------------------------------------------------


def answer(
    *headers: tuple[str, str],
    status: int = 200,
    body: bytes = b"x",
    content_type: str = "text/plain",
) -> OriginAnswer:
    return OriginAnswer(status, (("content-type", content_type), *headers), body)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("cache-control", "public, max-age=60", None),
        ("cache-control", "no-cache", None),
        ("cache-control", "s-maxage=0, must-revalidate", None),
        ("cache-control", 'x="private, no-store"', None),
        ("cache-control", "private-ish, not-no-store", None),
        ("cache-control", "private", Reason.PRIVATE),
        ("cache-control", "PRIVATE , max-age=5", Reason.PRIVATE),
        ("cache-control", "max-age=60,private", Reason.PRIVATE),
        ("cache-control", 'private="x-user"', Reason.PRIVATE),
        ("cache-control", "no-store", Reason.NO_STORE),
        ("cache-control", "max-age=60, No-Store", Reason.NO_STORE),
        ("cache-control", 'x="open, no-store', Reason.NO_STORE),
        ("cache-control", "max-age=1 no-store", Reason.NO_STORE),
        ("set-cookie", "sid=1", Reason.SET_COOKIE),
        ("set-cookie", "", Reason.SET_COOKIE),
        ("vary", "", None),
        ("vary", "Accept-Encoding", None),
        ("vary", "origin, accept-encoding", None),
        ("vary", "Origin, Access-Control-Request-Headers", None),
        ("vary", "Authorization, Cookie", None),
        ("vary", "*", Reason.VARY_STAR),
        ("vary", " * ", Reason.VARY_STAR),
        ("vary", "*, *", Reason.VARY_STAR),
        ("vary", "Accept-Encoding, *", Reason.VARY_STAR),
        ("vary", ",*,", Reason.VARY_STAR),
        ("vary", "User-Agent", Reason.VARY_STAR),
    ],
)
def test_the_origin_may_forbid_sharing(
    field: str, value: str, reason: Reason | None
) -> None:
    """L15, E26, E29, E33."""
    assert origin_forbids(answer((field, value)), ANONYMOUS, ROUTE) is reason
    assert origin_forbids(answer((field, value)), PUBLIC, ROUTE) is reason


def test_a_field_in_several_lines_is_one_list() -> None:
    """RFC 9110 section 5.3."""
    split = answer(("cache-control", "max-age=60"), ("cache-control", "no-store"))
    varied = answer(("vary", "accept-encoding"), ("vary", "*"))

    assert origin_forbids(split, ANONYMOUS, ROUTE) is Reason.NO_STORE
    assert origin_forbids(varied, ANONYMOUS, ROUTE) is Reason.VARY_STAR


def test_private_is_shared_inside_a_credential_partition_only() -> None:
    """L15: there it is the normal case of a careful origin."""
    private = answer(("cache-control", "private, max-age=60"))

    assert origin_forbids(private, SECRET, ROUTE) is None
    assert origin_forbids(private, PUBLIC, ROUTE) is Reason.PRIVATE


def test_the_rest_holds_inside_a_credential_partition_too() -> None:
    for field, value, reason in (
        ("cache-control", "private, no-store", Reason.NO_STORE),
        ("set-cookie", "a=b", Reason.SET_COOKIE),
        ("vary", "*", Reason.VARY_STAR),
    ):
        assert origin_forbids(answer((field, value)), SECRET, ROUTE) is reason


def test_a_route_may_overrule_no_store() -> None:
    route = Route(origin_no_store=OriginNoStore.IGNORE)

    assert origin_forbids(answer(("cache-control", "no-store")), ANONYMOUS, route) is (
        None
    )


@pytest.mark.parametrize(
    ("status", "body", "content_type", "reason"),
    [
        (200, b"", "text/plain", None),
        (200, b"[]", "application/json", None),
        (200, b" [ ]\n", "application/json", None),
        (200, b"[[]]", "application/json", Reason.NO_STORE),
        (200, b"[]", "text/plain", Reason.NO_STORE),
        (200, b" ", "text/plain", Reason.NO_STORE),
        (204, b"", "text/plain", None),
        (404, b"Stream not found", "text/plain", None),
        (503, b"later", "text/plain", None),
    ],
)
def test_no_store_on_what_is_no_data_is_the_normal_case(
    status: int, body: bytes, content_type: str, reason: Reason | None
) -> None:
    """L15: ``now``, HEAD, 204 and errors are shared and never stored anyway."""
    told = answer(
        ("cache-control", "no-store"),
        status=status,
        body=body,
        content_type=content_type,
    )

    assert origin_forbids(told, ANONYMOUS, ROUTE) is reason


def test_an_origin_may_vary_by_what_the_route_sends_it() -> None:
    route = Route(request_headers=("x-tenant",), credential_headers=("x-api-key",))

    assert origin_forbids(answer(("vary", "X-Tenant")), ANONYMOUS, route) is None
    assert origin_forbids(answer(("vary", "X-Api-Key")), ANONYMOUS, route) is None
    assert (
        origin_forbids(answer(("vary", "Authorization")), ANONYMOUS, route)
        is Reason.VARY_STAR
    )


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("route", [ROUTE, FINAL])
@pytest.mark.parametrize("cap", [None, 0, 7, 100_000])
def test_the_seconds_are_those_that_the_field_says(
    kind: Kind, route: Route, cap: int | None
) -> None:
    """L16: Age is held below them, so they must not differ from the field."""
    fresh = freshness_of(kind, EVERYBODY, route, cap=cap, options=OPTIONS)

    said = cache_directives(fresh.cache_control).get("max-age") or "0"
    assert fresh.max_age == int(said)
