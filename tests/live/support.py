"""What the hub's tests share: a clock that tests move, and a sink that records."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from edge.live.hub import Hub
from edge.live.options import HubOptions
from edge.policy.routes import Route
from edge.protocol.counters import Counters
from edge.protocol.errors import EdgeError
from edge.protocol.ports import Origin, Ticket
from edge.protocol.values import Answer, Mode, Partition, Read, Stamp, StreamKey
from origin_adapter.scripted import ScriptedOrigin

ROUTE = Route()
PATH = "/v1/stream/a"


class TestClock:
    """A clock that stands still until a test moves it."""

    __test__ = False

    def __init__(self) -> None:
        self.time = 1000.0
        self.unix = 1_800_000_000.0

    def wall(self) -> float:
        return self.unix

    def monotonic(self) -> float:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += seconds
        self.unix += seconds


@dataclass(eq=False)
class RecordingSink:
    """Keeps what it is given. ``room`` False: full after the next write."""

    room: bool = True
    answer: Answer | None = None
    stamp: Stamp | None = None
    error: EdgeError | None = None
    written: list[bytes] = field(default_factory=list)
    finished: bool = False
    ended: Event = field(default_factory=Event)
    wrote: Event = field(default_factory=Event)

    def begin(self, answer: Answer, stamp: Stamp) -> None:
        assert self.answer is None, "begun twice"
        self.answer, self.stamp = answer, stamp

    def write(self, buffers: Sequence[bytes]) -> bool:
        assert self.answer is not None and not self.ended.is_set()
        self.written.append(b"".join(buffers))
        self.wrote.set()
        return self.room

    def finish(self) -> None:
        assert not self.ended.is_set(), "ended twice"
        self.finished = True
        self.ended.set()

    def abort(self, error: EdgeError) -> None:
        assert not self.ended.is_set(), "ended twice"
        self.error = error
        self.ended.set()

    @property
    def status(self) -> int:
        assert self.answer is not None, f"no answer; {self.error!r}"
        return self.answer.status

    @property
    def body(self) -> bytes:
        assert self.answer is not None and self.answer.body is not None
        return self.answer.body

    @property
    def text(self) -> str:
        """All that was written, of an event stream."""
        return b"".join(self.written).decode()

    def header(self, name: str) -> str | None:
        assert self.answer is not None, f"no answer; {self.error!r}"
        found = [v for k, v in self.answer.headers if k.lower() == name.lower()]
        assert len(found) < 2, f"{name} twice"
        return found[0] if found else None


class House:
    """A hub before an origin, with everything a test wants to look at."""

    def __init__(self, origin: Origin, **options: object) -> None:
        self.clock = TestClock()
        self.counters = Counters()
        self.options = HubOptions(**options)  # type: ignore[arg-type]
        self.hub = Hub(origin, self.options, self.counters, self.clock)

    def key(
        self, path: str = PATH, partition: Partition | None = None, extension: str = ""
    ) -> StreamKey:
        route = self.options.routes[0].match
        return StreamKey(route, path, extension, partition or Partition())

    def ask(
        self,
        offset: str = "-1",
        mode: Mode = Mode.CATCH_UP,
        sink: RecordingSink | None = None,
        key: StreamKey | None = None,
        cursor: int | None = None,
        if_none_match: str | None = None,
    ) -> "Asked":
        sink = sink or RecordingSink()
        read = Read(key or self.key(), offset, mode, cursor, if_none_match)
        ticket = self.hub.ask(read, sink, self.clock.monotonic())
        return Asked(sink, ticket)

    def wrote(self, method: str, status: int | None, **headers: str) -> None:
        fields = tuple((k.replace("_", "-"), v) for k, v in headers.items())
        route = self.options.routes[0].match
        self.hub.wrote(route, PATH, method, status, fields)


@dataclass(eq=False)
class Asked:
    """A read that was asked: its sink, and its ticket while it waits."""

    sink: RecordingSink
    ticket: Ticket | None

    def done(self) -> RecordingSink:
        """Wait until it was answered."""
        assert self.sink.ended.wait(5), f"never answered: {self.ticket!r}"
        return self.sink


def settle() -> None:
    """Let every greenlet that can run do so, until all of them wait."""
    for _ in range(8):
        gevent.sleep(0)


def scripted(**options: object) -> tuple[House, ScriptedOrigin]:
    """A house before an origin that does what the test says."""
    origin = ScriptedOrigin()
    return House(origin, **options), origin
