"""Readers drawn by what shall become of them: each outcome of ``decide`` has a way.

A way builds a world (``tests.support.worlds``) towards its outcome, and says where its
reader stands. It does so from the rules, not by asking ``decide``. A law that draws
from ``cases()`` therefore meets each outcome often, which drawing blindly never does.

Noise may spoil what a way has built: some cases are disturbed by other acts before
or after the reader arrives. That is wanted, for it makes the states beside the beaten
ways. ``test_decide_laws`` counts what is reached all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st

from edge.core.errors import OriginFault, OriginUnreachable
from edge.core.values import ANONYMOUS, PUBLIC, Mode, Partition, Read
from edge.policy.streams.decisions import (
    Decision,
    Fetch,
    NoHead,
    Park,
    Pass,
    ReadState,
    Refuse,
    Serve,
)
from edge.policy.streams.routes import Route, TailMode
from edge.protocol.offsets import BEGIN, NOW
from edge.streamlog.barriers import ReadBarrier
from tests.support.worlds import (
    ONE,
    WALL,
    Habits,
    World,
    acts,
    habits,
    mint,
    offsets,
    sizes,
    worlds,
)

T = TypeVar("T")
AWAY = OriginUnreachable("nobody answers")
CATCH_UP, LONG_POLL, SSE, HEAD = Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE, Mode.HEAD
LIVE = (LONG_POLL, SSE)
SHARED = (ANONYMOUS, PUBLIC)
ALL = (*SHARED, ONE)
STRICT = Route(tail=TailMode.STRICT)
OLD = st.sampled_from([61.0, 200.0])


@dataclass
class Case:
    """A world, and the reader to be decided in it."""

    world: World
    read: Read
    state: ReadState

    def decide(self) -> Decision:
        return self.world.decide(self.read, self.state)


def outcome_of(decision: Decision) -> str:
    """The decision's class, with its kind or reason: ``serve tail``, ``fetch miss``."""
    match decision:
        case Serve():
            return f"serve {decision.kind.value}"
        case Park():
            return "park"
        case Fetch():
            return f"fetch {decision.reason.value}"
        case Pass():
            return f"pass {decision.reason.value}"
        case Refuse():
            return "refuse"
        case NoHead():
            return "no head"


class Scene:
    """A world that is being built, and the reader that will come to it."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.world: World
        self.offset = BEGIN
        self.mode = CATCH_UP
        self.fault: OriginFault | None = None
        self.expires_at: float | None = None
        self.barrier: ReadBarrier | None = None

    def one_of(self, *choices: T) -> T:
        return self.draw(st.sampled_from(choices))

    def maybe(self) -> bool:
        return self.draw(st.booleans())

    def begin(
        self,
        partitions: tuple[Partition, ...] = ALL,
        routes: tuple[Route, ...] = (Route(), STRICT),
        ttl: int | None = None,
        heads: bool = True,
        echoes: bool | None = None,
    ) -> None:
        """An origin of some habits, of whose stream nothing is known."""
        drawn = self.draw(habits)
        if echoes is None:
            echoes = drawn.echoes
        said = Habits(drawn.claims, drawn.page, ttl, heads, echoes)
        self.world = World(said, self.one_of(*partitions), self.one_of(*routes))

    def write(self, least: int = 1) -> None:
        for size in self.draw(st.lists(sizes, min_size=least, max_size=5)):
            self.world.append(size)

    def read_all(self) -> None:
        """Read page by page up to the tail."""
        log, origin = self.world.log, self.world.origin
        for _ in range(len(origin.messages) + 1):
            self.world.read(log.end or BEGIN)
            if log.end == origin.tail:
                return

    def held(self, described: bool | None = None) -> None:
        """Some messages, all of them read just now, the last one by itself."""
        self.write()
        self.read_all()
        self.world.append(self.draw(sizes))
        self.read_all()
        if self.maybe() if described is None else described:
            self.world.head()

    def arrive(self) -> None:
        """The reader comes now; what follows is news to it."""
        self.barrier = self.world.log.tail.read_barrier()

    def confirm_tail(self) -> None:
        """A read from the end is answered since the reader came."""
        self.arrive()
        self.world.read(self.world.origin.tail)

    def know_tail(self) -> None:
        """The tail is known to the reader, the one way or the other (L3)."""
        if self.world.route is not STRICT and self.maybe():
            self.world.arm()
        else:
            self.confirm_tail()

    def stand_behind(self) -> None:
        """At the beginning, or before the last message."""
        last = len(self.world.origin.messages) - 1
        self.offset = self.one_of(BEGIN, mint(last))

    def stand_before_last(self) -> None:
        """At the beginning of the last message, which fits into a page."""
        self.offset = mint(len(self.world.origin.messages) - 1)

    def stand_at_end(self) -> None:
        self.offset = self.world.origin.tail

    def stand_beyond(self) -> None:
        beyond = len(self.world.origin.messages) + self.draw(st.integers(1, 3))
        self.offset = mint(beyond)

    def guess(self) -> None:
        """Somebody else has asked beyond the tail, so it is known where that is put."""
        self.world.read(mint(len(self.world.origin.messages) + 1))

    def disturb(self) -> None:
        """Now and then, something else happens too."""
        if self.draw(st.integers(0, 4)) == 0:
            for name, *arguments in self.draw(acts)[:2]:
                getattr(self.world, str(name))(*arguments)


def _closed_range(scene: Scene) -> None:
    scene.begin()
    scene.held()
    if scene.maybe():
        scene.world.close_here()
        scene.stand_behind()
    else:
        # More is held than a page has.
        scene.world.append(9)
        scene.world.append(9)
        scene.read_all()
        scene.offset = BEGIN


def _tail(scene: Scene) -> None:
    scene.begin()
    scene.held()
    scene.know_tail()
    scene.stand_before_last()


def _live(scene: Scene) -> None:
    scene.begin()
    scene.held()
    scene.mode = scene.one_of(*LIVE)
    if scene.maybe():
        scene.know_tail()
    elif scene.maybe():
        scene.world.close_here()
    scene.stand_behind()


def _empty(scene: Scene) -> None:
    scene.begin()
    above = scene.draw(st.integers(0, 2)) == 0
    scene.held(described=True if above else None)
    if above:
        # Above the end, and told where that is (U14).
        scene.guess()
        scene.mode = scene.one_of(CATCH_UP, *LIVE)
        scene.confirm_tail()
        scene.stand_beyond()
        return
    if scene.maybe():
        scene.world.close_here()
        scene.mode = scene.one_of(CATCH_UP, *LIVE)
    else:
        scene.know_tail()
    scene.offset = scene.one_of(NOW, scene.world.origin.tail)


def _stale(scene: Scene) -> None:
    """To a credential too, which must get none of it."""
    scene.begin(partitions=(*SHARED, *ALL))
    scene.held()
    match scene.one_of("old", "lost", "unknown", "written"):
        case "old":
            scene.world.wait(scene.draw(OLD))
            scene.mode = scene.one_of(CATCH_UP, *LIVE)
        case "lost":
            scene.world.lose_contact()
            scene.mode = scene.one_of(CATCH_UP, *LIVE)
        case "written":
            scene.world.append_here(3)
    scene.stand_before_last()
    scene.fault = AWAY


def _park(scene: Scene) -> None:
    where = scene.one_of("at end", "now", "away", "guess")
    scene.begin(echoes=True if where == "guess" else None)
    scene.held(described=True)
    scene.mode = scene.one_of(*LIVE)
    match where:
        case "guess":
            scene.guess()
            scene.stand_beyond()
        case "at end":
            scene.stand_at_end()
        case "now":
            scene.arrive()
            scene.world.head()
            scene.offset = NOW
        case "away":
            scene.world.wait(scene.draw(OLD))
            scene.stand_at_end()
            scene.fault = AWAY


def _miss(scene: Scene) -> None:
    scene.begin()
    match scene.one_of("cold", "head", "inside", "before"):
        case "cold":
            scene.offset = scene.draw(offsets)
        case "head":
            scene.held()
            scene.mode = HEAD
        case "inside":
            scene.held()
            scene.stand_before_last()
            scene.offset += ".1"
        case "before":
            scene.write(2)
            scene.world.read(scene.world.origin.tail)
            scene.world.head()
            scene.mode = scene.one_of(CATCH_UP, *LIVE)
            scene.stand_behind()


def _tail_unknown(scene: Scene) -> None:
    scene.begin()
    scene.held()
    scene.stand_before_last()
    scene.offset = scene.one_of(scene.offset, scene.world.origin.tail, NOW)


def _cold_open(scene: Scene) -> None:
    scene.begin()
    scene.mode = scene.one_of(*LIVE)
    if scene.maybe():
        scene.offset = scene.one_of(NOW, scene.draw(offsets))
    else:
        scene.held(described=False)
        scene.offset = scene.one_of(NOW, scene.world.origin.tail)


def _head_refused(scene: Scene) -> None:
    scene.begin(heads=False)
    scene.mode = scene.one_of(*LIVE)
    if scene.maybe():
        scene.offset = scene.one_of(NOW, scene.draw(offsets))
    else:
        # Read while HEAD did tell, so that no GET described it.
        scene.held(described=False)
        scene.world.log.described = False
        scene.offset = scene.one_of(NOW, scene.world.origin.tail)


def _offset_above(scene: Scene) -> None:
    scene.begin()
    scene.held(described=True)
    scene.mode = scene.one_of(CATCH_UP, *LIVE)
    if scene.maybe():
        scene.world.lose_contact()
    scene.stand_beyond()


def _newer_write(scene: Scene) -> None:
    scene.begin()
    scene.held()
    scene.stand_before_last()
    scene.offset = scene.one_of(scene.offset, scene.world.origin.tail)
    if scene.maybe():
        scene.world.append_here(scene.draw(sizes))
        scene.mode = scene.one_of(CATCH_UP, *LIVE)
    else:
        scene.world.append_unheard(scene.draw(sizes))
        scene.mode = scene.one_of(*LIVE)


def _unconfirmed(scene: Scene) -> None:
    scene.begin()
    scene.held()
    scene.mode = scene.one_of(CATCH_UP, *LIVE)
    scene.stand_before_last()
    scene.offset = scene.one_of(BEGIN, scene.offset, scene.world.origin.tail)
    if scene.maybe():
        scene.world.lose_contact()
    else:
        scene.world.wait(scene.draw(OLD))


def _sliding_ttl(scene: Scene) -> None:
    """A HEAD confirms, and is no read that would renew the TTL (L23)."""
    scene.begin(ttl=90)
    scene.held()
    scene.world.wait(31.0)
    scene.world.head()
    scene.mode = scene.one_of(CATCH_UP, *LIVE)
    scene.stand_before_last()
    scene.offset = scene.one_of(BEGIN, scene.offset, scene.world.origin.tail)


def _offset_unknown(scene: Scene) -> None:
    scene.begin()
    scene.held(described=True)
    scene.confirm_tail()
    scene.mode = scene.one_of(CATCH_UP, *LIVE)
    scene.stand_beyond()


def _expired_credential(scene: Scene) -> None:
    scene.begin(partitions=(ONE,))
    scene.held()
    scene.mode = scene.one_of(*Mode)
    scene.offset = scene.draw(offsets)
    scene.expires_at = scene.one_of(WALL, WALL - 1)


def _refuse(scene: Scene) -> None:
    scene.begin()
    scene.fault = AWAY
    match scene.one_of("cold", "head", "at end", "above", "private"):
        case "cold":
            scene.mode = scene.one_of(*Mode)
            scene.offset = scene.one_of(NOW, scene.draw(offsets))
        case "head":
            scene.held()
            scene.mode = HEAD
        case "at end":
            scene.held()
            scene.offset = scene.one_of(NOW, scene.world.origin.tail)
        case "above":
            scene.held(described=True)
            scene.mode = scene.one_of(CATCH_UP, *LIVE)
            scene.stand_beyond()
        case "private":
            scene.begin(partitions=(ONE,))
            scene.held()
            scene.stand_before_last()


TO_OUTCOMES: dict[str, Callable[[Scene], None]] = {
    "serve closed-range": _closed_range,
    "serve tail": _tail,
    "serve live": _live,
    "serve empty": _empty,
    "serve stale": _stale,
    "park": _park,
    "fetch miss": _miss,
    "fetch tail-unknown": _tail_unknown,
    "fetch cold-open": _cold_open,
    "fetch head-refused": _head_refused,
    "fetch offset-above-end": _offset_above,
    "fetch newer-write": _newer_write,
    "fetch unconfirmed": _unconfirmed,
    "fetch sliding-ttl": _sliding_ttl,
    "fetch offset-unknown": _offset_unknown,
    "pass expired-credential": _expired_credential,
    "refuse": _refuse,
}
"""Each outcome that ``decide`` has, and the way to it."""


def _anything(scene: Scene) -> None:
    scene.world = scene.draw(worlds())
    scene.mode = scene.one_of(*Mode)
    scene.offset = scene.one_of(NOW, scene.draw(offsets))
    scene.fault = scene.one_of(None, AWAY)


WAYS = {**TO_OUTCOMES, "anything": _anything}


@st.composite
def cases(draw: st.DrawFn, way: str) -> Case:
    """A reader on this way."""
    scene = Scene(draw)
    WAYS[way](scene)
    scene.disturb()
    world = scene.world
    read = Read(
        world.key,
        scene.offset,
        scene.mode,
        expires_at=scene.expires_at,
        hops=scene.one_of((), (), (), ("a1",)),
    )
    barrier = scene.barrier or world.log.tail.read_barrier()
    state = world.state(read.offset, barrier, scene.fault)
    return Case(world, read, state)
