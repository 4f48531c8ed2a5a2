"""A worker, or a front before a keeper, in a process of its own (``node_entry``)."""

import os
import select
import socket
from dataclasses import dataclass
from typing import Any

from edge.policy.streams.routes import Route
from tests.front.edge_process import PATIENCE, Client, EdgeProcess
from tests.link.node_entry import NodeEntry
from tests.support.options import http_options, hub_options, rules

LIVE = {
    **{"long_poll_timeout": 0.3, "sse_lifetime": 0.3, "linger": 3600.0},
    "rules": rules(verify=3600, trust=3600),
}
"""A request that waits is answered within a test, and what was confirmed once stays so:
what an answer is like must not depend on when it was asked for."""


class LinkClient(Client):
    """A raw connection to a unix socket."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(path)
        self._held = b""


@dataclass(eq=False)
class NodeProcess(EdgeProcess):
    """``keepers`` 0: one worker alone. ``given`` may have ``hub`` and ``routes``."""

    keepers: int = 0
    link = ""
    entry_module = ("tests.link", "node_entry")

    def __enter__(self) -> "NodeProcess":
        super().__enter__()
        return self

    def _next_line(self, wanted: str) -> str:
        line = super()._next_line(wanted)
        if line.startswith("keeper "):
            self.link = line.removeprefix("keeper ")
        return line

    def so_far(self) -> list[bytes]:
        """All events that were told and not looked at yet."""
        while select.select([self._events], [], [], 0)[0]:
            self._lines += os.read(self._events, 1 << 16)
        *lines, self._lines = self._lines.split(b"\n")
        return lines

    def call_keeper(self) -> "LinkClient":
        """A raw connection to its link socket."""
        return LinkClient(self.link)

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
