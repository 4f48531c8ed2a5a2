"""Orders to a node: all processes carry them out, and whoever asked hears what came of
it (W14)."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gevent
import pytest
from gevent.event import Event
from hypothesis import event, given, settings
from hypothesis import strategies as st

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.values import Role
from edge.process import orders as module
from edge.process.order_file import KEPT_ORDERS, Found, NodeOrder, OrderFile
from tests.process.node_of_orders import NodeOfOrders, OrderProcess
from tests.support.patience import PATIENCE


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeOfOrders]:
    made = NodeOfOrders(tmp_path)
    yield made
    made.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for long."""
    monkeypatch.setattr(module, "GIVE_SECONDS", 0.05)


def until(done: Callable[[], object]) -> None:
    with gevent.Timeout(PATIENCE):
        while not done():
            gevent.sleep(0.001)


class Held:
    """A handler that goes on when it is let."""

    def __init__(self, process: OrderProcess) -> None:
        self.begun, self.go = Event(), Event()
        self._note = process.note
        process.orders.handlers["note"] = self.act

    def act(self, order: NodeOrder) -> dict[str, Any]:
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return self._note(order)


def test_all_processes_carry_an_order_out_and_report(node: NodeOfOrders) -> None:
    """They are woken: no ticker runs here."""
    outcome = node.fronts[0].orders.give("note", said="x")

    assert [process.done for process in node.all] == [[1]] * 3
    assert sorted(outcome.reports.values(), key=str) == [
        {"by": name, "said": "x"} for name in ("front-0", "front-1", "keeper-0")
    ]
    assert (outcome.late, outcome.failed) == ((), ())


def test_nothing_is_left_of_the_reports(node: NodeOfOrders) -> None:
    before = sorted(node.folder.iterdir())
    node.fronts[0].orders.give("note")
    left = set(node.folder.iterdir()) - set(before)

    assert {path.name for path in left} == {"orders", "orders.lock"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in left if path.is_file())


def test_a_process_that_was_not_woken_looks_at_its_next_tick(
    node: NodeOfOrders,
) -> None:
    (lane,) = [n for v, n in node.node.lanes.items() if v is node.keeper.view]
    (node.folder / f"wake-{lane}").unlink()
    giving = gevent.spawn(node.fronts[0].orders.give, "note")
    until(lambda: node.fronts[1].done)
    assert node.keeper.done == []
    node.keeper.orders.look()

    assert len(giving.get(timeout=PATIENCE).reports) == 3
    assert node.keeper.done == [1]


def test_whoever_is_late_is_named_and_does_it_when_it_goes_on(
    node: NodeOfOrders, hurried: None
) -> None:
    held = Held(node.keeper)
    outcome = node.fronts[0].orders.give("note")

    assert outcome.late == ("keeper-0",)
    assert {report["by"] for report in outcome.reports.values()} == {
        "front-0",
        "front-1",
    }
    held.go.set()
    until(lambda: node.keeper.done)
    assert node.fronts[1].orders.give("note").late == ()


def test_whoever_has_ended_is_not_waited_for(node: NodeOfOrders) -> None:
    """In order, or reaped by the master after it was killed."""
    node.fronts[1].orders.end()
    assert len(node.fronts[0].orders.give("note").reports) == 2
    held = Held(node.keeper)
    giving = gevent.spawn(node.fronts[0].orders.give, "note")
    assert held.begun.wait(PATIENCE)
    node.node.ends(node.keeper.view)

    assert giving.get(timeout=PATIENCE).late == ()
    assert node.fronts[0].done == [1, 2]
    held.go.set()


def test_an_order_that_cannot_be_carried_out_keeps_back_no_other(
    node: NodeOfOrders, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_order: NodeOrder) -> dict[str, Any]:
        raise RuntimeError("as the test asked")

    node.keeper.orders.handlers["ask"] = fail
    outcome = node.fronts[0].orders.give("ask")

    assert (outcome.failed, outcome.late) == (("keeper-0",), ())
    assert "as the test asked" in caplog.text
    assert node.fronts[1].orders.give("note").failed == ()
    assert node.keeper.done == [2]


def test_an_order_of_a_kind_that_nobody_knows_is_told_to_have_failed(
    node: NodeOfOrders,
) -> None:
    outcome = node.fronts[0].orders.give("dance")
    assert sorted(outcome.failed) == ["front-0", "front-1", "keeper-0"]


def test_orders_of_two_are_carried_out_in_one_order_by_all(
    node: NodeOfOrders,
) -> None:
    giving = [
        gevent.spawn(front.orders.give, "note") for front in node.fronts for _ in "xyz"
    ]
    for one in giving:
        assert len(one.get(timeout=PATIENCE).reports) == 3

    assert [process.done for process in node.all] == [[1, 2, 3, 4, 5, 6]] * 3


def test_while_one_is_carried_out_the_next_one_waits(node: NodeOfOrders) -> None:
    held = Held(node.keeper)
    first = gevent.spawn(node.fronts[0].orders.give, "note")
    assert held.begun.wait(PATIENCE)
    second = gevent.spawn(node.fronts[1].orders.give, "ask")
    until(lambda: node.fronts[0].done == node.fronts[1].done == [1, 2])
    assert node.keeper.done == []
    held.go.set()
    gevent.joinall([first, second], timeout=PATIENCE, raise_error=True)

    assert node.keeper.done == [1, 2]


def test_an_order_that_cannot_be_written_was_not_given(node: NodeOfOrders) -> None:
    (node.folder / "orders").mkdir()
    with pytest.raises(Refusal) as refused:
        node.fronts[0].orders.give("note")

    assert (refused.value.reason, refused.value.status) == (
        Reason.ORDERS_UNWRITTEN,
        503,
    )
    assert all(process.done == [] for process in node.all)


def test_a_successor_carries_out_what_lasts_before_it_serves(
    node: NodeOfOrders,
) -> None:
    """What was only asked is nothing to it."""
    node.fronts[0].orders.give("note")
    node.fronts[0].orders.give("ask")
    node.fronts[0].orders.give("note")
    successor = node.starts(Role.FRONT)
    node.all.append(successor)

    assert successor.done == [1, 3]
    assert node.fronts[1].orders.give("ask").late == ()
    assert successor.done == [1, 3, 4]


def test_who_starts_carries_out_whatever_somebody_waits_for(
    node: NodeOfOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1: it says that it reads orders; 2: one that does not last is given, to it too;
    3: it reads the file."""
    process, giving = node.forked(Role.FRONT), node.fronts[0]
    after, given = process.orders._file.after, []

    def read(number: int, last: int) -> Found:
        given.append(gevent.spawn(giving.orders.give, "ask"))
        until(giving.view.announced)
        return after(number, last)

    monkeypatch.setattr(process.orders._file, "after", read)
    process.orders.begin()
    node.all.append(process)
    outcome = given[0].get(timeout=PATIENCE)

    assert (outcome.failed, outcome.late, process.done) == ((), (), [1])
    assert len(outcome.reports) == 4


def test_a_process_starts_though_the_run_folder_is_full(
    node: NodeOfOrders, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing can be written there, nor a socket be made: it hears of orders at its
    ticks, and its name is not known."""
    process = node.forked(Role.FRONT)
    (node.folder / "lane-3.new").mkdir()
    process.orders.begin()
    node.all.append(process)
    given = gevent.spawn(node.fronts[0].orders.give, "note")
    until(lambda: node.fronts[0].view.announced())
    assert not process.done
    process.orders.look()
    outcome = given.get(timeout=PATIENCE)

    assert "the run folder takes nothing more" in caplog.text
    assert (process.done, outcome.late) == ([1], ())
    assert outcome.reports["lane 3/3"] == {"by": "front-0", "said": None}


def test_a_successor_takes_the_socket_of_one_that_was_killed(
    node: NodeOfOrders,
) -> None:
    """All lanes are given by turns, and so this one's comes again."""
    for _ in range(15):
        killed = node.forked(Role.FRONT)
        killed.orders.begin()
        waker, killed.orders._waker = killed.orders._waker, None
        assert waker is not None
        waker._watcher.stop()
        waker._watcher.close()
        waker._socket.close()
        node.node.ends(killed.view)
    assert len(node.fronts[0].orders.give("note").reports) == 3


def test_whoever_has_missed_too_many_does_what_covers_all(
    node: NodeOfOrders, caplog: pytest.LogCaptureFixture
) -> None:
    """It was stopped for so long that they are not in the file any more."""
    file, announced = OrderFile(node.folder), node.fronts[0].view
    for number in range(3 * KEPT_ORDERS):
        announced.store_announced(file.append("note", {}, number))
    node.keeper.orders.look()
    until(lambda: node.keeper.done and node.keeper.done[-1] == 3 * KEPT_ORDERS)

    assert node.keeper.lost == 1
    assert "are not all there" in caplog.text


def test_without_its_file_an_order_is_covered_all_the_same(
    node: NodeOfOrders,
) -> None:
    """Somebody emptied the run folder."""
    node.fronts[0].orders.give("note")
    announced = node.fronts[0].view
    announced.store_announced(OrderFile(node.folder).append("note", {}, 1))
    os.unlink(node.folder / "orders")
    node.keeper.orders.look()
    until(lambda: node.keeper.lost)
    outcome = node.fronts[0].orders.give("note")

    assert outcome.late == ()
    assert node.keeper.done == [1, 3]


# A process that starts while an order is given.


class Gate:
    """Lets the greenlets of one process at a time take a step."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Event]] = {"giver": [], "starter": []}
        self.over: set[str] = set()
        self.is_open = False

    def runs(self, name: str, act: Callable[[], object]) -> "gevent.Greenlet[[], None]":
        def run() -> None:
            try:
                act()
            finally:
                self.over.add(name)

        return gevent.spawn(run)

    def step(self, name: str) -> None:
        """Called in a greenlet: wait to be let on."""
        if self.is_open:
            return
        waiting = Event()
        self._waiting[name].append(waiting)
        waiting.wait()

    def let(self, name: str) -> None:
        """Let it take one step, and wait until it has."""
        until(lambda: self._waiting[name] or name in self.over)
        if self._waiting[name]:
            self._waiting[name].pop(0).set()
            for _ in range(3):
                gevent.sleep(0)


class Stepping:
    """Does as the object within, one call at each step."""

    def __init__(self, within: object, name: str, gate: Gate, *calls: str) -> None:
        self._within, self._name, self._gate, self._calls = within, name, gate, calls

    def __getattr__(self, called: str) -> Any:
        if called in self._calls:
            self._gate.step(self._name)
        return getattr(self._within, called)


@given(st.lists(st.sampled_from(["giver", "starter"]), min_size=8, max_size=8))
@settings(deadline=None)
def test_no_process_serves_without_an_order_that_did_not_wait_for_it(
    schedule: list[str],
) -> None:
    """In whatever order the steps of the two fall."""
    with TemporaryDirectory() as folder:
        node, gate = NodeOfOrders(Path(folder)), Gate()
        giver, starter = node.fronts[0], node.forked(Role.FRONT)
        begin = starter.orders.begin
        calls = ("store_acted", "store_announced", "order_lanes", "append", "after")
        for process, name in ((giver, "giver"), (starter, "starter")):
            orders = process.orders
            orders._lanes = Stepping(orders._lanes, name, gate, *calls)
            orders._file = Stepping(orders._file, name, gate, "append", "after")  # type: ignore[assignment]
        give = partial(giver.orders.give, "note")
        both = [gate.runs("giver", give), gate.runs("starter", begin)]
        for name in schedule:
            gate.let(name)
        event(f"over first: {sorted(gate.over)}")
        while len(gate.over) < 2:
            for name in ("starter", "giver"):
                gate.let(name)
        gevent.joinall(both, raise_error=True)
        done, gate.is_open = list(starter.done), True
        node.all.append(starter)
        node.close()

        # Whoever asked was answered, and the other one serves.
        assert done == [1]
