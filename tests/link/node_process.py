"""A worker, or a front before a keeper, in a process of its own (``node_entry``)."""

from dataclasses import dataclass
from typing import Any

from edge.policy.streams.routes import Route
from tests.front.edge_process import EdgeProcess
from tests.link.node_entry import NodeEntry
from tests.support.options import http_options, hub_options, rules

LIVE = {
    **{"long_poll_timeout": 0.3, "sse_lifetime": 0.3, "linger": 3600.0},
    "rules": rules(verify=3600, trust=3600),
}
"""A request that waits is answered within a test, and what was confirmed once stays so:
what an answer is like must not depend on when it was asked for."""


@dataclass(eq=False)
class NodeProcess(EdgeProcess):
    """``keepers`` 0: one worker alone. ``given`` may have ``hub`` and ``routes``."""

    keepers: int = 0
    entry_module = ("tests.link", "node_entry")

    def _entry(self, listener: int, events: int) -> Any:
        entry = super()._entry(listener, events)
        routes = self.given.get("routes", (Route(),))
        changes = {**LIVE, **self.given.get("hub", {})}
        return NodeEntry(
            entry.options,
            entry.front,
            hub_options(routes=routes, **changes),
            http_options("http://unused"),
            events,
            self.keepers,
            routes,
        )
