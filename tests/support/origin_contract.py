"""What every ``edge.core.ports.Origin`` promises, as tests to inherit.

A subclass in tests/origin_adapter says how its origin is made. ``OriginContract`` is
for all; ``StreamedBodyContract`` for those whose bodies come piece by piece;
``AwayContract`` for those that there may be nobody to connect to.

The tests speak PROTOCOL.md to a conforming server of streams, with long-polls that it
holds for ``HOLD`` seconds, and ask nothing that only one implementation gives.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace

import gevent
import pytest
from gevent.event import Event

from edge.core.errors import EdgeError, OriginFault, OriginUnreachable
from edge.core.ports import Exchange, Origin, UpstreamCall
from edge.core.reasons import Reason
from edge.core.values import (
    Framing,
    Headers,
    OriginAnswerHead,
    OriginRequest,
    Purpose,
)
from edge.protocol.offsets import BEGIN
from tests.support.hub_errors import HubError

HOLD = 0.5
PATIENCE = 60.0
TEXT = (("Content-Type", "text/plain"),)

_numbers = itertools.count()


class Cut(Exception):
    """What a client's body may raise."""


def whole(exchange: Exchange) -> bytes:
    return b"".join(iter(exchange.read, b""))


class Client:
    """Asks one origin about one stream of its own."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.path = f"/v1/stream/contract/{next(_numbers)}"

    def request(
        self,
        method: str,
        query: str = "",
        headers: Headers = (),
        body: Iterator[bytes] | None = None,
        length: int | None = None,
    ) -> OriginRequest:
        live = "live=" in query
        purpose = Purpose.FOLLOW if live else Purpose.CATCH_UP
        if method not in ("GET", "HEAD"):
            purpose = Purpose.WRITE
        target = self.path + (f"?{query}" if query else "")
        return OriginRequest(method, target, headers, purpose, body, length)

    def get(self, offset: str) -> Exchange:
        return self.origin.open(self.request("GET", f"offset={offset}"))

    def create(self) -> str:
        """Create the stream; its tail."""
        return self._write("PUT", b"", 201)

    def append(self, data: bytes) -> str:
        return self._write("POST", data, 204)

    def _write(self, method: str, data: bytes, status: int) -> str:
        asked = self.request(method, "", TEXT, iter([data]), len(data))
        exchange = self.origin.open(asked)
        assert exchange.status == status
        whole(exchange)
        return field(exchange, "stream-next-offset")

    def poll(self, offset: str, sent: Event) -> "gevent.Greenlet[..., Exchange]":
        """A long-poll, and the event that it sets when it is on the wire."""
        asked = self.request("GET", f"offset={offset}&live=long-poll")
        polling = gevent.spawn(self.origin.open, asked, sent.set)
        assert sent.wait(PATIENCE)
        return polling

    def begin(
        self, method: str, query: str = "", body: bytes | None = None, raises: str = ""
    ) -> "Recorder":
        """A call that nobody waits for, and what it tells."""
        asked = self.request(method, query, TEXT if body else ())
        recorder = Recorder(raises)
        recorder.call = self.origin.begin(replace(asked, body=body), recorder)
        assert set(recorder.told) <= {"sent"}, "all else is told later"
        return recorder


class Defect(Exception):
    """What a receiver must not do, and does."""


class Recorder:
    """A receiver that keeps what it is told, and checks its order.

    ``raises`` is what it raises from, ``pauses`` whether it pauses at the head.
    """

    call: UpstreamCall

    def __init__(self, raises: str = "", *, pauses: bool = False) -> None:
        self.told: list[str] = []
        self.answer: OriginAnswerHead | None = None
        self.body = b""
        self.fault: EdgeError | None = None
        self.was_sent = Event()
        self.began = Event()
        self.over = Event()
        self._raises = raises
        self._pauses = pauses

    def _note(self, what: str, *before: str) -> None:
        assert not self.over.is_set(), f"{what} after the end"
        assert what not in self.told or what == "data"
        assert all(name in self.told for name in before), f"{what} too early"
        self.told.append(what)

    def _maybe_raise(self, what: str) -> None:
        if what == self._raises:
            raise Defect(what)

    def sent(self) -> None:
        self._note("sent")
        self.was_sent.set()
        self._maybe_raise("sent")

    def head(self, head: OriginAnswerHead) -> None:
        self._note("head")
        self.answer = head
        if self._pauses:
            self.call.pause()
        self.began.set()
        self._maybe_raise("head")

    def data(self, piece: bytes) -> None:
        self._note("data", "head")
        assert piece
        self.body += piece
        self._maybe_raise("data")

    def ended(self) -> None:
        self._note("ended", "head")
        self.over.set()
        self._maybe_raise("ended")

    def failed(self, fault: EdgeError) -> None:
        self._note("failed")
        self.fault = fault
        self.over.set()
        self._maybe_raise("failed")

    def wait(self) -> "Recorder":
        assert self.over.wait(PATIENCE), self.told
        return self

    @property
    def status(self) -> int:
        assert self.answer is not None
        return self.answer.status


def field(exchange: Exchange, name: str) -> str:
    """The value of a field, which is there exactly once."""
    (value,) = [told for key, told in exchange.headers if key == name]
    return value


class OriginContract(ABC):
    """For every implementation."""

    @pytest.fixture
    @abstractmethod
    def origin(self) -> Iterator[Origin]:
        """An origin, before a server that has streams and holds polls."""

    @pytest.fixture
    def client(self, origin: Origin) -> Client:
        return Client(origin)

    def test_a_read_has_bytes_and_where_they_end(self, client: Client) -> None:
        client.create()
        middle = client.append(b"one")
        tail = client.append(b"two")

        exchange = client.get(BEGIN)

        assert (exchange.status, whole(exchange)) == (200, b"onetwo")
        assert field(exchange, "stream-next-offset") == tail
        assert field(exchange, "stream-up-to-date") == "true"
        assert field(exchange, "content-type").startswith("text/plain")
        assert whole(client.get(middle)) == b"two"

    def test_a_read_at_the_end_is_empty(self, client: Client) -> None:
        client.create()
        tail = client.append(b"one")

        exchange = client.get(tail)

        assert (exchange.status, whole(exchange)) == (200, b"")
        assert field(exchange, "stream-next-offset") == tail
        assert field(exchange, "stream-up-to-date") == "true"

    def test_names_are_lower_case_and_framing_is_not_among_them(
        self, client: Client
    ) -> None:
        """``edge.core.values.Headers``; the framing is told by itself."""
        client.create()
        exchange = client.get(BEGIN)
        whole(exchange)

        names = {name for name, _ in exchange.headers}
        assert names == {name.lower() for name in names}
        assert not names & {"connection", "transfer-encoding", "keep-alive"}

    def test_the_framing_says_how_the_end_is_known(self, client: Client) -> None:
        client.create()
        client.append(b"hello")

        exchange = client.get(BEGIN)

        assert exchange.framing in (Framing.LENGTH, Framing.CHUNKED)
        if exchange.framing is Framing.LENGTH:
            assert exchange.content_length == 5
        else:
            assert exchange.content_length is None
        assert whole(exchange) == b"hello"

    def test_the_end_stays_the_end(self, client: Client) -> None:
        client.create()
        client.append(b"hello")
        exchange = client.get(BEGIN)
        whole(exchange)

        assert exchange.read() == b""
        exchange.close()
        assert exchange.read() == b""

    def test_a_head_has_fields_and_no_body(self, client: Client) -> None:
        client.create()
        tail = client.append(b"hello")

        exchange = client.origin.open(client.request("HEAD"))

        assert (exchange.status, exchange.framing) == (200, Framing.NONE)
        assert exchange.read() == b""
        assert field(exchange, "stream-next-offset") == tail

    def test_a_status_is_an_answer_and_no_fault(self, client: Client) -> None:
        exchange = client.get(BEGIN)

        assert exchange.status == 404
        whole(exchange)

    def test_what_was_closed_unread_never_looks_whole(self, client: Client) -> None:
        """At any time, from any greenlet, many times."""
        client.create()
        client.append(b"hello")
        exchange = client.get(BEGIN)

        exchange.close()
        gevent.spawn(exchange.close).get(timeout=PATIENCE)

        for _ in range(2):
            with pytest.raises(OriginFault):
                exchange.read()
        assert whole(client.get(BEGIN)) == b"hello"

    def test_a_poll_waits_for_an_append(self, client: Client) -> None:
        tail, sent = client.create(), Event()
        polling = client.poll(tail, sent)
        assert not polling.ready()

        news = client.append(b"news")

        exchange = polling.get(timeout=PATIENCE)
        assert (exchange.status, whole(exchange)) == (200, b"news")
        assert field(exchange, "stream-next-offset") == news

    def test_a_poll_that_nothing_comes_to_ends_with_204(self, client: Client) -> None:
        tail, sent = client.create(), Event()

        exchange = client.poll(tail, sent).get(timeout=PATIENCE)

        assert (exchange.status, exchange.framing) == (204, Framing.NONE)
        assert exchange.read() == b""
        assert field(exchange, "stream-next-offset") == tail

    @pytest.mark.parametrize("length", [6, None])
    def test_a_request_is_told_to_be_sent_once_its_body_is(
        self, client: Client, length: int | None
    ) -> None:
        """L4 rests on it."""
        client.create()
        order: list[str] = []

        def body() -> Iterator[bytes]:
            yield b"one"
            order.append("first half")
            yield b"two"
            order.append("second half")

        asked = client.request("POST", "", TEXT, body(), length)
        exchange = client.origin.open(asked, lambda: order.append("sent"))

        assert order == ["first half", "second half", "sent"]
        assert exchange.status == 204
        whole(exchange)
        assert whole(client.get(BEGIN)) == b"onetwo"

    @pytest.mark.parametrize("length", [6, None])
    def test_a_body_that_fails_reaches_its_caller_and_is_never_whole(
        self, client: Client, length: int | None
    ) -> None:
        """E22."""
        client.create()
        sent: list[bool] = []

        def body() -> Iterator[bytes]:
            yield b"one"
            gevent.idle()
            raise Cut

        asked = client.request("POST", "", TEXT, body(), length)
        with pytest.raises(Cut):
            client.origin.open(asked, lambda: sent.append(True))

        assert not sent
        client.append(b"later")
        assert whole(client.get(BEGIN)) == b"later"

    def test_one_call_does_not_wait_for_another(self, client: Client) -> None:
        """It blocks the calling greenlet only."""
        client.create()
        go = Event()

        def body() -> Iterator[bytes]:
            yield b"slow"
            go.wait()

        asked = client.request("POST", "", TEXT, body())
        slow = gevent.spawn(client.origin.open, asked)
        gevent.idle()

        assert whole(client.get(BEGIN)) == b""
        go.set()
        assert slow.get(timeout=PATIENCE).status == 204
        assert whole(client.get(BEGIN)) == b"slow"

    # Calls that nobody waits for.

    def test_a_receiver_is_told_a_read_in_order(self, client: Client) -> None:
        client.create()
        tail = client.append(b"hello")

        recorder = client.begin("GET", f"offset={BEGIN}").wait()

        assert recorder.told[:2] == ["sent", "head"]
        assert recorder.told[-1] == "ended"
        assert (recorder.status, recorder.body) == (200, b"hello")
        assert recorder.answer is not None
        assert ("stream-next-offset", tail) in recorder.answer.headers

    def test_a_receiver_is_told_of_a_write(self, client: Client) -> None:
        client.create()

        recorder = client.begin("POST", body=b"one").wait()

        assert recorder.told == ["sent", "head", "ended"]
        assert recorder.status == 204
        assert whole(client.get(BEGIN)) == b"one"

    def test_a_poll_that_is_given_up_tells_nothing_more(self, client: Client) -> None:
        tail = client.create()
        recorder = client.begin("GET", f"offset={tail}&live=long-poll")
        assert recorder.was_sent.wait(PATIENCE)

        recorder.call.cancel()
        recorder.call.cancel()
        client.append(b"news")

        assert whole(client.get(BEGIN)) == b"news"
        assert recorder.told == ["sent"]

    def test_a_call_that_is_over_may_be_given_up_all_the_same(
        self, client: Client
    ) -> None:
        client.create()
        recorder = client.begin("GET", f"offset={BEGIN}").wait()

        recorder.call.pause()
        recorder.call.cancel()
        recorder.call.resume()

        assert recorder.told[-1] == "ended"

    def test_what_is_paused_goes_on_where_it_was(self, client: Client) -> None:
        client.create()
        client.append(b"hello")
        recorder = Recorder(pauses=True)
        asked = client.request("GET", f"offset={BEGIN}")
        recorder.call = client.origin.begin(asked, recorder)
        assert recorder.began.wait(PATIENCE)

        recorder.call.resume()

        assert recorder.wait().body == b"hello"
        assert recorder.fault is None

    @pytest.mark.parametrize("where", ["sent", "head", "data", "ended"])
    def test_a_receiver_that_raises_ends_its_call_alone(
        self, client: Client, where: str, hub_errors: list[HubError]
    ) -> None:
        """U25: it is reported, and nothing waits for ever."""
        client.create()
        client.append(b"hello")

        recorder = client.begin("GET", f"offset={BEGIN}", raises=where).wait()
        gevent.idle()

        assert [error.kind for error in hub_errors] == [Defect]
        if where == "ended":
            assert recorder.fault is None
        else:
            assert recorder.fault is not None
            assert recorder.fault.reason is Reason.INTERNAL
        assert whole(client.get(BEGIN)) == b"hello"


class StreamedBodyContract(ABC):
    """For those whose bodies come piece by piece."""

    @pytest.fixture
    @abstractmethod
    def unfinished(self) -> Iterator[Exchange]:
        """An exchange with a body that began and does not end."""

    @pytest.mark.usefixtures("hub_errors")
    def test_closing_releases_a_blocked_reader(self, unfinished: Exchange) -> None:
        assert unfinished.read() != b""
        reader = gevent.spawn(whole, unfinished)
        gevent.idle()
        assert not reader.ready()

        unfinished.close()
        unfinished.close()

        with pytest.raises(OriginFault):
            reader.get(timeout=PATIENCE)
        with pytest.raises(OriginFault):
            unfinished.read()


class AwayContract(ABC):
    """For those that there may be nobody to connect to."""

    @pytest.fixture
    @abstractmethod
    def away(self) -> Iterator[Origin]:
        """An origin at whose address nobody listens."""

    def test_nobody_listens(self, away: Origin) -> None:
        """Nothing was sent then, and nobody is told so."""
        told: list[bool] = []

        with pytest.raises(OriginUnreachable):
            away.open(OriginRequest("GET", "/s"), lambda: told.append(True))

        assert not told

    def test_nobody_listens_and_nobody_waits(self, away: Origin) -> None:
        recorder = Recorder()
        away.begin(OriginRequest("GET", "/s"), recorder)

        assert recorder.wait().told == ["failed"]
        assert isinstance(recorder.fault, OriginUnreachable)

    @pytest.mark.parametrize("body", [None, b"x"])
    def test_a_write_that_reached_nobody_is_not_a_lost_one(
        self, away: Origin, body: bytes | None
    ) -> None:
        """U26: whoever asked must be able to tell."""
        recorder = Recorder()
        write = OriginRequest("POST", "/s", purpose=Purpose.WRITE, body=body)
        away.begin(write, recorder)
        with pytest.raises(OriginUnreachable) as blocking:
            away.open(write)

        recorder.wait()
        assert isinstance(recorder.fault, OriginFault)
        assert recorder.fault.unsent and blocking.value.unsent
