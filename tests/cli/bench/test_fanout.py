"""A fan-out counts right: each viewer has each event once, whatever the server does.

The server is a trivial one that is told to misbehave. Every run begins with one event
that does not count, so a story's first event is the server's second body.
"""

import socket
from pathlib import Path
from typing import ClassVar

import pytest

from tests.cli.bench.conftest import Bench
from tests.cli.bench.trivial import (
    LAST_CHUNK,
    NO_BODY,
    NO_NEWS,
    Trivial,
    serving,
)

VIEWERS, EVENTS = 20, 3
ALL = VIEWERS * EVENTS


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_everybody_has_every_event_once(crowd: Bench, mode: str) -> None:
    with serving(Trivial()) as server:
        result = crowd(server.url, "--mode", mode)

    told = result.data
    assert result.code == 0, result.err
    assert (told["delivered"], told["expected"]) == (ALL, ALL)
    assert (told["resumed"], told["failed"], told["repeated"]) == (0, 0, 0)
    assert told["events"] == EVENTS
    assert [len(body) for body in server.bodies] == [100] * (1 + EVENTS)


class Named(Trivial):
    """Keeps which credential came on which connection, with every read."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[socket.socket, list[bytes]] = {}

    def _request(self, connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET") and b"live=" in request:
            lines = request.split(b"\r\n")
            found = [one for one in lines if one.startswith(b"Authorization")]
            self.came.setdefault(connection, []).extend(found or [b"none"])
        super()._request(connection, request)


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_each_viewer_has_a_token_of_its_own_with_every_read(
    crowd: Bench, tmp_path: Path, mode: str
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("\n".join(f"t.{n}.x" for n in range(VIEWERS)))
    with serving(Named()) as server:
        result = crowd(server.url, "--mode", mode, "--tokens", str(tokens))

    assert result.code == 0, result.err
    assert result.data["delivered"] == ALL
    assert all(len(set(all_of)) == 1 for all_of in server.came.values())
    wanted = {b"Authorization: Bearer t.%d.x" % n for n in range(VIEWERS)}
    assert {all_of[0] for all_of in server.came.values()} == wanted


class Gathers(Trivial):
    """Takes an append when everybody is parked, so that a story has one course."""

    posts: list[tuple[socket.socket, bytes]]

    def __init__(self) -> None:
        super().__init__()
        self.posts = []

    def posted(self, connection: socket.socket, body: bytes) -> None:
        self.posts.append((connection, body))
        self.gather()

    def live(self, connection: socket.socket, line: bytes) -> None:
        super().live(connection, line)
        self.gather()

    def gather(self) -> None:
        """Whether the crowd is complete and there is something for it."""
        if self.posts and len(self.polls) + len(self.streams) == VIEWERS:
            self.gathered()

    def gathered(self) -> None:
        """The crowd is complete."""
        super().posted(*self.posts.pop())


class Hoards(Gathers):
    """Tells two events in one answer, but for the one that does not count."""

    def append(self, body: bytes) -> None:
        if len(self.bodies) % 2 == 1:
            self.bodies.append(body)
        else:
            super().append(body)

    def answer(self, since: int) -> bytes:
        return super().answer(-2 if len(self.bodies) > 1 else -1)


def test_two_events_in_one_answer_are_two_receptions(crowd: Bench) -> None:
    with serving(Hoards()) as server:
        told = crowd(server.url, "--events", "4").data

    assert told["delivered"] == told["expected"] == VIEWERS * 4


class Crumbles(Gathers):
    """Sends each answer and each event in two pieces, the first to all before."""

    def append(self, body: bytes) -> None:
        self.bodies.append(body)
        polls, self.polls = self.polls, []
        halves = [(one, self.answer(-1)) for one in polls]
        halves += [(one, self.chunk(-1)) for one in self.streams]
        for one, text in halves:
            one.send(text[:150])
        for one, text in halves:
            one.send(text[150:])


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_an_event_in_pieces_is_one_reception(crowd: Bench, mode: str) -> None:
    with serving(Crumbles()) as server:
        told = crowd(server.url, "--mode", mode).data

    assert told["delivered"] == ALL


class HasNoNews(Gathers):
    """Says to all that there is no news, each time before there is some."""

    said = False

    def gathered(self) -> None:
        self.said = not self.said
        if not self.said:
            super().gathered()
            return
        polls, self.polls = self.polls, []
        for one in polls:
            one.send(NO_NEWS % len(self.bodies))


def test_an_answer_without_news_is_followed_up(crowd: Bench) -> None:
    with serving(HasNoNews()) as server:
        told = crowd(server.url).data

    assert (told["delivered"], told["resumed"], told["failed"]) == (ALL, ALL, 0)


class EndsStreams(Gathers):
    """Ends every event stream with its event, as an edge does after a while."""

    def append(self, body: bytes) -> None:
        super().append(body)
        self.streams.clear()

    def chunk(self, since: int) -> bytes:
        return super().chunk(since) + LAST_CHUNK


def test_the_end_of_an_event_stream_is_followed_up(crowd: Bench) -> None:
    with serving(EndsStreams()) as server:
        told = crowd(server.url, "--mode", "sse").data

    assert (told["delivered"], told["resumed"], told["failed"]) == (ALL, ALL, 0)


class Closes(Gathers):
    """Closes each connection with its answer, and says so."""

    def answer(self, since: int) -> bytes:
        text = super().answer(since)
        return text.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def test_a_connection_that_is_closed_properly_is_replaced(crowd: Bench) -> None:
    with serving(Closes()) as server:
        told = crowd(server.url).data

    assert (told["delivered"], told["resumed"], told["failed"]) == (ALL, ALL, 0)


class Drops(Gathers):
    """Drops one viewer while it waits for the first event that counts."""

    dropped = False

    def gathered(self) -> None:
        if self.bodies and not self.dropped:
            self.dropped = True
            self.drop((self.polls or self.streams)[0])
        else:
            super().gathered()


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_a_viewer_whose_connection_broke_comes_back(crowd: Bench, mode: str) -> None:
    with serving(Drops()) as server:
        told = crowd(server.url, "--mode", mode).data

    assert (told["delivered"], told["failed"]) == (ALL, 1)


class Slams(Gathers):
    """Closes every connection behind the first answer that counts, unannounced."""

    def append(self, body: bytes) -> None:
        served = list(self.polls)
        super().append(body)
        if len(self.bodies) == 2:
            for one in served:
                self.drop(one)


def test_connections_that_end_unannounced_are_failures_that_cost_no_event(
    crowd: Bench,
) -> None:
    with serving(Slams()) as server:
        told = crowd(server.url).data

    assert (told["delivered"], told["failed"]) == (ALL, VIEWERS)


class IsBusy(Gathers):
    """Refuses one viewer in the middle of the run."""

    refusal: ClassVar = b"HTTP/1.1 503 Busy\r\n" + NO_BODY

    def append(self, body: bytes) -> None:
        if len(self.bodies) == 1:
            self.polls.pop(0).send(self.refusal)
        super().append(body)


def test_a_viewer_who_is_refused_for_now_comes_back(crowd: Bench) -> None:
    with serving(IsBusy()) as server:
        told = crowd(server.url).data

    assert (told["delivered"], told["failed"]) == (ALL, 1)


class Forgets(IsBusy):
    """The stream is gone in the middle of the run."""

    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nno such\n"


def test_a_refusal_that_is_final_ends_the_run_and_is_told(crowd: Bench) -> None:
    with serving(Forgets()) as server:
        result = crowd(server.url)

    assert result.code == 1
    assert result.data["error"] == "a viewer's read: 404 Not Found: no such"


class Neglects(Gathers):
    """Never serves one viewer again."""

    def append(self, body: bytes) -> None:
        if len(self.bodies) == 1:
            self.polls.pop(0)
        super().append(body)


def test_an_event_that_does_not_come_ends_the_run_with_what_there_is(
    crowd: Bench,
) -> None:
    with serving(Neglects()) as server:
        result = crowd(server.url, "--patience", "0.5")

    told = result.data
    assert result.code == 1
    assert told["error"] == "event 1: 19 of 20 viewers had it within 0.5 s"
    assert told["delivered"] == VIEWERS - 1
    assert told["last_ms"] is None
    assert told["each_ms"] is not None


class Repeats(Gathers):
    """Sends every event with the one before it."""

    def answer(self, since: int) -> bytes:
        return super().answer(-2)


def test_an_event_that_comes_again_is_not_counted_again(crowd: Bench) -> None:
    with serving(Repeats()) as server:
        told = crowd(server.url).data

    assert told["delivered"] == ALL


class NumbersAnswers(Gathers):
    """Each answer has a number and a cursor of its own, as Varnish and Node do."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[socket.socket, bytes] = {}
        self.returned: list[bool] = []

    def append(self, body: bytes) -> None:
        self.bodies.append(body)
        polls, self.polls = self.polls, []
        for number, one in enumerate(polls):
            self.given[one] = b"a/%d" % number
            own = b"\r\nX-Varnish: %d\r\nStream-Cursor: %b\r\n"
            first = self.answer(-1).replace(b"Stream-Cursor", b"X")
            one.send(first.replace(b"\r\n", own % (number, self.given[one]), 1))

    def live(self, connection: socket.socket, line: bytes) -> None:
        if connection in self.given:
            cursor = self.given[connection].replace(b"/", b"%2F")
            self.returned.append(b"?cursor=%b&" % cursor in line)
        super().live(connection, line)


def test_answers_that_all_differ_are_counted_and_each_cursor_comes_back(
    crowd: Bench,
) -> None:
    with serving(NumbersAnswers()) as server:
        told = crowd(server.url).data

    assert told["delivered"] == ALL
    # The last answers are followed up too, but nobody waits for that.
    assert len(server.returned) >= ALL
    assert all(server.returned)


class Lies(Trivial):
    """Answers appends with an error."""

    def plain(self, method: bytes) -> bytes:
        if method == b"POST":
            return b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nbroke"
        return super().plain(method)


def test_an_append_that_is_refused_ends_the_run(crowd: Bench) -> None:
    with serving(Lies()) as server:
        result = crowd(server.url)

    assert result.code == 1
    assert result.data == {
        "kind": "fanout",
        "error": "an append: 500 Internal Server Error: broke",
    }


class IsElsewhere(Trivial):
    """Serves no stream: no offsets."""

    def plain(self, method: bytes) -> bytes:
        text = super().plain(method)
        return text.replace(b"Stream-Next-Offset", b"X") if method == b"GET" else text


def test_a_url_that_serves_no_stream_is_told(crowd: Bench) -> None:
    with serving(IsElsewhere()) as server:
        result = crowd(server.url)

    assert result.code == 1
    assert result.data["error"] == "no stream is served here: no Stream-Next-Offset"


def test_a_stream_that_was_there_is_appended_to_and_stays(crowd: Bench) -> None:
    with serving(Trivial()) as server:
        assert crowd(server.url).code == 0

    assert server.asked == [b"HEAD", *[b"POST"] * (1 + EVENTS)]
