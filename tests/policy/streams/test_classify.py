"""From a head to a Read: what is asked, of which log, and who shares it."""

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    PUBLIC,
    Mode,
    PartitionKind,
    Read,
    StreamKey,
)
from edge.policy.streams.classify import Lookup, PassRequest, classify
from edge.policy.streams.routes import Access, Route

PATH = "/v1/stream/a"
ROUTE = Route()
OPEN = Route(access=Access.PUBLIC)
NOBODY: Lookup = dict[str, str]().get


def headers(**fields: str) -> Lookup:
    """A lookup of these fields; underscores stand for hyphens."""
    return {name.replace("_", "-"): value for name, value in fields.items()}.get


def read(
    query: str = "",
    *,
    method: str = "GET",
    route: Route = ROUTE,
    lookup: Lookup = NOBODY,
) -> Read:
    target = f"{PATH}?{query}" if query else PATH
    found = classify(method, target, lookup, route)
    assert isinstance(found, Read)
    return found


def refusal(query: str, method: str = "GET") -> Reason:
    with pytest.raises(ClientFault) as refused:
        classify(method, f"{PATH}?{query}", NOBODY, ROUTE)
    assert refused.value.status == 400
    return refused.value.reason


# -- what is read -------------------------------------------------------------


def test_a_bare_get_reads_from_the_beginning() -> None:
    """PROTOCOL.md section 5.6; E12: omitted is ``-1``, by the same key."""
    assert read() == Read(StreamKey("/v1/stream/**", PATH), "-1")
    assert read("offset=-1") == read()


@pytest.mark.parametrize(
    ("query", "offset", "mode", "cursor"),
    [
        ("offset=0_7", "0_7", Mode.CATCH_UP, None),
        ("offset=now", "now", Mode.CATCH_UP, None),
        ("offset=0%5F7", "0_7", Mode.CATCH_UP, None),
        ("%6fffset=0_7", "0_7", Mode.CATCH_UP, None),
        ("offset=a%2Bb", "a+b", Mode.CATCH_UP, None),
        ("offset=snapshot", "snapshot", Mode.CATCH_UP, None),
        ("offset=0_7_snapshot", "0_7_snapshot", Mode.CATCH_UP, None),
        ("offset=0_7&live=long-poll", "0_7", Mode.LONG_POLL, None),
        ("live=sse&offset=now", "now", Mode.SSE, None),
        ("offset=0_7&l%69ve=%73se", "0_7", Mode.SSE, None),
        ("offset=0_7&live=sse&cursor=3344888", "0_7", Mode.SSE, 3344888),
        ("cursor=12", "-1", Mode.CATCH_UP, 12),
        ("cursor=", "-1", Mode.CATCH_UP, None),
        ("cursor=abc", "-1", Mode.CATCH_UP, None),
        ("cursor=%2B1", "-1", Mode.CATCH_UP, None),
        ("cursor=" + "9" * 18, "-1", Mode.CATCH_UP, 10**18 - 1),
    ],
)
def test_the_protocols_parameters_are_read_decoded(
    query: str, offset: str, mode: Mode, cursor: int | None
) -> None:
    """PROTOCOL.md sections 5.6 to 5.8; extensions' offsets pass (O8)."""
    found = read(query)

    assert (found.offset, found.mode, found.cursor) == (offset, mode, cursor)
    assert found.key == StreamKey("/v1/stream/**", PATH)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("offset=", Reason.EMPTY_OFFSET),
        ("offset", Reason.EMPTY_OFFSET),
        ("offset=&live=sse", Reason.EMPTY_OFFSET),
        ("offset=1&offset=1", Reason.DUPLICATE_PARAMETER),
        ("offset=1&%6fffset=2", Reason.DUPLICATE_PARAMETER),
        ("offset=1&live=sse&live=long-poll", Reason.DUPLICATE_PARAMETER),
        ("cursor=1&cursor=1", Reason.DUPLICATE_PARAMETER),
        ("live=bogus&live=bogus", Reason.DUPLICATE_PARAMETER),
        ("offset=0,1", Reason.BAD_OFFSET),
        ("offset=0%2C1", Reason.BAD_OFFSET),
        ("offset=a+b", Reason.BAD_OFFSET),
        ("offset=a%20b", Reason.BAD_OFFSET),
        ("offset=..%2Fa", Reason.BAD_OFFSET),
        ("offset=a=b", Reason.BAD_OFFSET),
        ("offset=a?b", Reason.BAD_OFFSET),
        ("offset=a%26b", Reason.BAD_OFFSET),
        ("offset=a%0A", Reason.BAD_OFFSET),
        ("offset=a%0d%0aSet-Cookie:x", Reason.BAD_OFFSET),
        ("offset=%C3%A9", Reason.BAD_OFFSET),
        ("offset=%22", Reason.BAD_OFFSET),
        ("offset=" + "0" * 257, Reason.BAD_OFFSET),
        ("offset=a%00", Reason.BAD_QUERY),
        ("offset=%zz", Reason.BAD_QUERY),
        ("live=long-poll", Reason.OFFSET_REQUIRED),
        ("live=sse", Reason.OFFSET_REQUIRED),
        ("cursor=" + "1" * 19, Reason.BAD_CURSOR),
    ],
)
def test_a_malformed_question_is_the_clients_fault(query: str, reason: Reason) -> None:
    """E12, E13, P4, P7; PROTOCOL.md sections 5.6, 5.7 and 8."""
    assert refusal(query) is reason


def test_a_head_takes_no_parameters_of_the_protocol() -> None:
    """PROTOCOL.md section 5.5: an origin ignores them, and E21 keys by path."""
    found = read("offset=0,1&live=sse&cursor=x&a=b", method="HEAD")

    assert found == Read(StreamKey("/v1/stream/**", PATH, "a=b"), mode=Mode.HEAD)


def test_a_bad_target_is_refused_for_every_method() -> None:
    """L26: a write by another spelling would escape the invalidation of reads."""
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PURGE"):
        with pytest.raises(ClientFault) as refused:
            classify(method, "/v1/stream/x/../a", NOBODY, ROUTE)
        assert refused.value.reason is Reason.BAD_PATH
        assert refusal("a=%00", method) is Reason.BAD_QUERY


# -- what passes --------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "get", "QUERY"])
def test_other_methods_pass(method: str) -> None:
    """E23. Methods are case-sensitive (RFC 9110 section 9.1)."""
    target = f"{PATH}?offset=,&offset="

    assert classify(method, target, NOBODY, ROUTE) == PassRequest(Reason.METHOD, target)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_control_paths_pass_whatever_the_method(method: str) -> None:
    """E23, PROTOCOL.md section 6: they are no streams, so no write to one either."""
    target = "/v1/stream/__ds/subscriptions/s/streams/manual%2Fb?offset="

    found = classify(method, target, NOBODY, ROUTE)

    assert found == PassRequest(Reason.NOT_A_STREAM, target)


@pytest.mark.parametrize("live", ["bogus", "", "SSE", "long-poll%20", "true"])
def test_a_get_of_an_unknown_live_mode_passes(live: str) -> None:
    """E23: what it means is the origin's to say; Node takes it for catch-up."""
    target = f"{PATH}?live={live}&offset=&b=2&a=1"

    found = classify("GET", target, NOBODY, ROUTE)

    assert found == PassRequest(Reason.UNKNOWN_LIVE, target)


def test_what_passes_with_an_unknown_live_mode_takes_its_headers_along() -> None:
    """L13: also a read that nobody shares sends allow-listed headers only."""
    lookup = headers(authorization="Bearer a", x_forwarded_host="evil")

    found = classify("GET", f"{PATH}?live=x", lookup, ROUTE)

    assert isinstance(found, PassRequest)
    assert found.partition.kind is PartitionKind.CREDENTIAL
    assert found.partition.headers == (("authorization", "Bearer a"),)


def test_on_a_public_route_no_passing_read_carries_a_clients_credential() -> None:
    found = classify(
        "GET", f"{PATH}?b=2&live=x&token=t&a=1", headers(cookie="c=1"), OPEN
    )

    assert found == PassRequest(Reason.UNKNOWN_LIVE, f"{PATH}?b=2&live=x&a=1", PUBLIC)


# -- the key ------------------------------------------------------------------


def test_the_path_is_keyed_as_received() -> None:
    """L26: three streams to Node, three logs here."""
    paths = ("/v1/stream/a%2Fb", "/v1/stream/a%2fb", "/v1/stream/a/b")

    found = [classify("GET", path, NOBODY, ROUTE) for path in paths]

    assert found == [Read(StreamKey("/v1/stream/**", path)) for path in paths]


def test_cursor_mode_and_offset_are_in_no_key() -> None:
    """E13, L22: a crowd with unlike cursors waits for the same bytes."""
    queries = ("", "offset=1&live=sse&cursor=5", "cursor=9&offset=2&live=long-poll")

    assert len({read(query).key for query in queries}) == 1


def test_parameters_of_extensions_are_in_the_key() -> None:
    """E24: they may select, and they may authorise (PROTOCOL.md section 11)."""
    assert read("awareness=x&offset=1").key.extension == "awareness=x"
    assert read("awareness=x").key != read("awareness=y").key
    assert read("awareness=%78").key != read("awareness=x").key


def test_a_semicolon_cloaks_no_parameter() -> None:
    found = read("a=1;offset=9&offset=0_1")

    assert found.offset == "0_1"
    assert found.key.extension == "a=1;offset=9"


@given(
    st.lists(st.sampled_from("abcde"), unique=True).flatmap(
        lambda names: st.tuples(*(st.just(f"{n}={n}") for n in names))
    ),
    st.randoms(use_true_random=False),
)
def test_every_order_of_parameters_is_one_key(
    extensions: tuple[str, ...], random: Random
) -> None:
    """E25, O1: the order is free, so the crowd must not split by it."""
    pieces = ["offset=0_1", "live=sse", "cursor=7", *extensions]
    shuffled = list(pieces)
    random.shuffle(shuffled)

    assert read("&".join(shuffled)) == read("&".join(pieces))


@given(
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=40),
    st.sampled_from(["GET", "HEAD", "PUT"]),
)
def test_any_target_is_read_passed_or_refused(target: str, method: str) -> None:
    try:
        found = classify(method, f"/v1/stream/{target}", NOBODY, ROUTE)
    except ClientFault as fault:
        assert fault.status == 400
    else:
        assert isinstance(found, Read | PassRequest)


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


# -- the rest of the Read -----------------------------------------------------

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


def test_codings_and_conditionals_are_the_readers_own_and_in_no_key() -> None:
    """E30, E31: they choose what goes down, never what comes up."""
    lookup = headers(accept_encoding="gzip, br", if_none_match='"a", W/"b"')

    found = read(lookup=lookup)

    assert found.codings == ("br", "gzip")
    assert found.if_none_match == '"a", W/"b"'
    assert found.key == read().key


@pytest.mark.parametrize(
    "wish", ["no-cache", "max-age=0", "no-store", "only-if-cached"]
)
def test_a_clients_wishes_about_caches_change_nothing(wish: str) -> None:
    """E35: nobody aims the crowd at the origin by asking for a fresh copy."""
    asked = read("offset=-1", lookup=headers(cache_control=wish, pragma="no-cache"))

    assert asked == read("offset=-1")
