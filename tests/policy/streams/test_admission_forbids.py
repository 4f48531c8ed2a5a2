"""What keeps an answer from being joined at all, whatever else it says (L15)."""

import pytest

from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    PUBLIC,
    OriginAnswer,
    Partition,
    PartitionKind,
)
from edge.policy.streams.admission import origin_forbids
from edge.policy.streams.routes import OriginNoStore, Route

ROUTE = Route()
SECRET = Partition(PartitionKind.CREDENTIAL, "d")


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
