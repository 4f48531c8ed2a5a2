"""``GET /status``: the whole node in one JSON document, for people and for pages.

It is made of figures that the processes publish anyway, and asks none of them: ten
people may look at it once a second. Counters are totals since the start, with the time
``at`` on a clock that never goes back: whoever asks twice makes rates of them. A
failure is told by its reason word, and by nothing that anybody has written; but why a
reload was refused, as the log and ``ds-edge check`` say it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from edge.admin.metrics import PREFIX
from edge.admin.reload_pages import shown
from edge.admin.routes import AdminRequest, AdminRoute, json_page
from edge.core.counted_reasons import LABELS
from edge.core.fault_notes import LINK, LOOKED_AT, FaultRun
from edge.core.node_status import NodeStatus, ProcessStatus
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.reload_history import ReloadHistory
from edge.core.values import Answer

MAX_FAULTS = 20
"""Kinds of failures that are shown, the newest first."""

BOUNDED = {
    "viewers": ("viewers", "viewers_limit"),
    "connections": ("connections", "connections_limit"),
    "streams": ("streams", "streams_limit"),
    "followers": ("followers", "followers_limit"),
    "flights": ("flights_under_way", "flights_limit"),
    "relays": ("relays", "relays_limit"),
    "memory": ("bytes_held", "bytes_held_limit"),
    "spool": ("spool_bytes", "spool_bytes_limit"),
    "disk": ("disk_bytes", "disk_bytes_limit"),
}
"""What has a limit: the gauges of what is used of it, and of itself."""


STALE_SECONDS = 10.0
"""For so long the word of the next edge counts that it has lost its origin. It is asked
again each 5 s, at the latest."""


@dataclass(frozen=True, slots=True)
class About:
    """Which edge this is: its version, its node's name, and when its master began
    (monotonic seconds)."""

    version: str
    node: str
    began: float


class StatusPage:
    """The page. ``node`` tells the figures, ``unready`` why the node cannot answer
    reads (None: it can), ``reloads`` what became of the last ones."""

    def __init__(
        self,
        about: About,
        node: Callable[[], NodeStatus],
        unready: Callable[[], Reason | None],
        clock: Clock,
        reloads: Callable[[], ReloadHistory],
    ) -> None:
        self._reloads = reloads
        self._about = about
        self._node = node
        self._unready = unready
        self._clock = clock

    def routes(self) -> tuple[AdminRoute, ...]:
        """The page that this part contributes to the admin address."""
        return (AdminRoute("/status", self._page),)

    def _page(self, _request: AdminRequest) -> Answer:
        return json_page(self.document())

    def metrics(self) -> Iterator[Metric]:
        """For the page of metrics: ``outage``, as the document has it. There is a
        series for each reason that each place may have, of which one at most is 1."""
        told = _outage(self._node(), self._clock.wall())
        is_now = None if told is None else (told["where"], told["reason"] or "")
        text = "Whether readers are given stale answers: where the outage is, and why."
        family = GaugeMetricFamily(f"{PREFIX}outage", text, labels=["where", "reason"])
        for one in sorted({*_OUTAGES, *([is_now] if is_now else [])}):
            family.add_metric(one, float(one == is_now))
        yield family

    def document(self) -> dict[str, Any]:
        """What the page says, now."""
        about, found = self._about, self._node()
        wall, now = self._clock.wall(), self._clock.monotonic()
        why = self._unready()
        return {
            "version": about.version,
            "node": about.node,
            "at": round(now, 3),
            "time": round(wall, 3),
            "uptime": round(now - about.began, 3),
            "ready": why is None,
            "unready": None if why is None else why.value,
            "reload": shown(self._reloads()),
            "viewers": _viewers(found.gauges),
            "streams": _count(found.gauges, "streams"),
            "followers": {
                "all": _count(found.gauges, "followers"),
                "by_events": _count(found.gauges, "followers_by_events"),
            },
            "fan_out": {
                "growths": found.counters["growths"],
                "woken": found.counters["woken"],
                "delivered": found.counters["delivered"],
            },
            "reads": found.counters["reads"],
            "answers": found.counters["answers"],
            "writes": found.counters["writes"],
            "refusals": found.counters["refusals"],
            "bytes": {
                "out": found.counters["bytes_out"],
                "from_origin": found.counters["bytes_from_origin"],
            },
            "limits": _limits(found.gauges),
            "outage": _outage(found, wall),
            "origin": _origin(found),
            "faults": _faults(found),
            "internal_errors": found.counters["internal_errors"],
            "processes": [_process(one, wall) for one in found.processes],
        }


def _count(gauges: Mapping[str, float], name: str) -> int:
    return int(gauges.get(name, 0))


def _viewers(gauges: Mapping[str, float]) -> dict[str, int]:
    viewers = _count(gauges, "viewers")
    by_events = _count(gauges, "viewers_by_events")
    return {"all": viewers, "sse": by_events, "long-poll": viewers - by_events}


def _limits(gauges: Mapping[str, float]) -> dict[str, dict[str, int]]:
    """What is used of each limit. A limit of 0: there is no such thing here."""
    return {
        name: {"used": _count(gauges, used), "limit": _count(gauges, limit)}
        for name, (used, limit) in BOUNDED.items()
    }


def _outage(found: NodeStatus, wall: float) -> dict[str, Any] | None:
    """Whether readers may be given stale answers, since when, and why. ``where``: the
    ``origin`` that this edge asks is away; or that is an edge, and has lost what is
    ``behind`` it."""
    gauges, runs = found.gauges, dict(found.faults.get("origin", {}))
    behind = runs.pop(Reason.ORIGIN_STALE.value, None)
    up = bool(gauges.get("origin_up", 0))
    if not up or gauges.get("breaker_open", 0):
        reason, run = max(runs.items(), key=lambda one: one[1].last, default=_NO_RUN)
        changed = gauges.get("origin_changed_timestamp_seconds", 0.0)
        since = run.since if up else changed
        return {"where": "origin", "since": _time(since), "reason": reason}
    if behind is not None and wall - behind.last <= STALE_SECONDS:
        since, reason = behind.since, Reason.ORIGIN_STALE.value
        return {"where": "behind", "since": _time(since), "reason": reason}
    return None


_NO_RUN = (None, FaultRun(0.0, 0.0))

_OUTAGES = {
    ("behind" if reason == Reason.ORIGIN_STALE.value else "origin", reason)
    for reason in LABELS["origin_faults"]
}
"""Where an outage may be, and the reason words of each place."""


def _origin(found: NodeStatus) -> dict[str, Any]:
    counters, gauges = found.counters, found.gauges
    runs = found.faults.get("origin", {})
    reason = max(runs, key=lambda one: runs[one].last, default=None)
    return {
        "up": bool(gauges.get("origin_up", 0)),
        "since": _time(gauges.get("origin_changed_timestamp_seconds", 0.0)),
        "breaker_open": bool(gauges.get("breaker_open", 0)),
        "requests": counters["origin_requests"],
        "faults": counters["origin_faults"],
        "statuses": counters["origin_statuses"],
        "last_fault": None
        if reason is None
        else {"reason": reason, **_run(runs[reason])},
    }


def _faults(found: NodeStatus) -> list[dict[str, Any]]:
    """The newest first, each with how often it was counted since the start."""
    counted = {**LOOKED_AT, LINK: "link_faults"}
    rows = [
        (run.last, kind, reason, run)
        for kind, runs in found.faults.items()
        for reason, run in runs.items()
    ]
    shown = []
    for _, kind, reason, run in sorted(rows, reverse=True)[:MAX_FAULTS]:
        counts = found.counters.get(counted.get(kind, ""))
        times = counts.get(reason, 0) if isinstance(counts, dict) else 0
        shown.append({"kind": kind, "reason": reason, "times": times, **_run(run)})
    return shown


def _run(run: FaultRun) -> dict[str, float | None]:
    return {"since": _time(run.since), "last": _time(run.last)}


def _process(process: ProcessStatus, wall: float) -> dict[str, Any]:
    return {
        "name": process.name,
        "role": process.role.value,
        "pid": process.pid,
        "uptime": round(max(0.0, wall - process.began), 3),
        "beat": None if process.beat is None else round(process.beat, 3),
        "memory": process.memory,
        "connections": process.connections,
        "viewers": process.viewers,
    }


def _time(at: float) -> float | None:
    """Unix time; None: never."""
    return round(at, 3) if at else None
