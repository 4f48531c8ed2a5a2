"""What was granted: who may keep it, what goes upstream for it (A6, B6, B9, B17)."""

from dataclasses import replace

import pytest

from edge.core.reasons import Reason
from edge.core.values import (
    GRANTED,
    Header,
    Lease,
    LentCredential,
    Mode,
    OriginAnswer,
    PartitionKind,
    Read,
    StreamKey,
)
from edge.policy.streams.admission import origin_forbids
from edge.policy.streams.answers import (
    MAX_GRANTED_AGE,
    cap,
    freshness_of,
    granted_headers,
    may_code,
    prepare,
    sse_head,
    unshared_headers,
    vary,
)
from edge.policy.streams.authorize import Grant, RequestHead
from edge.policy.streams.classify import PassRequest, classify
from edge.policy.streams.decisions import Kind, Serve
from edge.policy.streams.routes import (
    Access,
    OriginNoStore,
    Recreate,
    Route,
    UpstreamCredential,
)
from edge.policy.streams.upstream_requests import (
    granted_fields,
    head_request,
    own_fields,
    pass_request,
    read_request,
    relay_read,
)
from edge.policy.streams.ways import (
    AUTHORIZATION,
    CredentialSource,
    JwtWay,
    SignedWay,
    TokenPlace,
)
from edge.protocol.http_grammar import cache_directives
from edge.streamlog.stream_log import StreamLog
from tests.support.options import freshness_options
from tests.support.requests import headers

KIND = PartitionKind.GRANTED
OPTIONS = freshness_options()
WALL = 1_800_000_000.0
JWT = JwtWay((), ("ES256",))
BY_COOKIE = replace(JWT, sources=(CredentialSource(TokenPlace.COOKIE, "session"),))
LINKS = SignedWay((("k1", b"x" * 32),), public=True)
ROUTE = Route(
    access=Access.GRANTED,
    ways=(JWT,),
    credential_headers=("authorization",),
    credential_parameters=("access_token",),
    origin_headers=(("Authorization", "edge"), ("X-Edge", "1")),
)
KEY = StreamKey(ROUTE.match, "/v1/stream/a", partition=GRANTED)
READ = Read(KEY)
SOON = replace(READ, ends_soon=True)


def log() -> StreamLog:
    made = StreamLog(1, 30.0)
    made.content_type = "text/plain"
    return made


# Downstream.


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("route", [ROUTE, replace(ROUTE, recreate=Recreate.NEVER)])
@pytest.mark.parametrize("read", [READ, SOON], ids=["long", "soon"])
def test_every_answer_is_private_or_nobodys(
    kind: Kind, route: Route, read: Read
) -> None:
    """B17: a minute at most, never stale or immutable; and whose grant ends soon keeps
    nothing."""
    limit = cap(log(), KIND, read, WALL, 3600.0)
    fresh = freshness_of(kind, KIND, route, cap=limit, options=OPTIONS)
    said = cache_directives(fresh.cache_control)

    assert said.keys() & {"private", "no-store"}
    assert not said.keys() & {"public", "s-maxage", "immutable"}
    assert "stale-while-revalidate" not in said
    assert fresh.max_age <= MAX_GRANTED_AGE
    if kind in (Kind.TAIL, Kind.LIVE) and not read.ends_soon:
        assert fresh.cache_control == "private, max-age=0, must-revalidate"
    if read.ends_soon:
        assert fresh.cache_control == "no-store"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("recreate", Recreate)
@pytest.mark.parametrize("read", [READ, SOON], ids=["long", "soon"])
def test_by_a_public_link_only_the_word_is_another(
    kind: Kind, recreate: Recreate, read: Read
) -> None:
    """A6, B17: for as long, never stale, immutable or by a rule of shared caches' own.
    A link has more left than that, or nobody keeps anything."""
    limit = cap(log(), KIND, read, WALL, 3600.0)
    said = {}
    for ways in ((JWT,), (LINKS,), (replace(LINKS, public=False),)):
        route = replace(ROUTE, recreate=recreate, ways=ways)
        fresh = freshness_of(kind, KIND, route, cap=limit, options=OPTIONS)
        said[route.is_public] = fresh.cache_control

    assert said[True] == said[False].replace("private", "public")
    assert said[True] == "no-store" or not read.ends_soon


def test_by_a_public_link_an_answer_varies_by_its_url_alone() -> None:
    """A6: the credential is in it."""
    serve = Serve(Kind.CLOSED_RANGE, "-1", "0001")
    for sent in ((), ("x-tenant",)):
        route = replace(ROUTE, ways=(LINKS,), request_headers=sent)
        prepared = prepare(log(), serve, READ, route, b"abc", 30, OPTIONS)
        fields = dict(prepared.answer.headers)

        assert fields["Cache-Control"] == "public, max-age=30"
        assert fields.get("Vary") == ("x-tenant" if sent else None)
        assert not may_code(serve, KIND, route)


def test_a_closed_range_may_be_kept_as_long_as_credentials_are_trusted() -> None:
    """B17: min(60, trust)."""
    for trust, seconds in ((3600.0, 60), (30.0, 30), (0.0, 0)):
        limit = cap(log(), KIND, READ, WALL, trust)
        fresh = freshness_of(Kind.CLOSED_RANGE, KIND, ROUTE, cap=limit, options=OPTIONS)
        wanted = f"private, max-age={seconds}" if seconds else "no-store"
        assert fresh.cache_control == wanted


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.LONG_POLL])
@pytest.mark.parametrize("kind", [Kind.TAIL, Kind.LIVE, Kind.CLOSED_RANGE, Kind.STALE])
def test_an_answer_varies_by_what_lets_in(mode: Mode, kind: Kind) -> None:
    """A6: and by what the route sends upstream; never by coding (B6)."""
    route = replace(ROUTE, request_headers=("x-tenant",))
    serve = Serve(kind, "-1", "0001")
    read = replace(READ, mode=mode)
    prepared = prepare(log(), serve, read, route, b"abc", 30, OPTIONS)
    fields = dict(prepared.answer.headers)

    assert fields["Vary"] == vary(route, KIND) == "Authorization, Cookie, x-tenant"
    assert "no-store" in fields["Cache-Control"] or "private" in fields["Cache-Control"]
    assert not may_code(serve, KIND, route)


def test_an_answer_varies_by_every_field_that_lets_in() -> None:
    """A6: also by one of the app's own."""
    route = replace(ROUTE, credential_headers=("authorization", "x-session"))

    assert vary(route, KIND) == "Authorization, Cookie, x-session"


def test_a_304_says_the_same() -> None:
    serve = Serve(Kind.TAIL, "-1", "0001")
    prepared = prepare(log(), serve, READ, ROUTE, b"abc", 30, OPTIONS)
    fields = dict(prepared.not_modified().headers)

    assert fields["Cache-Control"].startswith("private, ")
    assert fields["Vary"] == "Authorization, Cookie"


def test_an_event_stream_is_kept_by_nobody() -> None:
    """B17: and of others only the protocol's word goes out."""
    assert dict(sse_head(log(), KIND).headers)["Cache-Control"] == "no-cache, no-store"
    anybody = sse_head(log(), PartitionKind.ANONYMOUS)
    assert dict(anybody.headers)["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("said", ["public, max-age=9", "private, max-age=9", None])
def test_what_passes_alone_is_kept_by_nobody(said: str | None) -> None:
    """B6, B17: whatever the origin says; and its cookie is the edge's."""
    given: tuple[Header, ...] = (("set-cookie", "a=1"), ("x-any", "1"))
    if said is not None:
        given += (("cache-control", said),)
    for made in (
        unshared_headers(given, KIND, ROUTE),
        granted_headers((*given, ("cache-control", said or "public"))),
    ):
        fields = dict(made)
        assert fields["cache-control"] == "no-store"
        assert fields["x-any"] == "1" and "set-cookie" not in fields


@pytest.mark.parametrize(
    "name",
    [
        "cdn-cache-control",
        "cloudflare-cdn-cache-control",
        "surrogate-control",
        "edge-control",
        "x-accel-expires",
    ],
)
def test_no_cdn_is_told_to_keep_what_passes_alone(name: str) -> None:
    """A6, B17: it would believe the origin before our ``no-store``."""
    given: tuple[Header, ...] = ((name, "max-age=600"), ("cache-control", "private"))
    for made in (unshared_headers(given, KIND, ROUTE), granted_headers(given)):
        assert made == (("cache-control", "no-store"),)


# From the origin.


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (("cache-control", "private"), None),
        (("set-cookie", "a=1"), None),
        (("vary", "Authorization, Cookie, Accept-Encoding"), None),
        (("vary", "Accept-Language"), Reason.VARY_STAR),
        (("vary", "*"), Reason.VARY_STAR),
        (("cache-control", "no-store"), Reason.NO_STORE),
    ],
)
def test_what_an_origin_may_forbid(field: Header, reason: Reason | None) -> None:
    """B6: ``private`` is joined, for it is; no client's field chose the answer."""
    answer = OriginAnswer(200, (field,), b"abc")

    assert origin_forbids(answer, GRANTED, ROUTE) is reason
    lenient = replace(ROUTE, origin_no_store=OriginNoStore.IGNORE)
    if reason is Reason.NO_STORE:
        assert origin_forbids(answer, GRANTED, lenient) is None


def test_a_cookie_that_came_by_a_lent_credential_is_a_readers_own() -> None:
    """B6: nobody else is given it; what is private to all of them is joined."""
    route = replace(ROUTE, upstream=UpstreamCredential.LENT)
    cookie = OriginAnswer(200, (("set-cookie", "a=1"),), b"abc")
    private = OriginAnswer(200, (("cache-control", "private"),), b"abc")

    assert origin_forbids(cookie, GRANTED, route) is Reason.SET_COOKIE
    assert origin_forbids(private, GRANTED, route) is None
    assert "set-cookie" not in dict(unshared_headers(cookie.headers, KIND, route))
    assert "set-cookie" in dict(unshared_headers(cookie.headers, KIND, route, own=True))


# Upstream.


LENT = LentCredential("ann", (("authorization", "ann"),), ("token=t", "a=1"), 0.0)


def test_a_lent_credential_goes_upstream_whole_and_alone() -> None:
    """A4, B8, L13: its fields and its parameters, and nothing of the edge's own."""
    key = StreamKey(ROUTE.match, "/v1/stream/a", "b=2&x=1", GRANTED)
    for request in (
        read_request(key, "0_7", ROUTE, live=True, live_cursor="4", lent=LENT),
        head_request(key, ROUTE, lent=LENT),
        relay_read(Read(key), ROUTE, lent=LENT),
    ):
        query = request.target.partition("?")[2]
        assert query.endswith("a=1&b=2&token=t&x=1")
        assert request.headers[0] == ("authorization", "ann")
        assert {name for name, _ in request.headers} == {
            *("authorization", "accept-encoding", "via", "cdn-loop")
        }


def test_an_unknown_live_mode_goes_up_with_its_clients_own_credential() -> None:
    """B8: where credentials are lent. Elsewhere with the edge's."""
    passed = PassRequest(Reason.UNKNOWN_LIVE, "/v1/stream/a?live=odd", GRANTED)
    lent = replace(ROUTE, upstream=UpstreamCredential.LENT)
    by_lent = pass_request(passed, lent, lease=Lease(lends=LENT))
    by_own = pass_request(passed, ROUTE, lease=Lease(lends=LENT))

    assert by_lent.target == "/v1/stream/a?live=odd&token=t&a=1"
    assert by_lent.headers[0] == ("authorization", "ann")
    assert by_own.target == "/v1/stream/a?live=odd"
    assert by_own.headers[0] == ("authorization", "edge")


def test_a_shared_read_goes_upstream_in_the_edges_own_name() -> None:
    """B6: with the route's credential, and no viewer's."""
    request = RequestHead.of(
        "GET", "/v1/stream/a?access_token=t&x=1", headers(authorization="Bearer t")
    )
    read = classify(request, ROUTE, Grant(GRANTED))
    assert isinstance(read, Read)
    sent = read_request(read.key, "-1", ROUTE)

    assert sent.target == "/v1/stream/a?offset=-1&x=1"
    assert dict(sent.headers)["authorization"] == "edge"
    assert "t" not in dict(sent.headers).values()


def test_whatever_codings_clients_take_they_share_a_read() -> None:
    """B6: nothing of it is coded."""
    reads = {
        classify(
            RequestHead.of("GET", "/v1/stream/a", headers(accept_encoding=coding)),
            ROUTE,
            Grant(GRANTED),
        )
        for coding in ("gzip", "br, zstd", "identity")
    }

    assert len(reads) == 1


@pytest.mark.parametrize(
    ("way", "own", "cookie", "kept"),
    [
        (JWT, (), "session=a", "session=a"),
        (BY_COOKIE, (), "session=a", None),
        (BY_COOKIE, (), "b=c; session=a; d=e", "b=c; d=e"),
        (BY_COOKIE, (), "b=c; session =a", "b=c"),
        (BY_COOKIE, (), "b=c, session=a", "b=c"),
        (BY_COOKIE, (), "session2=a; Session=b", "session2=a; Session=b"),
        (BY_COOKIE, (("Cookie", "edge=1"),), "b=c; session=a", None),
    ],
)
def test_a_granted_write_loses_the_cookie_that_was_judged(
    way: JwtWay, own: tuple[Header, ...], cookie: str, kept: str | None
) -> None:
    """B9: and keeps those that nobody looked at."""
    names = ("cookie",) if way is BY_COOKIE else ("authorization",)
    route = replace(ROUTE, ways=(way,), credential_headers=names, origin_headers=own)
    fields = granted_fields((("cookie", cookie), ("x-any", "1")), route)

    assert dict(fields).get("cookie") == kept
    assert dict(fields)["x-any"] == "1"


def test_a_granted_write_goes_upstream_with_the_edges_own_credential() -> None:
    """B9: no client can send the fields that the route sets."""
    route = replace(ROUTE, ways=(replace(JWT, sources=(AUTHORIZATION,)),))
    given = (("authorization", "Bearer t"), ("x-edge", "forged"), ("x-any", "1"))

    assert granted_fields(given, route) == (("x-any", "1"),)
    assert own_fields(route) == (("authorization", "edge"), ("x-edge", "1"))
