"""What goes upstream for reads: little, and always the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import (
    PUBLIC,
    Headers,
    Node,
    OriginRequest,
    Partition,
    PartitionKind,
    Purpose,
    Read,
    StreamKey,
)
from edge.policy.http import request_target
from edge.policy.http.forwarding import is_loop
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.routes import Access, Route
from edge.policy.streams.upstream_requests import (
    head_request,
    pass_request,
    read_request,
    relay_read,
)
from edge.protocol.offsets import is_safe
from tests.support.requests import NOBODY, asked

PATH = "/v1/stream/a"
KEY = StreamKey("/v1/stream/**", PATH)
EXTENDED = StreamKey("/v1/stream/**", PATH, "a=1&z=%2F")
SECRET = Partition(PartitionKind.CREDENTIAL, "d1", (("authorization", "Bearer a"),))
ROUTE = Route()
OWN = Route(origin_headers=(("Authorization", "Bearer edge"),))
ALWAYS: Headers = (
    ("accept-encoding", "identity"),
    ("via", "1.1 ds-edge"),
    ("cdn-loop", "ds-edge;node=0"),
)


def test_a_read_without_an_offset_asks_for_the_bare_path() -> None:
    assert read_request(KEY, None, ROUTE) == OriginRequest("GET", PATH, ALWAYS)


@pytest.mark.parametrize(
    ("key", "offset", "target"),
    [
        (KEY, "-1", f"{PATH}?offset=-1"),
        (KEY, "0_7", f"{PATH}?offset=0_7"),
        (KEY, "a+b%c;d", f"{PATH}?offset=a%2Bb%25c%3Bd"),
        (EXTENDED, None, f"{PATH}?a=1&z=%2F"),
        (EXTENDED, "0_7", f"{PATH}?offset=0_7&a=1&z=%2F"),
        (StreamKey("r", "/v1/stream/a%2Fb"), "0_7", "/v1/stream/a%2Fb?offset=0_7"),
    ],
)
def test_the_target_is_canonical(key: StreamKey, offset: str, target: str) -> None:
    """E25: the key is what the origin sees; the path goes as received (L26)."""
    assert read_request(key, offset, ROUTE).target == target


def test_a_follower_is_a_long_poll_that_echoes_the_origins_cursor() -> None:
    """L20, L22; L24: it has its own pool."""
    first = read_request(EXTENDED, "0_7", ROUTE, live=True)
    next_one = read_request(EXTENDED, "0_9", ROUTE, live=True, live_cursor="42 &")

    assert first.target == f"{PATH}?offset=0_7&live=long-poll&a=1&z=%2F"
    assert next_one.target == (
        f"{PATH}?offset=0_9&live=long-poll&cursor=42%20%26&a=1&z=%2F"
    )
    assert first.purpose is Purpose.FOLLOW
    assert read_request(KEY, "0_7", ROUTE).purpose is Purpose.CATCH_UP


def test_a_head_asks_for_the_stream_itself() -> None:
    request = head_request(EXTENDED, ROUTE)

    assert request == OriginRequest("HEAD", f"{PATH}?a=1&z=%2F", ALWAYS)


def test_only_the_allow_list_goes_upstream() -> None:
    """L13, E26 to E31, P1: whatever a client sends besides."""
    hostile = {
        "host": "evil",
        "x-forwarded-host": "evil",
        "x-forwarded-for": "1.2.3.4",
        "forwarded": "host=evil",
        "x-original-url": "/evil",
        "x-http-method-override": "DELETE",
        "if-none-match": '"x"',
        "range": "bytes=0-1",
        "cache-control": "no-cache",
        "accept": "text/html",
        "accept-language": "xx",
        "accept-encoding": "gzip",
        "user-agent": "x",
        "connection": "authorization",
    }
    read = asked("GET", f"{PATH}?offset=0_7", hostile.get, ROUTE)
    assert isinstance(read, Read)

    assert read_request(read.key, read.offset, ROUTE).headers == ALWAYS


def test_a_credential_partition_sends_its_own_headers_and_not_the_routes() -> None:
    """L13: the route's credential must not lend its rights to a client's."""
    key = StreamKey("r", PATH, "", SECRET)

    assert read_request(key, "0_7", OWN).headers == (
        ("authorization", "Bearer a"),
        *ALWAYS,
    )


@pytest.mark.parametrize("partition", [Partition(), PUBLIC])
def test_shared_partitions_send_the_routes_own_credential(partition: Partition) -> None:
    key = StreamKey("r", PATH, "", partition)

    for request in (read_request(key, "0_7", OWN), head_request(key, OWN)):
        assert request.headers == (("authorization", "Bearer edge"), *ALWAYS)


def test_where_route_and_client_name_one_header_the_routes_stands_alone() -> None:
    shared = Partition(PartitionKind.ANONYMOUS, "d", (("x-tenant", "b"), ("x-a", "1")))
    route = Route(origin_headers=(("X-Tenant", "fixed"),))
    headers = read_request(StreamKey("r", PATH, "", shared), None, route).headers

    assert headers == (("x-a", "1"), ("x-tenant", "fixed"), *ALWAYS)


def test_whatever_is_built_tells_which_node_it_comes_from() -> None:
    """U10: the name in Via, the id in CDN-Loop."""
    node = Node("pop-1", "7f3a")
    relayed = asked("GET", f"{PATH}?offset=1", NOBODY, ROUTE)
    passing = asked("GET", f"{PATH}?live=x", NOBODY, ROUTE)
    assert isinstance(relayed, Read) and isinstance(passing, PassRequest)
    requests = (
        read_request(KEY, None, ROUTE, node=node),
        read_request(KEY, "1", ROUTE, live=True, node=node),
        head_request(KEY, ROUTE, node=node),
        relay_read(relayed, ROUTE, node=node),
        pass_request(passing, ROUTE, node=node),
    )

    for request in requests:
        assert request.headers[-2:] == (
            ("via", "1.1 pop-1"),
            ("cdn-loop", "ds-edge;node=7f3a"),
        )


def test_a_built_request_tells_the_nodes_by_which_its_reader_came() -> None:
    """U10: a loop of two nodes is seen by the first. Nothing else comes along."""
    came = 'x;node=1, ds-edge;node=aa;by="y", ds-edge;node=NO, ds-edge, ds-edge;node=bb'
    told = ("cdn-loop", "ds-edge;node=aa, ds-edge;node=bb, ds-edge;node=0")
    fields = {"cdn-loop": came, "via": "1.1 a, 1.1 b"}.get
    read = asked("GET", f"{PATH}?offset=1", fields, ROUTE)
    passing = asked("GET", f"{PATH}?live=x", fields, ROUTE)
    assert isinstance(read, Read) and isinstance(passing, PassRequest)
    requests = (
        read_request(KEY, "1", ROUTE, hops=read.hops),
        head_request(KEY, ROUTE, hops=read.hops),
        relay_read(read, ROUTE),
        pass_request(passing, ROUTE),
    )

    for request in requests:
        assert request.headers[-2:] == (("via", "1.1 ds-edge"), told)
        assert is_loop(request.headers, Node("any", "aa"))


def test_no_more_than_sixteen_nodes_are_told() -> None:
    """The nearest ones; a client could send thousands."""
    came = ", ".join(f"ds-edge;node={number:x}" for number in range(100))
    read = asked("GET", f"{PATH}?offset=1", {"cdn-loop": came}.get, ROUTE)

    assert isinstance(read, Read)
    assert read.hops == tuple(f"{number:x}" for number in range(84, 100))


# -- one to one ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "query", "target"),
    [
        ("GET", "b=2&offset=0_7&a=1", f"{PATH}?offset=0_7&a=1&b=2"),
        ("GET", "", f"{PATH}?offset=-1"),
        (
            "GET",
            "cursor=05&live=sse&offset=now",
            f"{PATH}?offset=now&live=sse&cursor=5",
        ),
        ("GET", "live=long-poll&offset=1", f"{PATH}?offset=1&live=long-poll"),
        ("HEAD", "offset=1&a=1", f"{PATH}?a=1"),
    ],
)
def test_a_read_of_a_passing_key_asks_what_its_reader_asked(
    method: str, query: str, target: str
) -> None:
    """L15: not joined, and still built, not forwarded."""
    fields = {"authorization": "Bearer a", "x-original-url": "/evil"}
    read = asked(method, f"{PATH}?{query}", fields.get, ROUTE)
    assert isinstance(read, Read)

    request = relay_read(read, OWN)

    assert (request.method, request.target) == (method, target)
    assert request.purpose is Purpose.RELAY
    assert request.headers == (("authorization", "Bearer a"), *ALWAYS)


def test_an_unknown_live_mode_goes_up_as_it_came() -> None:
    """E23."""
    target = f"{PATH}?live=x&offset=&b=2&a=1"
    passing = asked("GET", target, {"range": "bytes=0-1"}.get, ROUTE)
    assert isinstance(passing, PassRequest)

    request = pass_request(passing, OWN)

    assert request == OriginRequest(
        "GET", target, (("authorization", "Bearer edge"), *ALWAYS), Purpose.RELAY
    )


def test_on_a_public_route_an_unknown_live_mode_takes_no_credential_along() -> None:
    route = Route(access=Access.PUBLIC)
    passing = asked("GET", f"{PATH}?live=x&token=t", {"cookie": "c=1"}.get, route)
    assert isinstance(passing, PassRequest)

    assert pass_request(passing, route) == OriginRequest(
        "GET", f"{PATH}?live=x", ALWAYS, Purpose.RELAY
    )


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9))
def test_an_offset_survives_the_way_to_the_origin(offset: str) -> None:
    if not is_safe(offset):
        return
    target = read_request(EXTENDED, offset, ROUTE).target
    path, query = request_target.split(target)
    first = request_target.parameters(query)[0]

    assert path == PATH
    assert (first.name, first.value()) == ("offset", offset)
    assert (
        request_target.extension(request_target.parameters(query)) == EXTENDED.extension
    )
