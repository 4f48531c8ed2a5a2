"""An endpoint says who is let in: how it is asked, and what its answers come to.

A16, B2, B11, B18. The endpoint is a real server, and the pool is the edge's own.
"""

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from edge.access.forward import MAX_BODY
from edge.core.errors import EdgeError, Refusal
from edge.core.reasons import Reason
from edge.core.values import GRANTED, Read
from edge.policy.http.client_address import Caller
from edge.policy.streams.authorize import Ask, Denied, Grant, RequestHead
from edge.policy.streams.pipeline import Resolved
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import ForwardWay, SignedWay
from tests.access.endpoint import Endpoint, Gate, said, together, until
from tests.live.support import settle

A = "/v1/stream/a"
ALICE = {"authorization": "Bearer alice"}
PAGE = {"sec_fetch_mode": "navigate"}


@pytest.fixture
def gates(asked: Endpoint, gate_of: Callable[..., Gate]) -> Callable[..., Gate]:
    """``gates(**way)`` is a gate whose one way asks the endpoint."""

    def make(route: Route | None = None, **way: Any) -> Gate:
        url = asked.url + "/authorize?app=1"
        return gate_of(ForwardWay(url, **({"timeout": 5.0} | way)), route)

    return make


def granted(found: Any) -> Grant:
    assert isinstance(found, Resolved), found
    return found.grant


def denied(found: Any) -> Denied:
    assert isinstance(found, Denied), found
    return found


def refused(found: Any) -> EdgeError:
    assert isinstance(found, Refusal), found
    assert found.retry_after
    return found


def until_due(gate: Gate, grant: Grant) -> None:
    """Let time pass until a grant is to be renewed: when, is drawn by lot."""
    gate.clock.move(grant.expires_at - gate.clock.wall() + 1e-5)


# How it is asked.


def test_an_ask_is_built_here(asked: Endpoint, gates: Callable[..., Gate]) -> None:
    """A16: of the client's fields only the listed ones go along, whatever it sends."""
    gate = gates(parameters=("ticket",))
    granted(
        gate.ask(
            f"{A}?live=sse&offset=5&b=2&ticket=t&a=1",
            "192.0.2.7",
            authorization="Bearer alice",
            cookie="s=1",
            x_forwarded_uri="/else",
            x_forwarded_for="10.0.0.1",
            x_other="no",
            accept="text/html",
        )
    )
    [one] = asked.asked
    assert (one.method, one.target) == ("GET", "/authorize?app=1")
    assert one.fields == {
        "host": asked.url.removeprefix("http://"),
        "x-forwarded-method": "GET",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "edge.example",
        "x-forwarded-uri": f"{A}?a=1&b=2&ticket=t",
        "x-forwarded-for": "192.0.2.7",
        "authorization": "Bearer alice",
        "cookie": "s=1",
        "accept-encoding": "identity",
        "via": "1.1 pop",
        "cdn-loop": "ds-edge;node=00ff",
    }


def test_what_belongs_to_another_way_is_not_told(asked: Endpoint) -> None:
    """B8: here a share link's parameter, which is empty and so no credential."""
    link = SignedWay((("k1", b"a key of the tests, which has 32 b."),))
    gate = Gate(asked.url, (link, ForwardWay(asked.url)))
    granted(gate.ask(f"{A}?ds_sig=&a=1", **ALICE))
    gate.pools.close()

    assert asked.asked[0].fields["x-forwarded-uri"] == f"{A}?a=1"


def test_all_who_are_let_in_ask_for_one_and_the_same(
    gates: Callable[..., Gate],
) -> None:
    """A2: whatever they sent, and what was a credential is in no key."""
    gate = gates(parameters=("ticket",))
    by_token, by_ticket = gate.ask(A, **ALICE), gate.ask(f"{A}?ticket=t", cookie="s=1")
    granted(by_token)
    granted(by_ticket)
    assert isinstance(by_token, Resolved) and isinstance(by_ticket, Resolved)

    assert isinstance(by_token.request, Read)
    assert by_token.request == by_ticket.request
    assert by_token.request.key.partition == GRANTED


@pytest.mark.parametrize(
    "other",
    [
        ("GET", A + "b", ALICE),
        ("GET", A + "?x=1", ALICE),
        ("POST", A, ALICE),
        ("DELETE", A, ALICE),
        ("GET", A, {"authorization": "Bearer bob"}),
        ("GET", A, ALICE | {"cookie": "s=1"}),
        ("GET", A, ALICE | {"host": "other.example"}),
    ],
)
def test_a_verdict_is_about_all_that_was_told(
    asked: Endpoint, gates: Callable[..., Gate], other: tuple[str, str, dict[str, str]]
) -> None:
    """B2: offset, live and cursor are not told; a HEAD is told as a GET."""
    gate = gates()
    method, target, fields = other
    granted(gate.ask(A, **ALICE))
    granted(gate.ask(f"{A}?offset=7&live=sse&cursor=3", **ALICE))
    granted(gate.ask(A, "192.0.2.1", "HEAD", **ALICE))
    assert len(asked.asked) == 1

    gate.ask(target, "192.0.2.1", method, **fields)
    assert len(asked.asked) == 2


def test_a_verdict_is_about_who_came_as_well(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B2: where the office is let in, a cookie for the language opens nothing outside.
    Nor does what one of them was told while another one asks."""
    gate, cookie = gates(), {"cookie": "lang=de"}
    asked.answer = lambda one: said(
        200 if one.fields["x-forwarded-for"] == "192.0.2.1" else 403
    )
    asked.may.clear()
    at_once = gevent.spawn(
        together,
        lambda: gate.ask(A, "192.0.2.1", **cookie),
        lambda: gate.ask(A, "198.51.100.9", **cookie),
    )
    until(lambda: len(asked.asked) == 2)
    asked.may.set()
    inside, outside = at_once.get()
    granted(inside)
    assert denied(outside).status == 403

    assert denied(gate.ask(A, "198.51.100.9", **cookie)).status == 403
    granted(gate.at_once(A, "192.0.2.1", **cookie))
    assert len(asked.asked) == 2


def test_the_endpoint_is_told_what_a_trusted_proxy_told(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """P14: by what scheme and host the client called; and B2 holds for that, too."""
    gate = gates()

    def ask(scheme: str, host: str) -> None:
        told = Caller("192.0.2.1", scheme, host)
        head = RequestHead.of("GET", A, ALICE.get, lambda: told)
        found = gate.pipeline.resolve(head, gate.pipeline.routes[0], gate.clock.wall())
        assert isinstance(found, Ask), "another one was asked about"
        found.verdict()

    callers = [("https", "a.example"), ("https", "b.example"), ("http", "b.example")]
    for scheme, host in callers:
        ask(scheme, host)

    names = ("x-forwarded-proto", "x-forwarded-host")
    assert [tuple(map(one.fields.get, names)) for one in asked.asked] == callers


def test_a_long_path_is_asked_about_once_too(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    gate = gates()
    for name in ("a", "b", "a", "b"):
        granted(gate.ask(A + name * 2000, **ALICE))

    assert len(asked.asked) == 2


def test_who_has_no_credential_is_known_by_the_address(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B11: an endpoint that lets in the office must not let in the world."""
    gate = gates()
    asked.answer = lambda one: said(
        403 if one.fields.get("x-forwarded-for") == "198.51.100.9" else 200
    )
    granted(gate.ask(A, "192.0.2.1"))

    assert denied(gate.ask(A, "198.51.100.9")).status == 403
    granted(gate.ask(A, ""))
    # No head is remembered by an address: it goes the whole way each time.
    asks = len(asked.asked)
    assert isinstance(gate.at_once(A, "192.0.2.1"), Ask)
    granted(gate.ask(A, "192.0.2.1"))
    assert len(asked.asked) == asks


def test_a_subject_is_what_the_endpoint_names(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    gate = gates(identity_header="x-user")
    asked.answer = lambda one: said(200, b"", "X-User: alice")
    assert granted(gate.ask(A, **ALICE)).subject == "alice"
    asked.answer = lambda one: said(200, b"", "X-User: " + "a" * 2000)
    assert granted(gate.ask(A + "b", **ALICE)).subject == ""


def test_no_control_path_is_let_in(asked: Endpoint, gates: Callable[..., Gate]) -> None:
    """B5: what the endpoint would be told is not what is asked for."""
    target = "/v1/stream/__ds/subscriptions/a"
    found = denied(gates().ask(target, "192.0.2.1", "PUT", **ALICE))

    assert (found.status, found.reason) == (403, Reason.PATH_NOT_GRANTED)
    assert asked.asked == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"cookie": "s=1"}, 403),
        ({"cookie": "s=1", "sec_fetch_site": "same-origin"}, 200),
        ({"authorization": "Basic YTpi"}, 403),
        ({"authorization": "Bearer a"}, 200),
        ({"authorization": "Bearer a", "cookie": "s=1"}, 403),
    ],
)
def test_what_a_browser_sends_by_itself_lets_write_from_the_sites_own_pages_only(
    gates: Callable[..., Gate], fields: dict[str, str], status: int
) -> None:
    """B10."""
    found = gates().ask(A, "192.0.2.1", "POST", **fields)

    if status == 200:
        granted(found)
    else:
        assert denied(found).reason is Reason.CROSS_SITE


# What it says.


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_2xx_lets_in(
    asked: Endpoint, gates: Callable[..., Gate], status: int
) -> None:
    asked.answer = lambda one: said(status)
    gate = gates()
    grant = granted(gate.ask(A, **ALICE))

    assert grant.way == "forward"
    assert grant.ends_at == gate.clock.wall() + 30.0
    assert grant.lease.ends_at == gate.clock.monotonic() + 30.0
    assert gate.counters.verdicts == {"forward-granted": 1}
    assert gate.asks() == {"forward-let-in": 1}


@pytest.mark.parametrize("status", [401, 403])
def test_a_no_goes_to_the_one_who_asked_in_the_endpoints_words(
    asked: Endpoint, gates: Callable[..., Gate], status: int
) -> None:
    """A16: and to nobody else; others hear that it is one."""
    asked.answer = lambda one: said(
        status,
        b"<p>Alice, log in",
        "Content-Type: text/html",
        'WWW-Authenticate: Bearer realm="app"',
        "Set-Cookie: csrf=1",
        "X-Internal: secret",
        "ETag: x",
    )
    gate = gates()
    first, again = denied(gate.ask(A, **ALICE)), denied(gate.ask(A, **ALICE))

    assert first.status == again.status == status
    assert first.reason is again.reason is Reason.ACCESS_REFUSED
    assert first.body == b"<p>Alice, log in"
    assert first.fields == (("content-type", "text/html"), ("set-cookie", "csrf=1"))
    assert first.challenge == again.challenge == 'Bearer realm="app"'
    assert (again.body, again.fields) == (None, ())
    assert len(asked.asked) == 1


def test_a_no_is_believed_for_two_seconds(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    gate = gates()
    asked.answer = lambda one: said(401)
    denied(gate.ask(A, **ALICE))
    asked.answer = lambda one: said(200)
    gate.clock.move(1.9)
    denied(gate.ask(A, **ALICE))
    gate.clock.move(0.1)

    granted(gate.ask(A, **ALICE))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_for_pages_alone(
    asked: Endpoint, gates: Callable[..., Gate], status: int
) -> None:
    """B11: a script gets 401, with a challenge; a write is never sent elsewhere."""
    asked.answer = lambda one: said(
        status, b"moved", "Location: https://login.example/", "Set-Cookie: state=1"
    )
    gate = gates()
    script = denied(gate.ask(A, cookie="s=1"))
    for _ in range(2):
        page = denied(gate.ask(A, cookie="s=1", **PAGE))
        assert page.status == status
        assert page.fields == (
            ("location", "https://login.example/"),
            ("set-cookie", "state=1"),
        )
    form = denied(gate.ask(A, "192.0.2.1", "POST", cookie="s=1", **PAGE))

    assert (script.status, form.status) == (401, 401)
    assert script.fields == form.fields == () and script.challenge
    assert len(asked.asked) == 4
    assert all(one.target == "/authorize?app=1" for one in asked.asked)


@pytest.mark.parametrize("status", [304, 400, 404, 405, 408, 429, 500, 502, 503])
def test_any_other_answer_is_no_verdict(
    asked: Endpoint, gates: Callable[..., Gate], status: int
) -> None:
    """A17, B11: closed, and never a 401, which would end the client for good."""
    asked.answer = lambda one: said(status)
    gate = gates()
    found = refused(gate.ask(A, **ALICE))

    assert (found.status, found.reason) == (503, Reason.ACCESS_UNAVAILABLE)
    assert gate.asks() == {"forward-unanswered": 1}


MEGABYTES = b"x" * 10_000_000


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=["closes", "garbage", "half a head", "two lengths", "a huge head"],
)
def test_what_is_no_answer_lets_nobody_in(
    asked: Endpoint, gates: Callable[..., Gate], answer: bytes
) -> None:
    asked.answer = lambda one: answer
    gate = gates()

    assert refused(gate.ask(A, **ALICE)).reason is Reason.ACCESS_UNAVAILABLE


def test_an_endpoint_that_never_answers_is_given_up(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    asked.may.clear()
    gate = gates(timeout=0.05)
    assert refused(gate.ask(A, **ALICE)).reason is Reason.ACCESS_UNAVAILABLE


def test_a_long_answer_is_read_as_far_as_it_is_given_on(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """Of a *yes* nothing is read, of a *no* 64 KiB."""
    asked.answer = lambda one: said(200, MEGABYTES)
    gate = gates()
    granted(gate.ask(A, **ALICE))
    asked.answer = lambda one: said(403, MEGABYTES)
    body = denied(gate.ask(A + "b", **ALICE)).body

    assert body is not None and len(body) == MAX_BODY


@pytest.mark.parametrize(
    "answer",
    [
        said(403, b"\x1f\x8b", "Content-Encoding: gzip", "Content-Type: text/html"),
        b"HTTP/1.1 403 No\r\nContent-Length: 9\r\nContent-Type: a/b\r\n\r\nhalf",
    ],
    ids=["coded", "cut"],
)
def test_half_a_body_is_told_in_the_edges_own_words(
    asked: Endpoint, gates: Callable[..., Gate], answer: bytes
) -> None:
    asked.answer = lambda one: answer
    found = denied(gates(timeout=0.2).ask(A, **ALICE))

    assert (found.status, found.body, found.fields) == (403, None, ())


# For how long.


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("max-age=5", 5.0),
        ("private, max-age=5", 5.0),
        ("max-age=3600", 30.0),
        ("private", 30.0),
    ],
)
def test_the_endpoint_may_shorten_the_time_and_no_more(
    asked: Endpoint, gates: Callable[..., Gate], told: str, seconds: float
) -> None:
    asked.answer = lambda one: said(200, b"", f"Cache-Control: {told}")
    gate = gates()
    grant = granted(gate.ask(A, **ALICE))

    assert grant.ends_at == gate.clock.wall() + seconds


@pytest.mark.parametrize("told", ["no-store", "no-cache", "max-age=0", "max-age=x"])
def test_what_may_not_be_kept_is_asked_for_each_time(
    asked: Endpoint, gates: Callable[..., Gate], told: str
) -> None:
    """And lets in for a second: less, and polls would spin."""
    asked.answer = lambda one: said(200, b"", f"Cache-Control: {told}")
    gate = gates()
    for _ in range(3):
        assert granted(gate.ask(A, **ALICE)).ends_at == gate.clock.wall() + 1.0

    assert len(asked.asked) == 3


def test_a_cookie_goes_to_the_one_who_asked_and_is_shared_with_nobody(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B11: whoever waited for the same asks for itself. And nobody keeps the answer."""
    cookies = iter(f"Set-Cookie: s={n}" for n in range(9))
    asked.answer = lambda one: said(200, b"", next(cookies))
    asked.may.clear()
    gate = gates(cache=600.0)

    def one() -> Grant:
        return granted(gate.ask(A, cookie="s=old"))

    greenlets = [gevent.spawn(one) for _ in range(3)]
    until(lambda: len(asked.asked) == 1)
    asked.may.set()
    grants = [greenlet.get() for greenlet in greenlets]

    assert sorted(grant.fields for grant in grants) == [
        (("set-cookie", f"s={n}"),) for n in range(3)
    ]
    assert all(grant.ends_soon for grant in grants)
    granted(gate.ask(A, cookie="s=old"))
    assert len(asked.asked) == 4


# Many at once.


def test_one_credential_from_five_hundred_connections_is_one_ask(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    asked.may.clear()
    gate = gates()
    crowd = [gevent.spawn(gate.ask, A, "192.0.2.1", **ALICE) for _ in range(500)]
    until(lambda: len(asked.asked) == 1)
    asked.may.set()
    gevent.joinall(crowd, raise_error=True)

    assert len({granted(one.value).lease.ends_at for one in crowd}) == 1
    assert len(asked.asked) == 1


def test_a_thousand_cold_credentials_are_asked_about_few_at_a_time(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B18: half of the asks are kept for those who were let in before."""
    gate = gates(cache=10.0)
    old = {"authorization": "Bearer old"}
    granted(gate.ask(A, **old))
    asked.may.clear()
    crowd = [
        gevent.spawn(gate.ask, A, f"192.0.2.{n % 2}", authorization=f"Bearer {n}")
        for n in range(1000)
    ]
    until(lambda: asked.most == 32)
    gate.clock.move(10.0)
    again = gevent.spawn(gate.ask, A, **old)
    until(lambda: asked.most == 33)
    asked.may.set()
    gevent.joinall([*crowd, again], raise_error=True)

    assert all(isinstance(one.value, Resolved) for one in [*crowd, again])
    assert len(asked.asked) == 1002
    assert asked.most <= 64


def test_a_client_that_leaves_takes_no_answer_along(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    asked.may.clear()
    gate = gates()
    left, stays = (gevent.spawn(gate.ask, A, **ALICE) for _ in range(2))
    until(lambda: len(asked.asked) == 1)
    left.kill()
    asked.may.set()
    stays.join()

    granted(stays.value)
    granted(gate.at_once(A, **ALICE))
    assert len(asked.asked) == 1


# Anew.


def test_a_yes_in_its_last_fifth_is_renewed_beside_what_goes_on(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B12: by whoever arrives, who waits for nothing; once, whoever else comes."""
    gate = gates()
    first = granted(gate.ask(A, **ALICE))
    gate.clock.move(23.9)
    granted(gate.at_once(A, **ALICE))
    until_due(gate, first)
    # On the callback not all is known that is asked with.
    assert isinstance(gate.at_once(A, **ALICE), Ask)
    asked.may.clear()
    while_asked = granted(gate.ask(A, **ALICE))
    assert while_asked.ends_at == first.ends_at
    until(lambda: len(asked.asked) == 2)
    granted(gate.at_once(A, **ALICE))
    asked.may.set()
    until(lambda: gate.asks()["forward-let-in"] == 2)

    renewed = granted(gate.at_once(A, **ALICE))
    assert renewed.ends_at == gate.clock.wall() + 30.0
    assert renewed.lease.ends_at > first.lease.ends_at


def test_when_a_renewal_is_due_is_drawn_by_lot(
    gates: Callable[..., Gate],
) -> None:
    gate = gates()
    due = {
        granted(gate.ask(A, authorization=f"Bearer {n}")).expires_at - gate.clock.wall()
        for n in range(20)
    }
    assert len(due) == 20 and all(24.0 <= one <= 30.0 for one in due)


def test_silence_keeps_who_was_let_in_and_lets_in_nobody_new(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B11: until twice the time; and then it is 503, and no 401."""
    gate = gates()
    granted(gate.ask(A, **ALICE))
    asked.answer = lambda one: said(500)
    gate.clock.move(30.0)
    kept = granted(gate.ask(A, **ALICE))
    assert kept.ends_at == gate.clock.wall() + 30.0
    assert refused(gate.ask(A, authorization="Bearer bob")).reason is (
        Reason.ACCESS_UNAVAILABLE
    )
    # It is not asked again at each request, but after a while.
    before = len(asked.asked)
    granted(gate.ask(A, **ALICE))
    settle()
    assert len(asked.asked) == before
    gate.clock.move(6.0)
    granted(gate.ask(A, **ALICE))
    until(lambda: gate.asks()["forward-unanswered"] == 3)
    assert len(asked.asked) == before + 1
    gate.clock.move(24.0)

    assert refused(gate.ask(A, **ALICE)).reason is Reason.ACCESS_UNAVAILABLE
    asked.answer = lambda one: said(200)
    granted(gate.ask(A, **ALICE))


def test_a_no_at_a_renewal_ends_the_yes_at_once(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    gate = gates()
    first = granted(gate.ask(A, **ALICE))
    asked.answer = lambda one: said(401)
    until_due(gate, first)
    granted(gate.ask(A, **ALICE))
    until(lambda: gate.asks().get("forward-refused") == 1)

    assert denied(gate.ask(A, **ALICE)).status == 401
    # Nor does silence bring it back.
    asked.answer = lambda one: said(500)
    gate.clock.move(2.0)
    refused(gate.ask(A, **ALICE))


def test_what_was_begun_before_a_change_is_asked_again(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """What was told then may be what has just been taken back."""
    gate = gates()
    asked.may.clear()
    one = gevent.spawn(gate.ask, A, **ALICE)
    until(lambda: len(asked.asked) == 1)
    gate.rings.changed()
    asked.may.set()
    one.join()

    granted(one.value)
    assert len(asked.asked) == 2


def test_the_time_that_an_ask_took_is_part_of_its_time(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B3: a grant ends when the verdict does, however long it was waited for."""
    gate = gates()
    asked.may.clear()
    one = gevent.spawn(gate.ask, A, **ALICE)
    until(lambda: len(asked.asked) == 1)
    begun = gate.clock.monotonic()
    gate.clock.move(5.0)
    asked.may.set()

    assert granted(one.get()).lease.ends_at == begun + 30.0


def test_who_is_let_in_by_a_slow_answer_stays_a_second_all_the_same(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B3: otherwise an endpoint that takes longer than it may be believed would let in
    nobody."""
    asked.answer = lambda one: said(200, b"", "Cache-Control: no-store")
    gate = gates()
    asked.may.clear()
    one = gevent.spawn(gate.ask, A, **ALICE)
    until(lambda: len(asked.asked) == 1)
    gate.clock.move(4.0)
    asked.may.set()

    assert granted(one.get()).lease.ends_at == gate.clock.monotonic() + 1.0


def test_who_was_let_in_may_be_let_in_again_unless_a_cookie_was_set(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    """B12: another ask would set another cookie."""
    gate = gates()
    assert granted(gate.ask(A, **ALICE)).renewable
    asked.answer = lambda one: said(200, b"", "Set-Cookie: s=1")

    assert not granted(gate.ask(A, cookie="s=0")).renewable


def test_a_clock_that_is_put_back_lengthens_no_verdict(
    asked: Endpoint, gates: Callable[..., Gate]
) -> None:
    gate = gates()
    granted(gate.ask(A, **ALICE))
    gate.clock.unix -= 3600.0
    asked.answer = lambda one: said(401)

    assert denied(gate.ask(A, **ALICE)).status == 401


def test_calls_at_once_end_together(gates: Callable[..., Gate]) -> None:
    """No greenlet of a test is left over: each of these has its own answer."""
    gate = gates()
    found = together(*(lambda n=n: gate.ask(A + str(n), **ALICE) for n in range(100)))

    assert all(isinstance(one, Resolved) for one in found)
