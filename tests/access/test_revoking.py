"""Taken back: what an order does to whoever is judged, was judged, or is being judged.

A10, A20, B13, B23. The authorizer, its judges and the revoker together; the tokens are
real, and those who are asked are real servers.
"""

from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent
import pytest

from edge.access.authorizer import JUDGED_AGAIN_SECONDS
from edge.access.credentials import by_ways
from edge.access.revocations import RevokedBy
from edge.core.reasons import Reason
from edge.core.values import Lease
from edge.policy.streams.authorize import Ask, Denied, Grant
from edge.policy.streams.pipeline import Resolved
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import (
    AUTHORIZATION,
    CredentialSource,
    ForwardWay,
    OriginWay,
    TokenPlace,
)
from tests.access import endpoint as endpoints
from tests.access.endpoint import Endpoint, endpoint
from tests.access.issuer import NOW, jwk, jwks, said, segment, shared, token
from tests.access.test_authorizer import (
    BY_URL,
    JWT,
    SIGNED,
    A,
    Gate,
    bearer,
    gate,
    link,
    unsigned,
)
from tests.live.support import settle
from tests.support.patience import PATIENCE

ISSUER = "https://issuer.example"
REVOKED = (401, Reason.TOKEN_REVOKED)


def why(found: Any) -> tuple[int, Reason]:
    """Why somebody was not let in, by whichever gate."""
    assert isinstance(found, Denied), found
    return found.status, found.reason


def lease_of(found: Any) -> Lease:
    assert isinstance(found, Resolved), found
    lease: Lease = found.grant.lease
    return lease


def is_in(found: Any) -> bool:
    return isinstance(found, Resolved)


# Tokens.


@pytest.mark.parametrize(
    ("claims", "refused"),
    [
        ({"iat": None}, True),
        ({"iat": int(NOW) - 80_000}, True),
        ({"iat": int(NOW)}, True),
        ({"iat": NOW + 0.5}, True),
        ({"iat": int(NOW) + 1}, False),
        ({"iat": int(NOW) - 10, "sub": "bob"}, False),
        ({"iat": int(NOW) - 10, "sub": None}, False),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["seen before", "not seen"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_subjects_order_refuses_its_older_tokens(
    claims: dict[str, Any], refused: bool, known: bool, method: str
) -> None:
    """B13: to read and to write; but the one that was in use is older in any case."""
    made = gate()
    streams = {"read": ["/**"], "write": ["/**"]}
    fields = bearer(shared(said(streams=streams, **claims)))
    first = made.ask(method, A, **fields) if known else None
    made.revoker.revoke(RevokedBy.SUBJECT, "alice")
    again = made.ask(method, A, **fields)

    if first is not None and claims == {"iat": int(NOW) + 1}:
        refused = True
    assert is_in(again) is not refused
    if refused:
        assert why(again) == REVOKED
        assert isinstance(again, Denied) and again.subject == "alice"
        assert again.challenge is not None and "invalid_token" in again.challenge
    if first is not None:
        assert (lease_of(first).why is Reason.REVOKED) is refused


@pytest.mark.parametrize(
    ("issuer", "refused"), [(None, True), (ISSUER, True), ("https://other", False)]
)
@pytest.mark.parametrize(
    ("by", "value"), [(RevokedBy.SUBJECT, "alice"), (RevokedBy.JTI, "id-1")]
)
def test_a_subject_and_an_id_are_an_issuers(
    issuer: str | None, refused: bool, by: RevokedBy, value: str
) -> None:
    made = gate()
    fields = bearer(shared(said(jti="id-1")))
    made.revoker.revoke(by, value, issuer)

    assert is_in(made.ask("GET", A, **fields)) is not refused


def test_one_token_is_taken_back_and_its_twin_is_not() -> None:
    """The same claims but for one; and in any place of the request."""
    made = gate()
    one, twin = shared(said(jti="1")), shared(said(jti="2"))
    made.revoker.revoke_token(one)

    for target, fields in (
        (A, bearer(one)),
        (f"{A}?access_token={one}", {}),
        (A, {"cookie": f"session={one}"}),
    ):
        assert why(made.ask("GET", target, **fields)) == REVOKED
    assert is_in(made.ask("GET", A, **bearer(twin)))


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_a_token_is_the_same_by_either_of_its_signatures() -> None:
    """Of every ECDSA signature anybody can make a second one that holds. An edge that
    compared texts would let in by it."""
    made = gate(BY_URL)
    text = token()
    signed, _, signature = text.rpartition(".")
    octets = urlsafe_b64decode(signature + "==")
    s = P256_ORDER - int.from_bytes(octets[32:], "big")
    twin = f"{signed}.{segment(octets[:32] + s.to_bytes(32, 'big'))}"
    assert twin != text and is_in(made.ask("GET", A, **bearer(twin)))
    made.revoker.revoke_token(text)

    assert why(made.ask("GET", A, **bearer(text))) == REVOKED
    assert why(made.ask("GET", A, **bearer(twin))) == REVOKED


def test_the_signature_is_judged_first() -> None:
    """B23: nobody learns from a forged token which ones were revoked."""
    made = gate()
    good = shared()
    made.revoker.revoke_token(good)
    made.revoker.revoke(RevokedBy.SUBJECT, "alice")

    forged = good.rpartition(".")[0] + ".AAAA"
    assert why(made.ask("GET", A, **bearer(forged)))[1] is Reason.TOKEN_SIGNATURE
    assert why(made.ask("GET", A, **bearer(unsigned())))[1] is Reason.TOKEN_ALGORITHM


def test_a_signed_url_is_taken_back_by_its_key_alone() -> None:
    made = gate(SIGNED)
    found = made.ask("GET", link())
    for by in (RevokedBy.SUBJECT, RevokedBy.JTI):
        made.revoker.revoke(by, "k1")
    made.revoker.revoke_token(link().rpartition("=")[2])

    assert lease_of(found).why is Reason.GRANT_ENDED
    assert is_in(made.ask("GET", link()))


def test_others_are_judged_anew_and_notice_nothing() -> None:
    """An order begins a new epoch for all; whoever is let in goes on as before."""
    made = gate()
    fields = bearer(shared(said(sub="bob")))
    first = made.ask("GET", A, **fields)
    assert is_in(first) and is_in(made.ask("GET", A, **fields))
    checked = made.budget.taken
    made.revoker.revoke(RevokedBy.SUBJECT, "alice")

    again = made.ask("GET", A, **fields)
    assert made.budget.taken == checked + 1
    assert lease_of(first).ends_at == lease_of(again).ends_at
    assert lease_of(first).why is Reason.GRANT_ENDED


def test_who_is_judged_while_the_order_comes_is_not_let_in() -> None:
    """1: keys are waited for; 2: the order comes; 3: they are there, and the token is
    good by them."""
    made = gate(BY_URL)
    made.issuer.may.clear()
    found = made.resolve("GET", A, **bearer(token()))
    assert isinstance(found, Ask)
    judged = gevent.spawn(found.verdict)
    settle()
    made.revoker.revoke(RevokedBy.SUBJECT, "alice")
    made.issuer.may.set()

    assert why(judged.get(timeout=PATIENCE)) == REVOKED
    assert why(made.ask("GET", A, **bearer(token()))) == REVOKED


def test_what_waits_for_another_verdict_holds_a_lease_that_has_ended() -> None:
    """B22: a fork is let in by its own route; the keys of its source's are waited for.
    Who sends it upstream looks at the lease."""
    by_cookie = (CredentialSource(TokenPlace.COOKIE, "source"),)
    made = Gate(
        by_ways(Route("/v1/a/**"), (replace(JWT, sources=(AUTHORIZATION,)),)),
        by_ways(Route("/v1/b/**"), (replace(BY_URL, sources=by_cookie),)),
    )
    made.issuer.may.clear()
    own = bearer(shared(_fork("/v1/a/x")))
    source = token(said(streams={"read": ["/v1/b/*"]}))
    fields = {"stream_forked_from": "/v1/b/y", "cookie": f"source={source}", **own}
    found = made.resolve("PUT", "/v1/a/x", **fields)
    assert isinstance(found, Ask)
    judged = gevent.spawn(found.verdict)
    settle()
    assert made.revoker.revoke(RevokedBy.JTI, "id-1").ended == 1
    made.issuer.may.set()
    grant = judged.get(timeout=PATIENCE)

    assert isinstance(grant, Grant) and grant.lease.why is Reason.REVOKED


def _fork(path: str) -> dict[str, Any]:
    return said(jti="id-1", streams={"read": [path], "write": [path]})


# Keys that have changed.


def test_when_keys_change_whoever_came_by_them_comes_again_before_long() -> None:
    """A20: within half a minute, and not all at once. Whoever came by keys at hand
    stays."""
    made = gate(replace(BY_URL, keys=BY_URL.keys), SIGNED)
    far = said(exp=int(NOW) + 20_000)
    crowd = [
        lease_of(made.ask("GET", A, **bearer(token(far | {"jti": str(n)}))))
        for n in range(40)
    ]
    by_link = lease_of(made.ask("GET", link(seconds=20_000)))
    cuts: list[float] = []
    made.leases.cut = lambda: cuts.append(made.clock.monotonic())
    made.issuer.document = jwks(jwk("p256", kid="p256"), jwk("rsa", kid="rsa"))
    made.clock.move(600)
    made.ask("GET", A, **bearer(token(far)))
    settle()

    now = made.clock.monotonic()
    ends = [lease.ends_at - now for lease in crowd]
    assert all(0.0 < left <= JUDGED_AGAIN_SECONDS for left in ends)
    assert len(set(ends)) > 20 and max(ends) - min(ends) > JUDGED_AGAIN_SECONDS / 4
    assert {lease.why for lease in crowd} == {Reason.GRANT_ENDED}
    assert by_link.ends_at - now > 10_000
    assert cuts == [now]


def test_keys_that_are_fetched_again_and_are_the_same_end_nothing() -> None:
    made = gate(BY_URL)
    far = said(exp=int(NOW) + 20_000)
    lease = lease_of(made.ask("GET", A, **bearer(token(far))))
    made.clock.move(600)
    made.ask("GET", A, **bearer(token(far)))
    settle()

    assert made.issuer.asked == 2
    assert lease.ends_at - made.clock.monotonic() > 10_000


# Ways that ask.


WAYS: list[Callable[[Endpoint], Any]] = [
    lambda asked: ForwardWay(asked.url),
    lambda asked: OriginWay(parameters=("token",)),
]
by_each_way = pytest.mark.parametrize("way", WAYS, ids=["forward", "origin"])


@by_each_way
@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (A, {"authorization": "Bearer alice"}),
        (A, {"authorization": "bearer  alice "}),
        (A, {"authorization": "Bearer\talice"}),
        (A, {"authorization": 'Bearer "alice"'}),
        (A, {"authorization": "Bearer %61lice"}),
        (A, {"authorization": "Basic YTpi, Bearer alice"}),
        (A, {"authorization": "alice"}),
        (A, {"cookie": "a=b; session=alice"}),
        (A, {"cookie": "a=b, session=alice"}),
        (A, {"cookie": 'session="%61lic%65"'}),
        (A, {"cookie": "session = Bearer%20alice"}),
    ],
)
def test_a_credential_is_taken_back_whoever_judges_it(
    way: Callable[[Endpoint], Any], target: str, fields: dict[str, str]
) -> None:
    """Those who are asked would let it in, and are not asked any more; nor does a write
    pass by it. They may read it in a spelling that only looks otherwise."""
    with endpoint() as asked:
        made = endpoints.Gate(asked.url, (way(asked),))
        lease = lease_of(made.ask(target, **fields))
        other = lease_of(made.ask(target, authorization="Bearer bob"))
        told = made.revoker.revoke_token("alice")
        asks = len(asked.asked)

        assert told.ended == 1 and lease.why is Reason.REVOKED
        assert why(made.ask(target, **fields)) == REVOKED
        assert why(made.ask(target, None, "POST", **fields)) == REVOKED
        assert len(asked.asked) == asks
        assert other.why is Reason.GRANT_ENDED
        made.pools.close()


def test_a_write_that_the_origin_judges_is_cut_too() -> None:
    """B13: it is let pass without an ask, and holds a lease all the same."""
    with endpoint() as asked:
        made = endpoints.Gate(asked.url, (OriginWay(),))
        lease = lease_of(made.ask(A, None, "POST", authorization="Bearer alice"))
        other = lease_of(made.ask(A, None, "POST", authorization="Bearer bob"))
        assert made.revoker.revoke_token("alice").ended == 1

        assert lease.why is Reason.REVOKED and other.why is Reason.GRANT_ENDED
        made.pools.close()


@by_each_way
def test_of_a_subject_they_are_asked_anew(way: Callable[[Endpoint], Any]) -> None:
    """Who it is, and whether it is let in, is theirs to say."""
    with endpoint() as asked:
        made = endpoints.Gate(asked.url, (way(asked),))
        lease = lease_of(made.ask(A, authorization="Bearer x"))
        asks = len(asked.asked)
        made.revoker.revoke(RevokedBy.SUBJECT, "alice")
        assert is_in(made.ask(A, authorization="Bearer x"))

        assert len(asked.asked) > asks
        assert lease.why is Reason.GRANT_ENDED
        made.pools.close()


def test_a_subject_that_they_named_is_let_go_and_asked_about() -> None:
    with endpoint() as asked:
        asked.answer = lambda _: endpoints.said(200, b"", "X-User: alice")
        made = endpoints.Gate(
            asked.url, (ForwardWay(asked.url, identity_header="x-user"),)
        )
        lease = lease_of(made.ask(A, authorization="Bearer x"))
        assert made.revoker.revoke(RevokedBy.SUBJECT, "alice").ended == 1
        assert lease.why is Reason.REVOKED
        asked.answer = lambda _: endpoints.said(403)

        assert why(made.ask(A, authorization="Bearer x"))[0] == 403
        made.pools.close()


@by_each_way
@pytest.mark.parametrize("by", ["token", "subject"])
def test_an_ask_under_way_lets_in_by_nothing_that_was_said_before_the_order(
    way: Callable[[Endpoint], Any], by: str
) -> None:
    """1: it is asked; 2: the order comes; 3: they say yes to what they were asked."""
    with endpoint() as asked:
        made = endpoints.Gate(asked.url, (way(asked),))
        asked.may.clear()
        judged = gevent.spawn(made.ask, A, authorization="Bearer alice")
        endpoints.until(lambda: len(asked.asked) == 1)
        if by == "token":
            made.revoker.revoke_token("alice")
        else:
            made.revoker.revoke(RevokedBy.SUBJECT, "alice")
            asked.answer = lambda _: endpoints.said(403)
        asked.may.set()

        assert why(judged.get(timeout=PATIENCE))[0] == (401 if by == "token" else 403)
        made.pools.close()
