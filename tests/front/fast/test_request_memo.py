"""The request memo: a closed list of shapes, never laxer than the whole way."""

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import head_rules
from edge.core.values import Mode, PartitionKind, Read
from edge.front.fast.plain_requests import Later, PlainRead, RequestLine
from edge.front.fast.request_memo import Memo, RequestMemo
from edge.policy.http.forwarding import is_loop
from edge.policy.streams.pipeline import RequestPipeline, find_route
from edge.policy.streams.routes import Access, Route
from tests.front.fake_edge import RealClock
from tests.support.options import NODE, front_options
from tests.support.requests import asked

ROUTES = (
    Route("/public/**", access=Access.PUBLIC, request_headers=("x-tenant",)),
    Route(),
)
LINE = "GET /v1/stream/a?offset=-1 HTTP/1.1"
HOST = "Host: edge.test"
LOOP = "ds-edge;node=c0ffee"


def at_once(judged: PlainRead | Later | RequestLine | None) -> PlainRead | None:
    """What was judged without waiting: nobody here is."""
    assert not isinstance(judged, Later)
    return judged if isinstance(judged, PlainRead) else None


def request_memo() -> RequestMemo:
    return RequestMemo(RequestPipeline(ROUTES), front_options(), RealClock())


def plain(
    *fields: str, line: str = LINE, by: RequestMemo | None = None
) -> PlainRead | None:
    """What a head of these lines comes to."""
    head = "".join(f"{text}\r\n" for text in (line, *fields)) + "\r\n"
    raw = head.encode("latin-1")
    return at_once((by or request_memo()).head(raw, raw.find(b"\r\n\r\n"), None)[1])


def read(*fields: str, line: str = LINE) -> Read:
    found = plain(HOST, *fields, line=line)
    assert found is not None
    return found.read


def test_a_plain_read_is_what_classify_says() -> None:
    """One reading of requests for every front."""
    found = read("Accept-Encoding: gzip", 'If-None-Match: "a"')

    assert (found.key.path, found.offset, found.mode) == (
        *("/v1/stream/a", "-1"),
        Mode.CATCH_UP,
    )
    assert (found.codings, found.if_none_match) == (("gzip",), '"a"')


@pytest.mark.parametrize(
    "line",
    [
        "POST /v1/stream/a HTTP/1.1",
        "PATCH /v1/stream/a HTTP/1.1",
        "GET /v1/stream/a HTTP/1.0",
        "GET /v1/stream/a HTTP/1.1 ",
        "GET  /v1/stream/a HTTP/1.1",
        "GET http://edge.test/v1/stream/a HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /v1/stream/a\xe9 HTTP/1.1",
        "GET /v1/stream/../a HTTP/1.1",
        "GET /v1/stream/a?offset= HTTP/1.1",
        "GET /v1/stream/a?offset=1&live=odd HTTP/1.1",
        "GET /v1/stream/__ds/a HTTP/1.1",
        "GET /elsewhere HTTP/1.1",
        f"GET /v1/stream/a?x={'a' * 5000} HTTP/1.1",
    ],
)
def test_another_line_is_not_plain(line: str) -> None:
    """It goes the whole way, which knows what to say."""
    assert plain(HOST, line=line) is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Host:"],
        ["Host: a, b"],
        [HOST, HOST],
        [HOST, "Accept: a", "Accept: b"],
        [HOST, "Content-Length: 0"],
        [HOST, "Transfer-Encoding: chunked"],
        [HOST, "Expect: 100-continue"],
        [HOST, "Upgrade: h2c"],
        [HOST, "Range: bytes=0-1"],
        [HOST, "Connection: close, te"],
        [HOST, "Connection: Close"],
        [HOST, "X_Y: a"],
        [HOST, "X : a"],
        [HOST, " X: a"],
        [HOST, "X"],
        [HOST, ": a"],
        [HOST, "X: a\r b"],
        [HOST, "X: a\n b"],
        [HOST, "X: a\0"],
        [HOST, "X: \x7f"],
        [HOST, "X: \xe9"],
        [HOST, "CDN-Loop: ds-edge;node=c0ffee"],
        [HOST, *(f"X{n}: a" for n in range(70))],
        [HOST, "X: " + "a" * 9000],
    ],
)
def test_other_fields_are_not_plain(fields: list[str]) -> None:
    """P9: what frames or folds is judged elsewhere."""
    assert plain(*fields) is None


def test_a_credential_makes_its_partition_each_time() -> None:
    """L13: by construction; and on a public route by what the route names alone."""
    assert read("Cookie: a=b").key.partition.kind is PartitionKind.CREDENTIAL
    assert read("Cookie: a=b").key != read("Cookie: a=c").key
    public = "GET /public/a HTTP/1.1"
    assert read("Cookie: a=b", line=public).key == read(line=public).key
    assert read("X-Tenant: 1", line=public).key != read(line=public).key


def test_the_same_read_is_the_same_object_whoever_sends_it() -> None:
    """The hub knows reads that are asked again by identity."""
    by = request_memo()
    one = plain(HOST, "User-Agent: one", by=by)
    other = plain("host: other.test", "Accept: */*", by=by)

    assert one is not None and other is not None
    assert one.read is other.read
    assert plain(HOST, "If-None-Match: *", by=by) is not None
    assert plain(HOST, "Connection: close", by=by) is not None


def test_a_client_that_repeats_itself_is_known_by_its_whole_head() -> None:
    """And one that never does leaves nothing there."""
    by = request_memo()
    raw = f"{LINE}\r\n{HOST}\r\n\r\n".encode()
    block, _ = by.head(raw, len(raw) - 4, None)
    assert raw not in by.heads
    _, judged = by.head(raw, len(raw) - 4, block)
    found = at_once(judged)

    assert by.heads[raw] == (raw, found)


def test_a_full_memo_begins_again() -> None:
    """Bounded whatever clients send."""
    memo: Memo[int, int] = Memo(3)
    for number in range(10):
        memo.keep(number, number)

    assert len(memo) <= 3 and memo[9] == 9


@pytest.mark.parametrize("field", ["If-None-Match", "Authorization"])
def test_a_read_that_is_asked_with_much_is_not_remembered(field: str) -> None:
    """Thousands of them would hold what their senders made up, megabytes of it."""
    by = request_memo()
    one, other = (plain(HOST, f"{field}: {'a' * 5000}", by=by) for _ in range(2))

    assert one is not None and other is not None
    assert one.read == other.read and one.read is not other.read


@pytest.mark.parametrize(
    ("held", "may"),
    [
        (b"G", True),
        (b"GET /v1/stream/a HTTP/1.1\r\nHo", True),
        (b"GET /v1/stream/a HTTP/1.1\r", True),
        (b"POST /v1/stream/a HTTP/1.1\r\n", True),
        (b"PATCH /v1/stream/a HTTP/1.1\r\n", False),
        (b"GET /v1/stream/a HTTP/1.1\n", False),
        (b"GET /" + b"a" * 5000, False),
        (b"GET /v1/stream/a HTTP/1.1\r\nX: " + b"a" * 20_000, False),
    ],
)
def test_an_incomplete_head_is_waited_for_only_while_it_may_be_plain(
    held: bytes, may: bool
) -> None:
    """Everything else is answered as soon as the whole way would."""
    assert request_memo().may_be_plain(held) is may


NAMES = ["Host", "host", "Accept", "Connection", "Cookie", "X-Request-Id", "CDN-Loop"]
NAMES += ["If-None-Match", "Accept-Encoding", "Content-Length", "TE", "X_Y", "A b", ""]
VALUES = ["a", "edge.test", "close", "keep-alive", "gzip, br;q=0", "", " ", "\t1 ", "é"]
VALUES += ["0", '"x"', "chunked", "a\x00", "a\r\n b", "a\nb", "a:b", LOOP]
TARGETS = ["/v1/stream/a", "/v1/stream/a?offset=1&live=sse", "/public/x?a=1", "/", "*"]
TARGETS += ["/v1/stream/a?offset=", "/v1/stream/%2e%2e/b", "/v1/stream/a b", "//v1"]
ENDS = ["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"]


FIELDS = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from([":", ": ", " : ", ""]),
    st.sampled_from(VALUES),
    st.sampled_from(ENDS),
)


@settings(max_examples=400)
@given(
    st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "get"]),
    st.sampled_from(TARGETS),
    st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]),
    st.lists(FIELDS, max_size=5),
)
def test_what_is_plain_is_the_same_read_the_whole_way(
    method: str, target: str, version: str, fields: list[tuple[str, str, str, str]]
) -> None:
    """P9: never laxer, and never another Read."""
    lines = "".join(map("".join, [("Host", ": ", "a", "\r\n"), *fields]))
    raw = f"{method} {target} {version}\r\n{lines}\r\n".encode("latin-1")
    found = at_once(request_memo().head(raw, raw.find(b"\r\n\r\n"), None)[1])
    if found is None:
        return

    config = Config()
    config.set("http_parser", "python")
    config.set("header_map", "drop")
    request = next(get_parser(config, iter([raw]), ("127.0.0.1", 1)))
    keep = head_rules.validate(request.version, request.headers)
    assert keep is not found.close
    assert not is_loop(request.headers, NODE)
    given = {name.lower(): value for name, value in request.headers}
    route = find_route(ROUTES, target.partition("?")[0])
    assert route is not None and request.uri is not None
    assert asked(method, request.uri, given.get, route) == found.read


def numbered(number: str, *fields: str) -> bytes:
    """A head of a client that numbers what it asks."""
    lines = [LINE, HOST, "Accept: */*", f"X-Number: {number}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def test_a_client_that_changes_one_idle_value_each_time_is_compared_around_it() -> None:
    """And leaves nothing behind: neither whole heads nor blocks of its own."""
    by, last = request_memo(), None
    reads, blocks = set(), []
    for number in range(20):
        raw = numbered(str(number), "Origin: https://a.test")
        last, judged = by.head(raw, len(raw) - 4, last)
        found = at_once(judged)
        assert found is not None
        reads.add(id(found.read))
        blocks.append(last)

    assert len(reads) == 1 and not by.heads
    assert blocks[1] is not blocks[0] and len(set(map(id, blocks[1:]))) == 1


@pytest.mark.parametrize(
    "then",
    [
        numbered("3\r\nRange: bytes=0-1"),
        numbered("3\r\nX-Number: 4"),
        numbered("3\n"),
        numbered("\x00"),
        numbered("\xe9"),
        numbered("3", "Expect: 100-continue"),
        numbered("3").replace(b"X-Number", b"Expect"),
        numbered("3").replace(b"Accept", b"Cookie"),
        numbered("a" * 9000),
    ],
)
def test_what_else_it_changes_is_judged(then: bytes) -> None:
    """Never laxer: what a client sent before excuses nothing."""
    by, last = request_memo(), None
    for number in range(3):
        raw = numbered(str(number))
        last, _ = by.head(raw, len(raw) - 4, last)
    block, judged = by.head(then, then.find(b"\r\n\r\n"), last)
    found = at_once(judged)
    fresh = at_once(request_memo().head(then, then.find(b"\r\n\r\n"), None)[1])

    assert block is not last
    assert (found and found.read) == (fresh and fresh.read)


@settings(max_examples=400)
@given(st.lists(st.lists(FIELDS, max_size=3), min_size=2, max_size=5))
def test_what_a_client_sent_before_changes_nothing(
    asked: list[list[tuple[str, str, str, str]]],
) -> None:
    """Each head comes to what it would alone."""
    by, last = request_memo(), None
    for fields in asked:
        lines = "".join(map("".join, [("Host", ": ", "a", "\r\n"), *fields]))
        raw = f"{LINE}\r\n{lines}\r\n".encode("latin-1")
        end = raw.find(b"\r\n\r\n")
        block, judged = by.head(raw, end, last)
        found = at_once(judged)
        last = block or last
        alone = at_once(request_memo().head(raw, end, None)[1])
        assert (found is None) is (alone is None)
        if found is not None and alone is not None:
            assert (found.read, found.close) == (alone.read, alone.close)
            assert found.request_id == alone.request_id
