"""AccessAuthorizer: who is let in on a route with ways, and who is not.

A5, A9, A14, A15, A20; B2, B5, B10, B14, B15, B17, B18, B19, B20, B21, B22, B23. The
tokens are real, and so is the pipeline.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from edge.access.authorizer import JUDGED_AGAIN_SECONDS, SOON_SECONDS, AccessAuthorizer
from edge.access.check_budget import CheckBudget
from edge.access.credentials import by_ways
from edge.access.judges import Askers
from edge.access.jwks_client import STALE_SECONDS
from edge.access.key_ring import KeyRings
from edge.access.leases import Leases
from edge.access.revocations import Revocations
from edge.access.revoker import Revoker
from edge.access.signed import sign
from edge.core.counters import Counters
from edge.core.errors import AccessDenied, ClientFault, EdgeError, Refusal
from edge.core.reasons import Reason
from edge.core.values import GRANTED, PartitionKind, Read
from edge.policy.streams.authorize import Ask, Denied, Grant, RequestHead
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.pipeline import RequestPipeline, Resolved
from edge.policy.streams.routes import Access, Route
from edge.policy.streams.ways import (
    AUTHORIZATION,
    CredentialSource,
    JwksUrl,
    Secret,
    SignedWay,
    TokenPlace,
    Way,
)
from tests.access import issuer
from tests.access.issuer import NOW, SECRET, WAY, jwk, jwks, said, shared, token
from tests.live.support import TestClock, settle
from tests.support.patience import PATIENCE
from tests.support.requests import headers

A = "/v1/stream/a"
JWT = replace(
    WAY,
    keys=(Secret(SECRET),),
    algorithms=("HS256",),
    sources=(
        AUTHORIZATION,
        CredentialSource(TokenPlace.QUERY, "access_token"),
        CredentialSource(TokenPlace.COOKIE, "session"),
    ),
)
SIGNED = SignedWay((("k1", b"a key of the tests, which has 32 b."),))
ROUTE = Route("/v1/stream/**")
KEYS_URL = JwksUrl("https://issuer.example/keys")
BY_URL = replace(WAY, keys=(KEYS_URL,))


@dataclass(eq=False)
class Issuer:
    """Answers for the keys, when the test lets it."""

    document: bytes | Exception = field(
        default_factory=lambda: jwks(jwk("p256", kid="p256"))
    )
    asked: int = 0
    may: Event = field(default_factory=Event)

    def fetch(self, url: str) -> bytes:
        self.asked += 1
        self.may.wait()
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


class CountedBudget(CheckBudget):
    """Says how many signatures were checked."""

    taken = 0

    def take(self) -> bool:
        may = super().take()
        self.taken += may
        return may


class Gate:
    """The pipeline of a worker, with a clock and an issuer in the test's hand."""

    def __init__(
        self,
        *routes: Route,
        public_url: str | None = None,
        askers: Askers | None = None,
    ) -> None:
        self.clock = TestClock()
        self.clock.unix = NOW
        self.counters = Counters()
        self.issuer = Issuer()
        self.issuer.may.set()
        self.budget = CountedBudget()
        rings = KeyRings(routes, _no_file, self.issuer.fetch, self.clock, self.counters)
        revocations, self.leases = Revocations(86_400.0), Leases()
        judge = AccessAuthorizer(
            routes,
            rings,
            self.clock,
            self.counters,
            public_url,
            self.budget,
            askers,
            revocations,
            self.leases,
        )
        self.revoker = Revoker(
            revocations, self.leases, None, self.clock, self.counters
        )
        self.revoker.forget = judge.forget
        self.pipeline = RequestPipeline(routes, judge)

    def resolve(
        self, method: str, target: str, **fields: str
    ) -> Resolved | Denied | Ask:
        request = RequestHead.of(method, target, headers(**fields))
        route = self.pipeline.find_route(target)
        return self.pipeline.resolve(request, route, self.clock.wall())

    def ask(self, method: str, target: str, **fields: str) -> Resolved | Denied:
        """The verdict; waits for it where somebody must be asked."""
        request = RequestHead.of(method, target, headers(**fields))
        route = self.pipeline.find_route(target)
        found = self.pipeline.resolve(request, route, self.clock.wall())
        if isinstance(found, Ask):
            assert route is not None
            return self.pipeline.settle(request, route, found.verdict())
        return found


def _no_file(path: str) -> bytes:
    raise AssertionError(path)


def gate(*ways: Way, **route: Any) -> Gate:
    return Gate(by_ways(replace(ROUTE, **route), ways or (JWT,)))


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def why(found: Resolved | Denied | Ask) -> tuple[int, Reason]:
    assert isinstance(found, Denied), found
    return found.status, found.reason


def link(path: str = A, seconds: int = 600, way: SignedWay = SIGNED) -> str:
    return sign(path, way, "k1", int(NOW) + seconds)


# Who is let in.


WAYS_IN: dict[str, Callable[[str], tuple[str, dict[str, str]]]] = {
    "authorization": lambda text: (A, bearer(text)),
    "query": lambda text: (f"{A}?access_token={text}", {}),
    "cookie": lambda text: (A, {"cookie": f"a=b; session={text}"}),
}


@pytest.mark.parametrize("place", WAYS_IN)
@pytest.mark.parametrize("mode", ["", "live=long-poll&offset=-1", "live=sse&offset=-1"])
def test_all_who_are_let_in_ask_for_one_and_the_same(place: str, mode: str) -> None:
    """A2, B8: whatever their credentials are, and wherever they are."""
    made = gate(JWT, SIGNED)
    target, fields = WAYS_IN[place](shared())
    target += ("&" if "?" in target else "?") + mode if mode else ""
    found = made.ask("GET", target, **fields)
    assert isinstance(found, Resolved)
    by_link = made.ask("GET", link(f"{A}?{mode}" if mode else A))
    assert isinstance(by_link, Resolved)

    assert isinstance(found.request, Read)
    assert found.request == by_link.request
    assert found.request.key.partition == GRANTED
    assert found.request.key.extension == ""


def test_the_grant_says_who_and_until_when() -> None:
    """A20: ``exp`` and the leeway; a link ends with its time."""
    made = gate(JWT, SIGNED)
    by_token, by_link = made.ask("GET", A, **bearer(shared())), made.ask("GET", link())
    assert isinstance(by_token, Resolved) and isinstance(by_link, Resolved)

    grant = by_token.grant
    assert (grant.way, grant.subject) == ("jwt", "alice")
    assert grant.ends_at == NOW + 600 + JWT.leeway
    assert (by_link.grant.way, by_link.grant.subject) == ("signed", "k1")
    assert by_link.grant.ends_at == NOW + 600


def test_whose_grant_ends_soon_may_not_keep_an_answer() -> None:
    """B17, B3: there are two reads, and the first one is judged anew in time."""
    made = gate()
    fields = bearer(shared())
    first = made.ask("GET", A, **fields)
    made.clock.move(630 - SOON_SECONDS)
    last = made.ask("GET", A, **fields)
    assert isinstance(first, Resolved) and isinstance(last, Resolved)

    assert first.expires_at == NOW + 630 - SOON_SECONDS
    assert isinstance(first.request, Read) and not first.request.ends_soon
    assert last.expires_at == last.grant.ends_at == NOW + 630
    assert isinstance(last.request, Read) and last.request.ends_soon
    made.clock.move(SOON_SECONDS)
    assert why(made.ask("GET", A, **fields)) == (401, Reason.TOKEN_EXPIRED)


@pytest.mark.parametrize("access", [Access.PUBLIC, Access.PARTITIONED])
def test_other_routes_are_as_ever(access: Access) -> None:
    made = Gate(by_ways(ROUTE, (JWT,)), Route("/v2/**", access))
    found = made.ask("GET", "/v2/a", authorization="Bearer x")
    assert isinstance(found, Resolved) and isinstance(found.request, Read)

    kind = found.request.key.partition.kind
    public = access is Access.PUBLIC
    assert kind is (PartitionKind.PUBLIC if public else PartitionKind.CREDENTIAL)
    assert not made.counters.verdicts


# Who is not.


BAD: dict[str, tuple[Callable[[], str], int, Reason]] = {
    "wrong key": (lambda: other_secret(), 401, Reason.TOKEN_SIGNATURE),
    "other audience": (lambda: shared(said(aud="x")), 401, Reason.TOKEN_AUDIENCE),
    "other issuer": (lambda: shared(said(iss="x")), 401, Reason.TOKEN_ISSUER),
    "expired": (lambda: shared(said(exp=int(NOW) - 31)), 401, Reason.TOKEN_EXPIRED),
    "not yet": (lambda: shared(said(nbf=int(NOW) + 60)), 401, Reason.TOKEN_NOT_YET),
    "no exp": (lambda: shared(said(exp=None)), 401, Reason.TOKEN_CLAIMS),
    "for ever": (
        lambda: shared(said(exp=int(NOW) + 10**7)),
        401,
        Reason.TOKEN_LIFETIME,
    ),
    "huge": (lambda: shared(said(x="x" * 8192)), 401, Reason.TOKEN_MALFORMED),
    "nested": (lambda: shared() + "." + shared(), 401, Reason.TOKEN_MALFORMED),
    "text": (lambda: "alice", 401, Reason.TOKEN_MALFORMED),
    "RS for HS": (lambda: token(kind="rsa"), 401, Reason.TOKEN_ALGORITHM),
    "none": (lambda: unsigned(), 401, Reason.TOKEN_ALGORITHM),
    "no claim": (lambda: shared(said(streams=None)), 403, Reason.PATH_NOT_GRANTED),
    "other path": (lambda: reading("/v1/stream/b"), 403, Reason.PATH_NOT_GRANTED),
    "prefix": (lambda: reading("/v1/stream"), 403, Reason.PATH_NOT_GRANTED),
    "below": (lambda: reading("/v1/stream/a/**"), 403, Reason.PATH_NOT_GRANTED),
    "encoded": (lambda: reading("/v1/stream/%61"), 403, Reason.PATH_NOT_GRANTED),
}


def other_secret() -> str:
    header, payload, signature = shared().split(".")
    return f"{header}.{payload}.{signature[::-1]}"


def unsigned() -> str:
    header = issuer.segment(b'{"alg":"none"}')
    return f"{header}.{shared().split('.')[1]}.AA"


def reading(*globs: str) -> str:
    return shared(said(streams={"read": list(globs)}))


def manage(*globs: str, **claims: Any) -> str:
    return shared(said(streams={"read": ["/v1/stream/**"], "write": globs} | claims))


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("place", WAYS_IN)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_a_bad_token_is_refused_and_says_why(
    case: str, place: str, method: str
) -> None:
    """Whatever is asked for, and wherever the token is; now and again (A7, A9, B14)."""
    make, status, reason = BAD[case]
    target, fields = WAYS_IN[place](make())
    made = gate(JWT, SIGNED)
    found = made.ask(method, target, **fields)

    assert why(found) == (status, reason)
    assert made.ask(method, target, **fields) == found
    assert isinstance(found, Denied) and found.challenge is not None
    believed = status == 403 or reason in {
        *(Reason.TOKEN_AUDIENCE, Reason.TOKEN_ISSUER, Reason.TOKEN_EXPIRED),
        *(Reason.TOKEN_NOT_YET, Reason.TOKEN_CLAIMS, Reason.TOKEN_LIFETIME),
    }
    assert found.subject == ("alice" if believed else "")
    assert made.counters.verdicts == {"jwt-denied": 2}


def test_without_a_credential_nothing_is_told() -> None:
    """B23: the scheme and the realm alone."""
    made = gate(JWT, SIGNED)
    found = made.ask("GET", A)

    assert why(found) == (401, Reason.NO_TOKEN)
    assert isinstance(found, Denied)
    assert found.challenge == 'Bearer realm="durable-streams"'
    assert made.counters.verdicts == {"none-denied": 1}


def test_who_may_read_may_not_write() -> None:
    """A5: three rights; a write that is not granted goes nowhere."""
    made = gate()
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        found = made.ask(method, A, **bearer(shared()))
        assert why(found) == (403, Reason.PATH_NOT_GRANTED)
    may = bearer(manage(A))
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        passed = made.ask(method, A, **may)
        assert isinstance(passed, Resolved)
        assert isinstance(passed.request, PassRequest)
    assert why(made.ask("POST", "/v1/stream/b", **may))[0] == 403


def test_creating_and_deleting_may_be_a_right_of_its_own() -> None:
    made = gate(replace(JWT, manage="streams.manage"))
    may = bearer(manage(A, manage=[]))
    assert isinstance(made.ask("POST", A, **may), Resolved)

    for method in ("PUT", "DELETE"):
        assert why(made.ask(method, A, **may)) == (403, Reason.PATH_NOT_GRANTED)


def test_a_signed_url_reads_and_does_nothing_else() -> None:
    """B21: 403 and no challenge, for there is none to give."""
    made = gate(SIGNED)
    assert isinstance(made.ask("HEAD", link()), Resolved)
    for method in ("POST", "PUT", "DELETE"):
        found = made.ask(method, link())
        assert why(found) == (403, Reason.PATH_NOT_GRANTED)
        assert isinstance(found, Denied) and found.challenge is None
    made.clock.move(600)
    assert why(made.ask("GET", link())) == (403, Reason.LINK_EXPIRED)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (link() + "&x=1", Reason.LINK_SIGNATURE),
        (link(A + "?x=1").replace("x=1&", ""), Reason.LINK_SIGNATURE),
        (link().replace("/a?", "/b?"), Reason.LINK_SIGNATURE),
        (link().replace("k1", "k2"), Reason.LINK_SIGNATURE),
        (link()[:-1], Reason.LINK_SIGNATURE),
        (link().partition("&ds_exp")[0], Reason.LINK_MALFORMED),
    ],
)
def test_a_url_that_was_not_signed_so_is_refused(target: str, reason: Reason) -> None:
    """B21: one parameter more, one less, another path."""
    assert why(gate(SIGNED).ask("GET", target)) == (403, reason)


def test_an_extension_parameter_is_part_of_what_is_read() -> None:
    """B2: a link for one is none for another; the key has it."""
    made = gate(SIGNED)
    found = made.ask("GET", link(A + "?x=1") + "&offset=-1")
    assert isinstance(found, Resolved) and isinstance(found.request, Read)

    assert found.request.key.extension == "x=1"


# Several ways.


def test_the_first_way_that_finds_its_kind_judges() -> None:
    """A15: its no is final, and a worse token never falls through to a weaker way."""
    made = gate(SIGNED, JWT)
    good_link = link()
    assert isinstance(made.ask("GET", good_link, **bearer("bad")), Resolved)
    bad_link = good_link[:-1]

    assert why(made.ask("GET", bad_link, **bearer(shared()))) == (
        403,
        Reason.LINK_SIGNATURE,
    )
    other = gate(JWT, SIGNED)
    assert why(other.ask("GET", good_link, **bearer("bad")))[0] == 401


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (f"{A}?access_token=a&access_token=a", {}),
        (f"{A}?access_token=a", bearer("a")),
        (A, bearer("a") | {"cookie": "session=b"}),
        (A, {"cookie": "session=a; session=b"}),
        (A, {"authorization": "Bearer a, Bearer b"}),
    ],
)
def test_two_credentials_of_one_way_are_the_clients_fault(
    target: str, fields: dict[str, str]
) -> None:
    """B19: whichever of them was meant."""
    with pytest.raises(AccessDenied) as raised:
        gate().ask("GET", target, **fields)

    assert (raised.value.status, raised.value.reason) == (400, Reason.TWO_TOKENS)


# What goes upstream.


def test_no_credential_is_left_of_what_was_let_in() -> None:
    """B8: neither in the key nor in the target of what passes."""
    made = gate(JWT, SIGNED)
    text = manage(A)
    written = made.ask("POST", f"{A}?x=1&access_token={text}&y=2&ds_sig=old")
    odd = made.ask("GET", f"{A}?live=odd&access_token={text}&ds_exp=1")
    assert isinstance(written, Resolved) and isinstance(odd, Resolved)
    assert isinstance(written.request, PassRequest)
    assert isinstance(odd.request, PassRequest)

    assert written.request.target == f"{A}?x=1&y=2"
    assert written.request.extension == "x=1&y=2"
    assert odd.request.target == f"{A}?live=odd"
    for passed in (written.request, odd.request):
        assert passed.partition.kind is PartitionKind.GRANTED


# Control paths.


def test_control_paths_take_a_grant_of_all_that_lies_below() -> None:
    """B5: the whole root, in one glob."""
    made = gate()
    path = "/v1/stream/__ds/subscriptions/s"
    for globs in (["/v1/stream/a"], ["/v1/stream/*"], ["/v1/stream/__ds/**"]):
        for method in ("GET", "PUT", "POST", "DELETE"):
            found = made.ask(method, path, **bearer(manage(*globs)))
            assert why(found) == (403, Reason.PATH_NOT_GRANTED)
    for globs in (["/v1/stream/**"], ["/v1/**"], ["/**"]):
        found = made.ask("PUT", path, **bearer(manage(*globs)))
        assert isinstance(found, Resolved)
        assert isinstance(found.request, PassRequest)
    assert why(made.ask("PUT", path)) == (401, Reason.NO_TOKEN)
    assert why(made.ask("POST", path + "/claim")) == (401, Reason.NO_TOKEN)


WIDE = Route("/v1/**")
"""A route that judges nobody, around one that does."""


@pytest.mark.parametrize(
    ("path", "routes", "refused"),
    [
        ("/v1/__ds/subscriptions/s", (by_ways(ROUTE, (JWT,)), WIDE), True),
        ("/v1/%5F_ds/subscriptions/s", (by_ways(ROUTE, (JWT,)), WIDE), True),
        ("/v1/other/__ds/subscriptions/s", (by_ways(ROUTE, (JWT,)), WIDE), False),
        (
            "/v1/other/__ds/subscriptions/s",
            (by_ways(Route("/v1/*/secret"), (JWT,)), WIDE),
            True,
        ),
        ("/v1/__ds/jwks.json", (by_ways(ROUTE, (JWT,)), WIDE), False),
        ("/v1/stream/a", (WIDE, by_ways(Route("/v2/**"), (JWT,))), False),
    ],
)
def test_nobody_reaches_a_judged_stream_by_a_wider_control_path(
    path: str, routes: tuple[Route, ...], refused: bool
) -> None:
    """B5: a subscription at a root delivers all that lies below, whichever route that
    is on."""
    found = Gate(*routes).ask("GET", path, **bearer(manage("/**")))

    assert isinstance(found, Denied) is refused
    if refused:
        assert why(found) == (403, Reason.PATH_NOT_GRANTED)


@pytest.mark.parametrize("text", ["", "Bearer of-the-origin", "Bearer a, Bearer b"])
def test_what_carries_the_origins_credentials_passes_as_it_is(text: str) -> None:
    """B5: before any way looks at Authorization, which is the origin's own there."""
    made = gate()
    target = "/v1/stream/__ds/subscriptions/s/ack?access_token=x"
    found = made.ask("POST", target, authorization=text)
    assert isinstance(found, Resolved)

    assert isinstance(found.request, PassRequest)
    assert found.request.target == target
    assert found.request.partition.kind is PartitionKind.ANONYMOUS
    assert not made.counters.verdicts


# Forks.


SOURCE = "/v1/stream/rooms/r"
FORKS = Gate(
    Route("/v1/public/**", Access.PUBLIC),
    Route("/v1/own/**"),
    by_ways(ROUTE, (JWT,)),
)


@pytest.mark.parametrize(
    ("target", "source", "verdict"),
    [
        (A, SOURCE, None),
        (A, "/v1/stream/other", Reason.PATH_NOT_GRANTED),
        (A, "/v1/stream/rooms", Reason.PATH_NOT_GRANTED),
        (A, "/v1/public/a", None),
        (A, "/v1/own/a", Reason.PATH_NOT_GRANTED),
        (A, "/elsewhere", Reason.PATH_NOT_GRANTED),
        (A, "/v1/stream/__ds/jwks.json", Reason.PATH_NOT_GRANTED),
        ("/v1/own/a", SOURCE, None),
        ("/v1/own/a", "/v1/stream/other", Reason.PATH_NOT_GRANTED),
        ("/v1/own/a", "/v1/own/b", None),
        ("/v1/public/a", "/v1/stream/other", Reason.PATH_NOT_GRANTED),
        ("/v1/public/a", "/v1/public/b", None),
    ],
)
def test_a_fork_takes_the_right_to_read_its_source(
    target: str, source: str, verdict: Reason | None
) -> None:
    """B22: by the source's own route, with the same credentials; and by whatever method
    an origin might make one."""
    text = manage(A, read=["/v1/stream/rooms/**"])
    fields = bearer(text) | {"stream_forked_from": source}
    for method in ("PUT", "POST", "PATCH"):
        found = FORKS.ask(method, target, **fields)
        assert (found.reason if isinstance(found, Denied) else None) is verdict


@pytest.mark.parametrize(
    "source",
    [
        *("", "a", "https://x/v1/stream/rooms/r", f"{SOURCE}?x=1", f"{SOURCE}?"),
        *(f"{SOURCE}, {SOURCE}", f"{SOURCE},{SOURCE}", "/v1/stream/../a", "//v1/a"),
        *("/v1/STREAM/rooms/r", "/v1//stream/rooms/r", "/v1/stre%61m/rooms/r"),
    ],
)
def test_the_source_of_a_fork_is_one_checked_path(source: str) -> None:
    """B22: and means one thing (B1)."""
    fields = bearer(manage(A)) | {"stream_forked_from": source}
    with pytest.raises(ClientFault) as raised:
        FORKS.ask("PUT", A, **fields)

    assert raised.value.status == 400


def test_a_fork_by_a_bad_token_is_refused_as_every_write_is() -> None:
    fields = {"stream_forked_from": SOURCE}

    assert why(FORKS.ask("PUT", A, **fields)) == (401, Reason.NO_TOKEN)
    assert why(FORKS.ask("PUT", "/v1/own/a", **fields)) == (401, Reason.NO_TOKEN)


# Cookies.


def test_a_cookie_lets_write_from_the_sites_own_pages_only() -> None:
    """B10; a token that scripts must set lets write from anywhere."""
    made = gate()
    text = manage(A)
    cookie = {"cookie": f"session={text}"}
    for method in ("POST", "PUT", "DELETE"):
        found = made.ask(method, A, **cookie)
        assert why(found) == (403, Reason.CROSS_SITE)
        assert isinstance(found, Denied) and found.subject == "alice"
        same = made.ask(method, A, **cookie, sec_fetch_site="same-origin")
        assert isinstance(same, Resolved)
        assert isinstance(made.ask(method, A, **bearer(text)), Resolved)
    assert isinstance(made.ask("GET", A, **cookie), Resolved)


# Names in the path.


def test_a_bound_name_is_the_claims_and_nobody_elses() -> None:
    """B20, A14: one whole segment."""
    route = replace(ROUTE, match="/v1/users/{sub}/**")
    made = Gate(by_ways(route, (replace(JWT, read=None, bind=("sub",)),)))
    fields = bearer(shared())
    assert isinstance(made.ask("GET", "/v1/users/alice/a", **fields), Resolved)

    for name in ("bob", "alic%65", "alice%2F", "alicea", "Alice"):
        found = made.ask("GET", f"/v1/users/{name}/a", **fields)
        assert why(found) == (403, Reason.PATH_NOT_GRANTED)


# What is remembered.


def test_a_credential_is_judged_once() -> None:
    """B2: as long as everything is the same that its judge saw."""
    made = gate()
    for offset in range(5):
        target = f"{A}?offset={offset}&live=long-poll&cursor={offset}"
        assert isinstance(made.ask("GET", target, **bearer(shared())), Resolved)
    assert isinstance(made.ask("HEAD", A, **bearer(shared())), Resolved)
    assert made.budget.taken == 1
    made.ask("GET", A + "?x=1", **bearer(shared()))
    made.ask("GET", "/v1/stream/rooms/a", **bearer(shared()))
    made.ask("POST", A, **bearer(shared()))

    assert made.budget.taken == 4


def test_fifty_are_judged_at_once_and_the_others_wait_their_turn() -> None:
    """B18: whoever sends many tokens stops nobody's event loop."""
    made = gate()
    asked = [
        made.resolve("GET", A, **bearer(shared(said(jti=str(n))))) for n in range(60)
    ]
    waiting = [one for one in asked if isinstance(one, Ask)]
    assert len(waiting) == 10
    settle()
    judged = [gevent.spawn(ask.verdict) for ask in waiting]
    gevent.joinall(judged, timeout=PATIENCE)

    assert all(isinstance(one.value, Grant) for one in judged)


# Keys at a URL.


def test_cold_keys_are_waited_for_by_all_at_once() -> None:
    """B15: in greenlets; the issuer is asked once."""
    made = gate(BY_URL)
    made.issuer.may.clear()
    asked = [made.resolve("GET", A, **bearer(token())) for _ in range(5)]
    verdicts = [gevent.spawn(ask.verdict) for ask in asked if isinstance(ask, Ask)]
    settle()
    assert len(verdicts) == 5 and made.issuer.asked == 1
    made.issuer.may.set()
    gevent.joinall(verdicts, timeout=PATIENCE)

    assert all(isinstance(one.value, Grant) for one in verdicts)
    assert isinstance(made.resolve("GET", A, **bearer(token())), Resolved)


def test_a_head_that_keys_at_a_url_let_in_is_judged_again_in_time() -> None:
    """B15: a key that left must not let in for as long as the token lives."""
    made = gate(BY_URL)
    found = made.ask("GET", A, **bearer(token()))
    assert isinstance(found, Resolved)

    assert found.expires_at == NOW + JUDGED_AGAIN_SECONDS
    assert found.grant.ends_at == NOW + 600 + BY_URL.leeway


def test_a_key_that_left_ends_its_verdicts() -> None:
    """B15."""
    made = gate(BY_URL)
    assert isinstance(made.ask("GET", A, **bearer(token())), Resolved)
    made.issuer.document = jwks(jwk("rsa", kid="rsa"))
    made.clock.move(600)
    made.ask("GET", A, **bearer(token(said(exp=int(NOW) + 1200))))
    settle()

    assert isinstance(
        made.ask("GET", A, **bearer(token(said(exp=int(NOW) + 1200), "rsa"))), Resolved
    )
    found = gevent.spawn(refusal, made, token(said(exp=int(NOW) + 1200)))
    found.join(PATIENCE)
    assert found.value == (503, Reason.KEYS_UNAVAILABLE)


def test_keys_are_renewed_while_nobody_brings_a_new_token() -> None:
    """B15: whoever is known already comes in by his verdict, and asks for no key."""
    made = gate(BY_URL)
    text = token(said(exp=int(NOW) + 20_000))
    # The first one brings the keys, by the second one the verdict is remembered.
    assert refusal(made, text) is None and refusal(made, text) is None
    made.issuer.document = jwks(jwk("rsa", kid="rsa"))
    made.clock.move(KEYS_URL.refresh)
    assert refusal(made, text) is None
    settle()

    assert made.issuer.asked == 2
    found = gevent.spawn(refusal, made, text)
    found.join(PATIENCE)
    assert found.value == (503, Reason.KEYS_UNAVAILABLE)


def test_a_verdict_is_believed_no_longer_than_its_keys() -> None:
    """B15: keys that cannot be renewed let in for an hour beyond their time."""
    made = gate(BY_URL)
    text = token(said(exp=int(NOW) + 20_000))
    assert refusal(made, text) is None
    made.issuer.document = OSError("no route")
    made.clock.move(KEYS_URL.refresh + STALE_SECONDS - 1)
    assert refusal(made, text) is None
    made.clock.move(1)

    assert refusal(made, text) == (503, Reason.KEYS_UNAVAILABLE)


def refusal(made: Gate, text: str) -> tuple[int, Reason] | None:
    """How a token is refused, whoever is at fault."""
    try:
        found = made.ask("GET", A, **bearer(text))
    except EdgeError as error:
        return error.status, error.reason
    return why(found) if isinstance(found, Denied) else None


def test_a_new_key_is_fetched_when_it_is_first_met() -> None:
    """B15: its issuer has rotated; nobody is refused for that."""
    made = gate(BY_URL)
    assert refusal(made, token()) is None
    made.issuer.document = jwks(jwk("p256", kid="p256"), jwk("rsa", kid="rsa"))
    made.clock.move(20)

    assert refusal(made, token(kind="rsa")) is None
    assert made.issuer.asked == 2


def test_a_key_that_does_not_exist_is_looked_for_once_in_ten_seconds() -> None:
    """B15: 401 once the newest keys are there, and until then 503, which clients try
    again."""
    made = gate(BY_URL)
    assert refusal(made, token()) is None
    made.clock.move(20)
    assert refusal(made, token(kind="rsa")) == (401, Reason.TOKEN_UNKNOWN_KEY)
    for number in range(5):
        text = token(kind="rsa", header={"kid": f"../../etc/{number}' OR 1=1"})
        assert refusal(made, text) == (503, Reason.KEYS_UNAVAILABLE)

    assert made.issuer.asked == 2


def test_without_keys_nobody_is_let_in() -> None:
    """Closed, and never open."""
    made = gate(BY_URL)
    made.issuer.document = OSError("no route")

    assert refusal(made, token()) == (503, Reason.KEYS_UNAVAILABLE)
    with pytest.raises(Refusal) as raised:
        made.ask("GET", A, **bearer(token()))
    assert raised.value.retry_after is not None
