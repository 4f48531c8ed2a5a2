"""Plain writes: a closed list of shapes, never laxer than the whole way.

P9, U27, B2. Nothing is sent here.
"""

from collections.abc import Callable

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import head_rules
from edge.core.reasons import Reason
from edge.core.values import GRANTED, Headers
from edge.front.fast.plain_requests import Later, PlainWrite, RequestLine
from edge.front.fast.plain_writes import MAX_BODY_BYTES, PlainWrites
from edge.front.fast.request_memo import RequestMemo
from edge.policy.http.client_address import Caller, Peer
from edge.policy.http.forwarding import is_loop
from edge.policy.streams.authorize import Ask, Denied, Grant
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.pipeline import RequestPipeline, find_route
from edge.policy.streams.routes import Access, Route
from tests.front.fake_edge import RealClock
from tests.front.fast.test_request_memo import FIELDS, LINE, LOOP, ROUTES, TARGETS
from tests.support.options import NODE, front_options, limits
from tests.support.requests import asked

HOST = "Host: edge.test"
POST = "POST /v1/stream/a HTTP/1.1"
PEER = Peer("192.0.2.7")


class Judge:
    """Both parts that judge a write, and the last write of one connection."""

    def __init__(
        self,
        routes: tuple[Route, ...] = ROUTES,
        authorizer: Callable[..., object] | None = None,
        max_body: int | None = None,
    ) -> None:
        pipeline = RequestPipeline(routes)
        if authorizer is not None:
            pipeline = RequestPipeline(routes, authorizer)  # type: ignore[arg-type]
        parts = (
            pipeline,
            front_options(limits=limits(max_body=max_body)),
            RealClock(),
        )
        self.memo, self.writes = RequestMemo(*parts), PlainWrites(*parts)
        self.last: PlainWrite | None = None

    def raw(self, raw: bytes) -> PlainWrite | Later | None:
        end = raw.find(b"\r\n\r\n")
        _, line = self.memo.head(raw, end, None)
        if not isinstance(line, RequestLine):
            return None
        block = raw[raw.find(b"\r\n") + 2 : end + 2]
        found = self.writes.of(line, block, self.last, PEER, Caller)
        if isinstance(found, PlainWrite):
            self.last = found
        return found

    def __call__(self, *fields: str, line: str = POST) -> PlainWrite | None:
        head = "".join(f"{text}\r\n" for text in (line, *fields)) + "\r\n"
        found = self.raw(head.encode("latin-1"))
        assert not isinstance(found, Later)
        return found


def write(*fields: str, line: str = POST) -> PlainWrite | None:
    return Judge()(HOST, *fields, line=line)


@pytest.mark.parametrize(
    ("line", "fields", "length"),
    [
        (POST, ["Content-Length: 0"], 0),
        (POST, ["content-length:65536"], MAX_BODY_BYTES),
        (POST, [], None),
        ("PUT /v1/stream/a HTTP/1.1", ["Content-Length: 7"], 7),
        ("PUT /v1/stream/a HTTP/1.1", [], None),
        ("DELETE /v1/stream/a?x=1 HTTP/1.1", [], None),
        ("DELETE /v1/stream/a HTTP/1.1", ["Content-Length: 0"], 0),
    ],
)
def test_a_plain_write_has_a_small_body_or_none(
    line: str, fields: list[str], length: int | None
) -> None:
    found = write(*fields, line=line)

    assert found is not None and found.block.length == length


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        "HEAD /v1/stream/a HTTP/1.1",
        "PATCH /v1/stream/a HTTP/1.1",
        "post /v1/stream/a HTTP/1.1",
        "POST /v1/stream/a HTTP/1.0",
        "POST http://edge.test/v1/stream/a HTTP/1.1",
        "POST /v1/stream/../a HTTP/1.1",
        "POST /v1/stream/a/__ds/subscriptions/b HTTP/1.1",
        "POST /elsewhere HTTP/1.1",
    ],
)
def test_another_line_is_none(line: str) -> None:
    assert write("Content-Length: 4", line=line) is None


@pytest.mark.parametrize(
    "fields",
    [
        ["Content-Length: 65537"],
        ["Content-Length: 4", "Content-Length: 4"],
        ["Content-Length: 4, 4"],
        ["Content-Length: 04"],
        ["Content-Length: +4"],
        ["Content-Length: -4"],
        ["Content-Length: 4 4"],
        ["Content-Length:"],
        ["Content-Length: 0x4"],
        ["Content-Length: 4.0"],
        ["Content-Length: " + "4" * 400],
        ["Content-Length: 4", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked"],
        ["Content-Length: 4", "Expect: 100-continue"],
        ["Content-Length: 4", "Upgrade: h2c"],
        ["Content-Length: 4", "Trailer: x"],
        ["Content-Length: 4", "TE: trailers"],
        ["Content-Length: 4", "Connection: x-hop"],
        ["Content-Length: 4", "X_Y: a"],
        ["Content-Length: 4", " X: a"],
        ["Content-Length: 4", "X: \xe9"],
        ["Content-Length: 4", "X: \0"],
        ["Content-Length: 4", f"CDN-Loop: {LOOP}"],
        ["Content-Length: 4", *(f"X{n}: a" for n in range(70))],
        ["Content-Length: 4", "X: " + "a" * 9000],
    ],
)
def test_other_fields_are_not_plain(fields: list[str]) -> None:
    """P9: what frames or folds is judged elsewhere."""
    assert write(*fields) is None


def test_a_delete_has_no_body_here() -> None:
    assert write("Content-Length: 4", line="DELETE /v1/stream/a HTTP/1.1") is None


def test_what_is_larger_than_may_be_is_told_so_elsewhere() -> None:
    """docs/configuration.md, limits.max_body."""
    judge = Judge(max_body=10)

    assert judge(HOST, "Content-Length: 10") is not None
    assert judge(HOST, "Content-Length: 11") is None


def test_who_must_be_asked_or_said_no_is_heard_elsewhere() -> None:
    for verdict in (
        Ask(Grant),
        Denied(Reason.EXPIRED_CREDENTIAL, "no", 401),
        Grant(expires_at=1.0),
    ):
        judge = Judge(authorizer=lambda *_, said=verdict: said)
        assert judge(HOST, "Content-Length: 4") is None


def test_who_must_wait_for_another_turn_is_told_so() -> None:
    judge = Judge(authorizer=lambda *_: Ask(Grant, later=lambda call: None))

    assert isinstance(judge.raw(f"{POST}\r\n{HOST}\r\n\r\n".encode()), Later)


def forwarded(found: PlainWrite | None) -> Headers:
    assert found is not None
    return found.block.forwarded


def test_what_goes_with_it_is_all_that_goes_from_end_to_end() -> None:
    """P1, P2, O17."""
    given = forwarded(
        write(
            *("Content-Type: text/plain", "Producer-Id: p", "Authorization: a"),
            *("Connection: keep-alive", "Keep-Alive: 5", "X-Forwarded-For: 1.2.3.4"),
            *("Content-Length: 4", "Via: 1.1 other", "Accept-Encoding: gzip"),
        )
    )

    assert dict(given) == {
        "content-type": "text/plain",
        "producer-id": "p",
        "authorization": "a",
        "x-forwarded-for": "192.0.2.7",
        "accept-encoding": "identity",
        "via": "1.1 other, 1.1 here",
        "cdn-loop": "ds-edge;node=c0ffee",
    }


PRODUCER = (HOST, "Content-Type: text/plain", "Producer-Id: p")


def produced(judge: Judge, number: int, *fields: str) -> PlainWrite:
    """One of the messages of a producer, each of another length."""
    told = (f"Producer-Seq: {number}", f"Content-Length: {number}", *fields)
    found = judge(*PRODUCER, *told)
    assert found is not None
    return found


def test_a_producer_that_numbers_its_messages_changes_one_field_in_its_place() -> None:
    judge = Judge()
    first, second = produced(judge, 1), produced(judge, 2)

    assert [w.block.length for w in (first, second)] == [1, 2]
    assert dict(second.block.forwarded)["producer-seq"] == "2"
    assert [name for name, _ in first.block.forwarded] == [
        name for name, _ in second.block.forwarded
    ]
    same = [
        a is b
        for a, b in zip(first.block.forwarded, second.block.forwarded, strict=True)
    ]
    assert same.count(False) == 1


def test_the_same_bytes_are_the_same_write() -> None:
    judge = Judge()

    assert produced(judge, 1) is produced(judge, 1)


def test_the_fields_are_kept_from_one_stream_to_another_of_a_route() -> None:
    judge = Judge()
    here = judge(*PRODUCER, line=POST)
    there = judge(*PRODUCER, line="PUT /v1/stream/b?x=1 HTTP/1.1")

    assert here is not None and there is not None
    assert there.passed.target == "/v1/stream/b?x=1"
    assert there.block.forwarded is here.block.forwarded


def test_an_edge_s_own_credential_is_never_exchanged_for_a_client_s() -> None:
    """B9: also where both were the same by chance."""
    own = (("Authorization", "Bearer own"),)
    route = Route(access=Access.GRANTED, origin_headers=own)
    judge = Judge((route,), authorizer=lambda *_: Grant(partition=GRANTED))
    for token in ("own", "mine", "yours"):
        found = judge(HOST, f"Authorization: Bearer {token}")
        assert dict(forwarded(found))["authorization"] == "Bearer own"


NAMES = ["Host", "Connection", "Cookie", "X-Request-Id", "Producer-Seq", "Traceparent"]
NAMES += ["Content-Length", "Content-Type", "Tracestate", "Via", "X-Forwarded-For"]
NAMES += ["Accept-Encoding", "CDN-Loop", "Expect", "X_Y", "X-Real-IP", "Keep-Alive"]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
VALUES = ["a", "edge.test", "close", "keep-alive", "", "4", "04", "\t1 ", TRACE, "é"]
VALUES += ["identity", "192.0.2.7", "x=y", "a\x00", "a\r\n b", LOOP]
WRITE_FIELDS = st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES))


def head(fields: list[tuple[str, str]], target: str = "/v1/stream/a") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"POST {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode("latin-1")


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(
            st.lists(WRITE_FIELDS, max_size=3),
            st.sampled_from(["/v1/stream/a", "/v1/stream/b", "/public/c"]),
        ),
        min_size=2,
        max_size=5,
    )
)
def test_what_a_client_wrote_before_changes_nothing(
    written: list[tuple[list[tuple[str, str]], str]],
) -> None:
    """Each write comes to what it would alone."""
    judge = Judge()
    for fields, target in written:
        raw = head(fields, target)
        found, alone = judge.raw(raw), Judge().raw(raw)
        assert (found is None) is (alone is None)
        if isinstance(found, PlainWrite) and isinstance(alone, PlainWrite):
            assert found.passed == alone.passed
            assert (found.close, found.request_id) == (alone.close, alone.request_id)
            assert found.block.fields == alone.block.fields
            assert found.block.length == alone.block.length
            assert found.block.forwarded == alone.block.forwarded


@settings(max_examples=400)
@given(
    st.sampled_from(["POST", "POST", "PUT", "DELETE", "GET"]),
    st.sampled_from(TARGETS),
    st.lists(FIELDS, max_size=5),
)
def test_what_is_plain_is_the_same_write_the_whole_way(
    method: str, target: str, fields: list[tuple[str, str, str, str]]
) -> None:
    """P9: never laxer, and never another length."""
    lines = "".join(map("".join, [("Host", ": ", "a", "\r\n"), *fields]))
    raw = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
    found = Judge().raw(raw)
    if not isinstance(found, PlainWrite):
        return

    config = Config()
    config.set("http_parser", "python")
    config.set("header_map", "drop")
    request = next(get_parser(config, iter([raw]), ("127.0.0.1", 1)))
    assert head_rules.validate(request.version, request.headers) is not found.close
    assert not is_loop(request.headers, NODE)
    given_fields = {name.lower(): value for name, value in request.headers}
    length = given_fields.pop("content-length", None)
    assert found.block.length == (None if length is None else int(length))
    assert found.block.fields == given_fields
    route = find_route(ROUTES, target.partition("?")[0])
    assert route is not None and request.uri is not None
    passed = asked(method, request.uri, given_fields.get, route)
    assert isinstance(passed, PassRequest) and passed == found.passed
