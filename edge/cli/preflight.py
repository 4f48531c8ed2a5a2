"""Before the start: room for open files, and addresses that can be listened at.

``plan_files`` is arithmetic; ``raise_files`` asks the system. Called by
``edge.cli.serve`` before anything is forked, so that children inherit the limit
and an address in use is one clear line instead of a restart loop.
"""

import errno
import os
import resource
import socket
import stat
import tempfile
from dataclasses import dataclass

from edge.settings.addresses import Address
from edge.settings.schema import Settings

RESERVE = 256
"""Files for listeners, logs, libraries and pipes, beside all connections."""
LEAST_FILES = 20_000
"""The soft limit is raised to this even where fewer connections are asked for."""


@dataclass(frozen=True, slots=True)
class FilePlan:
    """The soft limit to set, and the client connections that fit below it."""

    soft: int
    connections: int


def plan_files(soft: int, hard: int, connections: int, upstream: int) -> FilePlan:
    """What to raise the soft limit to; ``hard`` may be RLIM_INFINITY.

    No more than is of use: some programs walk all files up to the limit.
    ``connections`` of the result may be zero or less: then nothing fits.
    """
    wanted = max(connections + upstream + RESERVE, LEAST_FILES)
    if soft == resource.RLIM_INFINITY:
        return FilePlan(soft, connections)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    raised = max(soft, allowed)
    return FilePlan(raised, min(connections, raised - upstream - RESERVE))


def raise_files(settings: Settings) -> FilePlan:
    """Raise the soft limit and return what fits; keep it where the system refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (settings.limits.connections, settings.origin.connections)
    plan = plan_files(soft, hard, *wanted)
    if plan.soft == soft:
        return plan
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (plan.soft, hard))
    except (OSError, ValueError):
        return plan_files(soft, soft, *wanted)
    return plan


def with_connections(settings: Settings, connections: int) -> Settings:
    """``settings`` with ``limits.connections`` capped."""
    limits = settings.limits.model_copy(update={"connections": connections})
    return settings.model_copy(update={"limits": limits})


def refusal(address: Address) -> str | None:
    """Why ``address`` cannot be listened at; None when it can.

    Tries and lets go again, so somebody may still come first; whoever binds for
    good must not rely on this.
    """
    try:
        if address.path:
            _try_path(address.path)
        else:
            _try_port(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "is in use by another process"
        return f"cannot be listened at: {error.strerror or error}"
    return None


def _try_port(address: Address) -> None:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address.host, address.port))


def _try_path(path: str) -> None:
    """A socket file that nobody answers at is left over and will be replaced."""
    if not os.access(os.path.dirname(path), os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, f"no writable folder {os.path.dirname(path)}")
    if not os.path.exists(path):
        return
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        raise OSError(errno.EEXIST, "a file that is no socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) in (0, errno.EAGAIN):
            raise OSError(errno.EADDRINUSE, "in use")


def folder_refusal(folder: str) -> str | None:
    """Why ``folder`` cannot hold the streams; None when it can. Makes it.

    Only its owner may read it: the keys that sign webhooks lie there too.
    """
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        probe, path = tempfile.mkstemp(prefix="probe-", dir=folder)
        os.close(probe)
        os.unlink(path)
    except OSError as error:
        return f"cannot be written: {error.strerror or error}"
    return None
