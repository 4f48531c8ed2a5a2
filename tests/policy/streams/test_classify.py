"""From a head to a Read: what is asked, and of which log."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import (
    PUBLIC,
    Mode,
    PartitionKind,
    Read,
    StreamKey,
)
from edge.policy.http import request_target
from edge.policy.streams.authorize import Lookup
from edge.policy.streams.classify import PassRequest, plain_extension
from edge.policy.streams.routes import Access, Route
from edge.protocol.offsets import NOW
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


def refusal(query: str, method: str = "GET") -> Reason:
    with pytest.raises(ClientFault) as refused:
        asked(method, f"{PATH}?{query}", NOBODY, ROUTE)
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
    found = read("offset=0,1&live=sse&cursor=%FF&a=b", method="HEAD")

    key = StreamKey("/v1/stream/**", PATH, "a=b")
    assert found == Read(key, NOW, Mode.HEAD)
    assert read("offset=-1&a=b", method="HEAD") == Read(key, mode=Mode.HEAD)


def test_a_bad_target_is_refused_for_every_method() -> None:
    """L26: a write by another spelling would escape the invalidation of reads."""
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PURGE"):
        with pytest.raises(ClientFault) as refused:
            asked(method, "/v1/stream/x/../a", NOBODY, ROUTE)
        assert refused.value.reason is Reason.BAD_PATH
        assert refusal("a=%00", method) is Reason.BAD_QUERY


# -- what is written ----------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "extension"),
    [
        ("", ""),
        ("awareness=x", "awareness=x"),
        ("b=2&a=1&offset=7", "a=1&b=2"),
        ("signature=abc&expires=99&awareness=x", "awareness=x"),
        ("%73ignature=abc&expires=99", ""),
        ("token", ""),
        ("Token=1", "Token=1"),
    ],
)
def test_a_write_is_compared_without_what_says_who_asks(
    query: str, extension: str
) -> None:
    """U13: canonical, like a key's own, but for credentials and their end."""
    passed = asked("POST", f"{PATH}?{query}", NOBODY, ROUTE)

    assert isinstance(passed, PassRequest)
    assert passed.extension == extension
    assert passed.target == f"{PATH}?{query}", "it goes on as received"


@pytest.mark.parametrize("access", Access)
@given(query=st.text("ab=&%2x", max_size=8), signature=st.text("xy", max_size=3))
def test_a_writers_signed_url_equals_its_readers_keys(
    access: Access, query: str, signature: str
) -> None:
    """U13: on every route, whatever signature each of them was given."""
    route = Route(access=access)
    try:
        key = read(f"{query}&signature=r&expires=1&offset=7", route=route).key
    except ClientFault:
        return
    plain = plain_extension(request_target.parameters(key.extension), route)
    written = f"{PATH}?expires=2&signature={signature}&{query}"
    passed = asked("POST", written, NOBODY, route)

    assert isinstance(passed, PassRequest)
    assert passed.extension == plain


# -- what passes --------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "get", "QUERY"])
def test_other_methods_pass(method: str) -> None:
    """E23. Methods are case-sensitive (RFC 9110 section 9.1)."""
    target = f"{PATH}?offset=,&offset="

    assert asked(method, target, NOBODY, ROUTE) == PassRequest(Reason.METHOD, target)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_control_paths_pass_whatever_the_method(method: str) -> None:
    """E23, PROTOCOL.md section 6: they are no streams, so no write to one either."""
    target = "/v1/stream/__ds/subscriptions/s/streams/manual%2Fb?offset="

    found = asked(method, target, NOBODY, ROUTE)

    assert found == PassRequest(Reason.NOT_A_STREAM, target)


@pytest.mark.parametrize("live", ["bogus", "", "SSE", "long-poll%20", "true"])
def test_a_get_of_an_unknown_live_mode_passes(live: str) -> None:
    """E23: what it means is the origin's to say; Node takes it for catch-up."""
    target = f"{PATH}?live={live}&offset=&b=2&a=1"

    found = asked("GET", target, NOBODY, ROUTE)

    assert found == PassRequest(Reason.UNKNOWN_LIVE, target)


def test_what_passes_with_an_unknown_live_mode_takes_its_headers_along() -> None:
    """L13: also a read that nobody shares sends allow-listed headers only."""
    lookup = headers(authorization="Bearer a", x_forwarded_host="evil")

    found = asked("GET", f"{PATH}?live=x", lookup, ROUTE)

    assert isinstance(found, PassRequest)
    assert found.partition.kind is PartitionKind.CREDENTIAL
    assert found.partition.headers == (("authorization", "Bearer a"),)


def test_on_a_public_route_no_passing_read_carries_a_clients_credential() -> None:
    found = asked("GET", f"{PATH}?b=2&live=x&token=t&a=1", headers(cookie="c=1"), OPEN)

    assert found == PassRequest(Reason.UNKNOWN_LIVE, f"{PATH}?b=2&live=x&a=1", PUBLIC)


# -- the key ------------------------------------------------------------------


def test_the_path_is_keyed_as_received() -> None:
    """L26: three streams to Node, three logs here."""
    paths = ("/v1/stream/a%2Fb", "/v1/stream/a%2fb", "/v1/stream/a/b")

    found = [asked("GET", path, NOBODY, ROUTE) for path in paths]

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
        found = asked(method, f"/v1/stream/{target}", NOBODY, ROUTE)
    except ClientFault as fault:
        assert fault.status == 400
    else:
        assert isinstance(found, Read | PassRequest)


# -- the rest of the Read -----------------------------------------------------


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
    wished = read("offset=-1", lookup=headers(cache_control=wish, pragma="no-cache"))

    assert wished == read("offset=-1")
