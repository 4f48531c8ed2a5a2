"""The load that sleeps: when it says that an answer came, and what it takes for one."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from tests.bench import last_viewer
from tests.bench.last_viewer import ParkedCrowd, ParkedViewer, Shape, Times, row
from tests.bench.load.events import Wrong
from tests.bench.load.kept import Kept
from tests.support.patience import until
from tests.support.processes import Edge, Process, edge, node_origin

POLLED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nStream-Next-Offset: 0_6\r\n\r\n"
FOLLOWED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """One at which arrivals have times: the kernel takes them while anybody asks for
    them, and a moment after the first one did."""
    with (
        socket.create_server(("127.0.0.1", 0)) as made,
        closing(ParkedViewer(made.getsockname(), is_sse=False)) as first,
        made.accept()[0] as server,
    ):

        def has_time() -> int:
            server.sendall(POLLED + b"before")
            first.read()
            return first.arrived

        until(has_time)
        yield made


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


def test_an_answer_came_with_its_last_segment_whenever_it_is_read(
    listener: socket.socket,
) -> None:
    with closing(ParkedViewer(listener.getsockname(), is_sse=False)) as viewer:
        server, _ = listener.accept()
        with server:
            server.sendall(POLLED + b"one")
            until(lambda: viewer.read() or viewer.body)
            first, between = viewer.arrived, now()
            server.sendall(b"two")
            until(viewer.read)

    assert first < between < viewer.arrived < now()
    assert viewer.take() == b"onetwo"
    assert viewer.take() == b""


def test_an_event_is_there_with_the_control_event_behind_it(
    listener: socket.socket,
) -> None:
    with closing(ParkedViewer(listener.getsockname(), is_sse=True)) as viewer:
        server, _ = listener.accept()
        with server:
            server.sendall(FOLLOWED + chunk(b"event: data\ndata: one\n\n"))
            until(lambda: viewer.read() or viewer.body)
            assert not viewer.read()
            server.sendall(chunk(b"event: control\ndata: {}\n\n"))
            until(viewer.read)

    assert viewer.take() == b"one"


def test_a_viewer_that_was_cut_has_no_figure(listener: socket.socket) -> None:
    with closing(ParkedViewer(listener.getsockname(), is_sse=False)) as viewer:
        listener.accept()[0].close()
        with pytest.raises(Wrong, match="was closed"):
            until(viewer.read)


def crowd(name: str, *last: float) -> ParkedCrowd:
    """One that had its events so late, in ms, and half of them in half of that."""
    nowhere = Edge("", "", cast(Process, None), Path())
    made = ParkedCrowd(Shape(name, nowhere, []), "", "sse", spread=[2, 2])
    made.times = [Times([t / 2, t / 2, t], 1.0, t / 4, 0.0, 0.2) for t in last]
    return made


def test_events_are_compared_with_those_that_came_beside_them() -> None:
    """A machine is as busy for both, though not from event to event."""
    alone, both = crowd("alone", 100.0, 40.0, 60.0), crowd("both", 50.0, 30.0, 60.0)

    assert row(alone, alone).endswith("|  |")
    assert row(both, alone).endswith(
        "| **0.75 (0.50 to 1.00)**; 0.75 (0.50 to 1.00); 0.75 (0.50 to 1.00) |"
    )


def test_a_crowd_has_each_event_and_another_text_is_no_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real edge, and a writer of whom the crowd does not know."""
    monkeypatch.setattr(last_viewer, "SLEEP_SECONDS", 0.0)
    with node_origin(long_poll_ms=30_000) as origin, edge(origin.url) as running:
        shape = Shape("one worker", running, [running.process.pid])
        for mode in last_viewer.MODES:
            with closing(ParkedCrowd(shape, origin.url, mode)) as crowd:
                crowd.park(4)
                for number in range(2):
                    times = crowd.event(number)
                    assert len(times.each) == 4
                    assert 0 < times.each[0] <= times.half <= times.last
                other = Kept(origin.url)
                with closing(other):
                    other.ask(
                        "POST", crowd.path, b"another", "Content-Type: text/plain"
                    )
                    with pytest.raises(Wrong, match="another"):
                        crowd.event(2)
            until(crowd.has_left)
