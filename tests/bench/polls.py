"""What an answered long-poll costs its caller: the http origin alone, no hub.

So many followers poll an origin that answers at once, in a process of its own, each
over a connection of its own; where one poll ends, the next begins. Told is the
processor time of this process for each, the making of the request included::

    python -m tests.bench.polls [--followers 50] [--polls 20000]

Under ``strace -c -f`` it tells the system calls. No test asserts a figure of it.
"""

import argparse
import multiprocessing
import select
import socket
import time
from itertools import count

import gevent
from gevent.event import Event

from edge.core.errors import EdgeError
from edge.core.values import OriginAnswerHead, OriginRequest, Purpose
from origin_adapter.http import HttpOrigin
from tests.support.options import http_options

BODY = b"x" * 100
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Stream-Next-Offset: 0000000000000000_%016d\r\nStream-Cursor: 1234567\r\n"
    b'Stream-Up-To-Date: true\r\nETag: "%d"\r\nCache-Control: public, max-age=60\r\n'
    b"Access-Control-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\n"
    b"Date: Sun, 29 Nov 2026 13:00:00 GMT\r\nConnection: keep-alive\r\n"
    b"Keep-Alive: timeout=5\r\nContent-Length: 100\r\n\r\n%b"
)
LIMIT = 20.0
"""Seconds that a run may take."""


def answer_all(listener: socket.socket) -> None:
    """Answer whatever comes, for ever."""
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connected: dict[int, socket.socket] = {}
    for number in count():
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                accepted, _ = listener.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connected[accepted.fileno()] = accepted
                poll.register(accepted, select.EPOLLIN)
            elif connected[descriptor].recv(65536):
                connected[descriptor].send(ANSWER % (number, number, BODY))
            else:
                poll.unregister(descriptor)
                connected.pop(descriptor).close()


class Follower:
    """Polls again and again, as long as there are numbers; its own receiver."""

    def __init__(self, origin: HttpOrigin, numbers: "count[int]", polls: int) -> None:
        self.over = Event()
        self.fault: EdgeError | None = None
        self._origin = origin
        self._numbers = numbers
        self._polls = polls

    def ask(self) -> None:
        """Begin the next poll, or end."""
        number = next(self._numbers)
        if number >= self._polls:
            self.over.set()
            return
        headers = (
            ("accept-encoding", "identity"),
            ("via", "1.1 here"),
            ("cdn-loop", "ds-edge;node=c0ffee"),
            ("traceparent", f"00-{number:032x}-{number:016x}-01"),
            ("x-request-id", f"{number:032x}"),
        )
        target = f"/v1/stream/demo?offset={number:033d}&live=long-poll&cursor=12345"
        request = OriginRequest("GET", target, headers, Purpose.FOLLOW)
        self._origin.begin(request, self)

    def sent(self) -> None:
        """Nothing waits for it."""

    def head(self, head: OriginAnswerHead) -> None:
        """Nothing of it is needed."""

    def data(self, piece: bytes) -> None:
        """Nothing of it is needed."""

    def ended(self) -> None:
        """On to the next."""
        self.ask()

    def failed(self, fault: EdgeError) -> None:
        """The run is over, and without a figure."""
        self.fault = fault
        self.over.set()


def main() -> None:
    """Run once, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--followers", type=int, default=50)
    parser.add_argument("--polls", type=int, default=20_000)
    asked = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = multiprocessing.get_context("fork").Process(
        target=answer_all, args=(listener,), daemon=True
    )
    server.start()
    listener.close()
    origin, numbers = HttpOrigin(http_options(url)), count()
    followers = [Follower(origin, numbers, asked.polls) for _ in range(asked.followers)]
    before = time.process_time()
    with gevent.Timeout(LIMIT):
        for follower in followers:
            follower.ask()
        for follower in followers:
            follower.over.wait()
            if follower.fault is not None:
                raise follower.fault
    each = (time.process_time() - before) / asked.polls
    server.terminate()
    print(
        f"{asked.polls} polls: {each * 1e6:.1f} us of processor time each; {origin!r}"
    )


if __name__ == "__main__":
    main()
