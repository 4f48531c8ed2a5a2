"""Routes that judge, through the application: what is refused, what the origin gets.

A5, B5, B8, B9, B17, B22.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from edge.access.authorizer import AccessAuthorizer
from edge.access.credentials import by_ways
from edge.access.key_ring import KeyRings
from edge.core.counters import Counters
from edge.core.reasons import Reason
from edge.core.values import Lease, OriginRequest
from edge.front.exchange import Request, RequestBody
from edge.policy.streams.authorize import UNJUDGED, AccessVerdict, Grant
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import (
    AUTHORIZATION,
    CredentialSource,
    Secret,
    SignedWay,
    TokenPlace,
)
from origin_adapter.scripted import PlayedExchange
from tests.access.issuer import NOW, SECRET, WAY, said, shared
from tests.front.app.test_handler import LEFT_OUT, Driver, Told, body, get, head_of
from tests.live.support import TestClock

A = "/v1/stream/a"
ROUTE = by_ways(
    Route(origin_headers=(("Authorization", "edge"),)),
    (
        SignedWay((("k1", b"a key of the tests, which has 32 b."),)),
        replace(
            WAY,
            keys=(Secret(SECRET),),
            algorithms=("HS256",),
            sources=(AUTHORIZATION, CredentialSource(TokenPlace.QUERY, "access_token")),
        ),
    ),
)


@dataclass(eq=False)
class Gated(Driver):
    """A front whose one route judges; a clock that stands at the tokens' time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        clock = TestClock()
        clock.unix = NOW
        rings = KeyRings((ROUTE,), _nothing, _nothing, clock, Counters())
        judge = AccessAuthorizer((ROUTE,), rings, clock, self.made.counters)
        self.made = replace(self.made, routes=(ROUTE,), authorizer=judge, clock=clock)

    @property
    def sent(self) -> OriginRequest:
        """The one request that the origin got."""
        [request] = self.asked
        return request


def _nothing(where: str) -> bytes:
    raise AssertionError(where)


def token(*written: str) -> str:
    return shared(said(streams={"read": ["/v1/stream/**"], "write": list(written)}))


def write(target: str, method: str = "POST", **fields: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Request(method, target, {"content-type": "text/plain"} | named)


def problem(events: list[Told]) -> tuple[int, object]:
    return head_of(events)[0], events[-1][1]


def test_a_granted_write_carries_the_edges_credential_and_no_other() -> None:
    """B8, B9: neither in its fields nor in its target."""
    driver = Gated()
    text = token(A)
    driver(write(f"{A}?x=1&access_token={text}", stream_seq="1", cookie="a=b"))
    sent = dict(driver.sent.headers)

    assert driver.sent.target == f"{A}?x=1"
    assert sent["authorization"] == "edge"
    assert sent["stream-seq"] == "1" and sent["cookie"] == "a=b"
    assert text not in repr((driver.sent.target, driver.sent.headers))


def test_no_client_takes_off_what_the_edge_says_of_itself() -> None:
    """B9: by naming it in Connection, as a proxy would for one connection."""
    driver = Gated()
    named = "authorization, x-user, stream-seq"
    driver.made = replace(driver.made, routes=(replace(ROUTE, identity=("x-user",)),))
    request = write(A, authorization=f"Bearer {token(A)}", connection=named)
    request.fields["stream-seq"] = "1"
    driver(request)
    sent = dict(driver.sent.headers)

    assert sent["authorization"] == "edge" and sent["x-user"] == "alice"
    assert "stream-seq" not in sent and "connection" not in sent


def test_a_granted_write_moves_what_its_readers_read() -> None:
    """U13, B8: its key has no credential, as theirs has none."""
    driver = Gated()
    text = token(A)
    driver(write(A, "PUT", authorization=f"Bearer {text}"))
    driver(write(f"{A}?access_token={text}"))

    assert [line for line in driver.told if line.startswith("wrote")] == [
        f"wrote {ROUTE.match} {A} PUT 201",
        f"wrote {ROUTE.match} {A} POST 404",
    ]


@pytest.mark.parametrize("spelling", ["x-user", "x_user"])
@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("alice", "alice"),
        ("alice@issuer.example", "alice@issuer.example"),
        ("a\r\nb\u00e9 c", "a%0D%0Ab%C3%A9%20c"),
        (None, None),
    ],
)
def test_the_origin_is_told_who_writes_by_the_edge_alone(
    spelling: str, subject: str | None, told: str | None
) -> None:
    """B9: whatever the client says of itself."""
    driver = Gated()
    route = replace(ROUTE, identity=("x-user",))
    driver.made = replace(driver.made, routes=(route,))
    grants = {"read": [A], "write": [A]}
    text = shared(said(streams=grants, sub=subject))
    request = write(A, authorization=f"Bearer {text}")
    request.fields[spelling] = "mallory"
    driver(request)
    sent = dict(driver.sent.headers)

    assert sent.get("x-user") == told
    assert "mallory" not in sent.values()


def test_nobody_says_who_they_are_where_nobody_judges() -> None:
    """B9: on other routes, and of what is open."""
    driver = Gated()
    route, other = replace(ROUTE, identity=("x-user",)), Route("/v2/**")
    driver.made = replace(driver.made, routes=(route, other))
    target = "/v1/stream/__ds/subscriptions/s/ack"
    for path in ("/v2/a", target):
        request = write(path)
        request.fields["x-user"] = "mallory"
        driver(request)

    assert all("x-user" not in dict(sent.headers) for sent in driver.asked)
    assert len(driver.asked) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("text", ["", "Bearer bad", f"Bearer {shared()}"])
def test_a_write_that_is_not_granted_never_reaches_the_origin(
    method: str, text: str
) -> None:
    """A5, B9: it is judged at its head, and nothing of its body is read."""

    def read(size: int) -> bytes:
        raise AssertionError("read")

    driver = Gated()
    request = write(A, method, authorization=text)
    request.body = RequestBody(read, 9)
    status, reason = problem(driver(request))

    assert status in (401, 403) and isinstance(reason, Reason)
    assert not driver.asked and not driver.told


def test_a_fork_of_what_may_not_be_read_never_reaches_the_origin() -> None:
    """B22."""
    driver = Gated()
    text = shared(said(streams={"read": [A], "write": [A]}))
    fork = write(A, "PUT", authorization=f"Bearer {text}", stream_forked_from=A + "b")

    assert problem(driver(fork)) == (403, Reason.PATH_NOT_GRANTED)
    assert not driver.asked


def test_the_answer_to_a_granted_write_is_kept_by_nobody() -> None:
    """B17."""
    driver = Gated()
    events = driver(write(A, "PUT", authorization=f"Bearer {token(A)}"))

    assert head_of(events)[1]["cache-control"] == "no-store"


def test_what_is_open_keeps_the_origins_credential() -> None:
    """B5: and gets none of the edge's."""
    driver = Gated()
    target = "/v1/stream/__ds/subscriptions/s/ack?token=of-the-origin"
    driver(write(target, authorization="Bearer of-the-origin"))

    assert driver.sent.target == target
    assert dict(driver.sent.headers)["authorization"] == "Bearer of-the-origin"


def test_what_is_open_carries_no_cookie_of_a_viewer() -> None:
    """B5, B8: a browser sends it along by itself, and nobody looked at it."""
    driver = Gated()
    cookie = CredentialSource(TokenPlace.COOKIE, "session")
    way = replace(WAY, keys=(Secret(SECRET),), algorithms=("HS256",), sources=(cookie,))
    driver.made = replace(driver.made, routes=(by_ways(Route(), (way,)),))
    driver.authorizing(lambda request: UNJUDGED)
    target = "/v1/stream/__ds/subscriptions/s/ack"
    driver(write(target, cookie="a=b; session=t; session =u"))

    assert dict(driver.sent.headers)["cookie"] == "a=b"


def test_a_judged_control_path_carries_the_edges_credential() -> None:
    """B5, B9."""
    driver = Gated()
    text = token("/v1/stream/**")
    target = "/v1/stream/__ds/subscriptions/s"
    driver(write(f"{target}?access_token={text}", "PUT"))

    assert driver.sent.target == target
    assert dict(driver.sent.headers)["authorization"] == "edge"


def test_an_unknown_live_passes_with_the_edges_credential() -> None:
    """B8: a GET, so with nothing of its client."""
    driver = Gated()
    query = f"offset=-1&live=odd&access_token={token()}"
    driver(get("a", query, x_any="1", cookie="a=b"))
    sent = dict(driver.sent.headers)

    assert driver.sent.target == f"{A}?offset=-1&live=odd"
    assert sent["authorization"] == "edge"
    assert "x-any" not in sent and "cookie" not in sent


def test_a_passed_body_is_cut_when_the_grant_ends() -> None:
    """B3: between two pieces, and the exchange is closed."""
    driver = Driver().authorizing(lambda request: Grant(lease=_left(driver, 0.02)))
    events: list[Any] = driver(get("forever", "live=odd"))

    assert events[-1] == ("cut", Reason.GRANT_ENDED)
    assert "exchange closed" in driver.told


def test_a_document_that_comes_after_the_end_is_not_passed_on() -> None:
    """B3: it is read whole before the head goes out, however slowly it comes."""
    driver = Gated()
    clock: Any = driver.made.clock

    class Late(PlayedExchange):
        def read(self) -> bytes:
            clock.move(60.0)
            return super().read()

    def opened(request: OriginRequest, on_sent: Any = None) -> Late:
        late = Late(200, (("content-type", "application/json"),))
        late.put(b"{}")
        late.end()
        return late

    driver.open = opened  # type: ignore[method-assign]
    driver.authorizing(lambda request: Grant(lease=_left(driver, 60.0)))

    asked = get("__ds/subscriptions/s")
    assert problem(driver(asked)) == (503, Reason.GRANT_ENDED)


def _left(driver: Driver, seconds: float) -> Lease:
    return Lease(driver.made.clock.monotonic() + seconds)


@pytest.mark.parametrize("path", ["forever?live=odd", "__ds/subscriptions/s"])
def test_what_is_over_before_it_was_sent_is_not_sent(path: str) -> None:
    """B22: while another verdict was waited for, or an order came."""
    driver = Driver().authorizing(lambda request: Grant(lease=Lease(0.0)))
    for request in (get(*path.split("?")), write(f"/v1/stream/{path}")):
        assert problem(driver(request)) == (503, Reason.GRANT_ENDED)

    assert not driver.asked


@pytest.mark.parametrize("path", ["ended", "fields?live=odd"])
@pytest.mark.parametrize(("last", "status"), [(Lease(), 200), (Lease(0.0), 503)])
def test_what_was_over_before_its_answer_is_judged_once_more(
    path: str, last: Lease, status: int
) -> None:
    """B12: as if it came then. If the second verdict has ended too, there is no third
    one."""
    leases = [Lease(0.0), last]
    driver = Driver()
    driver.authorizing(lambda _: Grant(lease=leases.pop(0), renewable=True))
    events = driver(get(*path.split("?")))

    assert head_of(events)[0] == status
    assert leases == []


def test_a_write_that_was_not_sent_is_judged_once_more() -> None:
    """B12: and then it is sent, once, with all of its body."""
    leases = [Lease(0.0), Lease()]
    driver = Driver()
    driver.authorizing(lambda _: Grant(lease=leases.pop(0), renewable=True))
    request = write("/v1/stream/swallow")
    request.body = body(b"abc")

    assert driver(request)[1] == ("piece", b"3 bytes, 1 at most")
    assert len(driver.asked) == 1


def test_what_is_denied_then_hears_why() -> None:
    """B12: by the same words as if it came then."""
    ended = Grant(lease=Lease(0.0), renewable=True)
    verdicts: list[AccessVerdict] = [ended, LEFT_OUT]
    driver = Driver().authorizing(lambda _: verdicts.pop(0))

    assert problem(driver(get("ended"))) == (401, Reason.EXPIRED_CREDENTIAL)


def test_an_order_is_no_end_that_a_new_verdict_could_lift() -> None:
    """A10."""
    lease = Lease(0.0, why=Reason.REVOKED)
    driver = Driver().authorizing(lambda _: Grant(lease=lease, renewable=True))

    assert problem(driver(get("ended"))) == (503, Reason.REVOKED)


def test_a_write_that_was_done_is_told_to_its_client() -> None:
    """Though its grant ends meanwhile."""
    lease = Lease()
    driver = ending(lease, Reason.REVOKED)
    driver.authorizing(lambda request: Grant(lease=lease))

    assert head_of(driver(write("/v1/stream/swallow")))[0] == 200


def test_an_answer_that_comes_after_the_end_is_not_passed_on() -> None:
    """B3, B13: of a read; and the reason is told."""
    lease = Lease()
    driver = ending(lease, Reason.REVOKED)
    driver.authorizing(lambda request: Grant(lease=lease))

    assert problem(driver(get("forever", "live=odd"))) == (503, Reason.REVOKED)


def ending(lease: Lease, why: Reason) -> Driver:
    """A front whose origin takes so long that the lease ends."""
    driver = Driver()
    plain = driver.open

    def opened(request: OriginRequest, on_sent: Any = None) -> Any:
        exchange = plain(request, on_sent)
        lease.end(0.0, why)
        return exchange

    driver.open = opened  # type: ignore[method-assign]
    return driver


def test_a_passed_body_is_cut_when_its_token_is_revoked() -> None:
    """B13: its end was far away when it began. The origin sends no more meanwhile."""
    lease = Lease(10**9)
    driver = Driver().authorizing(lambda request: Grant(lease=lease))

    class Silent(PlayedExchange):
        def read(self) -> bytes:
            lease.end(0.0, Reason.REVOKED)
            return super().read()

    driver.open = lambda *_: Silent(200, ())  # type: ignore[method-assign]
    events: list[Any] = driver(get("forever", "live=odd"))

    assert events[-1] == ("cut", Reason.REVOKED)


@pytest.mark.parametrize(
    ("why", "left"), [(Reason.REVOKED, b""), (Reason.GRANT_ENDED, b"bc")]
)
def test_a_write_under_way_is_cut_when_its_token_is_revoked(
    why: Reason, left: bytes
) -> None:
    """B13: what comes of it then does not reach the origin, which sees it cut. One
    whose grant only ends may finish: it was judged at its head (B9)."""
    lease = Lease(10**9)
    came: list[bytes] = []

    def opened(request: OriginRequest, on_sent: Any = None) -> Any:
        assert isinstance(request.body, Iterator)
        came.append(next(request.body))
        lease.end(0.0, why)
        came.extend(request.body)
        done = PlayedExchange(204, ())
        done.end()
        return done

    driver = Driver().authorizing(lambda request: Grant(lease=lease))
    driver.open = opened  # type: ignore[method-assign]
    request = write("/v1/stream/swallow")
    request.body = body(b"abc")
    events = driver(request)

    assert b"".join(came) == b"a" + left
    wrote = [line for line in driver.told if line.startswith("wrote")]
    if why is Reason.REVOKED:
        assert problem(events) == (503, Reason.REVOKED)
        assert wrote == ["wrote /v1/stream/** /v1/stream/swallow POST None"]
    else:
        assert head_of(events)[0] == 204


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/elsewhere", 404, Reason.NOT_FOUND),
        ("/v1/STREAM/a", 400, Reason.BAD_PATH),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_what_is_not_asked_for_at_all_goes_nowhere(
    target: str, status: int, reason: Reason, method: str
) -> None:
    """B1: whoever asks."""
    driver = Gated()
    request = Request(method, target, {"authorization": f"Bearer {token('/**')}"})

    assert problem(driver(request)) == (status, reason)
    assert not driver.asked
