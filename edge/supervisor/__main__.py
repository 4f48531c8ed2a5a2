"""``python -m edge.supervisor GRACE FORMAT ORIGIN... -- EDGE...``

GRACE is in seconds. FORMAT is the format of log lines (json or text). The rest are the
two commands. Only ``edge.cli.start`` runs this, so nothing is checked here.
"""

import json
import os
import sys
import time
from contextlib import suppress

from edge.supervisor.supervisor import Supervisor

STDERR = 2


def main(arguments: list[str]) -> int:
    """Run both until they end; the exit code."""
    grace, form, *commands = arguments
    middle = commands.index("--")

    def say(message: str) -> None:
        _write(_json(message) if form == "json" else f"ds-edge: {message}")

    origin, edge = commands[:middle], commands[middle + 1 :]
    return Supervisor(origin, edge, float(grace), say).run()


def _json(message: str) -> str:
    """A line as ``edge.front.log`` writes them."""
    now = time.time()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    document = {
        "time": f"{seconds}.{int(now % 1 * 1000):03d}Z",
        "level": "warning",
        "logger": "edge.supervisor",
        "message": message,
    }
    return json.dumps(document)


def _write(line: str) -> None:
    # Standard error may be closed; the children still need their supervisor.
    with suppress(OSError):
        os.write(STDERR, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
