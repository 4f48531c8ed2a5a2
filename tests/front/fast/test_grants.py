"""What the fast way remembers holds as long as the grant behind it."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.event import Event

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.values import GRANTED, NO_END, Lease, Mode
from edge.front.app.app import create_app
from edge.front.fast.stages import READ_SIZE, Stage
from edge.front.http1.connection import GreenletConnection
from edge.front.transport import BlockingStream, PlainTransport
from edge.policy.http.client_address import Caller, Peer
from edge.policy.streams.authorize import (
    AccessVerdict,
    Ask,
    Denied,
    Grant,
    RequestHead,
)
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import ForwardWay
from tests.front.fast.test_connection import Bench

START = 1_700_000_000.0
LEFT_OUT = Denied(Reason.EXPIRED_CREDENTIAL, "The token has expired.", 401, "Bearer")
ADDRESS = ("192.0.2.1", 8080)

_CHANGING = re.compile(rb"(?i)\r\n(?:date|x-request-id): [^\r]*")
_INSTANCE = re.compile(rb'"instance":"[^"]*"')


@dataclass(eq=False)
class HeldClock:
    """Both clocks, moved by the test; they need not begin at the same time."""

    since: float = 0.0

    def wall(self) -> float:
        return START + self.since

    def monotonic(self) -> float:
        return 50.0 + self.since


@dataclass(eq=False)
class Judge:
    """An authorizer that counts, and gives the verdict that the test wants."""

    verdict: AccessVerdict = field(default_factory=Grant)
    asked: int = 0

    def __call__(self, route: Route, request: RequestHead, now: float) -> AccessVerdict:
        self.asked += 1
        return self.verdict


@dataclass(eq=False)
class Gate:
    """A fast connection before the real application, a judge and a clock."""

    judge: Judge = field(default_factory=Judge)
    clock: HeldClock = field(default_factory=HeldClock)
    routes: tuple[Route, ...] = (Route(),)

    def __post_init__(self) -> None:
        self.bench = Bench(authorizer=self.judge, clock=self.clock, routes=self.routes)
        app: Any = create_app(self.bench.made)
        self.bench.server_context.app = app
        self.bench.connection._listener = ADDRESS

    def get(self, path: str = "kept", *fields: str) -> bytes:
        """Ask, and what is answered at once."""
        self.bench.get(path, *fields)
        self.bench.catch_up()
        return self.received()

    def received(self) -> bytes:
        """What has come of answers."""
        self.bench.client.settimeout(0.0)
        try:
            return self.bench.client.recv(READ_SIZE)
        except BlockingIOError:
            return b""

    @property
    def remembered(self) -> int:
        return len(self.bench.context.heads)


@contextmanager
def gate(verdict: AccessVerdict) -> Iterator[Gate]:
    made = Gate(Judge(verdict))
    try:
        yield made
    finally:
        made.bench.close()


def test_a_grant_without_an_end_is_asked_for_once() -> None:
    """A12: what nothing ends costs nothing."""
    with gate(Grant()) as made:
        for _ in range(5):
            assert b"kept" in made.get()
            made.clock.since += 1e9

        assert made.judge.asked == 1
        assert {plain.until for _, plain in made.bench.context.heads.values()} == {
            NO_END
        }


def test_a_head_is_remembered_until_its_grant_ends() -> None:
    """Not an instant longer; then the authorizer is asked again, once."""
    with gate(Grant(expires_at=START + 10.0)) as made:
        for _ in range(4):
            assert b"kept" in made.get()
        assert made.remembered == 1
        made.clock.since = 9.75
        assert b"kept" in made.get()
        assert made.judge.asked == 1

        made.judge.verdict = Grant(expires_at=START + 20.0)
        made.clock.since = 10.0
        for _ in range(4):
            assert b"kept" in made.get()
        assert made.judge.asked == 2
        assert len(made.bench.peeked) == 9
        made.clock.since = 20.0
        made.judge.verdict = LEFT_OUT
        assert made.get().startswith(b"HTTP/1.1 401 ")
        # The fast way asks, and the whole way, which answers.
        assert made.judge.asked == 4


def test_a_client_repeats_its_head_also_when_the_memo_has_forgotten_it() -> None:
    """Each connection knows its last head: with more clients than the memo holds, each
    with a token of its own, a repeated one is still not judged."""
    with gate(Grant(expires_at=START + 10.0)) as made:
        for _ in range(3):
            made.get()
        made.bench.context.heads.clear()
        for _ in range(3):
            assert b"kept" in made.get()
        assert not made.remembered

        assert b"kept" in made.get("kept", "X-Other: 1")
        made.clock.since = 10.0
        made.judge.verdict = LEFT_OUT
        assert made.get().startswith(b"HTTP/1.1 401 ")


def test_several_requests_in_one_go_are_no_way_around_the_end() -> None:
    """Each head is looked up by itself."""
    with gate(Grant(expires_at=START + 10.0)) as made:
        for _ in range(3):
            made.get()
        made.clock.since = 10.0
        made.judge.verdict = LEFT_OUT
        head = b"GET /v1/stream/kept HTTP/1.1\r\nHost: edge.test\r\n\r\n"
        assert head in made.bench.context.heads
        made.bench.client.settimeout(5.0)
        made.bench.client.sendall(head + head)
        received = b""
        for _ in range(50):
            made.bench.turn()
            made.bench.catch_up()
            received += made.received()

        assert received.count(b"HTTP/1.1 401 ") == 2
        assert b"kept\n" not in received


def test_a_client_that_numbers_its_requests_is_judged_anew_too() -> None:
    """Its heads are never remembered whole."""
    with gate(Grant(expires_at=START + 10.0)) as made:
        for number in range(4):
            assert b"kept" in made.get("kept", f"X-Number: {number}")
        assert made.judge.asked == 1
        made.clock.since = 10.0
        made.judge.verdict = LEFT_OUT

        assert made.get("kept", "X-Number: 9").startswith(b"HTTP/1.1 401 ")


def test_a_grant_that_had_ended_before_is_not_plain() -> None:
    """The whole way is given what comes of it."""
    with gate(Grant(expires_at=START)) as made:
        for _ in range(4):
            assert b"hello\n" in made.get()
        assert not made.remembered and not made.bench.peeked


@pytest.mark.parametrize("status", [401, 403])
def test_a_denial_is_the_same_answer_both_ways(status: int) -> None:
    """And is remembered nowhere."""
    denied = Denied(Reason.EXPIRED_CREDENTIAL, "No.", status, "Bearer")
    with gate(denied) as made:
        fast = made.get()
        assert made.get().startswith(b"HTTP/1.1 %d " % status)
        assert not made.remembered and not made.bench.read_service.reads
        whole = served_whole(made)

    assert compared(fast) == compared(whole)


def served_whole(made: Gate) -> bytes:
    """What the same request is answered without the fast way."""
    edge, client = gevent_socket.socketpair()
    client.sendall(b"GET /v1/stream/kept HTTP/1.1\r\nHost: edge.test\r\n\r\n")
    client.shutdown(socket.SHUT_WR)
    stream = BlockingStream(PlainTransport.of(gevent.get_hub().loop, edge))
    context = made.bench.server_context
    GreenletConnection(context, stream, ADDRESS, Peer()).serve()
    with client:
        received = b""
        while piece := client.recv(READ_SIZE):
            received += piece
    return received


def compared(answer: bytes) -> bytes:
    return _INSTANCE.sub(b"", _CHANGING.sub(b"", answer))


def test_what_must_be_asked_for_goes_the_whole_way() -> None:
    """A greenlet waits; the event loop does not."""
    known = Event()

    def ask() -> Grant | Denied:
        known.wait()
        return Grant()

    with gate(Ask(ask)) as made:
        assert made.get() == b""
        assert made.bench.connection.stage is Stage.HANDED
        known.set()
        made.bench.turn()
        made.bench.client.settimeout(5.0)

        assert b"hello\n" in made.bench.client.recv(READ_SIZE)
        assert not made.remembered


@pytest.mark.parametrize("known", [False, True], ids=["new", "remembered"])
def test_what_ends_before_its_answer_is_judged_once_more(known: bool) -> None:
    """B12: the whole way, as if it came then, with what its client sent after it. The
    first answer to it is the only one."""
    with gate(Grant(renewable=True)) as made:
        fields = ("X-Any: a", "Cookie: b=1")
        for _ in range(4 * known):
            made.get("park", *fields)
            made.bench.read_service.release()
            assert made.received().startswith(b"HTTP/1.1 204 ")
        assert made.remembered == known
        made.get("park", *fields)
        pending = made.bench.read_service.parked.pop()
        made.bench.get("hit")
        pending.sink.abort(Refusal("It has ended.", reason=Reason.GRANT_ENDED))
        assert made.bench.connection.stage is Stage.HANDED
        asked, made.judge.verdict = made.judge.asked, Grant()
        made.bench.turn()
        assert made.judge.asked == asked + 1 and made.received() == b""
        made.bench.read_service.release()
        told = b""
        for _ in range(20):
            made.bench.turn()
            made.bench.catch_up()
            told += made.received()

        assert re.findall(rb"HTTP/1\.1 (\d+) ", told) == [b"204", b"200"]
        reads = made.bench.read_service.reads
        assert [read.key.path[-4:] for read in reads[-3:]] == ["park", "park", "/hit"]


def test_a_head_that_ends_before_its_answer_is_a_head_again() -> None:
    """B12, U28."""
    with gate(Grant(renewable=True)) as made:
        head = b"HEAD /v1/stream/park HTTP/1.1\r\nHost: edge.test\r\n\r\n"
        made.bench.client.sendall(head)
        made.bench.turn()
        pending = made.bench.read_service.parked.pop()
        pending.sink.abort(Refusal("It has ended.", reason=Reason.GRANT_ENDED))
        made.judge.verdict = Grant()
        made.bench.turn()
        made.bench.read_service.release()
        made.bench.turn()

        assert made.received().startswith(b"HTTP/1.1 204 ")
        modes = [read.mode for read in made.bench.read_service.reads]
        assert modes == [Mode.HEAD, Mode.HEAD]


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (Grant(), Reason.GRANT_ENDED),
        (Grant(renewable=True), Reason.REVOKED),
        (Grant(renewable=True), Reason.ORIGIN_SLOW),
    ],
)
def test_anything_else_that_ends_a_read_is_told(verdict: Grant, why: Reason) -> None:
    """B12: a token that has ended does not become better by looking again."""
    with gate(verdict) as made:
        made.get("park")
        [pending] = made.bench.read_service.parked
        pending.sink.abort(Refusal("It has ended.", reason=why))

        assert made.received().startswith(b"HTTP/1.1 503 ")
        assert made.judge.asked == 1


def test_what_only_waits_for_another_turn_stays_on_the_fast_way() -> None:
    """B18: the connection is called back; whatever it sends meanwhile waits too."""
    acts: list[Callable[[], None]] = []

    def never() -> Grant | Denied:
        raise AssertionError("asked")

    with gate(Ask(never, acts.append)) as made:
        assert made.get() == b""
        assert made.bench.connection.stage is Stage.IDLE
        assert made.bench.connection.idle_since is None
        assert made.get() == b"" and len(acts) == 1
        made.judge.verdict = Grant()
        acts.pop()()
        made.bench.catch_up()

        assert made.received().count(b"kept\n") == 2
        assert not acts


def test_a_client_that_left_while_it_waited_is_not_judged() -> None:
    acts: list[Callable[[], None]] = []
    with gate(Ask(Grant, acts.append)) as made:
        assert made.get() == b""
        asked = made.judge.asked
        made.bench.client.close()
        made.bench.turn()
        assert made.bench.connection.stage is Stage.CLOSED
        acts.pop()()

        assert made.judge.asked == asked


@dataclass(eq=False)
class Tokens:
    """An authorizer that lets in by Authorization, each until a time of its own."""

    ends: dict[str, float]
    revoked: set[str] = field(default_factory=set)
    given: list[Lease] = field(default_factory=list)

    def revoke(self, text: str, now: float) -> None:
        """Let nobody in by it any more, and end what it let in."""
        self.revoked.add(text)
        for lease in self.given:
            lease.end(now, Reason.REVOKED)

    def __call__(self, route: Route, request: RequestHead, now: float) -> AccessVerdict:
        text = request.lookup("authorization") or ""
        ends_at = self.ends.get(text)
        if ends_at is None or now >= ends_at or text in self.revoked:
            return LEFT_OUT
        lease = Lease(ends_at - START + 50.0)
        self.given.append(lease)
        return Grant(GRANTED, ends_at, None, ends_at, False, lease, "jwt", "a")


def let_in(*ends_at: float) -> Gate:
    """A gate that lets in ``token-0``, ``token-1``, until these times."""
    tokens = {f"token-{n}": START + ends for n, ends in enumerate(ends_at)}
    return Gate(Tokens(tokens))  # type: ignore[arg-type]


def test_all_who_are_let_in_share_one_read() -> None:
    """B3, A12: the hub knows an answer by its read, and gives it again to all of them.
    When each of them ends is told beside it."""
    made = let_in(10.0, 20.0, 30.0)
    try:
        for n in range(3):
            made.get("hit", f"Authorization: token-{n}")
        reads = made.bench.read_service.reads

        assert len({id(read) for read in reads}) == 1
        leases = made.bench.read_service.leases
        assert [lease.ends_at for lease in leases] == [60.0, 70.0, 80.0]
    finally:
        made.bench.close()


def test_a_remembered_head_is_no_way_around_an_order_to_revoke() -> None:
    """B13: at once, on the connection that remembers it, on another one that sends the
    same, and at another offset."""
    made = let_in(600.0)
    try:
        tokens: Any = made.judge
        fields = ("X-Any: a", "Authorization: token-0")
        for _ in range(4):
            assert b"kept" in made.get("kept", *fields)
        assert b"kept" in made.get("kept?offset=0", *fields)
        tokens.revoke("token-0", made.clock.monotonic())
        for path in ("kept", "kept", "kept?offset=0", "kept?offset=1"):
            told = made.get(path, *fields)
            assert told.startswith(b"HTTP/1.1 401 ") and b"kept\n" not in told
    finally:
        made.bench.close()


def test_requests_that_came_in_one_go_are_each_held_against_the_lease() -> None:
    """B13: the order comes while the first of them is being answered."""
    made = let_in(600.0)
    try:
        tokens: Any = made.judge
        fields = ("X-Any: a", "Authorization: token-0")
        for _ in range(4):
            assert b"kept" in made.get("kept", *fields)
        plain = made.bench.context.encoder.ready
        answered: list[None] = []

        def ready(*given: Any) -> Any:
            answered.append(None)
            tokens.revoke("token-0", made.clock.monotonic())
            return plain(*given)

        encoder: Any = made.bench.context.encoder
        encoder.ready = ready
        lines = ["GET /v1/stream/kept HTTP/1.1", "Host: edge.test", *fields, "", ""]
        made.bench.client.sendall("\r\n".join(lines).encode() * 3)
        made.bench.turn()
        made.bench.catch_up()
        told = made.received()

        assert told.count(b"HTTP/1.1 200 ") == 1 == len(answered)
        assert told.count(b"HTTP/1.1 401 ") == 2
    finally:
        made.bench.close()


def test_a_head_whose_lease_ends_earlier_is_judged_anew_then() -> None:
    """A20: keys have changed; and it is remembered again when it was let in again."""
    made = let_in(600.0)
    try:
        tokens: Any = made.judge
        for _ in range(4):
            assert b"kept" in made.get("kept", "Authorization: token-0")
        asked = len(tokens.given)
        for lease in tokens.given:
            lease.end(made.clock.monotonic() + 10.0)
        made.clock.since = 9.75
        assert b"kept" in made.get("kept", "Authorization: token-0")
        assert len(tokens.given) == asked
        made.clock.since = 10.0
        for _ in range(3):
            assert b"kept" in made.get("kept", "Authorization: token-0")
        assert len(tokens.given) == asked + 1
    finally:
        made.bench.close()


def test_another_credential_on_a_kept_connection_is_judged() -> None:
    """B4: also in the place of one that was remembered."""
    made = let_in(10.0)
    try:
        for _ in range(4):
            assert b"kept" in made.get("kept", "X-Any: a", "Authorization: token-0")
        assert made.remembered == 1
        for other in ("token-1", "token-", "Token-0", "token-00"):
            told = made.get("kept", "X-Any: a", f"Authorization: {other}")
            assert told.startswith(b"HTTP/1.1 401 ")
        assert b"kept" in made.get("kept", "X-Any: a", "Authorization: token-0")
    finally:
        made.bench.close()


@dataclass(eq=False)
class HostJudge:
    """Lets in by the host alone, as somebody who is asked may do."""

    def __call__(self, route: Route, request: RequestHead, now: float) -> AccessVerdict:
        if request.lookup("host") != "edge.test":
            return LEFT_OUT
        return Grant(GRANTED, now + 10.0, ends_at=now + 10.0, lease=Lease(60.0))


@pytest.mark.parametrize("block", ["", "X-Any: a\r\n"])
def test_another_host_on_a_kept_connection_is_judged(block: str) -> None:
    """B4: where a way looks at it."""
    judge: Any = HostJudge()
    made = Gate(judge, routes=(Route(judged_headers=("host",)),))
    try:
        for _ in range(4):
            assert b"kept" in made.get("kept")
        head = f"GET /v1/stream/kept HTTP/1.1\r\nHost: other.test\r\n{block}\r\n"
        made.bench.client.sendall(head.encode())
        made.bench.turn()
        made.bench.catch_up()

        assert made.received().startswith(b"HTTP/1.1 401 ")
    finally:
        made.bench.close()


@dataclass(eq=False)
class CallerJudge:
    """Lets in by who calls alone, as somebody may do who is told of that."""

    asked: int = 0

    def __call__(self, route: Route, request: RequestHead, now: float) -> AccessVerdict:
        self.asked += 1
        if request.client() != Caller("192.0.2.1"):
            return LEFT_OUT
        return Grant(GRANTED, now + 10.0, ends_at=now + 10.0, lease=Lease(60.0))


def test_what_one_client_was_granted_is_not_its_neighbours() -> None:
    """B4: where somebody is told who calls, the same bytes of another client, or what
    another proxy tells of it, are judged. The same client is not judged again."""
    judge: Any = CallerJudge()
    made = Gate(judge, routes=(Route(ways=(ForwardWay("http://127.0.0.1/"),)),))
    connection, inside = made.bench.connection, Peer("192.0.2.1")
    try:
        connection.peer = inside
        for _ in range(4):
            assert b"kept" in made.get("kept", "Cookie: lang=de")
        assert judge.asked == 1
        connection.peer = Peer("198.51.100.9")
        told = made.get("kept", "Cookie: lang=de")
        assert told.startswith(b"HTTP/1.1 401 ")
        connection.peer = inside
        assert b"kept" in made.get("kept", "Cookie: lang=de")
    finally:
        made.bench.close()


def test_a_remembered_head_is_no_way_around_the_end_of_its_grant() -> None:
    """A20: to the instant."""
    made = let_in(10.0)
    try:
        for _ in range(4):
            assert b"kept" in made.get("kept", "Authorization: token-0")
        made.clock.since = 9.75
        assert b"kept" in made.get("kept", "Authorization: token-0")
        made.clock.since = 10.0
        told = made.get("kept", "Authorization: token-0")
        assert told.startswith(b"HTTP/1.1 401 ")
    finally:
        made.bench.close()
