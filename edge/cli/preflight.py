"""Before the start: room for connections, addresses to listen at, a folder to write.

``start`` asks before anything is forked: an address in use is then one clear line
instead of a restart loop. ``reload`` makes room for connections once more.
"""

import errno
import os
import socket
import stat
import tempfile

from edge.cli import open_files
from edge.cli.open_files import FileNeed, FilePlan
from edge.settings import processes
from edge.settings.addresses import ListenAddress
from edge.settings.schema import Settings
from edge.settings.units import write_size


def raise_files(settings: Settings) -> FilePlan:
    """Make room for the connections that ``settings`` asks for, as far as it goes."""
    return open_files.raise_files(settings.limits.connections, _need(settings))


def look_at_files(settings: Settings) -> FilePlan:
    """What would fit; changes nothing."""
    return open_files.look(settings.limits.connections, _need(settings))


def files_refusal(settings: Settings, plan: FilePlan) -> str | None:
    """Why the edge cannot run with so many files; None: it can."""
    if plan.connections < 1:
        return (
            f"{plan.soft} open files leave no room for clients beside "
            f"origin.connections ({settings.origin.connections}); raise ulimit -n"
        )
    return open_files.refusal(plan, processes.keeper_files(settings))


def _need(settings: Settings) -> FileNeed:
    return FileNeed(
        processes.upstream_files(settings),
        processes.counts_of(settings).workers,
        processes.keeper_files(settings),
    )


def memory_note(settings: Settings) -> str:
    """What was made of a ``cache.memory`` that nobody has set."""
    size = write_size(settings.cache.memory)
    return f"cache.memory: {size}, for this container has little memory"


def files_note(settings: Settings, plan: FilePlan) -> str | None:
    """That fewer connections are taken than ``settings`` ask for; None: all of them."""
    wanted = settings.limits.connections
    if plan.connections >= wanted:
        return None
    fronts = processes.counts_of(settings).workers
    files = f"{plan.soft} open files"
    if fronts > 1:
        files += f" of each of {fronts} fronts"
    return (
        f"limits.connections: {wanted} do not fit into {files}; "
        f"serve would take {max(plan.connections, 0)}. Raise ulimit -n"
    )


def with_connections(settings: Settings, plan: FilePlan) -> Settings:
    """``settings`` with ``limits.connections`` capped, in all and in each process."""
    limits = settings.limits.capped(plan.connections, plan.each)
    return settings.model_copy(update={"limits": limits})


def refusal(address: ListenAddress) -> str | None:
    """Why ``address`` cannot be listened at; None when it can.

    It binds and closes again. Another process may bind in between, so the real bind can
    still fail.
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


def _try_port(address: ListenAddress) -> None:
    host = address.host
    if not host and socket.has_dualstack_ipv6():
        host = "::"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, address.port))


def _try_path(path: str) -> None:
    """Raises OSError if the path is in use. A socket file that does not answer is left
    over, and will be replaced."""
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
