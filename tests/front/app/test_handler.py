"""The application without Falcon, without a socket: a Request in, events out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import OriginRequest, Purpose
from edge.front.app.handler import RequestHandler
from edge.front.dependencies import Dependencies
from edge.front.exchange import (
    AnswerCut,
    ClientGone,
    Request,
    RequestBody,
    RequestContext,
)
from edge.policy.http.client_address import Caller
from edge.policy.streams.authorize import AccessVerdict, Ask, Denied, Grant, RequestHead
from origin_adapter.blocking import BeginsByOpen
from tests.front.fake_edge import FakeOrigin, FakeReadService, parts
from tests.support.patience import PATIENCE

Told = tuple[str, object]
LEFT_OUT = Denied(Reason.EXPIRED_CREDENTIAL, "The token has expired.", 401, "Bearer")


@dataclass(eq=False)
class FakeWatch:
    """Implements ClientWatch: the test says when the client leaves."""

    gone: Callable[[], None] = lambda: None
    state: str = "new"

    def __call__(self, gone: Callable[[], None]) -> "FakeWatch":
        self.gone = gone
        return self

    def start(self) -> None:
        self.state = "watching"

    def pause(self) -> None:
        self.state = "paused"

    def close(self) -> None:
        self.state = "closed"


@dataclass(eq=False)
class Driver(BeginsByOpen):
    """A front that writes down what it is told, event by event."""

    told: list[str] = field(default_factory=list)
    made: Dependencies = field(init=False)
    read_service: FakeReadService = field(init=False)
    asked: list[OriginRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.read_service = FakeReadService(self.told.append)
        self.made = parts(self.read_service, self)

    def open(self, request: OriginRequest, on_sent: Any = None) -> Any:
        """Implements ``edge.core.ports.Origin``, and keeps what it is asked."""
        self.asked.append(request)
        return FakeOrigin(self.told.append).open(request, on_sent)

    def authorizing(self, verdict: Callable[[RequestHead], AccessVerdict]) -> "Driver":
        """Have every request judged so."""
        self.made = replace(
            self.made, authorizer=lambda route, request, now: verdict(request)
        )
        return self

    def __call__(self, request: Request) -> list[Told]:
        ctx = RequestContext(request.method, request.target, "id-1")
        try:
            return list(self._events(request, ctx))
        finally:
            ctx.release()

    def _events(self, request: Request, ctx: RequestContext) -> Iterator[Told]:
        try:
            response = RequestHandler(self.made).respond(request, ctx)
            answer = response.answer
            yield "head", (answer.status, dict(answer.headers))
            if answer.body:
                yield "piece", answer.body
            for piece in response.body or ():
                if piece:
                    yield "piece", piece
            yield "end", ctx.reason
        except AnswerCut as cut:
            yield "cut", cut.error.reason
        except ClientGone:
            yield "gone", None


def get(path: str, query: str = "", **fields: str) -> Request:
    target = f"/v1/stream/{path}" + (f"?{query}" if query else "")
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Request("GET", target, named)


def body(data: bytes) -> RequestBody:
    """Content of which one byte comes at a time."""
    left = list(data)
    return RequestBody(lambda size: bytes([left.pop(0)]) if left else b"", len(data))


def head_of(events: list[Told]) -> tuple[int, dict[str, str]]:
    name, head = events[0]
    assert name == "head" and isinstance(head, tuple)
    return head


def test_a_hit_is_a_head_a_piece_and_the_end() -> None:
    """What the hub gave, and nothing that belongs to a version of HTTP."""
    events = Driver()(get("hit"))

    assert head_of(events) == (
        200,
        {"Content-Type": "text/plain", "Stream-Next-Offset": "7"},
    )
    assert events[1:] == [("piece", b"hello\n"), ("end", None)]


def test_a_long_poll_waits_for_its_answer() -> None:
    """In its greenlet; its client is watched meanwhile."""
    driver, watch = Driver(), FakeWatch()
    request = get("park", "offset=7&live=long-poll")
    request.watch = watch
    waiting = gevent.spawn(driver, request)
    gevent.sleep(0)
    assert watch.state == "watching" and not waiting.ready()
    driver.read_service.release()
    events = waiting.get(timeout=PATIENCE)

    assert head_of(events)[0] == 204
    assert events[1:] == [("end", None)]
    assert watch.state == "closed"


def test_a_client_that_leaves_is_answered_nothing_and_let_go() -> None:
    """E46; the hub hears of it once."""
    driver, watch = Driver(), FakeWatch()
    request = get("park", "offset=7&live=long-poll")
    request.watch = watch
    waiting = gevent.spawn(driver, request)
    gevent.sleep(0)
    watch.gone()

    assert waiting.get(timeout=PATIENCE) == [("gone", None)]
    assert driver.told.count("gone /v1/stream/park") == 1


def test_an_event_stream_is_a_head_and_pieces() -> None:
    """Each write by itself."""
    events = Driver()(get("events", "offset=-1&live=sse"))

    assert head_of(events)[1]["Content-Type"] == "text/event-stream"
    assert events[1:] == [
        *(("piece", b"data:%d\n\n" % number) for number in range(3)),
        ("end", None),
    ]


def test_a_stream_that_breaks_off_is_cut_after_what_it_had() -> None:
    """Not ended: it must not look complete."""
    events = Driver()(get("cut", "offset=-1&live=sse"))

    assert [name for name, _ in events] == ["head", "piece", "piece", "cut"]
    assert events[-1] == ("cut", Reason.ORIGIN_TIMEOUT)


def test_a_head_has_no_piece() -> None:
    request = get("hit")
    request.method = "HEAD"
    events = Driver()(request)

    assert [name for name, _ in events] == ["head", "end"]


def test_a_write_goes_to_the_origin_and_its_answer_comes_back() -> None:
    """Its content in pieces; the hub hears of it before the client does."""
    driver = Driver()
    request = Request("POST", "/v1/stream/swallow", {}, body=body(b"abc"))
    request.client = Caller("192.0.2.1")
    events = driver(request)

    assert head_of(events)[0] == 200
    assert events[1:] == [("piece", b"3 bytes, 1 at most"), ("end", Reason.METHOD)]
    [upstream] = driver.asked
    assert (upstream.method, upstream.purpose) == ("POST", Purpose.WRITE)
    assert dict(upstream.headers)["x-forwarded-for"] == "192.0.2.1"
    assert driver.told == ["wrote /v1/stream/** /v1/stream/swallow POST 200"]
    assert not request.body_left


def test_a_passing_answer_that_breaks_off_is_cut() -> None:
    """What came of it was passed on."""
    request = Request("PUT", "/v1/stream/half", {}, body=body(b"abc"))
    events = Driver()(request)

    assert events[1:] == [
        ("piece", b"half"),
        ("cut", Reason.ORIGIN_BODY_CUT),
    ]


def test_a_client_that_leaves_an_endless_answer_ends_it() -> None:
    driver, watch = Driver(), FakeWatch()
    request = Request("POST", "/v1/stream/forever", {}, body=body(b"x"), watch=watch)
    waiting = gevent.spawn(driver, request)
    gevent.sleep(0)
    watch.gone()

    assert waiting.get(timeout=PATIENCE)[-1] == ("gone", None)


def test_a_preflight_is_answered_here() -> None:
    """L18. A browser sends no credential with it, so none is asked for."""
    driver = Driver().authorizing(lambda request: LEFT_OUT)
    request = get("hit", access_control_request_method="POST")
    request.method = "OPTIONS"
    events = driver(request)

    status, fields = head_of(events)
    assert status == 204
    assert "POST" in fields["Access-Control-Allow-Methods"]
    assert events[1:] == [("end", None)]


@pytest.mark.parametrize(
    ("asked", "status", "reason"),
    [
        (get("fail"), 504, Reason.ORIGIN_TIMEOUT),
        (get(".."), 400, Reason.BAD_PATH),
        (get("hit", "offset="), 400, Reason.EMPTY_OFFSET),
        (Request("TRACE", "/v1/stream/hit"), 501, Reason.BAD_HEAD),
        (Request("GET", "/v1/stream/hit", body=body(b"x")), 400, Reason.BODY_ON_READ),
        (get("hit", **{"cdn-loop": "ds-edge;node=c0ffee"}), 508, Reason.LOOP),
    ],
)
def test_an_error_is_a_problem(asked: Request, status: int, reason: Reason) -> None:
    """And counted once."""
    driver = Driver()
    events = driver(asked)

    assert head_of(events)[0] == status
    assert head_of(events)[1]["Content-Type"] == "application/problem+json"
    assert [name for name, _ in events] == ["head", "piece", "end"]
    assert events[-1] == ("end", reason)
    assert driver.made.counters.problems == {str(status): 1}
    assert driver.made.counters.internal_errors == 0


def chunked(*pieces: bytes) -> RequestBody:
    """Content of no announced length."""
    left = list(pieces)
    return RequestBody(lambda size: left.pop(0) if left else b"", None)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_whose_chunked_body_is_empty_has_none(method: str) -> None:
    """On a route. Nothing of it goes on, and the connection can be kept."""
    request = Request(method, "/v1/stream/hit", {}, body=chunked())
    events = Driver()(request)

    assert head_of(events)[0] == 200
    assert not request.body_left


def test_a_read_whose_chunked_body_is_not_empty_is_refused() -> None:
    """P4. What is left of it is no request."""
    request = Request("GET", "/v1/stream/hit", {}, body=chunked(b"x"))
    events = Driver()(request)

    assert (head_of(events)[0], events[-1]) == (400, ("end", Reason.BODY_ON_READ))
    assert request.body_left


def test_who_is_not_let_in_is_not_waited_for() -> None:
    """B9: it is judged by its head; the body may never come."""

    def never(size: int) -> bytes:
        raise AssertionError("read")

    request = Request("GET", "/v1/stream/hit", {}, body=RequestBody(never, None))
    events = Driver().authorizing(lambda request: LEFT_OUT)(request)

    assert head_of(events)[0] == 401
    assert request.body_left


def test_a_defect_is_a_problem_without_detail() -> None:
    driver = Driver()
    events = driver(get("broken"))

    assert head_of(events)[0] == 500
    assert b"as the test asked" not in repr(events).encode()
    assert driver.made.counters.internal_errors == 1


# -- authorize ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_what_is_denied_hears_why_and_reaches_nobody(method: str) -> None:
    """Neither the hub nor the origin; a 401 says how to do better."""
    driver = Driver().authorizing(lambda request: LEFT_OUT)
    request = get("hit")
    request.method = method
    status, fields = head_of(driver(request))

    assert (status, fields["WWW-Authenticate"]) == (401, "Bearer")
    assert fields["Cache-Control"] == "no-store"
    assert not driver.read_service.reads and not driver.asked
    assert driver.made.counters.client_faults == {"expired-credential": 1}


def test_a_403_has_no_challenge() -> None:
    no = Denied(Reason.EXPIRED_CREDENTIAL, "Not this path.")
    status, fields = head_of(Driver().authorizing(lambda _: no)(get("hit")))

    assert status == 403
    assert "WWW-Authenticate" not in fields


@pytest.mark.parametrize(("verdict", "status"), [(Grant(), 200), (LEFT_OUT, 401)])
def test_what_must_be_asked_for_is_waited_for(
    verdict: Grant | Denied, status: int
) -> None:
    """In the request's own greenlet, after which it goes on as ever."""
    known = Event()

    def asked() -> Grant | Denied:
        known.wait()
        return verdict

    driver = Driver().authorizing(lambda request: Ask(asked))
    waiting = gevent.spawn(driver, get("hit"))
    gevent.sleep(0)
    assert not waiting.ready() and not driver.read_service.reads
    known.set()

    assert head_of(waiting.get(timeout=PATIENCE))[0] == status


def test_an_authorizer_that_fails_lets_nobody_in() -> None:
    """A defect is never a grant."""

    def broken(request: RequestHead) -> AccessVerdict:
        raise ZeroDivisionError

    driver = Driver().authorizing(broken)

    assert head_of(driver(get("hit")))[0] == 500
    assert not driver.read_service.reads


def test_what_is_malformed_or_on_no_route_is_not_judged() -> None:
    """There is nothing to be let into."""
    judged: list[str] = []

    def judge(request: RequestHead) -> AccessVerdict:
        judged.append(request.target)
        return Grant()

    driver = Driver().authorizing(judge)
    driver(get(".."))
    driver(Request("GET", "/elsewhere"))
    driver(get("hit"))

    assert judged == ["/v1/stream/hit"]


def test_an_authorizer_sees_what_was_sent() -> None:
    """Method, target, its parts, and fields by lower-case name."""
    seen: list[RequestHead] = []

    def judge(request: RequestHead) -> AccessVerdict:
        seen.append(request)
        return Grant()

    request = get("hit", "a=1&%62=2", authorization="Bearer x")
    request.target = "http://other.test" + request.target
    Driver().authorizing(judge)(request)
    [head] = seen

    assert (head.method, head.target) == ("GET", "/v1/stream/hit?a=1&%62=2")
    assert head.path == "/v1/stream/hit"
    assert [one.name for one in head.parameters] == ["a", "b"]
    assert head.lookup("authorization") == "Bearer x"
    assert request.fields["host"] == "other.test"


def test_a_body_that_is_too_large_never_reaches_the_origin() -> None:
    """Its length says so before a byte is read."""
    with pytest.raises(ClientFault):
        body(b"abc").pieces(2)
