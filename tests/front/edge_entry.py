"""An edge under test in a process of its own: real gunicorn, fake parts.

``main`` takes an ``Entry`` from its argument. It was made by ``edge_process``, which
knows the settings: to read those here would cost each start a second time as much.
Whoever starts it patches first.
"""

import os
import pickle
import resource
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.front.options import FrontOptions
from edge.front.tls import ListenerTls
from edge.process.gunicorn_app import EdgeApplication, Plan
from edge.process.open_node import open_node
from edge.process.options import ServerOptions
from edge.process.seat import Seat
from tests.front.fake_edge import FakeOrigin, FakeReadService, FakeRuntime, parts

if TYPE_CHECKING:
    from edge.settings.listener_tls import TlsSettings


@dataclass(slots=True)
class Entry:
    """What an edge is started with: its options, the descriptor of the pipe for events,
    and a bound on open files. While the file ``broken_by`` is there, no worker can
    start; if it names a place, none there; behind ``hang`` it stands still. Several
    processes have ``run_folder``."""

    options: ServerOptions
    front: FrontOptions
    events: int
    files: int | None
    broken_by: str
    run_folder: str
    tls: "TlsSettings | None" = None


def main() -> None:
    """Serve until told to stop."""
    entry: Entry = pickle.loads(bytes.fromhex(sys.argv[1]))
    if entry.files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (entry.files,) * 2)
    options, front = entry.options, entry.front

    def tell(line: str) -> None:
        os.write(entry.events, line.encode() + b"\n")

    def make(seat: Seat) -> FakeRuntime:
        name = seat.place.name if seat.node is not None else ""
        how = broken(entry.broken_by, name)
        if how == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif how:
            raise RuntimeError("cannot be made, as the test asked")
        read_service = FakeReadService(tell)
        dependencies = parts(read_service, FakeOrigin(tell), options=front)
        return FakeRuntime(read_service, dependencies, name=name)

    node = None
    if options.keepers:
        counts = options.workers, options.keepers
        node = open_node(*counts, entry.run_folder, os.environ)
    serving = None if node is None else lambda: tell("open")
    plan = Plan(make, options, secured(entry.tls))
    EdgeApplication(plan, serving=serving, node=node).run()


def secured(settings: "TlsSettings | None") -> tuple[ListenerTls | None, ...]:
    """How TLS is spoken at the one listener."""
    if settings is None:
        return ()
    from edge.settings.listener_tls import server_context

    return (ListenerTls(server_context(settings), settings.expires_at),)


def broken(path: str, name: str) -> str:
    """How no process may start in the place of this name: "hang", or "fail"; "": it
    may."""
    try:
        with open(path, encoding="utf-8") as file:
            words = file.read().split()
    except FileNotFoundError:
        return ""
    how = "hang" if words[:1] == ["hang"] else "fail"
    return how if words in (["hang"], ["hang", name], [name], []) else ""
