"""What the service manager is told: ready, reloading, stopping (sd_notify(3)).

systemd names a socket in NOTIFY_SOCKET and wants a datagram for each change. Without
the variable nothing is opened and nothing sent. What cannot be sent is logged, no more:
the manager has time-outs of its own, and serving clients does not depend on it.

Called by the process that serves: gunicorn's master, or the origin alone. Where that is
the child of a supervisor, the unit needs ``NotifyAccess=all`` (docs/operating.md).
"""

import logging
import os
import socket
import time

VARIABLE = "NOTIFY_SOCKET"

_log = logging.getLogger("edge.process")


class ServiceManager:
    """Whoever started this service, if it wants to be told."""

    def __init__(self) -> None:
        # Taken out: gunicorn would say that all is ready before a worker has started.
        self._address = os.environ.pop(VARIABLE, "")

    def ready(self) -> None:
        """The service serves: after its start, or after a reload."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """It reads its settings anew; ``ready`` follows, taken or not."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It was told to stop."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), address)
        except OSError as error:
            _log.warning(
                "the service manager was not told %s: %s", state.split("=")[0], error
            )
