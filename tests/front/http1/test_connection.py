"""GreenletConnection over a list of bytes: what becomes of one client.

The wire tests have the same from outside; here every error at every call is in the
test's hand, and no process is started.
"""

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
import pytest
from gunicorn.config import Config

from edge.core.counters import Counters
from edge.core.errors import EdgeError, OriginTimeout, Refusal
from edge.core.reasons import Reason
from edge.front.app.app import Environ, exchange_of
from edge.front.exchange import AnswerCut
from edge.front.http1.connection import GreenletConnection
from edge.front.http1.context import ServerContext
from edge.front.log import AccessLog
from edge.front.options import Limits
from edge.front.transport import BlockingStream
from edge.policy.http.client_address import Peer
from tests.front.fake_edge import RealClock
from tests.front.fake_transport import PEER, FakeTransport
from tests.support.options import front_options, log_options
from tests.support.patience import PATIENCE

ADDRESS = ("192.0.2.1", 8080)
SOON = 0.01

GET = b"GET /a HTTP/1.1\r\nHost: edge.test\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nbody"
LAST = b"GET /a HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n"


@dataclass(eq=False)
class Served:
    """A connection with an application of the test's, and its client."""

    limits: dict[str, float] = field(default_factory=dict)
    asked: list[Environ] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    piece: Callable[[], list[bytes]] = lambda: []
    transport: FakeTransport = field(default_factory=FakeTransport)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        options = front_options()
        limits: Limits = replace(options.limits, **self.limits)  # type: ignore[arg-type]
        options = replace(options, limits=limits)
        clock = RealClock()
        log = AccessLog(log_options(), self.lines.append, clock)
        self.server_context = ServerContext(
            self._app, Config(), options, self.counters, clock, log
        )
        stream = BlockingStream(self.transport)
        self.connection = GreenletConnection(
            self.server_context, stream, ADDRESS, Peer(PEER[0])
        )
        self.greenlet: Any = None

    def _app(self, environ: Environ, start: Any) -> Any:
        self.asked.append(dict(environ))
        content = exchange_of(environ).request.body
        body = b"".join(content.pieces(None) if content else ())
        start("200 OK", [("Content-Length", str(len(body) + 6))])
        return self._body(b"heard:" + body)

    def _body(self, whole: bytes) -> Iterator[bytes]:
        yield whole[:6]
        yield from self.piece()
        yield whole[6:]

    def begin(self, *chunks: bytes) -> None:
        self.transport.feed(*chunks)
        self.greenlet = gevent.spawn(self.connection.serve)
        self.settle()

    def settle(self) -> None:
        for _ in range(8):
            self.transport.turn()

    def wait(self) -> None:
        """For its end."""
        self.settle()
        self.greenlet.get(timeout=PATIENCE)

    @property
    def statuses(self) -> list[int]:
        """Of all answers so far."""
        starts = bytes(self.transport.sent).split(b"HTTP/1.1 ")[1:]
        return [int(start[:3]) for start in starts]

    def is_(self, state: str) -> bool:
        return self.transport.state == state


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    if made.greenlet is not None:
        made.greenlet.kill()


def test_one_request_follows_the_other(served: Served) -> None:
    """Whether it has come already or not."""
    served.begin(GET + POST)
    served.transport.feed(POST[:30], POST[30:])
    served.settle()

    assert served.statuses == [200, 200, 200]
    assert served.connection.idle_since is not None and served.is_("open")
    assert bytes(served.transport.sent).count(b"heard:body") == 2


def test_the_application_hears_who_asked(served: Served) -> None:
    served.begin(GET)

    assert served.asked[0]["REMOTE_ADDR"] == PEER[0]
    assert served.asked[0]["SERVER_NAME"] == ADDRESS[0]


def test_a_client_that_has_no_more_to_ask_is_closed(served: Served) -> None:
    served.begin(GET)
    served.transport.finish()
    served.wait()

    assert served.statuses == [200] and served.is_("closed")


def test_a_client_that_asks_to_close_is_closed_at_once(served: Served) -> None:
    served.begin(LAST)
    served.wait()

    assert served.statuses == [200] and served.is_("closed")


def test_what_is_still_unread_is_read_before_the_close(served: Served) -> None:
    """A reset would take the answer away."""
    served.begin(LAST, b"and more")
    assert served.is_("half closed") and served.transport.peek() is None
    served.transport.finish()
    served.wait()

    assert served.is_("closed")


def test_an_idle_client_is_dismissed(served: Served) -> None:
    """What it had sent is answered first."""
    served.begin(GET)
    served.transport.feed(GET)
    served.connection.dismiss()
    served.settle()
    assert served.statuses == [200, 200] and served.is_("open")
    served.connection.dismiss()
    served.wait()

    assert served.is_("closed")


def test_one_that_is_lost_can_be_dismissed(served: Served) -> None:
    served.transport.fail["shutdown_reading"] = OSError()
    served.connection.dismiss()


def test_a_refused_client_is_told_why_without_a_request(served: Served) -> None:
    served.transport.finish()
    served.connection.refuse(Refusal("full", reason=Reason.LIMIT_CONNECTIONS))

    assert served.statuses == [503] and served.is_("closed")


def test_a_refused_client_that_is_lost_is_closed(served: Served) -> None:
    served.transport.fail["send"] = BrokenPipeError()
    served.connection.refuse(Refusal("full", reason=Reason.LIMIT_CONNECTIONS))

    assert served.is_("closed")


def test_a_head_that_cannot_be_parsed_is_refused(served: Served) -> None:
    served.begin(b"GET  HTTP/1.1\r\n\r\n")
    served.transport.finish()
    served.wait()

    assert served.statuses == [400] and not served.asked


@pytest.mark.parametrize(
    ("come", "statuses"), [((), []), ((GET[:9],), [408])], ids=["idle", "a head"]
)
def test_a_client_that_is_too_slow_is_given_up(
    come: tuple[bytes, ...], statuses: list[int]
) -> None:
    """It is told so where it had begun to ask."""
    served = Served({"idle_timeout": SOON, "head_timeout": SOON, "linger_timeout": 0})
    served.begin(*come)
    served.wait()

    assert served.statuses == statuses and served.is_("closed")


def test_a_client_that_takes_nothing_is_given_up() -> None:
    served = Served({"send_timeout": SOON})
    served.transport.capacity = 5
    served.begin(GET)
    served.wait()

    assert len(served.transport.sent) == 5 and served.is_("closed")
    assert served.counters.internal_errors == 0


@pytest.mark.parametrize("call", ["recv", "send"])
def test_a_client_that_is_lost_is_nobodys_fault(served: Served, call: str) -> None:
    served.transport.fail[call] = ConnectionResetError()
    served.begin(GET)
    served.wait()

    assert served.is_("closed") and served.counters.internal_errors == 0


def test_a_body_that_is_cut_does_not_look_complete(served: Served) -> None:
    """The application raises, as for a client that is gone."""
    served.begin(POST[:-2])
    served.transport.finish()
    served.wait()

    assert 200 not in served.statuses


@pytest.mark.parametrize("chunked", [True, False])
def test_an_answer_that_is_cut_does_not_look_complete(
    served: Served, chunked: bool
) -> None:
    """Where its length is known, the end is enough; else only a reset tells."""
    version = b"1.1" if chunked else b"1.0"
    fault: EdgeError = OriginTimeout("It went away.")

    def app(environ: Environ, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"half"
        raise AnswerCut(fault)

    served.server_context.app = app
    served.begin(GET.replace(b"1.1", version))
    served.wait()

    assert served.is_("closed" if chunked else "reset")
    assert not bytes(served.transport.sent).endswith(b"0\r\n\r\n")


def test_a_defect_of_the_application_is_told_and_counted(served: Served) -> None:
    def broken() -> list[bytes]:
        raise ZeroDivisionError

    served.piece = broken
    served.begin(GET)
    served.wait()

    assert served.counters.internal_errors == 1 and served.is_("closed")


def test_a_defect_below_the_application_resets_the_connection(served: Served) -> None:
    """The outermost guard: nobody knows how far the answer has gone."""
    served.transport.fail["recv"] = ZeroDivisionError()
    served.begin()
    served.wait()

    assert served.counters.internal_errors == 1 and served.is_("reset")


def test_one_request_can_be_served_and_the_rest_given_back(served: Served) -> None:
    """As a fast connection asks for it."""
    served.transport.feed(POST[20:] + GET[:7])
    assert served.connection.serve_one(POST[:20]) == GET[:7]
    assert served.is_("open")

    assert served.connection.serve_one(LAST) is None
    assert served.is_("closed")


class Mark:
    """Something that an environ holds."""


def test_nothing_of_a_request_waits_for_a_collection(served: Served) -> None:
    """Its environ and its exchange hold each other, and what was read of a body."""
    marks: list[weakref.ref[Mark]] = []

    def app(environ: Environ, start: Any) -> list[bytes]:
        mark = Mark()
        marks.append(weakref.ref(mark))
        environ["mark"] = mark
        content = exchange_of(environ).request.body
        assert content is not None and b"".join(content.pieces(None)) == b"body"
        start("200 OK", [("Content-Length", "0")])
        return []

    served.server_context.app = app
    gc.disable()
    try:
        served.begin(POST, POST)
        assert [mark() for mark in marks] == [None, None]
    finally:
        gc.enable()


def test_a_connection_that_is_killed_is_closed(served: Served) -> None:
    served.begin(GET)
    served.greenlet.kill()

    assert served.is_("closed")
