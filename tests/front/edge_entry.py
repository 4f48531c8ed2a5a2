"""An edge under test in a process of its own: real gunicorn, fake parts.

``main`` takes its options from the arguments: the listening socket's file
descriptor, that of the pipe for events, the admin address, the options as JSON.
While the file ``broken_by`` is there, no worker can start.
Whoever starts it patches first (see ``edge_process``).
"""

import json
import os
import resource
import sys
from typing import Any

from edge.process.gunicorn_app import EdgeApplication, Plan
from tests.front.fake_edge import FakeOrigin, FakeReadService, FakeRuntime, parts
from tests.support.options import (
    front_options,
    limits,
    log_options,
    recycle_options,
    server_options,
)


def main() -> None:
    """Serve until told to stop."""
    listener, events, admin, text = sys.argv[1:5]
    given: dict[str, Any] = json.loads(text)
    if "files" in given:
        resource.setrlimit(resource.RLIMIT_NOFILE, (given["files"],) * 2)
    bounds = limits(**given.get("limits", {}))
    options = server_options(
        listen=f"fd://{listener}",
        admin=admin,
        admin_token=given.get("token"),
        grace=given.get("grace", 5.0),
        idle_grace=given.get("idle_grace", 0.05),
        limits=bounds,
        recycle=recycle_options(**given.get("recycle", {})),
        log=log_options(**given.get("log", {})),
    )
    pipe = int(events)

    def tell(line: str) -> None:
        os.write(pipe, line.encode() + b"\n")

    def make() -> FakeRuntime:
        if os.path.exists(given.get("broken_by", "")):
            raise RuntimeError("cannot be made, as the test asked")
        front = front_options(limits=bounds, **given.get("front", {}))
        read_service = FakeReadService(tell)
        return FakeRuntime(
            read_service, parts(read_service, FakeOrigin(tell), options=front)
        )

    EdgeApplication(Plan(make, options)).run()
