"""Answers: the heads that go out, by the table of docs/rules.md."""

import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import (
    ANONYMOUS,
    PUBLIC,
    Answer,
    Headers,
    Mode,
    Partition,
    PartitionKind,
    Read,
    StreamKey,
)
from edge.policy.streams.answers import (
    Prepared,
    body_of,
    cap,
    may_code,
    prepare,
    sse_head,
    unshared_headers,
)
from edge.policy.streams.decisions import Kind, Serve
from edge.policy.streams.routes import Recreate, Route
from edge.protocol.offsets import BEGIN
from edge.streamlog.stream_log import StreamLog
from tests.support.options import freshness_options

ROUTE = Route()
FINAL = Route(recreate=Recreate.NEVER)
PLAIN = Route(compress=False)
ONE = Partition(PartitionKind.CREDENTIAL, "one")
WALL = 1_800_000_000.0
A, B, C = "0_5", "0_6", "0_7"

CLOSED = Serve(Kind.CLOSED_RANGE, BEGIN, A)
LAST = Serve(Kind.CLOSED_RANGE, BEGIN, A, up_to_date=True, closed=True)
TAIL = Serve(Kind.TAIL, BEGIN, A, up_to_date=True)
UNCLAIMED = Serve(Kind.TAIL, BEGIN, A)
LIVE = Serve(Kind.LIVE, BEGIN, A, up_to_date=True)
EMPTY = Serve(Kind.EMPTY, A, A, up_to_date=True)
DONE = Serve(Kind.EMPTY, A, A, up_to_date=True, closed=True)
STALE = Serve(Kind.STALE, BEGIN, A)
ALL = [CLOSED, LAST, TAIL, UNCLAIMED, LIVE, EMPTY, DONE, STALE]


def log(content_type: str | None = "text/plain") -> StreamLog:
    known = StreamLog(1, 30.0)
    known.content_type = content_type
    known.is_json = content_type == "application/json"
    return known


def prepared(
    serve: Serve,
    *,
    mode: Mode = Mode.CATCH_UP,
    partition: Partition = ANONYMOUS,
    route: Route = ROUTE,
    body: bytes = b"hello",
    limit: int | None = None,
    coding: str = "",
    known: StreamLog | None = None,
) -> Prepared:
    read = Read(StreamKey(route.match, "/a", "", partition), serve.start, mode)
    body = b"" if serve.kind is Kind.EMPTY else body
    options = freshness_options()
    return prepare(known or log(), serve, read, route, body, limit, options, coding)


def header(answer: Answer, name: str) -> str | None:
    found = [value for key, value in answer.headers if key.lower() == name]
    assert len(found) < 2, f"{name} twice"
    return found[0] if found else None


def names_of(answer: Answer) -> set[str]:
    return {name.lower() for name, _ in answer.headers}


# -- the table of docs/rules.md -----------------------------------------------------


@pytest.mark.parametrize(
    ("serve", "mode", "route", "control"),
    [
        (CLOSED, Mode.CATCH_UP, ROUTE, "max-age=60, stale-while-revalidate=300"),
        (CLOSED, Mode.CATCH_UP, FINAL, "max-age=31536000, immutable"),
        (LAST, Mode.CATCH_UP, ROUTE, "max-age=60, stale-while-revalidate=300"),
        (LAST, Mode.CATCH_UP, FINAL, "max-age=31536000, immutable"),
        (TAIL, Mode.CATCH_UP, FINAL, "max-age=0, must-revalidate"),
        (UNCLAIMED, Mode.CATCH_UP, ROUTE, "max-age=0, must-revalidate"),
        (LIVE, Mode.LONG_POLL, ROUTE, "max-age=20"),
        (LIVE, Mode.LONG_POLL, FINAL, "max-age=20"),
    ],
)
@pytest.mark.parametrize("partition", [ANONYMOUS, PUBLIC, ONE])
def test_what_may_be_kept_downstream(
    serve: Serve, mode: Mode, route: Route, control: str, partition: Partition
) -> None:
    """L12, L16."""
    answer = prepared(serve, mode=mode, route=route, partition=partition).answer
    who = "private" if partition is ONE else "public"

    assert header(answer, "cache-control") == f"{who}, {control}"


@pytest.mark.parametrize("serve", [EMPTY, DONE, STALE])
@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.LONG_POLL])
def test_what_is_never_kept_downstream(serve: Serve, mode: Mode) -> None:
    """E14; L6: stale bytes go out without a promise."""
    answer = prepared(serve, mode=mode, route=FINAL).answer

    assert header(answer, "cache-control") == "no-store"


@pytest.mark.parametrize("serve", ALL)
def test_claims_are_those_that_were_decided(serve: Serve) -> None:
    """L3, E2."""
    answer = prepared(serve).answer
    claimed = "true" if serve.up_to_date else None
    closed = "true" if serve.closed else None

    assert header(answer, "stream-next-offset") == A
    assert header(answer, "stream-up-to-date") == claimed
    assert header(answer, "stream-closed") == closed


@pytest.mark.parametrize("serve", ALL)
def test_a_catch_up_answer_is_a_200_with_the_streams_type(serve: Serve) -> None:
    """PROTOCOL.md section 5.6: also where nothing is new."""
    answer = prepared(serve).answer

    assert answer.status == 200
    assert header(answer, "content-type") == "text/plain"
    assert answer.body == (b"" if serve.kind is Kind.EMPTY else b"hello")
    assert header(answer, "etag") is None or serve is not STALE


def test_what_has_no_type_is_given_none() -> None:
    """L18: answers are built from what the origin said, and nothing is guessed."""
    answer = prepared(TAIL, known=log(None)).answer

    assert header(answer, "content-type") is None


def test_fields_that_the_route_keeps_go_along() -> None:
    """L18."""
    known = log()
    known.kept_headers = (("x-region", "north"),)

    assert header(prepared(TAIL, known=known).answer, "x-region") == "north"


# -- long-poll ---------------------------------------------------------------------


@pytest.mark.parametrize("serve", [EMPTY, DONE])
def test_nothing_new_is_a_204_without_content(serve: Serve) -> None:
    """PROTOCOL.md section 5.7, E14: its offset and its claims, and not one more."""
    made = prepared(serve, mode=Mode.LONG_POLL)

    assert (made.answer.status, made.answer.body) == (204, b"")
    assert names_of(made.answer) == (
        {"stream-next-offset", "stream-up-to-date", "cache-control"}
        | ({"stream-closed"} if serve.closed else set())
    )
    assert (made.etag, made.max_age) == (None, 0)


@pytest.mark.parametrize("serve", [LIVE, LIVE._replace(closed=True), STALE])
def test_live_reads_ignore_conditionals(serve: Serve) -> None:
    """L17, E31."""
    made = prepared(serve, mode=Mode.LONG_POLL)

    assert made.answer.status == 200
    assert made.etag is None


def test_a_live_answer_does_not_vary() -> None:
    """L19: it has no coded variant."""
    assert header(prepared(LIVE, mode=Mode.LONG_POLL).answer, "vary") is None


# -- entity tags and 304 -------------------------------------------------------------


def etag(serve: Serve = TAIL, **changes: Any) -> str:
    tag = prepared(serve, **changes).etag
    assert tag is not None
    return tag


def test_the_tag_that_is_judged_is_the_one_that_went_out() -> None:
    made = prepared(TAIL)

    assert made.etag == header(made.answer, "etag")


def test_the_tag_changes_with_whatever_a_304_cannot_take_back() -> None:
    """L17, E3: type, start, next, bytes, coding, both claims."""
    tags = [
        etag(),
        etag(UNCLAIMED),
        etag(TAIL._replace(closed=True)),
        etag(TAIL._replace(start="0_1")),
        etag(TAIL._replace(next="0_9")),
        etag(body=b"hellO"),
        etag(coding="gzip"),
        etag(coding="br"),
        etag(known=log("text/html")),
    ]

    assert len(set(tags)) == len(tags)


def test_the_tag_does_not_change_with_time_or_reader() -> None:
    assert etag() == etag(limit=7) == etag(partition=ONE) == etag(route=FINAL)


def test_stale_bytes_are_never_validated() -> None:
    """L6: a 304 would say that they are current."""
    assert prepared(STALE).etag is None


@pytest.mark.parametrize("serve", [CLOSED, LAST, TAIL, UNCLAIMED, EMPTY, DONE])
@pytest.mark.parametrize("partition", [ANONYMOUS, ONE])
def test_a_304_repeats_what_a_cache_must_learn(
    serve: Serve, partition: Partition
) -> None:
    """L17, E32; RFC 9110 section 15.4.5."""
    known = log()
    known.kept_headers = (("x-region", "north"),)
    made = prepared(serve, partition=partition, known=known)
    answer = made.not_modified()
    repeated = {
        "etag",
        "cache-control",
        "vary",
        "stream-next-offset",
        "stream-up-to-date",
        "stream-closed",
    }

    assert (answer.status, answer.body) == (304, b"")
    assert names_of(answer) == names_of(made.answer) & repeated
    for name in names_of(answer):
        assert header(answer, name) == header(made.answer, name)


# -- codings -----------------------------------------------------------------------


def test_a_coded_answer_says_so_and_has_its_own_tag() -> None:
    """L19, E30; RFC 9110 section 8.4."""
    plain, coded = prepared(TAIL), prepared(TAIL, coding="gzip")

    assert header(coded.answer, "content-encoding") == "gzip"
    assert coded.answer.body is not None
    assert gzip.decompress(coded.answer.body) == plain.answer.body
    assert coded.etag != plain.etag


@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("serve", [CLOSED, LAST, TAIL, EMPTY, STALE])
def test_all_variants_of_a_url_vary_alike(serve: Serve, coding: str) -> None:
    """E29; RFC 9110 section 12.5.5: or a cache would mix them up."""
    assert header(prepared(serve, coding=coding).answer, "vary") == "Accept-Encoding"


@pytest.mark.parametrize(
    ("route", "partition", "vary"),
    [
        (PLAIN, ANONYMOUS, None),
        (ROUTE, ONE, None),
        (Route(request_headers=("x-tenant",)), ANONYMOUS, "Accept-Encoding, x-tenant"),
        (Route(request_headers=("x-tenant",)), ONE, "Accept-Encoding, x-tenant"),
    ],
)
def test_an_answer_varies_only_by_what_selects_it(
    route: Route, partition: Partition, vary: str | None
) -> None:
    """L13, L19: what goes upstream is in the partition, here and downstream."""
    answer = prepared(TAIL, route=route, partition=partition).answer

    assert header(answer, "vary") == vary


@pytest.mark.parametrize("serve", ALL)
def test_pages_are_coded_and_nothing_else(serve: Serve) -> None:
    """L19: never live answers, and never in credential partitions (BREACH)."""
    page = serve.kind in (Kind.CLOSED_RANGE, Kind.TAIL)

    assert may_code(serve, PartitionKind.ANONYMOUS, ROUTE) is page
    assert may_code(serve, PartitionKind.PUBLIC, ROUTE) is page
    assert not may_code(serve, PartitionKind.CREDENTIAL, ROUTE)
    assert not may_code(serve, PartitionKind.PUBLIC, PLAIN)


# -- how long ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ttl", "stream_ends", "url_ends", "seconds"),
    [
        (PartitionKind.ANONYMOUS, None, None, None, None),
        (PartitionKind.PUBLIC, None, None, None, None),
        (PartitionKind.CREDENTIAL, None, None, None, 30),
        (PartitionKind.ANONYMOUS, 90, None, None, 60),
        (PartitionKind.CREDENTIAL, 90, None, None, 30),
        (PartitionKind.CREDENTIAL, 30, None, None, 20),
        (PartitionKind.ANONYMOUS, 0, None, None, 0),
        (PartitionKind.ANONYMOUS, None, 12.9, None, 12),
        (PartitionKind.ANONYMOUS, None, -1, None, 0),
        (PartitionKind.ANONYMOUS, None, None, 5, 5),
        (PartitionKind.ANONYMOUS, 90, 40, 50, 40),
        (PartitionKind.CREDENTIAL, 900, 400, 50, 30),
    ],
)
def test_nothing_outlives_its_stream_its_signature_or_the_trust_in_it(
    kind: PartitionKind,
    ttl: int | None,
    stream_ends: float | None,
    url_ends: float | None,
    seconds: int | None,
) -> None:
    """L14, L16, L23, E7: the least of them; a sliding TTL leaves two thirds."""
    known = log()
    known.ttl = ttl
    known.expires_at = None if stream_ends is None else WALL + stream_ends
    read = Read(
        StreamKey(ROUTE.match, "/a"),
        expires_at=None if url_ends is None else WALL + url_ends,
    )

    assert cap(known, kind, read, WALL, 30.0) == seconds


@pytest.mark.parametrize("serve", [CLOSED, LAST, LIVE])
def test_the_cap_bounds_freshness_and_age(serve: Serve) -> None:
    """L16: ``max_age`` is what Age must stay below."""
    assert prepared(serve, limit=7).max_age == 7
    assert prepared(serve, limit=0).max_age == 0
    assert header(prepared(serve, limit=0).answer, "cache-control") == "no-store"
    assert prepared(CLOSED).max_age == 60


# -- bodies ------------------------------------------------------------------------


def test_a_page_is_what_the_log_holds() -> None:
    """L9."""
    known = log()
    for start, end, data in ((BEGIN, A, b"hello"), (A, B, b" "), (B, C, b"world")):
        known.join(start, end, data)

    assert body_of(known, Serve(Kind.CLOSED_RANGE, BEGIN, B), 6) == b"hello "
    assert body_of(known, Serve(Kind.TAIL, A, C, True), 100) == b" world"
    assert body_of(known, Serve(Kind.EMPTY, C, C, True), 100) == b""


def test_a_page_of_a_json_stream_is_one_array() -> None:
    """L8, E20; PROTOCOL.md section 9.1: empty ones too."""
    known = log("application/json")
    known.join(BEGIN, A, b",1,2")
    known.join(A, B, b",[3]")

    assert body_of(known, Serve(Kind.TAIL, BEGIN, B, True), 100) == b"[1,2,[3]]"
    assert body_of(known, Serve(Kind.TAIL, A, B, True), 100) == b"[[3]]"
    assert body_of(known, Serve(Kind.EMPTY, B, B, True), 100) == b"[]"


# -- event streams -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/plain", None),
        ("application/json", None),
        ("application/octet-stream", "base64"),
        ("image/png", "base64"),
        (None, "base64"),
    ],
)
def test_the_head_of_an_event_stream(
    content_type: str | None, encoding: str | None
) -> None:
    """PROTOCOL.md section 5.8, E18."""
    answer = sse_head(log(content_type), PartitionKind.ANONYMOUS)

    assert (answer.status, answer.body) == (200, None)
    assert header(answer, "content-type") == "text/event-stream"
    assert header(answer, "cache-control") == "no-cache"
    assert header(answer, "x-accel-buffering") == "no"
    assert header(answer, "stream-sse-data-encoding") == encoding


# -- what one asker alone is given -----------------------------------------------------


@pytest.mark.parametrize(
    ("told", "goes_out"),
    [
        (None, "no-store"),
        ("public, max-age=60", "no-store"),
        ("max-age=60, s-maxage=60", "no-store"),
        ("no-cache", "no-store"),
        ("private, max-age=5", "private, max-age=5"),
        ("no-store", "no-store"),
        ("PRIVATE", "PRIVATE"),
    ],
)
def test_what_is_not_shared_here_is_not_shared_below(
    told: str | None, goes_out: str
) -> None:
    """L12, L15: whatever the origin allows."""
    headers: Headers = () if told is None else (("cache-control", told),)

    assert (
        dict(unshared_headers(headers, PartitionKind.ANONYMOUS, ROUTE))["cache-control"]
        == goes_out
    )


def test_who_gets_an_answer_alone_gets_the_origins_tag() -> None:
    """O9: its reader may ask the origin again by it."""
    headers = (("etag", '"x"'), ("stream-next-offset", A), ("set-cookie", "a=b"))

    assert unshared_headers(headers, PartitionKind.ANONYMOUS, ROUTE) == (
        ("etag", '"x"'),
        ("stream-next-offset", A),
        ("set-cookie", "a=b"),
        ("cache-control", "no-store"),
    )


# -- laws ------------------------------------------------------------------------

serves = st.one_of(
    st.sampled_from(ALL),
    st.builds(
        Serve,
        st.sampled_from([Kind.CLOSED_RANGE, Kind.TAIL, Kind.LIVE, Kind.STALE]),
        st.just(BEGIN),
        st.just(A),
        st.booleans(),
        st.booleans(),
    ),
)
routes = st.builds(
    Route,
    recreate=st.sampled_from(Recreate),
    request_headers=st.sampled_from([(), ("x-tenant",)]),
    compress=st.booleans(),
)
limits = st.none() | st.integers(-5, 10**9)
partitions = st.sampled_from([ANONYMOUS, PUBLIC, ONE])
modes = st.sampled_from([Mode.CATCH_UP, Mode.LONG_POLL])


@given(serve=serves, mode=modes, route=routes, limit=limits, partition=partitions)
def test_public_goes_out_to_shared_partitions_only(
    serve: Serve, mode: Mode, route: Route, limit: int | None, partition: Partition
) -> None:
    """L12: nor anything else that only shared caches read."""
    made = prepared(serve, mode=mode, route=route, limit=limit, partition=partition)
    for answer in (made.answer, made.not_modified()):
        control = header(answer, "cache-control") or ""
        assert control
        assert partition is not ONE or "public" not in control
        assert "s-maxage" not in control
        assert header(answer, "cdn-cache-control") is None


@given(serve=serves, mode=modes, route=routes, limit=limits, partition=partitions)
def test_nothing_is_fresh_beyond_its_cap(
    serve: Serve, mode: Mode, route: Route, limit: int | None, partition: Partition
) -> None:
    """L14, L16."""
    made = prepared(serve, mode=mode, route=route, limit=limit, partition=partition)

    assert made.max_age >= 0
    assert limit is None or made.max_age <= max(limit, 0)
    assert "no-store" not in (header(made.answer, "cache-control") or "") or (
        made.max_age == 0
    )


@given(serve=serves, mode=modes, route=routes, partition=partitions)
def test_every_answer_says_where_to_read_on_and_names_nothing_twice(
    serve: Serve, mode: Mode, route: Route, partition: Partition
) -> None:
    """PROTOCOL.md sections 5.6 and 5.7."""
    answer = prepared(serve, mode=mode, route=route, partition=partition).answer

    assert header(answer, "stream-next-offset") == serve.next
    assert len(names_of(answer)) == len(answer.headers)
    assert (answer.status == 204) is (
        mode is Mode.LONG_POLL and serve.kind is Kind.EMPTY
    )
