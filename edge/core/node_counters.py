"""What each process of a node contributes to the node's metrics. Pure.

Every process counts by the same names (``Counters``). Where there are several, the same
thing passes two of them: a read of a client is answered by a front, which may read from
a keeper, which may ask the origin. So each counter has a side, and is taken from the
processes of that side alone:

- CLIENT: from fronts. A keeper's clients are fronts, and nobody counts those.
- ORIGIN: from keepers, and from fronts for what they ask of the origin themselves. What
  a front asks of keepers is counted under names of its own (``LINK_DESCRIPTIONS``).
- PROCESS: from every process.
- MASTER: from the master.

What a role contributes is decided before it is published; whoever adds up only adds
(``added``). Sums of numbers that only grow only grow, so a sum goes back only if a part
is left out: the last word of a process that ended stays in it (``edge.board``). Each
contribution is of one moment of its process.

Where there is one worker none of this is used. Called by ``edge.process.node_figures``.
"""

import enum
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from edge.core.counted_reasons import LABELS
from edge.core.counters import DESCRIPTIONS, Counters, Described
from edge.core.histograms import HISTOGRAMS, Exemplars
from edge.core.values import Purpose, Role

Number: TypeAlias = int | dict[str, int]
"""A counter: its value, or a value for each label."""

Numbers: TypeAlias = Mapping[str, Number]


class Side(enum.Enum):
    """Whose figure a counter is."""

    CLIENT = "client"
    ORIGIN = "origin"
    PROCESS = "process"
    MASTER = "master"


SIDES: Mapping[str, Side] = {
    "reads": Side.CLIENT,
    "answers": Side.CLIENT,
    "delivered": Side.CLIENT,
    "origin_requests": Side.ORIGIN,
    "origin_faults": Side.ORIGIN,
    "origin_statuses": Side.ORIGIN,
    "refusals": Side.PROCESS,
    "lent_refusals": Side.ORIGIN,
    "breaker_opened": Side.ORIGIN,
    "passes": Side.CLIENT,
    "spooled": Side.ORIGIN,
    "spool_cuts": Side.ORIGIN,
    "disk_hits": Side.ORIGIN,
    "disk_loads": Side.ORIGIN,
    "disk_stores": Side.ORIGIN,
    "disk_faults": Side.ORIGIN,
    "disk_pauses": Side.ORIGIN,
    "stores": Side.ORIGIN,
    "not_stored": Side.ORIGIN,
    "drops": Side.ORIGIN,
    "purges": Side.CLIENT,
    "purged": Side.PROCESS,
    "evictions": Side.PROCESS,
    "flights": Side.ORIGIN,
    "follower_polls": Side.ORIGIN,
    "event_streams": Side.ORIGIN,
    "event_streams_ended": Side.ORIGIN,
    "events_heard": Side.ORIGIN,
    "events_skipped": Side.ORIGIN,
    "viewers_ended": Side.CLIENT,
    "wakeups": Side.CLIENT,
    "growths": Side.ORIGIN,
    "woken": Side.CLIENT,
    "verdicts": Side.CLIENT,
    "asks": Side.CLIENT,
    "revocations": Side.CLIENT,
    "key_fetches": Side.PROCESS,
    "client_faults": Side.PROCESS,
    "writes": Side.CLIENT,
    "problems": Side.CLIENT,
    "compressions": Side.PROCESS,
    "bytes_out": Side.CLIENT,
    "bytes_from_origin": Side.ORIGIN,
    "tls_handshakes": Side.PROCESS,
    "accept_pauses": Side.PROCESS,
    "log_lines_dropped": Side.PROCESS,
    "spans_exported": Side.PROCESS,
    "spans_dropped": Side.PROCESS,
    "collections": Side.PROCESS,
    "replacements": Side.MASTER,
    "internal_errors": Side.PROCESS,
}
"""The side of each counter."""

TIMED_OF_ORIGIN = ("origin_head_seconds",)
"""The histograms of calls to a server; all others are of clients."""

OF_ORIGIN = ("origin_requests", "origin_faults", "origin_statuses", "bytes_from_origin")
"""What is counted of calls to a server (``edge.core.counted_origin``)."""

LINK_DESCRIPTIONS: tuple[Described, ...] = (
    Described(
        "link_requests",
        "Requests of fronts to keepers, by purpose.",
        "purpose",
        tuple(one.value for one in Purpose),
    ),
    Described(
        "link_faults",
        "Failures of what fronts asked of keepers, or of the origin themselves.",
        "reason",
        LABELS["link_faults"],
    ),
    Described(
        "link_statuses",
        "Answers to reads of fronts by which work is refused: 408, 425, 429 and 5xx.",
        "status",
        LABELS["link_statuses"],
    ),
    Described(
        "link_drops",
        "Logs that fronts dropped, by reason.",
        "reason",
        LABELS["link_drops"],
    ),
    Described(
        "link_not_stored",
        "Answers that were not taken into the log of a front, by reason.",
        "reason",
        LABELS["link_not_stored"],
    ),
    Described(
        "bytes_by_link",
        "Bytes of bodies that fronts received, of keepers or of the origin itself.",
    ),
)
"""What is counted of the way between fronts and keepers."""

NODE_DESCRIPTIONS: tuple[Described, ...] = DESCRIPTIONS + LINK_DESCRIPTIONS
"""All counters of a node of several processes."""


@dataclass(frozen=True, slots=True)
class CounterSet:
    """What one process counts. ``own`` is what it counts itself. In a front, ``direct``
    is what is counted of its calls to the origin, and ``link_requests`` are those to
    keepers, by purpose."""

    own: Counters = field(default_factory=Counters)
    direct: Counters = field(default_factory=Counters)
    link_requests: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def contribution(role: Role, counters: CounterSet) -> dict[str, Number]:
    """What a process of this role contributes to the node's sums, now."""
    own: dict[str, Number] = counters.own.snapshot()
    timed = counters.own.timings.as_counts()
    if role is Role.WORKER:
        return {**own, **timed}
    if role is Role.KEEPER:
        return {
            **_of(own, Side.PROCESS, Side.ORIGIN),
            **{name: timed[name] for name in TIMED_OF_ORIGIN},
        }
    direct = counters.direct.snapshot()
    called = counters.direct.timings.as_counts()
    return {
        **timed,
        **{name: called[name] for name in TIMED_OF_ORIGIN},
        **_of(own, Side.PROCESS, Side.CLIENT),
        **{name: direct[name] for name in OF_ORIGIN},
        "link_requests": dict(counters.link_requests),
        "link_faults": own["origin_faults"],
        "link_statuses": own["origin_statuses"],
        "link_drops": own["drops"],
        "link_not_stored": own["not_stored"],
        "bytes_by_link": own["bytes_from_origin"],
    }


def exemplars_of(role: Role, counters: CounterSet) -> Exemplars:
    """The exemplars of what a process of this role contributes."""
    own = counters.own.timings.exemplars()
    if role is not Role.KEEPER:
        return own
    return {name: own[name] for name in TIMED_OF_ORIGIN if name in own}


def _of(own: Numbers, *sides: Side) -> dict[str, Number]:
    return {name: own[name] for name, side in SIDES.items() if side in sides}


def added(parts: Iterable[Numbers]) -> dict[str, Number]:
    """The sums of all parts, by name and label. What has two shapes under one name (of
    two versions of this program) is kept as the first one has it."""
    sums: dict[str, Number] = {}
    for part in parts:
        for name, number in part.items():
            known = sums.get(name)
            if isinstance(number, int):
                if known is None or isinstance(known, int):
                    sums[name] = (known or 0) + number
            elif known is None:
                sums[name] = dict(number)
            elif isinstance(known, dict):
                for label, value in number.items():
                    known[label] = known.get(label, 0) + value
    return sums


def whole(sums: Numbers) -> dict[str, Number]:
    """The sums with every name of NODE_DESCRIPTIONS and HISTOGRAMS, in its shape and
    order: one that nobody contributed is 0."""
    found: dict[str, Number] = {}
    for described in NODE_DESCRIPTIONS:
        nothing: Number = 0 if described.label is None else {}
        number = sums.get(described.name, nothing)
        same = isinstance(number, int) is isinstance(nothing, int)
        found[described.name] = number if same else nothing
    for histogram in HISTOGRAMS:
        counts = sums.get(histogram.name, {})
        found[histogram.name] = counts if isinstance(counts, dict) else {}
    return found


def requests_per_delivery(numbers: Numbers) -> float:
    """How many requests an answer cost the origin; NaN before the first answer."""
    requests, delivered = numbers["origin_requests"], numbers["delivered"]
    assert isinstance(requests, dict) and isinstance(delivered, int)
    write = Purpose.WRITE.value
    reads = sum(number for purpose, number in requests.items() if purpose != write)
    return reads / delivered if delivered else float("nan")


class GaugeRule(enum.Enum):
    """How a gauge of a node is made of its processes'.

    FRONTS and KEEPERS: the sum over those. ALL: over both. HIGHEST and LOWEST: the
    highest and the lowest one of keepers. SAME: what all fronts say, who have it from
    the settings. EACH: one for each process, by its name.
    """

    FRONTS = "fronts"
    KEEPERS = "keepers"
    ALL = "all"
    HIGHEST = "highest"
    LOWEST = "lowest"
    SAME = "same"
    EACH = "each"


GAUGES: Mapping[str, GaugeRule] = {
    "viewers": GaugeRule.FRONTS,
    "viewers_by_events": GaugeRule.FRONTS,
    "streams": GaugeRule.KEEPERS,
    "followers": GaugeRule.KEEPERS,
    "followers_by_events": GaugeRule.KEEPERS,
    "flights_under_way": GaugeRule.KEEPERS,
    "relays": GaugeRule.FRONTS,
    "bytes_held": GaugeRule.ALL,
    "bytes_in_probation": GaugeRule.ALL,
    "bytes_prepared": GaugeRule.ALL,
    "breaker_open": GaugeRule.HIGHEST,
    "origin_up": GaugeRule.LOWEST,
    "origin_changed_timestamp_seconds": GaugeRule.HIGHEST,
    "spools": GaugeRule.KEEPERS,
    "spool_readers": GaugeRule.KEEPERS,
    "spool_bytes": GaugeRule.KEEPERS,
    "disk_bytes": GaugeRule.KEEPERS,
    "disk_bytes_limit": GaugeRule.KEEPERS,
    "connections": GaugeRule.FRONTS,
    "viewers_limit": GaugeRule.SAME,
    "connections_limit": GaugeRule.SAME,
    "streams_limit": GaugeRule.KEEPERS,
    "followers_limit": GaugeRule.KEEPERS,
    "flights_limit": GaugeRule.KEEPERS,
    "relays_limit": GaugeRule.FRONTS,
    "bytes_held_limit": GaugeRule.ALL,
    "spool_bytes_limit": GaugeRule.KEEPERS,
    "last_collection_seconds": GaugeRule.EACH,
    "longest_collection_seconds": GaugeRule.EACH,
}
"""How each gauge adds up. One that is not named here is told for EACH process."""


def node_gauges(
    parts: Iterable[tuple[Role, Mapping[str, float]]],
) -> dict[str, float]:
    """The gauges of a node, but those told for each process."""
    held = list(parts)
    rules = ((name, GAUGES.get(name)) for _, gauges in held for name in gauges)
    found: dict[str, float] = {}
    for name, rule in dict(rules).items():
        roles = _ROLES.get(rule or GaugeRule.EACH)
        if roles is None:
            continue
        values = [g[name] for role, g in held if role in roles and name in g]
        found[name] = _JOINED.get(rule, sum)(values or (0.0,))
    return found


_ROLES: Mapping[GaugeRule, frozenset[Role]] = {
    GaugeRule.FRONTS: frozenset({Role.FRONT, Role.WORKER}),
    GaugeRule.KEEPERS: frozenset({Role.KEEPER, Role.WORKER}),
    GaugeRule.ALL: frozenset(Role),
    GaugeRule.HIGHEST: frozenset({Role.KEEPER, Role.WORKER}),
    GaugeRule.LOWEST: frozenset({Role.KEEPER, Role.WORKER}),
    GaugeRule.SAME: frozenset({Role.FRONT, Role.WORKER}),
}

_JOINED: Mapping[GaugeRule | None, Callable[[Iterable[float]], float]] = {
    GaugeRule.HIGHEST: max,
    GaugeRule.LOWEST: min,
    GaugeRule.SAME: max,
}
"""How values become one, where they are not added up."""
