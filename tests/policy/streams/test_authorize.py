"""Who may ask, with whom they share, and until when a grant holds."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import (
    ANONYMOUS,
    NO_END,
    PUBLIC,
    PartitionKind,
    Read,
    StreamKey,
)
from edge.policy.streams.authorize import (
    Grant,
    Lookup,
    RequestHead,
    authorize,
)
from edge.policy.streams.routes import Access, Route
from tests.support.requests import NOBODY, asked, headers

PATH = "/v1/stream/a"
ROUTE = Route()
OPEN = Route(access=Access.PUBLIC)


def read(
    query: str = "",
    *,
    method: str = "GET",
    route: Route = ROUTE,
    lookup: Lookup = NOBODY,
) -> Read:
    target = f"{PATH}?{query}" if query else PATH
    found = asked(method, target, lookup, route)
    assert isinstance(found, Read)
    return found


# -- who shares ---------------------------------------------------------------


def test_who_brings_no_credential_is_anonymous() -> None:
    lookup = headers(user_agent="x", accept="*/*", x_forwarded_for="10.0.0.1")

    assert read(lookup=lookup).key.partition is ANONYMOUS


@pytest.mark.parametrize(
    ("lookup", "query"),
    [
        (headers(authorization="Bearer a"), ""),
        (headers(cookie="sid=1"), ""),
        (NOBODY, "token=t"),
        (NOBODY, "%74oken=t"),
        (NOBODY, "signature=s&expires=4102444800"),
        (NOBODY, "secret"),
    ],
)
def test_a_credential_makes_a_partition(lookup: Lookup, query: str) -> None:
    """L13, E26: in a header or in a parameter, however it is spelled."""
    assert read(query, lookup=lookup).key.partition.kind is PartitionKind.CREDENTIAL


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_credential_header_is_none(value: str | None) -> None:
    fields = {} if value is None else {"authorization": value}

    assert read(lookup=fields.get).key.partition is ANONYMOUS


def test_two_credentials_never_share_a_key() -> None:
    """L13, E26."""
    lookups = (
        NOBODY,
        headers(authorization="Bearer a"),
        headers(authorization="Bearer b"),
        headers(cookie="Bearer a"),
        headers(authorization="Bearer a", cookie="x=1"),
        headers(authorization="Bearer ax=1"),
    )

    assert len({read(lookup=lookup).key for lookup in lookups}) == len(lookups)


def test_signed_urls_never_share_a_key() -> None:
    """The parameter goes upstream, so it is in the key by its own octets."""
    one, other = read("signature=a"), read("signature=b")

    assert one.key != other.key
    assert one.key.extension == "signature=a"


def test_the_headers_of_a_partition_go_with_it() -> None:
    lookup = headers(authorization="Bearer a", cookie="x=1", accept="*/*")
    partition = read(lookup=lookup).key.partition

    assert partition.headers == (("authorization", "Bearer a"), ("cookie", "x=1"))
    assert "Bearer" not in repr(partition)


def test_every_header_that_a_route_sends_upstream_is_in_the_digest() -> None:
    """L13: partition by construction."""
    route = Route(request_headers=("x-tenant",))
    blue = read(route=route, lookup=headers(x_tenant="blue")).key.partition
    red = read(route=route, lookup=headers(x_tenant="red")).key.partition
    none = read(route=route).key.partition

    assert blue.kind is PartitionKind.ANONYMOUS
    assert blue.headers == (("x-tenant", "blue"),)
    assert len({blue, red, none}) == 3
    assert none is ANONYMOUS


def test_an_empty_header_is_not_an_absent_one() -> None:
    """It goes upstream as received, where it may mean something."""
    route = Route(request_headers=("x-tenant",))
    empty = read(route=route, lookup=headers(x_tenant="")).key.partition

    assert empty.headers == (("x-tenant", ""),)
    assert empty != ANONYMOUS


def test_a_credential_partition_holds_the_routes_other_headers_too() -> None:
    route = Route(request_headers=("x-tenant", "authorization"))
    lookup = headers(authorization="Bearer a", x_tenant="blue")
    partition = read(route=route, lookup=lookup).key.partition

    assert partition.headers == (("authorization", "Bearer a"), ("x-tenant", "blue"))


def test_a_route_says_what_counts_as_credential() -> None:
    route = Route(credential_headers=("x-api-key",), credential_parameters=("key",))

    keyed = read(route=route, lookup=headers(x_api_key="k")).key.partition
    bearer = read(route=route, lookup=headers(authorization="Bearer a")).key.partition
    signed = read("key=k", route=route).key.partition

    assert keyed.headers == (("x-api-key", "k"),)
    assert bearer is ANONYMOUS
    assert signed.kind is PartitionKind.CREDENTIAL


@pytest.mark.parametrize(
    "name", ["if-none-match", "range", "host", "accept-encoding", "te", "via"]
)
def test_a_route_cannot_send_what_would_spoil_a_shared_answer(name: str) -> None:
    """E20, E31: conditionals, ranges, codings and framing never go upstream."""
    route = Route(request_headers=(name,))

    assert read(route=route, lookup={name: "x"}.get).key.partition is ANONYMOUS


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["authorization", "cookie", "x-tenant"]),
            st.text(st.sampled_from("1:ax "), max_size=5),
        ),
        min_size=2,
        max_size=2,
    )
)
def test_equal_partitions_send_equal_headers(fields: list[dict[str, str]]) -> None:
    """L13 as a law: no two sets of headers run together in the digest."""
    route = Route(request_headers=("x-tenant",))
    one, other = (read(route=route, lookup=f.get).key.partition for f in fields)

    assert (one == other) == (one.headers == other.headers and one.kind == other.kind)


# -- public routes ------------------------------------------------------------


def test_on_a_public_route_everybody_shares() -> None:
    """L13: credentials are ignored, and those in the query are stripped."""
    lookup = headers(authorization="Bearer a", cookie="x=1")

    found = read("token=t&b=2&a=1&signature=s", route=OPEN, lookup=lookup)

    assert found.key == StreamKey("/v1/stream/**", PATH, "a=1&b=2", PUBLIC)
    assert found.key.partition.headers == ()


def test_on_a_public_route_a_selecting_header_still_divides() -> None:
    route = Route(
        access=Access.PUBLIC, request_headers=("x-tenant", "cookie", "authorization")
    )
    lookup = headers(x_tenant="blue", cookie="x=1")
    partition = read(route=route, lookup=lookup).key.partition

    assert partition.kind is PartitionKind.PUBLIC
    assert partition.headers == (("x-tenant", "blue"),)
    assert partition != PUBLIC


# -- the end of a signed URL ---------------------------------------------------

NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("query", "expires_at"),
    [
        ("", None),
        ("expires=1893456000", NEW_YEAR),
        ("expires=1893456000.5", NEW_YEAR + 0.5),
        ("expires=1893456000000", NEW_YEAR),
        ("expires=100000000000", 1e11),
        ("expires=2030-01-01T00:00:00Z", NEW_YEAR),
        ("expires=2030-01-01t00:00:00.000z", NEW_YEAR),
        ("expires=2030-01-01T01%3A00%3A00%2B01:00", NEW_YEAR),
        ("expires=2030-01-01T01:00:00+01:00", NEW_YEAR),
        ("expires=2029-12-31T22:30:00-01:30", NEW_YEAR),
        ("expires=2000000000&expires=1893456000", NEW_YEAR),
        ("%65xpires=1893456000", NEW_YEAR),
        ("expires=0", 0.0),
        ("expires=", None),
        ("expires=-1", None),
        ("expires=tomorrow", None),
        ("expires=inf", None),
        ("expires=1e9", None),
        ("expires=2030-13-01T00:00:00Z", None),
        ("expires=2030-01-01T00:00:00", None),
        ("expires=2030-01-01", None),
        ("Expires=1893456000", None),
    ],
)
def test_an_expiry_in_the_query_is_read(query: str, expires_at: float | None) -> None:
    """L14: it caps everything; one that is none of the known forms caps nothing."""
    assert read(query).expires_at == expires_at


def test_the_first_expiry_of_a_routes_own_parameters_counts() -> None:
    route = Route(expires_parameters=("exp", "until"))
    found = read("until=2030-01-01T00:00:00Z&exp=2000000000&expires=1", route=route)

    assert found.expires_at == NEW_YEAR


def test_a_head_is_capped_by_its_expiry_too() -> None:
    assert read("expires=1893456000", method="HEAD").expires_at == NEW_YEAR


def granted(query: str, *, method: str = "GET", route: Route = ROUTE) -> Grant:
    request = RequestHead.of(method, f"{PATH}?{query}", NOBODY)
    return authorize(route, request, 0.0)


def test_a_grant_ends_with_its_signed_url_and_another_never() -> None:
    """What a front remembers of it holds no longer."""
    assert granted("expires=1893456000").expires_at == NEW_YEAR
    assert granted("token=t").expires_at == NO_END


def test_what_is_no_read_shares_nothing() -> None:
    """A write goes up with its own fields, and no answer of it is kept."""
    assert granted("token=t&expires=1", method="POST") == Grant()


def test_on_a_public_route_a_parameter_that_is_stripped_ends_nothing() -> None:
    """It does not go upstream, so it cannot be what the origin goes by."""
    route = Route(access=Access.PUBLIC, credential_parameters=("expires",))

    assert granted("expires=1", route=route) == Grant(PUBLIC)


@pytest.mark.parametrize(
    "name",
    [
        *("access_token", "token", "jwt", "api_key"),
        *("key", "signature", "secret", "sig"),
    ],
)
def test_what_often_is_a_credential_is_one_unless_a_route_says_otherwise(
    name: str,
) -> None:
    """L13: two readers with two of them share nothing, in any spelling of the name."""
    spelled = f"%{ord(name[0]):X}{name[1:]}"
    one, other, same = (read(f"{text}=x&z=1") for text in (name, spelled, name))

    assert one.key.partition.kind is PartitionKind.CREDENTIAL
    assert other.key.partition.kind is PartitionKind.CREDENTIAL
    assert one.key == same.key != read(f"{name}=y&z=1").key
    named = Route(credential_parameters=())
    assert read(f"{name}=x", route=named).key.partition is ANONYMOUS
