"""The node in one document, over figures that are given."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from falcon import testing

from edge.admin.app import create_admin_app
from edge.admin.status_page import MAX_FAULTS, About, StatusPage
from edge.core.counters import Counters
from edge.core.fault_notes import FaultRun
from edge.core.node_counters import whole
from edge.core.node_status import NodeStatus, ProcessStatus, joined
from edge.core.reasons import Reason
from edge.core.reload_history import ReloadHistory
from edge.core.values import Role
from tests.live.support import TestClock

TOKEN = "s3cret-token"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}
GAUGES = {
    "viewers": 70.0,
    "viewers_by_events": 50.0,
    "viewers_limit": 100.0,
    "streams": 3.0,
    "streams_limit": 1000.0,
    "followers": 2.0,
    "followers_by_events": 1.0,
    "flights_under_way": 4.0,
    "flights_limit": 512.0,
    "bytes_held": 4096.0,
    "bytes_held_limit": 8192.0,
    "origin_up": 1.0,
}


STARTED = ReloadHistory(1_799_999_940.0, 1_799_999_940.0)


@dataclass
class Node:
    """A node of which a test says what is so. Its master began a minute ago."""

    counters: Counters = field(default_factory=Counters)
    gauges: dict[str, float] = field(default_factory=lambda: dict(GAUGES))
    processes: tuple[ProcessStatus, ...] = ()
    faults: dict[str, dict[str, FaultRun]] = field(default_factory=dict)
    why: Reason | None = None
    reloads: ReloadHistory = STARTED
    clock: TestClock = field(default_factory=TestClock)

    def status(self) -> NodeStatus:
        counters = whole(self.counters.snapshot())
        return NodeStatus(counters, self.gauges, self.processes, self.faults)

    def page(self) -> StatusPage:
        about = About("1.2.3", "pop-fra-1", self.clock.monotonic() - 60.0)
        return StatusPage(
            about, self.status, lambda: self.why, self.clock, lambda: self.reloads
        )

    def client(self, token: str | None = None) -> testing.TestClient:
        return testing.TestClient(create_admin_app(self.page().routes(), token))

    @property
    def told(self) -> Any:
        answered = self.client().get("/status")
        assert answered.status_code == 200
        assert answered.headers["cache-control"] == "no-store"
        return answered.json


def test_it_says_which_edge_it_is_and_since_when() -> None:
    told = Node().told

    assert (told["version"], told["node"]) == ("1.2.3", "pop-fra-1")
    assert (told["uptime"], told["at"], told["time"]) == (60.0, 1000.0, 1_800_000_000.0)
    assert (told["ready"], told["unready"]) == (True, None)


def test_it_tells_what_became_of_the_last_reload() -> None:
    node = Node()
    before = node.told["reload"]
    node.reloads = node.reloads.begun(5.0).refused(
        6.0, Reason.SETTINGS_REFUSED, ["edge.yaml:2: live.linger: expected a time"]
    )
    told = node.told["reload"]

    assert before is None
    assert (told["number"], told["result"]) == (1, "refused")
    assert told["reason"] == "settings-refused"
    assert told["problems"] == ["edge.yaml:2: live.linger: expected a time"]


def test_it_says_why_the_node_is_not_ready() -> None:
    told = Node(why=Reason.KEEPERS_SILENT).told

    assert (told["ready"], told["unready"]) == (False, "keepers-silent")


def test_viewers_are_told_by_mode_and_each_limit_with_what_is_used_of_it() -> None:
    told = Node().told

    assert told["viewers"] == {"all": 70, "sse": 50, "long-poll": 20}
    assert told["limits"]["viewers"] == {"used": 70, "limit": 100}
    assert told["limits"]["flights"] == {"used": 4, "limit": 512}
    assert told["limits"]["memory"] == {"used": 4096, "limit": 8192}
    assert told["limits"]["disk"] == {"used": 0, "limit": 0}


def test_counts_are_totals() -> None:
    """Whoever asks twice makes rates of them, by ``at``."""
    node = Node()
    node.counters.answers["hit"] += 7
    node.counters.reads["sse"] += 9
    node.counters.growths += 2
    node.counters.woken += 100
    node.counters.bytes_out += 512
    node.counters.origin_requests["follow"] += 2
    told = node.told

    assert told["answers"] == {"hit": 7}
    assert told["reads"] == {"sse": 9}
    assert told["fan_out"] == {"growths": 2, "woken": 100, "delivered": 0}
    assert told["bytes"] == {"out": 512, "from_origin": 0}
    assert told["origin"]["requests"] == {"follow": 2}


def test_the_origin_is_up_or_since_when_it_is_not_and_why() -> None:
    node = Node()
    well = node.told["origin"]
    node.gauges |= {
        "origin_up": 0.0,
        "origin_changed_timestamp_seconds": 1_799_999_990.0,
        "breaker_open": 1.0,
    }
    node.counters.origin_faults["origin-timeout"] += 3
    node.faults["origin"] = {
        "origin-spin": FaultRun(5.0, 5.0),
        "origin-timeout": FaultRun(1_799_999_985.0, 1_799_999_995.0),
    }
    away = node.told["origin"]

    assert (well["up"], well["since"], well["last_fault"]) == (True, None, None)
    assert (away["up"], away["since"]) == (False, 1_799_999_990.0)
    assert away["breaker_open"] is True
    assert away["faults"] == {"origin-timeout": 3}
    assert away["last_fault"] == {
        "reason": "origin-timeout",
        "since": 1_799_999_985.0,
        "last": 1_799_999_995.0,
    }


def test_an_outage_is_told_with_who_is_away_since_when_and_why() -> None:
    node = Node()
    calm = node.told["outage"]
    # Another edge is asked, and answers, but what is behind it does not.
    node.faults["origin"] = {"origin-stale": FaultRun(1_799_999_970.0, 1_799_999_992.0)}
    behind = node.told["outage"]
    node.clock.move(10.0)
    over = node.told["outage"]
    node.faults["origin"]["origin-status"] = FaultRun(1_799_999_980.0, 1_799_999_999.0)
    node.gauges["breaker_open"] = 1.0
    stopped = node.told["outage"]
    node.gauges |= {"origin_up": 0.0, "origin_changed_timestamp_seconds": 1_799_999_984}
    away = node.told["outage"]

    assert calm is None and over is None
    assert behind == {
        "where": "behind",
        "reason": "origin-stale",
        "since": 1_799_999_970.0,
    }
    assert stopped == {
        "where": "origin",
        "reason": "origin-status",
        "since": 1_799_999_980.0,
    }
    assert away == {**stopped, "since": 1_799_999_984.0}


def outages(node: Node) -> dict[tuple[str, str], float]:
    """The figures of the page of metrics, by where and reason."""
    [family] = node.page().metrics()
    assert family.name == "ds_edge_outage"
    return {
        (one.labels["where"], one.labels["reason"]): one.value for one in family.samples
    }


def test_the_metric_says_of_an_outage_what_the_page_says() -> None:
    """Every series is there before one is met."""
    node = Node()
    calm = outages(node)
    node.faults["origin"] = {"origin-stale": FaultRun(1_799_999_970.0, 1_799_999_992.0)}
    behind = outages(node)
    node.faults["origin"]["origin-timeout"] = FaultRun(1_799_999_980.0, 1_799_999_999.0)
    node.gauges["origin_up"] = 0.0
    away = outages(node)

    assert set(calm.values()) == {0.0} and calm.keys() == behind.keys() == away.keys()
    assert [one for one in calm if one[0] == "behind"] == [("behind", "origin-stale")]
    assert [one for one, now in behind.items() if now] == [("behind", "origin-stale")]
    assert [one for one, now in away.items() if now] == [("origin", "origin-timeout")]


def test_an_outage_whose_reason_is_not_noted_yet_is_one() -> None:
    """A breaker opens between two looks at what was counted."""
    node = Node()
    node.gauges["breaker_open"] = 1.0

    assert [one for one, now in outages(node).items() if now] == [("origin", "")]


def test_failures_are_told_by_reason_words_the_newest_first() -> None:
    node = Node()
    node.counters.origin_faults["origin-timeout"] += 3
    node.counters.refusals["limit-viewers"] += 2
    node.faults = {
        "origin": {"origin-timeout": FaultRun(8.0, 10.0)},
        "refused": {"limit-viewers": FaultRun(5.0, 20.0)},
        "link": {"origin-timeout": FaultRun(15.0, 15.0)},
    }
    told = [
        (*(fault[name] for name in ("kind", "reason", "times", "since", "last")),)
        for fault in node.told["faults"]
    ]

    assert told == [
        ("refused", "limit-viewers", 2, 5.0, 20.0),
        ("link", "origin-timeout", 0, 15.0, 15.0),
        ("origin", "origin-timeout", 3, 8.0, 10.0),
    ]


def test_the_failures_that_are_told_are_bounded() -> None:
    runs = {f"word-{n}": FaultRun(1.0, float(n + 1)) for n in range(100)}
    told = Node(faults={"refused": runs}).told["faults"]

    assert len(told) == MAX_FAULTS
    assert told[0]["reason"] == "word-99"


def test_each_process_is_told_with_what_it_has() -> None:
    process = ProcessStatus(
        "front-1", Role.FRONT, 4711, 1_799_999_970.0, 0.125, 1 << 26, 12, 9
    )
    node = Node(processes=(process, replace(process, name="front-0", beat=None)))

    assert node.told["processes"][0] == {
        "name": "front-1",
        "role": "front",
        "pid": 4711,
        "uptime": 30.0,
        "beat": 0.125,
        "memory": 1 << 26,
        "connections": 12,
        "viewers": 9,
    }
    assert node.told["processes"][1]["beat"] is None


def test_a_failure_was_last_seen_when_any_process_last_saw_it() -> None:
    timeout, spin = FaultRun(3.0, 5.0), FaultRun(1.0, 1.0)
    one = {"origin": {"origin-timeout": timeout, "origin-spin": spin}}
    other = {"origin": {"origin-timeout": FaultRun(2.0, 4.0)}, "refused": {"x": spin}}

    assert joined([one, other]) == {
        "origin": {"origin-timeout": (2.0, 5.0), "origin-spin": spin},
        "refused": {"x": spin},
    }


@pytest.mark.parametrize(("given", "status"), [({}, 401), (SIGNED, 200)])
def test_it_needs_the_token_where_one_is_set(
    given: dict[str, str], status: int
) -> None:
    asked = Node().client(TOKEN).get("/status", headers=given)

    assert asked.status_code == status
    assert b"pop-fra-1" in asked.content or status == 401
    json.loads(asked.content)
