"""``python -m edge.supervisor GRACE FORMAT ORIGIN... -- EDGE...``

GRACE is in seconds, the delay before it included. FORMAT is the format of log lines
(json or text). The rest are the two commands. Only ``edge.cli.start`` runs this, so
nothing is checked here.
"""

import sys
import time

from edge.core.log_lines import log_line
from edge.front.log_output import DirectLog
from edge.supervisor.supervisor import Supervisor

LOGGER = "edge.supervisor"


def main(arguments: list[str]) -> int:
    """Run both until they end; the exit code."""
    grace, form, *commands = arguments
    middle = commands.index("--")

    log = DirectLog(form=form)

    def say(message: str) -> None:
        log.put(log_line(form, time.time(), "warning", LOGGER, message))

    origin, edge = commands[:middle], commands[middle + 1 :]
    return Supervisor(origin, edge, float(grace), say).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
