"""One worker's parts in one process, before a given origin: what ``instructions`` runs.

It is what wiring makes of settings, listening on a port of its own, without gunicorn's
master and fork. There is no ticker: how many ticks fall into a run is no matter of what
an event costs. It prints its address, and ends when its standard input does::

    python -m tests.bench.alone URL [FOLLOW]
"""

# isort: off
import edge.cli.serve  # noqa: F401  (gevent patches before anything else)

# isort: on
import json
import sys
import tempfile
from pathlib import Path
from typing import cast

import gevent
from gevent.os import tp_read
from gunicorn.config import Config

from edge import wiring
from edge.front.app.app import create_app
from edge.front.fast.context import FastContext
from edge.front.fast.listener import FastServer
from edge.front.http1.context import Application, ServerContext
from edge.front.log import AccessLog
from edge.process.seat import ALONE
from edge.settings import load


def main() -> None:
    """Serve until nobody listens any more."""
    origin, *follow = sys.argv[1:]
    routes = [{"match": "/v1/stream/**", "follow": way} for way in follow]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "edge.yaml")
        told = {"origin": {"url": origin}, "log": {"access": "off"}}
        # YAML is a superset of JSON.
        config.write_text(json.dumps(told | ({"routes": routes} if routes else {})))
        settings = load(config, {})
    parts = wiring.EdgeRuntime(settings, "c0ffee", ALONE).parts
    log = AccessLog(wiring.server_options(settings).log, print, parts.clock)
    app = cast(Application, create_app(parts))
    context = ServerContext(
        app, Config(), parts.options, parts.counters, parts.clock, log
    )
    bound = gevent.socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(256)
    FastServer(FastContext(parts, context), bound, set(), 8).start()
    print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
    tp_read(0, 1)


if __name__ == "__main__":
    main()
