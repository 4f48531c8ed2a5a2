"""The origin says who is let in: what it is asked, HEAD or GET, and what it lends.

A17, B2, B7, B9, B16. The origin is a real server, and the pool is the edge's own.
"""

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from edge.access.credentials import by_ways
from edge.ask_wiring import AskPools
from edge.core.errors import EdgeError, Refusal
from edge.core.reasons import Reason
from edge.core.values import ANONYMOUS, OriginRequest, Read
from edge.policy.streams.authorize import Denied, Grant
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.pipeline import Resolved
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import OriginWay, SignedWay
from edge.settings import Settings
from edge.settings.schema import OriginSettings
from tests.access.endpoint import Asked, Endpoint, Gate, said, until

A = "/v1/stream/a"
ALICE = {"authorization": "Bearer alice"}
LINK = SignedWay((("k1", b"a key of the tests, which has 32 b."),))


@pytest.fixture
def gates(gate_of: Callable[..., Gate]) -> Callable[..., Gate]:
    """``gates(**way)`` is a gate whose one way asks the origin."""

    def make(
        route: Route | None = None, others: tuple[Route, ...] = (), **way: Any
    ) -> Gate:
        route = route or Route("/v1/stream/**", origin_headers=(("x-own", "secret"),))
        return gate_of(OriginWay(**way), route, others)

    return make


def granted(found: Any) -> Grant:
    assert isinstance(found, Resolved), found
    return found.grant


def methods(asked: Endpoint) -> list[str]:
    return [one.method for one in asked.asked]


def viewers(gate: Gate, numbers: range) -> list[Any]:
    """Each asks with a credential of its own, one after another."""
    return [gate.ask(A, authorization=f"Bearer {n}") for n in numbers]


# What it is asked.


def test_an_ask_carries_the_whole_credential_and_nothing_of_the_edges(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B16: and the extension parameters, and what selects the answer; no offset."""
    gate = gates(Route("/v1/stream/**", request_headers=("x-tenant",)))
    granted(
        gate.ask(
            f"{A}?offset=7&b=2&token=t&live=long-poll&cursor=3&a=1",
            authorization="Bearer alice",
            cookie="s=1",
            x_tenant="t1",
            x_other="no",
            if_none_match='"x"',
            range="bytes=0-1",
        )
    )
    [get] = asked.asked
    assert (get.method, get.target) == ("GET", f"{A}?offset=now&a=1&b=2&token=t")
    assert get.fields == {
        "host": asked.url.removeprefix("http://"),
        "authorization": "Bearer alice",
        "cookie": "s=1",
        "x-tenant": "t1",
        "accept-encoding": "identity",
        "via": "1.1 pop",
        "cdn-loop": "ds-edge;node=00ff",
    }


def test_the_origin_is_called_by_the_name_that_it_is_given(asked: Endpoint) -> None:
    """As its streams are called."""
    settings = Settings(origin=OriginSettings(url=asked.url, host="streams.example"))
    pools = AskPools(settings)
    pools.askers("00ff").origin()(OriginRequest("HEAD", A)).close()
    pools.close()

    assert asked.asked[0].fields["host"] == "streams.example"


def test_without_a_credential_nobody_is_asked(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """A15: 401, with the scheme and the realm alone."""
    found = gates().ask(A)
    assert isinstance(found, Denied)

    assert (found.status, found.reason) == (401, Reason.NO_TOKEN)
    assert found.challenge == 'Bearer realm="durable-streams"'
    assert asked.asked == []


def test_all_whom_the_origin_lets_in_ask_for_one_and_the_same(
    gates: Callable[..., Gate],
) -> None:
    gate = gates()
    by_field, by_parameter = gate.ask(A, **ALICE), gate.ask(f"{A}?token=t")
    granted(by_field)
    granted(by_parameter)
    assert isinstance(by_field, Resolved) and isinstance(by_parameter, Resolved)

    assert isinstance(by_field.request, Read)
    assert by_field.request == by_parameter.request
    assert by_field.request.key.extension == ""


def test_what_selects_the_answer_is_part_of_the_verdict(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B2: who may read one tenant's stream may not read another's."""
    gate = gates(Route("/v1/stream/**", request_headers=("x-tenant",)))
    asked.answer = lambda one: said(200 if one.fields["x-tenant"] == "mine" else 403)
    granted(gate.ask(A, x_tenant="mine", **ALICE))

    assert isinstance(gate.ask(A, x_tenant="theirs", **ALICE), Denied)


def test_who_is_let_in_lends_its_whole_credential(gates: Callable[..., Gate]) -> None:
    """B7: as long as the verdict is fresh, and never in a repr."""
    gate = gates(trust=20.0)
    grant = granted(gate.ask(f"{A}?token=t%20t&x=1", cookie="s=1", **ALICE))
    lent = grant.lease.lends
    assert lent is not None

    assert lent.headers == (("authorization", "Bearer alice"), ("cookie", "s=1"))
    assert lent.parameters == ("token=t%20t",)
    assert lent.fresh_until == gate.clock.monotonic() + 20.0 == grant.lease.ends_at
    assert "alice" not in repr(lent) and "t%20t" not in repr(lent)
    other = granted(gate.ask(A, **ALICE)).lease.lends
    assert other is not None and other.digest != lent.digest


def test_whom_the_origin_refuses_after_all_is_asked_about_anew(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """A3, B7: while its credential was lent. Others are believed on."""
    gate = gates()
    first = granted(gate.ask(A, **ALICE)).lease.lends
    gate.ask(A, authorization="Bearer bob")
    count = len(asked.asked)
    granted(gate.ask(A, **ALICE))
    assert first is not None and len(asked.asked) == count
    first.refused()
    asked.answer = lambda one: said(401)
    denied = gate.ask(A, **ALICE)

    assert isinstance(denied, Denied) and denied.status == 401
    granted(gate.ask(A, authorization="Bearer bob"))
    assert len(asked.asked) == count + 1


def test_while_the_origin_is_away_nobody_lends_who_is_only_kept(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """A17, B7: until twice ``trust``."""
    gate = gates()
    granted(gate.ask(A, **ALICE))
    asked.answer = lambda one: said(503)
    gate.clock.move(30.0)
    kept = granted(gate.ask(A, **ALICE))
    assert kept.lease.lends is not None

    assert kept.lease.ends_at == gate.clock.monotonic() + 30.0
    assert kept.lease.lends.fresh_until <= gate.clock.monotonic()


# What it answers.


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.ACCESS_REFUSED),
        (403, Reason.ACCESS_REFUSED),
        (404, Reason.ACCESS_ABSENT),
        (410, Reason.ACCESS_ABSENT),
    ],
)
def test_a_no_is_that_credentials_own(
    asked: Endpoint, gates: Callable[..., Gate], status: int, reason: Reason
) -> None:
    """A1, A17: of the origin's answer only status and challenge are told."""
    asked.answer = lambda one: (
        said()
        if one.fields["authorization"] == "Bearer alice"
        else said(status, b"", "WWW-Authenticate: Basic", "X-Any: a", "Set-Cookie: a")
    )
    gate = gates()
    granted(gate.ask(A, **ALICE))
    found = gate.ask(A, authorization="Bearer bob")
    assert isinstance(found, Denied)

    assert (found.status, found.reason) == (status, reason)
    assert found.challenge == ("Basic" if status in (401, 403) else None)
    assert (found.fields, found.body) == ((), None)


def test_whoever_creates_a_stream_finds_it_at_once(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """L5: that there was none is no verdict on a credential, and is not remembered;
    nor does it answer whoever came while it was asked for."""
    gate = gates()
    asked.answer = lambda one: said(404)
    assert isinstance(gate.ask(A, **ALICE), Denied)
    asked.may.clear()
    both = [gevent.spawn(gate.ask, A, **ALICE) for _ in range(2)]
    until(lambda: len(asked.asked) == 2)
    asked.answer = lambda one: said(200 if len(asked.asked) > 2 else 404)
    asked.may.set()
    first, second = (one.get() for one in both)

    assert isinstance(first, Denied)
    granted(second)


@pytest.mark.parametrize("status", [301, 302, 400, 408, 429, 500, 503])
def test_any_other_answer_is_no_verdict(
    asked: Endpoint, gates: Callable[..., Gate], status: int
) -> None:
    asked.answer = lambda one: said(status)
    found = gates().ask(A, **ALICE)
    assert isinstance(found, Refusal)

    assert (found.status, found.reason) == (503, Reason.ACCESS_UNAVAILABLE)
    assert found.retry_after


def test_an_origin_that_never_answers_is_given_up(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    asked.may.clear()
    found = gates().ask(A, **ALICE)

    assert isinstance(found, Refusal) and found.reason is Reason.ACCESS_UNAVAILABLE


def test_the_body_of_a_get_is_not_waited_for(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B16: an origin that does not know ``now`` may send all that it has."""
    never = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    asked.answer = lambda one: never
    gate = gates()
    granted(gate.ask(A, **ALICE))

    assert methods(asked) == ["GET"]


# GET, never HEAD.


def by_method(**statuses: int) -> Callable[[Asked], bytes]:
    return lambda one: said(statuses[one.method.lower()])


@pytest.mark.parametrize(
    ("get", "head"),
    [(200, 401), (200, 404), (200, 405), (200, 501), (401, 200), (404, 200)],
)
def test_the_get_that_readers_send_is_what_is_judged_by(
    asked: Endpoint, gates: Callable[..., Gate], get: int, head: int
) -> None:
    """B16: an origin may judge a HEAD otherwise."""
    asked.answer = by_method(get=get, head=head)
    found = viewers(gates(), range(3))

    assert {isinstance(one, Resolved) for one in found} == {get == 200}
    assert methods(asked) == ["GET"] * 3


def test_an_origin_that_lets_in_every_head_lets_in_nobody_by_it(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B16: that GET and HEAD agreed on one credential says nothing of the next one."""
    good = ALICE["authorization"]
    asked.answer = lambda one: said(
        200 if one.method == "HEAD" or one.fields.get("authorization") == good else 401
    )
    gate = gates()
    granted(gate.ask(A, **ALICE))

    for number in range(120):
        found = gate.ask(A, authorization=f"Bearer bad-{number}")
        assert isinstance(found, Denied | EdgeError)
    assert methods(asked)[1:] == ["GET"] * (len(asked.asked) - 1)


# Writes.


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_write_keeps_its_own_credential_and_nobody_is_asked(
    asked: Endpoint, gates: Callable[..., Gate], method: str
) -> None:
    """B9: the origin judges it as it comes."""
    gate = gates()
    target = f"{A}?token=t&x=1"
    found = gate.ask(target, "192.0.2.1", method, **ALICE)
    assert isinstance(found, Resolved)

    assert found.request == PassRequest(
        Reason.METHOD, target, ANONYMOUS, extension="x=1"
    )
    assert found.grant.way == "origin" and asked.asked == []
    assert gate.counters.verdicts == {"origin-granted": 1}


def test_a_write_without_a_credential_never_reaches_the_origin(
    gates: Callable[..., Gate],
) -> None:
    assert isinstance(gates().ask(A, "192.0.2.1", "POST"), Denied)


def test_a_control_path_is_judged_by_the_origin_unless_it_speaks_for_others(
    gates: Callable[..., Gate],
) -> None:
    """B5: for streams that the edge judges it speaks for nobody."""
    target = "/v1/stream/__ds/subscriptions/a"
    passed = gates().ask(target, "192.0.2.1", "PUT", **ALICE)
    assert isinstance(passed, Resolved)
    assert passed.request == PassRequest(Reason.NOT_A_STREAM, target)

    behind = by_ways(Route("/v1/**"), (LINK,))
    asking = by_ways(Route("/v1/stream/also/**"), (OriginWay(),))
    gate = gates(others=(behind, asking))
    assert isinstance(gate.ask(target, "192.0.2.1", "PUT", **ALICE), Resolved)
    below = by_ways(Route("/v1/stream/shared/**"), (LINK,))
    found = gates(others=(below,)).ask(target, "192.0.2.1", "PUT", **ALICE)
    assert isinstance(found, Denied) and found.reason is Reason.PATH_NOT_GRANTED


def test_a_fork_takes_the_right_to_read_its_source(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B22: the origin is asked about it, as about any read."""
    asked.answer = lambda one: said(403 if "/secret" in one.target else 200)
    gate = gates()
    fork = {"stream_forked_from": "/v1/stream/secret", **ALICE}
    assert isinstance(gate.ask(A, "192.0.2.1", "PUT", **fork), Denied)
    fork["stream_forked_from"] = "/v1/stream/open"

    assert isinstance(gate.ask(A, "192.0.2.1", "PUT", **fork), Resolved)
