"""What the hub's tests share: a clock that tests move, and a sink that records.

Stories are told with offsets of four digits that count bytes: a stream that
holds ``abc`` has its tail at ``0003``.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import AsyncResult, Event

from edge.core.counters import Counters
from edge.core.errors import EdgeError
from edge.core.ports import Origin, PendingRead, Ready
from edge.core.values import (
    NO_END,
    Answer,
    Headers,
    Lease,
    Mode,
    OriginAnswer,
    OriginRequest,
    Partition,
    PartitionKind,
    PerResponse,
    Purpose,
    Read,
    StreamKey,
    WriteOutcome,
)
from edge.live.hub import Hub
from edge.live.upstream import Outcome, Upstream
from edge.policy.streams.routes import Route
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer
from tests.support.options import hub_options
from tests.support.patience import PATIENCE

ROUTE = Route()
PATH = "/v1/stream/a"
ALICE = Partition(PartitionKind.CREDENTIAL, "alice", (("authorization", "alice"),))
BOB = Partition(PartitionKind.CREDENTIAL, "bob", (("authorization", "bob"),))
QUICK = {"backoff_first": 0.001, "backoff_max": 0.002}
"""Back-off that a story need not wait for."""


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
    per_response: PerResponse | None = None
    error: EdgeError | None = None
    written: list[bytes] = field(default_factory=list)
    finished: bool = False
    held: bool = False
    client: str = ""
    trace: Headers = ()
    ended: Event = field(default_factory=Event)
    wrote: Event = field(default_factory=Event)

    def send_whole(self, ready: Ready, pause_reads: bool = False) -> None:
        assert not self.held, "given twice"
        self.held = pause_reads
        self.begin(ready.answer, ready.per_response)
        self.finish()

    def resume(self) -> None:
        self.held = False

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        assert self.answer is None, "begun twice"
        self.answer, self.per_response = answer, per_response

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
    def whole(self) -> bytes:
        """The body, whether it came with the head or was streamed."""
        assert self.answer is not None, f"no answer; {self.error!r}"
        return b"".join([self.answer.body or b"", *self.written])

    @property
    def text(self) -> str:
        """All that was written, of an event stream."""
        return b"".join(self.written).decode()

    def header(self, name: str) -> str | None:
        assert self.answer is not None, f"no answer; {self.error!r}"
        found = [v for k, v in self.answer.headers if k.lower() == name.lower()]
        assert len(found) < 2, f"{name} twice"
        return found[0] if found else None

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The event stream so far: data as text, control events as objects."""
        found: list[tuple[str, Any]] = []
        for frame in self.text.split("\n\n"):
            name, _, rest = frame.partition("\n")
            if name.startswith("event: "):
                lines = (line.removeprefix("data:") for line in rest.split("\n"))
                text = "\n".join(lines)
                kind = name.removeprefix("event: ")
                found.append((kind, json.loads(text) if kind == "control" else text))
        return found

    @property
    def cursor(self) -> str | None:
        assert self.per_response is not None
        return self.per_response.cursor

    @property
    def above(self) -> str:
        """What the caches above told, as it goes before our own member."""
        assert self.per_response is not None
        return self.per_response.status.upstream

    @property
    def how(self) -> str:
        """How the answer came about, in a few words of Cache-Status."""
        assert self.per_response is not None
        status = self.per_response.status
        words = ["hit"] if status.hit else []
        words += [f"fwd={status.fwd}"] if status.fwd else []
        words += ["collapsed"] if status.collapsed else []
        words += ["stored"] if status.stored else []
        words += [status.detail.value] if status.detail else []
        return " ".join(words)


def fetch(
    upstream: Upstream,
    request: OriginRequest,
    on_sent: Callable[[], None] | None = None,
) -> OriginAnswer:
    """The whole answer, waited for. Raises how else the fetch ended."""
    ended: AsyncResult[Outcome] = AsyncResult()
    upstream.begin(request, ended.set, on_sent)
    outcome = ended.get(timeout=PATIENCE)
    assert outcome is not None
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


STANDING: "list[House]" = []
"""Those of the test that runs. Stopped behind it (``conftest``): else their followers
go on in the tests that come after."""


class House:
    """A hub before an origin, with everything a test wants to look at."""

    def __init__(
        self, origin: Origin, files: Any = None, disk: Any = None, **options: object
    ) -> None:
        self.clock = TestClock()
        self.counters = Counters()
        self.options = hub_options(**options)
        self.hub = Hub(origin, self.options, self.counters, self.clock, files, disk)
        STANDING.append(self)

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
        codings: tuple[str, ...] = (),
        expires_at: float | None = None,
        hops: tuple[str, ...] = (),
        left: float = NO_END,
        ends_soon: bool = False,
        lease: Lease | None = None,
    ) -> "Asked":
        """``left``: seconds until the grant behind it ends, unless ``lease`` says."""
        sink = sink or RecordingSink()
        key = key or self.key()
        conditions = (cursor, if_none_match, codings, expires_at, hops)
        read = Read(key, offset, mode, *conditions, ends_soon=ends_soon)
        now = self.clock.monotonic()
        pending = self.hub.ask(read, sink, now, lease or Lease(now + left))
        return Asked(sink, pending)

    def poll(self, offset: str, cursor: int | None = None) -> "Asked":
        """Ask by long-poll."""
        return self.ask(offset, Mode.LONG_POLL, cursor=cursor)

    def view(self, offset: str, cursor: int | None = None) -> "Asked":
        """Ask by SSE."""
        return self.ask(offset, Mode.SSE, cursor=cursor)

    def pass_time(self, seconds: float) -> None:
        """Time passes, the ticker looks, and everybody does what he can."""
        self.clock.move(seconds)
        self.hub.tick(self.clock.monotonic())
        settle()

    def wrote(
        self, method: str, status: int | None, extension: str = "", **headers: str
    ) -> None:
        """A write to the stream, or with ``extension`` to another one at its path."""
        fields = tuple((k.replace("_", "-"), v) for k, v in headers.items())
        route, begun_at = self.options.routes[0].match, self.clock.monotonic()
        write = WriteOutcome(route, PATH, extension, method, status, fields, begun_at)
        self.hub.wrote(write)


@dataclass(eq=False)
class Asked:
    """A read that was asked: its sink, and its ticket while it waits."""

    sink: RecordingSink
    pending: PendingRead | None

    @property
    def waits(self) -> bool:
        """Whether it was neither answered nor ended yet."""
        return not self.sink.ended.is_set()

    def done(self) -> RecordingSink:
        """Wait until it was answered."""
        assert self.sink.ended.wait(PATIENCE), f"never answered: {self.pending!r}"
        return self.sink


def settle() -> None:
    """Let every greenlet that can run do so, until all of them wait."""
    for _ in range(8):
        gevent.sleep(0)
        # A long pass waits for the sockets to be looked at.
        gevent.idle()


def scripted(**options: object) -> tuple[House, ScriptedOrigin]:
    """A house before an origin that does what the test says."""
    origin = ScriptedOrigin()
    return House(origin, **options), origin


def warm(house: House, origin: ScriptedOrigin, body: bytes = b"abc") -> str:
    """The edge holds a stream from its beginning to its tail, which is returned."""
    asked, tail = house.ask(), f"{len(body):04d}"
    origin.expect(Purpose.CATCH_UP).reply(data(body, tail))
    assert asked.done().status == 200
    return tail


def watch(
    house: House, origin: ScriptedOrigin, at: str = "0003", mode: Mode = Mode.LONG_POLL
) -> tuple[Asked, Call]:
    """A first live reader at the tail: one HEAD opened it, and a poll is armed."""
    asked = house.ask(at, mode)
    origin.expect(Purpose.CATCH_UP).reply(head_answer(at))
    return asked, origin.expect(Purpose.FOLLOW)


def refuse_head(origin: ScriptedOrigin, status: int = 405) -> None:
    """The next call is a HEAD, which tells nothing (U12)."""
    call = origin.expect(Purpose.CATCH_UP)
    assert call.request.method == "HEAD"
    call.answer(status, [("content-type", "text/plain")])
