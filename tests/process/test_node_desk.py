"""An operator asks any front, and all processes of the node answer: real hubs, a real
board and real orders, each process before an origin of its own. W14, A10, B13."""

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from edge.access.leases import Leases
from edge.access.revocation_file import RevocationFile
from edge.access.revocations import Revocations, RevokedBy, TokenFacts
from edge.access.revoker import Revoker
from edge.core.errors import EdgeError, Refusal
from edge.core.purges import Purge, PurgeBy, PurgeMode, PurgeReport
from edge.core.reasons import Reason
from edge.core.stream_snapshot import StreamFilter, StreamOrder
from edge.core.values import Lease, Mode, Partition, PartitionKind, Role
from edge.live.control import HubControl
from edge.process import node_desk, orders
from edge.process.node_desk import NodeDesk
from edge.process.order_file import NodeOrder, OrderFile
from edge.process.orders import Report
from origin_adapter.scripted import data
from tests.live.conftest import nothing_goes_on
from tests.live.support import TestClock, scripted, settle
from tests.process.node_of_orders import NodeOfOrders, OrderProcess
from tests.support.patience import PATIENCE

__all__ = ["nothing_goes_on"]

DAY = 86_400.0
ALICE = TokenFacts(("d1",), "alice", "id-1", "i", 1_799_999_990.0)
ROUTE = "/v1/stream/**"
A, B = "/v1/stream/a", "/v1/stream/b"
HARD = Purge(PurgeBy.PATH, A, PurgeMode.HARD)
SOFT = Purge(PurgeBy.GLOB, "/v1/**")
OF_ALICE = Partition(PartitionKind.CREDENTIAL, "digest", (("authorization", "x"),))


class Desked:
    """One process, with all that an operator asks of it."""

    def __init__(self, process: OrderProcess, clock: TestClock, folder: Path) -> None:
        self.clock, self.process = clock, process
        self.house, self.origin = scripted()
        self.control = HubControl(self.house.hub)
        self.leases = Leases()
        self.revoker: Revoker | None = None
        if process.place.role is Role.FRONT:
            file = RevocationFile(str(folder / "revocations"))
            self.revoker = Revoker(
                Revocations(DAY), self.leases, file, clock, self.house.counters
            )
        self.desk = NodeDesk(
            process.place,
            process.orders,
            self.control,
            self.revoker,
            self.control.gauges,
            self.end_hand_over,
        )
        self.hand_overs_ended = 0

    def end_hand_over(self) -> None:
        self.hand_overs_ended += 1

    def holds(
        self, path: str, body: bytes = b"abc", partition: Partition | None = None
    ) -> None:
        """It has read a stream."""
        self.house.ask(key=self.house.key(path, partition))
        self.origin.expect().reply(data(body, f"{len(body):04d}"))
        settle()

    def follow(self, path: str, viewers: int) -> None:
        """So many read on there. Afterwards it holds nothing new."""
        for _ in range(viewers):
            self.house.ask("0003", Mode.SSE, key=self.house.key(path))

    def let_in(self, facts: TokenFacts = ALICE) -> Lease:
        return self.leases.give(self.clock.monotonic() + 600.0, facts)

    def doubts(self, path: str) -> bool:
        """Whether the stream must be confirmed before the next byte."""
        rows = [one for one in self.house.hub.streams if one.key.path == path]
        return all(one.log.tail.unverified for one in rows)

    @property
    def held(self) -> list[str]:
        return [row.path for row in self.control.snapshot(10) if row.end is not None]


class Desks:
    """A node of a keeper and two fronts."""

    def __init__(self, folder: Path) -> None:
        self.node = NodeOfOrders(folder)
        self.clock = TestClock()
        self.all = [Desked(one, self.clock, folder) for one in self.node.all]
        self.keeper, self.one, self.other = self.all

    def until(self, done: Callable[[], bool]) -> None:
        with gevent.Timeout(PATIENCE):
            while not done():
                gevent.sleep(0.001)


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    made = Desks(tmp_path)
    yield made
    made.node.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for long."""
    monkeypatch.setattr(orders, "GIVE_SECONDS", 0.05)


class Held:
    """A process that carries out nothing of a kind until it is let."""

    def __init__(self, of: Desked, kind: str) -> None:
        self.begun, self.go = Event(), Event()
        handlers = of.process.orders.handlers
        self._inner = handlers[kind]
        handlers[kind] = self.act

    def act(self, order: NodeOrder) -> Report:
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return self._inner(order)


# Purge.


def test_a_path_is_forgotten_by_all_and_what_each_dropped_is_added_up(
    desks: Desks,
) -> None:
    """In every partition, and no other path."""
    for one in (desks.keeper, desks.other):
        one.holds(A)
        one.holds(B)
    desks.other.holds(A, partition=OF_ALICE)

    assert desks.one.desk.purge(HARD).total.purged == 3
    assert desks.keeper.held == desks.other.held == [B]
    assert desks.one.desk.purge(HARD).total.purged == 0


def test_a_front_forgets_after_its_keeper_has(desks: Desks) -> None:
    """Before that it would be given the old bytes again."""
    for one in desks.all:
        one.holds(A)
    held = Held(desks.keeper, "purge")
    forgetting = gevent.spawn(desks.one.desk.purge, HARD)
    assert held.begun.wait(PATIENCE)
    settle()
    assert desks.one.held == desks.other.held == [A]
    held.go.set()

    assert forgetting.get(timeout=PATIENCE).total.purged == 3
    assert [one.held for one in desks.all] == [[], [], []]


def test_who_has_not_forgotten_in_time_is_named(
    desks: Desks, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And forgets when it goes on."""
    desks.other.holds(A)
    held = Held(desks.other, "purge")
    outcome = desks.one.desk.purge(HARD)

    assert (outcome.late, outcome.failed) == (("front-1",), ())
    assert desks.other.held == [A]
    held.go.set()
    with gevent.Timeout(PATIENCE):
        while desks.other.held:
            gevent.sleep(0.001)


def test_whoever_missed_orders_forgets_all(desks: Desks) -> None:
    """They may have named anything."""
    desks.one.holds(A)
    desks.one.holds(B)
    view = desks.other.process.view
    view.store_announced(OrderFile(desks.node.folder).append("purge", {}, 700))
    desks.one.process.orders.look()
    with gevent.Timeout(PATIENCE):
        while desks.one.held:
            gevent.sleep(0.001)


def test_each_process_tells_what_it_did(desks: Desks) -> None:
    for one in (desks.keeper, desks.one):
        one.holds(A)
        one.holds(B)
    outcome = desks.one.desk.purge(SOFT)
    told = {name.partition("/")[0]: one for name, one in outcome.reports.items()}

    assert {name: one.purged for name, one in told.items()} == {
        "keeper-0": 2,
        "front-0": 2,
        "front-1": 0,
    }
    assert outcome.total.matched == 4 and (outcome.late, outcome.failed) == ((), ())
    assert desks.one.held == desks.keeper.held == [A, B]


def test_whoever_could_not_purge_is_named(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk failed, say. All others have done it."""

    def fails(*_: object) -> None:
        raise EdgeError("no", reason=Reason.DISK_FAILED)

    monkeypatch.setattr(desks.keeper.control, "purge", fails)
    desks.other.holds(A)
    outcome = desks.one.desk.purge(HARD)

    assert (outcome.failed, outcome.total.purged) == (("keeper-0",), 1)


def test_what_a_front_was_given_by_a_keeper_that_was_late_is_purged_once_more(
    desks: Desks, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1: the keeper stands still; 2: fronts purge without it; 3: it goes on, and gives
    one of them the old bytes again; 4: it purges. Behind 4 they are gone."""
    monkeypatch.setattr(node_desk, "KEEPERS_FIRST_SECONDS", 0.01)
    desks.one.holds(A)
    held = Held(desks.keeper, "purge")
    outcome = desks.one.desk.purge(HARD)
    assert outcome.late[0] == "keeper-0"
    desks.until(lambda: desks.one.held == [])
    desks.one.holds(A)
    desks.one.desk.look()
    settle()
    assert desks.one.held == [A]
    held.go.set()

    def looks_and_is_gone() -> bool:
        desks.one.desk.look()
        return desks.one.held == []

    desks.until(looks_and_is_gone)


def test_a_front_that_starts_while_a_keeper_is_late_purges_behind_it(
    desks: Desks, hurried: None
) -> None:
    """It held nothing when it was ordered, and waits for nobody to start."""
    held = Held(desks.keeper, "purge")
    desks.one.desk.purge(SOFT)
    process = desks.node.forked(Role.FRONT)
    successor = Desked(process, desks.clock, desks.node.folder)
    desks.node.all.append(process)
    process.orders.begin()
    successor.holds(A)
    assert not successor.doubts(A)
    held.go.set()

    def looks_and_doubts() -> bool:
        successor.desk.look()
        return successor.doubts(A)

    desks.until(looks_and_doubts)


def test_a_keeper_that_takes_the_place_of_another_one_purges_before_it_serves(
    desks: Desks,
) -> None:
    """It holds nothing, but may find something on its disk. Once more is no harm."""
    desks.one.desk.purge(HARD)
    process = desks.node.forked(Role.KEEPER)
    successor = Desked(process, desks.clock, desks.node.folder)
    desks.node.all.append(process)
    told: list[Purge] = []

    def notes(purge: Purge, patience: float = 1.0) -> PurgeReport:
        told.append(purge)
        assert patience == 0.0
        return PurgeReport()

    successor.control.purge = notes  # type: ignore[method-assign]
    process.orders.begin()

    assert told == [HARD]


def test_a_keeper_asks_the_one_before_it_for_nothing_that_is_not_purged_there(
    desks: Desks, hurried: None
) -> None:
    """1: it is handed streams; 2: it purges, and the one that leaves is late; 3: it
    would be given the old bytes again. Where that one has purged, it goes on asking."""
    process = desks.node.forked(Role.KEEPER)
    successor = Desked(process, desks.clock, desks.node.folder)
    desks.node.all.append(process)
    process.orders.begin()
    held = Held(desks.keeper, "purge")
    desks.one.desk.purge(HARD)
    desks.until(lambda: successor.hand_overs_ended == 1)
    held.go.set()
    desks.until(lambda: successor.process.orders.is_done(1, "keeper"))
    later = desks.node.forked(Role.KEEPER)
    last = Desked(later, desks.clock, desks.node.folder)
    desks.node.all.append(later)
    later.orders.begin()

    assert last.hand_overs_ended == 0


# Revoke.


def test_a_revocation_ends_leases_in_all_fronts(desks: Desks) -> None:
    """Who was asked answers with the sum. One order, one count."""
    leases = [desks.one.let_in(), desks.other.let_in(), desks.other.let_in()]
    bob = desks.other.let_in(ALICE._replace(subject="bob"))
    assert desks.one.revoker is not None and desks.other.revoker is not None
    told = desks.one.revoker.revoke(RevokedBy.SUBJECT, "alice")

    assert (told.ended, told.kept) == (3, True)
    assert {lease.why for lease in leases} == {Reason.REVOKED}
    assert bob.why is not Reason.REVOKED
    assert desks.one.house.counters.revocations == {"subject": 1}
    assert desks.other.house.counters.revocations == {}


def test_a_revocation_is_up_to_the_newest_token_that_any_front_let_in(
    desks: Desks,
) -> None:
    """The clock of its issuer goes ahead: what one front knows all go by (B13)."""
    assert desks.one.revoker is not None
    ahead = ALICE._replace(issued_at=desks.clock.wall() + 20)
    lease = desks.other.let_in(ahead)
    desks.one.revoker.revoke(RevokedBy.SUBJECT, "alice")
    later = desks.one.let_in(ahead)

    assert lease.why is Reason.REVOKED
    assert desks.one.revoker._revocations.refuses(ahead)
    assert later.ends_at > desks.clock.monotonic()
    newer = ALICE._replace(issued_at=desks.clock.wall() + 21)
    assert not desks.one.revoker._revocations.refuses(newer)


def test_an_order_is_in_force_and_written_though_another_front_is_late(
    desks: Desks, hurried: None
) -> None:
    """Its giver is told so. A restart finds it."""
    assert desks.one.revoker is not None
    lease = desks.one.let_in()
    held = Held(desks.other, "revoke")
    with pytest.raises(Refusal) as refused:
        desks.one.revoker.revoke(RevokedBy.SUBJECT, "alice")
    held.go.set()

    assert refused.value.reason is Reason.ORDERS_LATE
    assert lease.why is Reason.REVOKED
    written = RevocationFile(str(desks.node.folder / "revocations")).load()
    assert [order.value for order in written] == ["alice"]


def test_a_successor_has_the_orders_that_it_missed(desks: Desks) -> None:
    """Even if the file of revocations could not be written."""
    assert desks.one.revoker is not None
    (desks.node.folder / "revocations").mkdir()
    with pytest.raises(Refusal) as refused:
        desks.one.revoker.revoke(RevokedBy.JTI, "id-1")
    assert refused.value.reason is Reason.NOT_WRITTEN
    process = desks.node.forked(Role.FRONT)
    successor = Desked(process, desks.clock, desks.node.folder)
    desks.node.all.append(process)
    process.orders.begin()

    assert successor.revoker is not None
    assert successor.revoker._revocations.refuses(ALICE)


# Overview.


def test_streams_are_those_of_the_node(desks: Desks) -> None:
    """Viewers are those of fronts; where it ends the keeper knows best."""
    desks.keeper.holds(A, b"abcdef")
    desks.one.holds(A)
    desks.other.holds(A)
    desks.other.holds(B)
    desks.keeper.follow(A, 2)
    desks.one.follow(A, 1)
    desks.other.follow(A, 3)
    desks.other.follow(B, 1)
    found = desks.one.desk.overview(10)

    assert [(row.path, row.viewers, row.end) for row in found.streams] == [
        (A, 4, "0006"),
        (B, 1, "0003"),
    ]
    assert (found.totals["viewers"], found.totals["streams"]) == (5, 1)
    assert found.late == ()


def test_the_busiest_stream_is_told_by_its_keeper_however_many_that_has(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper is asked again for what it did not name by itself."""
    monkeypatch.setattr("edge.process.node_desk.MIN_ROWS", 1)
    desks.keeper.holds(B)
    desks.keeper.holds(A, b"abcdef")
    desks.keeper.follow(B, 1)
    desks.one.holds(A)
    desks.one.follow(A, 2)
    (row,) = desks.other.desk.overview(1).streams

    assert (row.path, row.viewers, row.end) == (A, 2, "0006")


def test_the_largest_stream_is_told_with_the_viewers_of_fronts_that_did_not_name_it(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held the keeper says; the fronts are asked again for who reads it."""
    monkeypatch.setattr("edge.process.node_desk.MIN_ROWS", 1)
    desks.keeper.holds(B)
    desks.keeper.holds(A, b"abcdef")
    desks.one.holds(B, b"abcdefgh")
    desks.one.holds(A)
    desks.one.follow(A, 2)
    wanted = StreamFilter(StreamOrder.BYTES, None, "/stream/a")
    (row,) = desks.other.desk.overview(1, wanted).streams

    assert (row.path, row.viewers, row.end) == (A, 2, "0006")
    nothing = StreamFilter(StreamOrder.BYTES, "/v1/other/**")
    assert desks.other.desk.overview(1, nothing).streams == []


def test_one_stream_in_full_is_that_of_its_keeper_with_all_viewers(
    desks: Desks,
) -> None:
    desks.keeper.holds(A, b"abcdef")
    desks.keeper.follow(A, 2)
    desks.one.holds(A)
    desks.one.follow(A, 1)
    desks.other.holds(A, partition=OF_ALICE)
    found = desks.other.desk.of_path(ROUTE, A)

    assert found.late == ()
    told = {one.row.partition.value: one for one in found.streams}
    assert sorted(told) == ["anonymous", "credential"]
    assert told["anonymous"].row.viewers == 1
    assert told["anonymous"].row.viewers_by_events == 1
    assert [piece.end for piece in told["anonymous"].held] == ["0006"]
    assert [piece.end for piece in told["credential"].held] == ["0003"]
    assert desks.other.desk.of_path(ROUTE, B).streams == []


def test_who_does_not_answer_for_one_stream_is_named(
    desks: Desks, hurried: None
) -> None:
    desks.one.holds(A)
    held = Held(desks.keeper, "details")
    found = desks.one.desk.of_path(ROUTE, A)
    held.go.set()

    assert found.late == ("keeper-0",)
    assert [one.row.path for one in found.streams] == [A]


def test_who_does_not_answer_is_named_and_the_others_are_shown(
    desks: Desks, hurried: None
) -> None:
    desks.one.holds(A)
    desks.one.follow(A, 2)
    held = Held(desks.keeper, "snapshot")
    found = desks.one.desk.overview(10)
    held.go.set()

    assert found.late == ("keeper-0",)
    assert [(row.path, row.viewers) for row in found.streams] == [(A, 2)]


def test_what_a_process_tells_is_bounded(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths may be long, and somebody may have asked for many."""
    monkeypatch.setattr("edge.process.node_desk.MAX_ROW_BYTES", 2 * len(A))
    for name in "abc":
        desks.one.holds(f"/v1/stream/{name}")

    assert len(desks.other.desk.overview(10).streams) == 2
    assert desks.other.desk.overview(0).streams == []
