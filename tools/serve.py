"""``make serve``: an origin, the edge before it, and a few commands to try.

The origin is the official Node reference server, in memory, on a port of the
kernel's choice. The edge runs in the foreground with ``config/edge.yaml`` and writes
its log to this terminal. Ctrl-C ends both.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from tests.support.processes import (
    ROOT,
    Process,
    ProcessFault,
    ds_edge,
    node_origin,
    stop,
    wait_until_ready,
)

NODE_LONG_POLL_MS = 30_000

TO_TRY = """
The edge listens at {url}, its operator's address is http://{admin}.
The origin behind it is {origin}.

Make a stream, follow it, and write to it from a second terminal:

  curl -X PUT {url}/v1/stream/demo -H 'Content-Type: text/plain'
  curl -N '{url}/v1/stream/demo?offset=-1&live=sse'
  curl -X POST {url}/v1/stream/demo -H 'Content-Type: text/plain' -d 'hello'

Read it twice and see Cache-Status; see what the origin was asked:

  curl -i '{url}/v1/stream/demo?offset=-1'
  curl http://{admin}/metrics

Ctrl-C ends both.
"""


def main() -> int:
    parser = argparse.ArgumentParser("make serve", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT")
    parser.add_argument("--admin", default="127.0.0.1:8081", metavar="HOST:PORT")
    asked = parser.parse_args()
    with node_origin(NODE_LONG_POLL_MS, webhooks=True) as origin:
        return serve(origin.url, asked.listen, asked.admin)


def serve(origin: str, listen: str, admin: str) -> int:
    """Run the edge until it ends or Ctrl-C; its exit code."""
    command = ds_edge("serve", "-c", str(ROOT / "config" / "edge.yaml"))
    command += ["--origin", origin, "--listen", listen, "--admin", admin]
    edge = Process("edge", subprocess.Popen(command, cwd=ROOT), Path("/dev/null"))
    try:
        wait_until_ready(edge, admin, "/ready")
        print(TO_TRY.format(url=f"http://{listen}", admin=admin, origin=origin))
        return edge.handle.wait()
    except KeyboardInterrupt:
        return 0
    except ProcessFault as fault:  # the edge itself has said why, just above
        print(f"make serve: {fault}", file=sys.stderr)
        return 1
    finally:
        stop(edge)


if __name__ == "__main__":
    sys.exit(main())
