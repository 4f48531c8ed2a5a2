"""Worlds: a model origin, and the log that an edge holds of its stream.

The origin keeps the rules of PROTOCOL.md and has habits (O23): it may
hand out pages, or never claim that an answer is up to date. ``acts`` draws what
can happen to the two: writes through the edge and behind its back, reads whose
answers come late, polls, lost contact, time, eviction. The states of the log
that come of it are those that ``decide`` meets in a hub.
"""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from edge.core.errors import OriginFault
from edge.core.values import (
    ANONYMOUS,
    OriginAnswer,
    Partition,
    PartitionKind,
    Provenance,
    Read,
    StreamKey,
)
from edge.live.answer_facts import describe_by_get
from edge.live.ingest import Effect, HeardRange, absorb, describe
from edge.policy.streams.admission import Verdict, judge
from edge.policy.streams.decide import decide
from edge.policy.streams.decisions import Decision, Fetch, ReadState
from edge.policy.streams.routes import Route, TailMode
from edge.protocol.offsets import BEGIN, NOW
from edge.streamlog.barriers import ReadBarrier, RequestSnapshot
from edge.streamlog.stream_log import StreamLog
from origin_adapter.scripted import data, head_answer, no_content
from tests.support.options import rules

WALL = 1_800_000_000.0
ONE = Partition(PartitionKind.CREDENTIAL, "one")
RULES = rules(max_page=12, verify=60.0, trust=30.0, max_probe=8)
"""Small enough that a few messages make pages and are too large to probe."""


@dataclass(frozen=True)
class Habits:
    """``page``: the most messages in an answer. ``ttl``: Stream-TTL in seconds.
    ``heads``: whether HEAD tells (U12). ``echoes``: an offset beyond the tail is sent
    back as it came, and the tail is told in its place otherwise (O22)."""

    claims: bool = True
    page: int | None = None
    ttl: int | None = None
    heads: bool = True
    echoes: bool = False


class ModelOrigin:
    """The truth: messages, and whether there will be more."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits
        self.messages: list[bytes] = []
        self.closed = False

    @property
    def tail(self) -> str:
        return mint(len(self.messages))

    def get(self, start: str) -> OriginAnswer:
        """What a read from ``start`` is answered; one beyond the tail is empty,
        one inside a message begins with that message, like the Node server's."""
        last = len(self.messages)
        first = last if start == NOW else min(index_of(start), last)
        beyond = last if self.habits.page is None else first + self.habits.page
        end = min(last, beyond)
        whole = end == last
        beyond_tail = start != NOW and index_of(start) > last
        echo = beyond_tail and self.habits.echoes
        return data(
            b"".join(self.messages[first:end]),
            start if echo else mint(end),
            up_to_date=whole and self.habits.claims,
            closed=whole and self.closed,
        )

    def head(self) -> OriginAnswer:
        return head_answer(self.tail, closed=self.closed, ttl=self.habits.ttl)


class World:
    """An origin, a log of it, and a clock that only acts move."""

    def __init__(self, habits: Habits, partition: Partition, route: Route) -> None:
        self.origin = ModelOrigin(habits)
        self.key = StreamKey(route.match, "/v1/stream/a", "", partition)
        self.route = route
        self.log = StreamLog(1, 30.0)
        self.now = 1000.0
        self.late: list[tuple[str, RequestSnapshot, OriginAnswer]] = []

    def __repr__(self) -> str:
        return f"<World {self.origin.messages} {self.log!r}>"

    # What happens

    def append(self, size: int) -> None:
        """A write behind the edge's back; nothing, when the stream is closed."""
        if not self.origin.closed:
            mark = b"%c" % (97 + len(self.origin.messages) % 26)
            self.origin.messages.append(mark * size)

    def append_here(self, size: int) -> None:
        """A write through this edge (L4)."""
        self.append(size)
        self.log.tail.acknowledge(self.origin.tail, self.origin.closed)

    def append_unheard(self, size: int) -> None:
        """A write through this edge whose answer named no offset (L4)."""
        self.append(size)
        self.log.tail.acknowledge(None, False)

    def append_aside(self, size: int) -> None:
        """A write through this edge, by extension parameters that the origin ignores:
        to this very stream (U13)."""
        begun_at = self.now
        self.append(size)
        self.now += 0.01
        self.log.tail.acknowledge_foreign("x=1", self.origin.tail, begun_at, self.now)

    def append_elsewhere(self) -> None:
        """A write to another stream at this path (U13)."""
        self.now += 0.01
        self.log.tail.acknowledge_foreign("y=1", mint(9), self.now, self.now + 0.01)

    def close(self) -> None:
        self.origin.closed = True

    def close_here(self) -> None:
        self.close()
        self.log.tail.acknowledge(self.origin.tail, True)

    def read(self, start: str) -> Effect | None:
        """A read that is answered at once."""
        self.send(start)
        return self.land(len(self.late) - 1)

    def read_old(self, start: str, age: float) -> Effect | None:
        """A read that a tier in between answers, by what it heard so long ago."""
        self.send(start)
        start, sent, answer = self.late.pop()
        told = replace(answer, provenance=Provenance(age))
        self.late.append((start, sent, told))
        return self.land(len(self.late) - 1)

    def send(self, start: str) -> None:
        """A read is sent and answered, but its answer is not here yet."""
        sent = self.log.tail.request_snapshot(self.now, self.log.incarnation)
        self.late.append((start, sent, self.origin.get(start)))

    def land(self, which: int) -> Effect | None:
        """One of the answers under way arrives."""
        if not self.late:
            return None
        start, sent, answer = self.late.pop(which % len(self.late))
        admission = judge(answer, start, self.key, self.route)
        if admission.verdict is not Verdict.ADMIT:
            # Only to an offset beyond the tail: it goes to its asker.
            return None
        heard = HeardRange(start, sent, admission, answer, self.now)
        effect = absorb(self.log, self.route, heard, max_probe=RULES.max_probe)
        kept = effect in (Effect.GREW, Effect.CONFIRMED)
        if kept and not self.origin.habits.heads:
            describe_by_get(self.log, answer)
        return effect

    def head(self) -> Effect | None:
        """A HEAD, or what stands in for it where HEAD does not tell (U12)."""
        if not self.origin.habits.heads:
            return self.read(NOW)
        sent = self.log.tail.request_snapshot(self.now, self.log.incarnation)
        return describe(self.log, self.route, self.origin.head(), sent, self.now)

    def arm(self) -> None:
        """A follower's poll is on the wire: there was nothing beyond the end."""
        if self.log.end == self.origin.tail and not self.origin.closed:
            self.log.tail.arm(
                self.log.tail.request_snapshot(self.now, self.log.incarnation)
            )

    def disarm(self) -> None:
        self.log.tail.disarm()

    def silence(self) -> None:
        """A poll from the end is answered without data and without a claim (U8)."""
        end = self.log.end
        if end is not None:
            sent = self.log.tail.request_snapshot(self.now, self.log.incarnation)
            self.log.tail.disarm()
            self.late.append((end, sent, no_content(end, up_to_date=False)))
            self.land(len(self.late) - 1)

    def lose_contact(self) -> None:
        self.log.tail.disarm()
        self.log.tail.mark_unverified(self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def evict(self) -> None:
        self.log.evict_first()

    # A reader

    def decide(self, read: Read, moment: ReadState) -> Decision:
        return decide(read, self.log, moment, self.route, RULES)

    def moment(self, read: Read, fault: OriginFault | None = None) -> ReadState:
        """A reader arrives now."""
        barrier = self.log.tail.read_barrier()
        return self.state(read.offset, barrier, fault)

    def state(
        self, offset: str, barrier: ReadBarrier, fault: OriginFault | None
    ) -> ReadState:
        """The state of a reader that has just come."""
        tells = self.origin.habits.heads
        return ReadState(
            self.now, WALL, offset, barrier, fault, head_tells=tells, arrives=True
        )

    def answer(self, fetch: Fetch) -> Effect | None:
        """Do what a hub does for a Fetch."""
        return self.head() if fetch.start is None else self.read(fetch.start)


def mint(index: int) -> str:
    return f"{index:04d}"


def index_of(offset: str) -> int:
    """The message that a read from ``offset`` begins with."""
    return 0 if offset == BEGIN else int(offset.partition(".")[0])


# What can happen, as strategies

Act = tuple[object, ...]
"""A method of World and its arguments."""


offsets = st.one_of(
    st.just(BEGIN),
    st.integers(0, 8).map(mint),
    st.integers(0, 8).map(lambda index: f"{mint(index)}.1"),
)
"""Minted or not yet, guessed or beyond the tail."""


sizes = st.integers(1, 9)
starts = st.one_of(offsets, st.just(NOW))

acts: st.SearchStrategy[list[Act]] = st.lists(
    st.one_of(
        st.tuples(st.just("append"), sizes),
        st.tuples(st.just("append_here"), sizes),
        st.tuples(st.just("append_unheard"), sizes),
        st.tuples(st.just("append_aside"), sizes),
        st.tuples(st.just("read"), starts),
        st.tuples(st.just("read_old"), starts, st.sampled_from([1.0, 59.0, 300.0])),
        st.tuples(st.just("send"), starts),
        st.tuples(st.just("land"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.sampled_from([0.25, 12.0, 31.0, 61.0, 200.0])),
        st.sampled_from(
            ["head", "arm", "disarm", "lose_contact", "evict", "append_elsewhere"]
        ).map(lambda name: (name,)),
        st.sampled_from(["close", "close_here", "silence"]).map(lambda name: (name,)),
    ),
    max_size=12,
)
habits = st.builds(
    Habits,
    st.booleans(),
    st.none() | st.integers(1, 3),
    st.none() | st.just(90),
    st.booleans(),
    st.booleans(),
)


@st.composite
def worlds(
    draw: st.DrawFn, partitions: tuple[Partition, ...] = (ANONYMOUS, ONE)
) -> World:
    """A world after some acts."""
    route = draw(st.sampled_from([Route(), Route(tail=TailMode.STRICT)]))
    world = World(draw(habits), draw(st.sampled_from(partitions)), route)
    for name, *arguments in draw(acts):
        getattr(world, str(name))(*arguments)
    return world
