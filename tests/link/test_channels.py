"""Channels: what a front makes of what its keeper sends, and a keeper of what comes.

A front's end meets a unix socket in the test's hand; a keeper's end is that of a real
keeper, with its hub, in a process of its own.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import gevent
import pytest

from edge.core.errors import OriginUnreachable
from edge.core.reasons import Reason
from edge.core.values import OriginRequest, Purpose
from edge.link.channels import FRAME_MARGIN, Channel
from edge.policy.http.link_frames import (
    GREETING,
    Frame,
    FrameKind,
    FrameReader,
    Push,
    frame,
    push_of,
)
from tests.front.edge_process import PATIENCE
from tests.link.node_process import LinkClient, NodeProcess
from tests.link.test_link_socket import FIELD
from tests.support.hub_errors import HubError
from tests.support.origin_contract import Defect, Recorder

READ = OriginRequest("GET", "/v1/stream/a?offset=3&live=sse", (), Purpose.EVENTS)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-A: b: c\r\n\r\n"
MAX = 1024


def until(holds: Callable[[], object]) -> None:
    """Let the event loop run until that holds."""
    with gevent.Timeout(PATIENCE):
        while not holds():
            gevent.sleep(0.001)


unix_socket = partial(socket.socket, socket.AF_UNIX)


@dataclass(eq=False)
class Keeper:
    """A keeper in the test's hand: its connections, and the frames that came."""

    path: Path
    bound: socket.socket = field(default_factory=unix_socket)
    ends: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bound.bind(str(self.path))
        self.bound.listen(8)
        self.channel = Channel(str(self.path), lambda it: it.target.encode(), MAX)

    def follow(self) -> Recorder:
        recorder = Recorder()
        recorder.call = self.channel.begin(READ, recorder)
        return recorder

    def accept(self) -> socket.socket:
        end, _ = self.bound.accept()
        end.setblocking(False)
        self.ends.append(end)
        return end

    def heard(self, end: socket.socket, number: int) -> list[Frame]:
        """So many frames behind the greeting, the first time it is asked."""
        reader = FrameReader(MAX)
        frames: list[Frame] = []
        while len(frames) < number:
            until(lambda: _has(end))
            data = end.recv(1 << 16)
            assert data, "it hung up"
            frames += reader.feed(data.removeprefix(GREETING))
        return frames

    def close(self) -> None:
        self.channel.close()
        for one in (self.bound, *self.ends):
            one.close()


def _has(end: socket.socket) -> bool:
    try:
        end.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    one = Keeper(tmp_path / "k.sock")
    yield one
    one.close()


def test_what_is_pushed_of_a_stream_comes_as_an_answer_does(keeper: Keeper) -> None:
    one, other = keeper.follow(), keeper.follow()
    end = keeper.accept()
    first, second = keeper.heard(end, 2)
    assert first == (FrameKind.OPEN, 1, READ.target.encode())
    assert second.number == 2
    end.sendall(
        frame(FrameKind.HEAD, 1, HEAD)
        + frame(FrameKind.PUSH, 1, b"<1>")
        + frame(FrameKind.HEAD, 2, HEAD)
        + frame(FrameKind.PUSH, 1, b"<2>")
        + frame(FrameKind.END, 1)
        + frame(FrameKind.PUSH, 1, b"late")
        + frame(FrameKind.PUSH, 2, b"<3>")
    )
    until(lambda: other.body)

    assert one.body == b"<1><2>" and one.told[-1] == "ended"
    assert one.answer is not None and one.answer.status == 200
    assert ("x-a", "b: c") in one.answer.headers
    assert other.body == b"<3>" and other.told == ["sent", "head", "data"]


def test_a_keeper_is_told_which_of_its_spans_to_record(keeper: Keeper) -> None:
    """Before there is a connection nothing was told of any."""
    keeper.channel.record("early")
    keeper.follow()
    end = keeper.accept()
    keeper.heard(end, 1)
    keeper.channel.record("00-1-2-01")

    assert keeper.heard(end, 1) == [Frame(FrameKind.RECORD, 0, b"00-1-2-01")]


def test_who_gives_up_hears_nothing_more_and_its_keeper_is_told(
    keeper: Keeper,
) -> None:
    one, other = keeper.follow(), keeper.follow()
    end = keeper.accept()
    keeper.heard(end, 2)
    one.call.cancel()
    one.call.cancel()
    [closed] = keeper.heard(end, 1)
    end.sendall(frame(FrameKind.HEAD, 1, HEAD) + frame(FrameKind.HEAD, 2, HEAD))
    until(lambda: "head" in other.told)

    assert closed == (FrameKind.CLOSE, 1, b"")
    assert one.told == ["sent"]


BREAKS: dict[str, tuple[bytes, Reason]] = {
    "it dies": (b"", Reason.ORIGIN_UNREACHABLE),
    "it dies within a frame": (
        frame(FrameKind.PUSH, 1, b"<2>")[:-1],
        Reason.ORIGIN_UNREACHABLE,
    ),
    "a length without bound": (
        frame(FrameKind.PUSH, 1, bytes(MAX + FRAME_MARGIN + 1))[:9],
        Reason.ORIGIN_GARBAGE,
    ),
    "a kind that is not known": (b"\0\0\0\0\0\0\0\1\xff", Reason.ORIGIN_GARBAGE),
    "a kind that keepers do not send": (
        frame(FrameKind.OPEN, 1, b""),
        Reason.ORIGIN_GARBAGE,
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_channel_that_breaks_fails_all_that_is_followed_there(
    keeper: Keeper, name: str
) -> None:
    """What was whole before that is taken; the next one is a channel of its own."""
    data, reason = BREAKS[name]
    one, other = keeper.follow(), keeper.follow()
    end = keeper.accept()
    keeper.heard(end, 2)
    end.sendall(frame(FrameKind.HEAD, 1, HEAD) + frame(FrameKind.PUSH, 1, b"<1>"))
    until(lambda: one.body)
    end.sendall(data)
    if reason is Reason.ORIGIN_UNREACHABLE:
        end.close()
    until(lambda: one.fault and other.fault)

    assert one.body == b"<1>"
    faults = [each.fault for each in (one, other) if each.fault is not None]
    assert [fault.reason for fault in faults] == [reason, reason]
    keeper.follow()
    [again] = keeper.heard(keeper.accept(), 1)
    assert again == (FrameKind.OPEN, 1, READ.target.encode())


def test_a_keeper_that_is_to_end_is_followed_to_the_end_and_no_further(
    keeper: Keeper,
) -> None:
    """W12: what is begun behind its word goes to the successor."""
    one = keeper.follow()
    end = keeper.accept()
    keeper.heard(end, 1)
    end.sendall(frame(FrameKind.HEAD, 1, HEAD) + frame(FrameKind.LEAVING, 0))
    until(lambda: "head" in one.told)
    until(lambda: "Connection" not in repr(keeper.channel))
    other = keeper.follow()
    successor = keeper.accept()
    keeper.heard(successor, 1)
    end.sendall(frame(FrameKind.PUSH, 1, b"<1>") + frame(FrameKind.END, 1))
    until(lambda: one.told[-1] == "ended")

    assert one.body == b"<1>"
    until(lambda: _has(end))
    assert end.recv(1) == b"", "its front has closed it"
    assert other.told == ["sent"]


def test_where_nobody_can_be_called_it_fails_and_not_at_once(tmp_path: Path) -> None:
    channel = Channel(str(tmp_path / "nobody"), lambda it: b"", MAX)
    recorder = Recorder()
    channel.begin(READ, recorder)
    assert recorder.told == []
    until(lambda: recorder.fault)
    assert isinstance(recorder.fault, OriginUnreachable)


def test_a_receiver_that_breaks_ends_its_own_stream_alone(
    keeper: Keeper, hub_errors: list[HubError]
) -> None:
    one = Recorder(raises="data")
    keeper.channel.begin(READ, one)
    other = keeper.follow()
    end = keeper.accept()
    keeper.heard(end, 2)
    end.sendall(frame(FrameKind.HEAD, 1, HEAD) + frame(FrameKind.PUSH, 1, b"<1>"))
    end.sendall(frame(FrameKind.HEAD, 2, HEAD) + frame(FrameKind.PUSH, 2, b"<2>"))
    until(lambda: other.body)

    assert one.fault is not None and one.fault.reason is Reason.INTERNAL
    assert [error.kind for error in hub_errors] == [Defect]
    hub_errors.clear()


# A keeper's end.


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with NodeProcess(keepers=1) as edge:
        yield edge


class FrontEnd:
    """A front in the test's hand."""

    def __init__(self, node: NodeProcess) -> None:
        self.client: LinkClient = node.call_keeper()
        self._reader = FrameReader(1 << 24)
        self._frames: list[Frame] = []

    def __enter__(self) -> "FrontEnd":
        self.client.send(GREETING)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def open(self, number: int, path: str, *fields: str, query: str = "") -> None:
        lines = [f"GET {path}?{query or 'offset=-1&live=sse'} HTTP/1.1", "Host: keeper"]
        head = "\r\n".join((*lines, *(fields or (FIELD,)), "", ""))
        self.client.send(frame(FrameKind.OPEN, number, head.encode()))

    def next(self) -> Frame:
        while not self._frames:
            data = self.client.sock.recv(1 << 16)
            assert data, "the keeper hung up"
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def pushed(self) -> Push:
        one = self.next()
        assert one.kind is FrameKind.PUSH
        return push_of(one.payload)

    def hangs_up(self) -> bool:
        while data := self.client.sock.recv(1 << 16):
            self._frames += self._reader.feed(data)
        return True


def write(node: NodeProcess, method: str, path: str, body: bytes = b"") -> None:
    with node.connect() as client:
        client.request(method, path, "Content-Type: text/plain", body=body)
        assert client.read().status in (200, 201, 204)


def test_a_keeper_pushes_what_it_hears_to_who_follows(node: NodeProcess) -> None:
    """Bytes as they are, of a type whose events would not be exact; of each stream
    what follows what was there."""
    path = "/v1/stream/pushed"
    write(node, "PUT", path)
    write(node, "POST", path, b"\xff\r\n")
    with FrontEnd(node) as front:
        front.open(7, path)
        head = front.next()
        assert (head.kind, head.number) == (FrameKind.HEAD, 7)
        assert f"\r\n{FIELD.split(':')[0]}: ".encode() in head.payload.lower()
        held = front.pushed()
        assert held.data == b"\xff\r\n"
        at, seen = held.next, held.data
        while not held.up_to_date:
            held = front.pushed()
        for number in range(8):
            write(node, "POST", path, b"<%d>" % number)
        while b"<7>" not in seen:
            one = front.pushed()
            assert one.start == at
            at, seen = one.next, seen + one.data
        assert seen == b"\xff\r\n" + b"".join(b"<%d>" % n for n in range(8))
        front.client.send(frame(FrameKind.CLOSE, 7))
        front.open(8, path)
        kinds = iter(front.next, None)
        assert next(one for one in kinds if one.number == 8).kind is FrameKind.HEAD


REFUSED = {
    "without terms": ("X-A: b",),
    "with the terms of another node": (FIELD.replace("b0a4d", "other"),),
}


def test_where_no_traces_are_made_nothing_is_recorded_for_a_front(
    node: NodeProcess,
) -> None:
    path = "/v1/stream/untraced"
    write(node, "PUT", path)
    with FrontEnd(node) as front:
        front.client.send(frame(FrameKind.RECORD, 0, b"\xff"))
        front.open(1, path)
        assert front.next().kind is FrameKind.HEAD
        assert front.pushed().trace == ""


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_pushed_to_who_is_no_front(node: NodeProcess, name: str) -> None:
    with FrontEnd(node) as front:
        front.open(1, "/v1/stream/secret", *REFUSED[name])
        assert front.next() == (FrameKind.END, 1, b"")


@pytest.mark.parametrize("query", ["offset=-1", "offset=-1&live=long-poll"])
def test_what_is_no_event_stream_is_not_pushed(node: NodeProcess, query: str) -> None:
    with FrontEnd(node) as front:
        front.open(1, "/v1/stream/plain", query=query)
        assert front.next() == (FrameKind.END, 1, b"")


def test_a_stream_that_is_not_there_is_not_pushed(node: NodeProcess) -> None:
    """Its front polls, and is told why."""
    with FrontEnd(node) as front:
        front.open(1, "/v1/stream/missing")
        assert front.next() == (FrameKind.END, 1, b"")


HOSTILE = {
    "a length without bound": b"\xff\xff\xff\xff\0\0\0\1\1",
    "a kind that is not known": b"\0\0\0\0\0\0\0\1\xee",
    "a kind that fronts do not send": frame(FrameKind.PUSH, 1, b"x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_frame_ends_its_channel_alone(node: NodeProcess, name: str) -> None:
    write(node, "PUT", "/v1/stream/goes-on")
    with FrontEnd(node) as front, FrontEnd(node) as other:
        front.client.send(HOSTILE[name])
        assert front.hangs_up()
        other.open(1, "/v1/stream/goes-on")
        assert other.next().kind is FrameKind.HEAD


def test_a_front_that_reads_late_is_told_all_in_order(node: NodeProcess) -> None:
    """Far more than the system takes, and than may wait for a front: readers are full
    then, and are given the rest as the channel drains."""
    path, size = "/v1/stream/slow", 48 * 1024
    write(node, "PUT", path)
    with FrontEnd(node) as front:
        front.open(1, path)
        assert front.next().kind is FrameKind.HEAD
        written = [bytes([65 + number]) * size for number in range(26)]
        for body in written:
            write(node, "POST", path, body)
        seen = b""
        while len(seen) < size * len(written):
            one = front.next()
            assert one.kind is FrameKind.PUSH
            seen += push_of(one.payload).data
        assert seen == b"".join(written)
