"""The figures of a node over a real board: sums that never go back, whoever ends."""

import os
import re
from collections.abc import Mapping

from falcon import testing
from hypothesis import event, given, settings
from hypothesis import strategies as st

from edge.admin.app import create_admin_app
from edge.admin.node_metrics import NodeMetrics
from edge.board.lane_view import LaneView
from edge.core.fault_notes import FaultTimes, watched_in
from edge.core.histograms import Exemplar
from edge.core.node_counters import NODE_DESCRIPTIONS, CounterSet
from edge.core.values import Place, Role
from edge.process.node_figures import NodeFigures, master_text
from tests.board.nodes import BoardNode

GAUGES = {"viewers": 2.0, "streams": 3.0, "last_collection_seconds": 0.25}


class Figured:
    """A process that counts."""

    def __init__(self, node: BoardNode, role: Role, number: int = 0) -> None:
        self.view: LaneView = node.starts(role, number)
        self.counters = CounterSet()
        direct = self.counters.direct if role is Role.FRONT else None
        self.faults = FaultTimes(watched_in(self.counters.own, direct))
        place, boot = Place(role, number), node.boots
        self.figures = NodeFigures(
            place,
            boot,
            self.view,
            self.counters,
            lambda: GAUGES,
            self.faults,
            began=1_800_000_000.0 + boot,
        )


class FiguredNode:
    """A keeper and two fronts, of which each has published once."""

    def __init__(self) -> None:
        self.board = BoardNode(keepers=1, fronts=2)
        self.keeper = Figured(self.board, Role.KEEPER)
        self.fronts = [Figured(self.board, Role.FRONT, n) for n in range(2)]
        for one in (self.keeper, *self.fronts):
            one.figures.publish()

    def page(self, asked: Figured | None = None) -> str:
        """What a scraper gets."""
        figures = (asked or self.fronts[0]).figures
        routes = NodeMetrics(figures.numbers).routes()
        answered = testing.TestClient(create_admin_app(routes, None)).get("/metrics")
        assert answered.status_code == 200
        text: str = answered.text
        return text


def sample(page: str, name: str, **labels: str) -> float:
    """The value of one line."""
    label = ",".join(f'{key}="{value}"' for key, value in labels.items())
    line = f"{name}{{{label}}}" if label else name
    (found,) = re.findall(rf"^{re.escape(line)} (\S+)$", page, re.MULTILINE)
    return float(found)


def own(page: str) -> list[str]:
    """Without what the system says, which moves by itself."""
    return [line for line in page.splitlines() if line.startswith("ds_edge_")]


def test_of_all_processes_the_latest_exemplar_of_a_bucket_is_shown() -> None:
    """Of a keeper those of the origin alone: its reads are its fronts'."""
    node = FiguredNode()
    old, new, keepers = ("1" * 32, "2" * 32, "3" * 32)
    for front, trace, at in zip(node.fronts, (old, new), (10.0, 20.0), strict=True):
        noted = front.counters.own.timings.first_byte["sse", "hit"]
        noted.note(Exemplar(trace, 0.04, at))
    timings = node.keeper.counters.own.timings
    timings.first_byte["sse", "hit"].note(Exemplar(keepers, 0.04, 30.0))
    timings.origin_head[("write",)].note(Exemplar(keepers, 0.04, 30.0))
    for one in (node.keeper, *node.fronts):
        one.figures.publish()

    shown = node.fronts[0].figures.numbers().exemplars
    assert shown == {
        "first_byte_seconds": {"sse hit 5": Exemplar(new, 0.04, 20.0)},
        "origin_head_seconds": {"write 5": Exemplar(keepers, 0.04, 30.0)},
    }


def test_any_front_answers_for_all() -> None:
    """A read counts where its client was, a request where the origin was asked."""
    node = FiguredNode()
    for number, front in enumerate(node.fronts, 1):
        front.counters.own.reads["sse"] += number
        front.counters.own.delivered += 50
        front.counters.own.origin_requests["follow"] += 7
        front.counters.link_requests["follow"] += 7
    node.keeper.counters.own.reads["long-poll"] += 14
    node.keeper.counters.own.origin_requests["follow"] += 1
    node.keeper.figures.publish()
    node.fronts[1].figures.publish()
    page = node.page()
    node.fronts[0].figures.publish()

    assert own(node.page(node.fronts[1])) == own(page)
    assert sample(page, "ds_edge_reads_total", mode="sse") == 3
    assert sample(page, "ds_edge_reads_total", mode="long-poll") == 0
    assert sample(page, "ds_edge_origin_requests_total", purpose="follow") == 1
    assert sample(page, "ds_edge_link_requests_total", purpose="follow") == 14
    assert sample(page, "ds_edge_origin_requests_per_delivery") == 0.01
    assert sample(page, "ds_edge_viewers") == 4
    assert sample(page, "ds_edge_streams") == 3


def test_fronts_say_how_long_clients_wait_and_the_origin_is_timed_by_who_asks() -> None:
    """What a front waits for its keeper is nobody's."""
    node = FiguredNode()
    for one in (node.keeper, *node.fronts):
        timings = one.counters.own.timings
        timings.first_byte["sse", "hit"].observe(0.002)
        timings.fan_out.observe(0.3)
        timings.origin_head["catch-up",].observe(2.0)
    node.fronts[1].counters.direct.timings.origin_head["relay",].observe(0.2)
    node.keeper.figures.publish()
    node.fronts[1].figures.publish()
    page = node.page()
    heads = "ds_edge_origin_head_seconds"

    answered = {"mode": "sse", "result": "hit"}
    assert sample(page, "ds_edge_first_byte_seconds_count", **answered) == 2
    assert sample(page, "ds_edge_fan_out_seconds_bucket", le="0.5") == 2
    assert sample(page, f"{heads}_count", purpose="catch-up") == 1
    assert sample(page, f"{heads}_sum", purpose="catch-up") == 2.0
    assert sample(page, f"{heads}_bucket", le="0.25", purpose="relay") == 1


def test_every_counter_of_a_node_is_on_its_page() -> None:
    page = FiguredNode().page()

    for described in NODE_DESCRIPTIONS:
        assert f"# HELP ds_edge_{described.name}_total {described.help}" in page


def test_what_means_nothing_as_a_sum_is_told_for_each_process() -> None:
    """They are all this one process here."""
    page = FiguredNode().page()
    names = ("front-0", "front-1", "keeper-0")

    for name in names:
        figure = sample(page, "ds_edge_last_collection_seconds", process=name)
        assert figure == 0.25
        assert sample(page, "process_resident_memory_bytes", process=name) > 0
    assert "\nprocess_resident_memory_bytes " not in page
    assert page.count("# TYPE process_resident_memory_bytes gauge") == 1


def test_of_two_processes_in_one_place_the_later_one_is_told_alone() -> None:
    """The older one drains. Its clients count all the same."""
    node = FiguredNode()
    successor = Figured(node.board, Role.FRONT)
    successor.figures.publish()
    page = node.page(node.fronts[1])

    assert page.count('process_resident_memory_bytes{process="front-0"}') == 1
    assert sample(page, "ds_edge_viewers") == 6


def test_gauges_are_of_those_that_give_signs_of_life() -> None:
    node = FiguredNode()
    node.board.beats(node.fronts[0].view, after=2.0)
    page = node.page()

    assert sample(page, "ds_edge_viewers") == 2
    assert 'process="front-1"' not in page


def test_replacements_are_the_masters() -> None:
    """Processes count none of them: each would count all."""
    node = FiguredNode()
    node.board.board.store_text(master_text({"reload": 2}))
    node.fronts[1].counters.own.replacements["reload"] += 2
    page = node.page()

    assert sample(page, "ds_edge_replacements_total", reason="reload") == 2


def test_the_status_has_every_process_also_one_that_gives_no_sign_of_life() -> None:
    """Whose clients do not count any more."""
    node = FiguredNode()
    node.board.beats(node.keeper.view, node.fronts[0].view, after=7.0)
    told = node.fronts[0].figures.status()

    assert [(one.name, one.beat) for one in told.processes] == [
        ("front-0", 0.0),
        ("front-1", 7.0),
        ("keeper-0", 0.0),
    ]
    assert told.gauges["viewers"] == 2
    first = told.processes[0]
    assert (first.role, first.pid, first.viewers) == (Role.FRONT, os.getpid(), 2)
    assert first.memory > 0 and first.began > 1_800_000_000.0


def test_the_status_has_when_any_process_last_met_which_failure() -> None:
    """What fronts meet at keepers is of another kind."""
    node = FiguredNode()
    node.keeper.counters.own.origin_faults["origin-timeout"] += 2
    node.keeper.faults.look(10.0)
    node.fronts[1].counters.own.origin_faults["origin-timeout"] += 1
    node.fronts[1].faults.look(20.0)
    for one in (node.keeper, node.fronts[1]):
        one.figures.publish()
    told = node.fronts[0].figures.status()

    assert told.faults["origin"] == {"origin-timeout": (10.0, 10.0)}
    assert told.faults["link"] == {"origin-timeout": (20.0, 20.0)}
    assert told.counters["origin_faults"] == {"origin-timeout": 2}


def delivered(found: Mapping[str, object]) -> int:
    number = found["delivered"]
    assert isinstance(number, int)
    return number


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["count", "count", "publish", "ended", "killed"]),
        st.integers(0, 1),
    ),
    max_size=40,
)


@given(STEPS)
@settings(deadline=None)
def test_no_counter_goes_back_and_nothing_counts_twice(
    steps: list[tuple[str, int]],
) -> None:
    """Whoever counts, ends in order or by force, and is replaced, in any order."""
    node = FiguredNode()
    before = said = 0
    unsaid = [0, 0]
    for what, number in steps:
        front = node.fronts[number]
        if what == "count":
            front.counters.own.delivered += 1
            unsaid[number] += 1
            continue
        if what in ("publish", "ended"):
            front.figures.publish()
            said, unsaid[number] = said + unsaid[number], 0
        if what in ("ended", "killed"):
            event(f"{what}, with {'some' if unsaid[number] else 'nothing'} unsaid")
            node.board.ends(front.view)
            node.fronts[number] = Figured(node.board, Role.FRONT, number)
            unsaid[number] = 0
        found = delivered(node.keeper.figures.numbers().counters)
        assert found == said >= before
        before = found
