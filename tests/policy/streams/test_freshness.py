"""Cache-Control per kind and partition, and what a read's answer varies by."""

import pytest

from edge.core.values import (
    Partition,
    PartitionKind,
)
from edge.policy.streams.answers import (
    freshness_of,
    vary,
)
from edge.policy.streams.decisions import Kind
from edge.policy.streams.routes import Access, Recreate, Route
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
        (Kind.STALE, "no-store"),
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
    assert vary(ROUTE, EVERYBODY) == "Accept-Encoding"
    assert (
        vary(Route(request_headers=("x-tenant",)), EVERYBODY)
        == "Accept-Encoding, x-tenant"
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
