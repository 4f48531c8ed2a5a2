"""``ds-edge serve`` after the patch: the checks before the start, and the start.

``edge.cli.app`` imports it when everything is patched (``edge.cli.serve``). With the
embedded origin this process becomes the supervisor, which runs the same command line
once more, with ``--attached``. Otherwise this process becomes the edge: the settings go
to ``edge.wiring``.
"""

import os
import sys
from collections.abc import Callable

from edge.admin import shipped
from edge.cli import activation, console, preflight
from edge.cli.open_files import FilePlan
from edge.cli.reload import Reloader
from edge.cli.revocation_place import RevocationPlace
from edge.files import file_systems
from edge.files.disk_folder import is_written_by_another
from edge.process.cores import cores
from edge.process.heartbeat import heartbeat_refusal
from edge.process.memory_bound import memory_bound
from edge.process.run_folder import RunFolderFault
from edge.settings import Settings, cross_checks, processes
from edge.settings.addresses import MAX_UNIX_PATH, ListenAddress
from edge.settings.problems import key_name
from edge.supervisor.inherited import inherited, take_over

REEXECUTED = "GUNICORN_FD"
"""Set for a master that gunicorn re-executes (USR2). Its sockets are inherited: a
second bind would fail."""

KEPT_BY_ANOTHER = (
    "is kept by another edge: what lies there is read, and nothing written while that "
    "one runs; one edge each"
)

TO_TRY = """
Make a stream, follow it, and write to it from a second terminal:

  curl -X PUT {url}/v1/stream/demo -H 'Content-Type: text/plain'
  curl -N '{url}/v1/stream/demo?offset=-1&live=sse'
  curl -X POST {url}/v1/stream/demo -H 'Content-Type: text/plain' -d 'hello'

Or open the page named above in two tabs of a browser. See what the origin was asked:

  curl {admin}/metrics
"""


def start(
    settings: Settings, read: Callable[[], Settings], attached: bool = False
) -> int:
    """Serve until told to stop; returns the exit code.

    ``read`` reads the settings anew, for a reload; it raises SettingsError.
    ``attached``: the supervisor runs the embedded origin already.
    """
    if attached:
        take_over()
    if not _can_start(settings):
        return 1
    if not attached:
        for warning in cross_checks.warnings(settings):
            console.warn(f"{key_name(warning.path)}: {warning.message}")
    if not _has_files(settings, tell=attached or not settings.origin.embedded):
        return 1
    read_as, bound = settings, memory_bound()
    settings = processes.settled(settings, cores(), bound)
    _tell_memory(settings, read_as, bound)
    place = RevocationPlace()
    if (why := place.refusal(settings)) is not None:
        console.error(why)
        return 1
    if settings.origin.embedded and not attached:
        return _supervise(settings)
    plan = preflight.raise_files(settings)
    if (why := preflight.files_refusal(settings, plan)) is not None:
        console.error(why)
        return 1
    from edge.front.log_capture import capture
    from edge.wiring import serve

    capture()
    capped = preflight.with_connections(place.settled(settings), plan)
    counts = processes.counts_of(settings)
    again = Reloader(read_as, read, place, counts, bound)
    try:
        serve(capped, read_as, again, lambda: _tell(settings, plan))
    except RunFolderFault as fault:
        console.error(str(fault))
        return 1
    return 0


def _tell_memory(settings: Settings, written: Settings, bound: int | None) -> None:
    """What a container's memory has changed, or does not bear."""
    if settings.cache.memory != written.cache.memory:
        console.note(preflight.memory_note(settings))
    why = processes.bound_fault(settings, processes.counts_of(settings), bound)
    if why is not None:
        console.warn(why)


def _has_files(settings: Settings, tell: bool) -> bool:
    """Whether disk and spool can be where the settings want them; says where the spool
    is."""
    disk, spool = settings.cache.disk.path, settings.cache.spool
    if disk is not None and (why := preflight.folder_refusal(disk)) is not None:
        console.error(f"cache.disk.path: {disk} {why}")
        return False
    if disk is not None and tell and is_written_by_another(disk):
        console.warn(f"cache.disk.path: {disk} {KEPT_BY_ANOTHER}")
    if spool.size is None:
        return True
    if spool.path is not None:
        why = file_systems.refusal(spool.path)
        if why is not None:
            console.error(f"cache.spool.path: {spool.path} {why}")
        return why is None
    if tell:
        place = file_systems.usual_folder()
        where = "off: no folder on a disk was found; name one in cache.spool.path"
        console.note(f"spool for large answers: {place or where}")
    return True


def _supervise(settings: Settings) -> int:
    """Become the supervisor: a small process without a loop, threads or patches."""
    why = preflight.folder_refusal(settings.origin.folder)
    if why is None and len(settings.origin.socket.encode()) > MAX_UNIX_PATH:
        why = f"is too long: a socket in it may have {MAX_UNIX_PATH} bytes in its path"
    if why is not None:
        console.error(f"origin.data: {settings.origin.folder} {why}")
        return 1
    from edge.origin import arguments

    console.note(f"streams in {settings.origin.folder}")
    console.note(f"a page that follows a stream: {shipped.page() or 'not installed'}")
    shutdown, form = settings.shutdown, settings.log.format.value
    grace = str(shutdown.delay + shutdown.grace)
    origin = [*_own_command(), "origin", *arguments(settings)]
    edge = [*_own_command(), "serve", "--attached", *sys.argv[2:]]
    command = [*_as_module("edge.supervisor"), grace, form]
    os.execv(sys.executable, [*command, *origin, "--", *edge])


def _script() -> str | None:
    """The script by which this program was called; None: it was called as a module."""
    script = sys.argv[0]
    called = os.path.basename(script) == "ds-edge" and os.path.isfile(script)
    return script if called else None


def _own_command() -> list[str]:
    """How this program was called."""
    script = _script()
    return _as_module("edge.cli") if script is None else [sys.executable, script]


def _as_module(name: str) -> list[str]:
    """A command that finds modules where this program does: in the folder where it was
    started only if it was called so (``python -m edge``). Whatever lies there must not
    be taken for a part of it."""
    apart = _script() is not None or sys.flags.safe_path
    return [sys.executable, *(["-P"] if apart else []), "-m", name]


def _can_start(settings: Settings) -> bool:
    """Whether nothing is in the way that can be told before the start. Says what is."""
    why = heartbeat_refusal()
    if why is not None:
        console.error(why)
        return False
    return _addresses_free(settings)


def _addresses_free(settings: Settings) -> bool:
    if os.environ.get(REEXECUTED):
        return True
    wanted = [("admin.listen", settings.admin.listen)]
    if not (files := inherited()):
        wanted[:0] = [("listen", address) for address in settings.listen]
    elif (why := activation.refusal(files, settings.listen)) is not None:
        console.error(f"listen: {why}")
        return False
    free = True
    for key, address in wanted:
        why = preflight.refusal(address)
        if why is not None:
            console.error(f"{key}: {address} {why}")
            free = False
    return free


def _tell(settings: Settings, plan: FilePlan) -> None:
    """The edge accepts connections: where, and what to try."""
    asked = settings.limits.connections
    capped = "" if plan.connections == asked else f" (of {asked} asked for)"
    if plan.each < plan.connections:
        capped += f", {plan.each} in one front"
    listening = ", ".join(
        f"{address} (TLS)" if address.tls else str(address)
        for address in settings.listen
    )
    console.note(
        f"listening at {listening}, operators at {settings.admin.listen}; "
        f"{_processes(settings)}open files: {plan.soft}, "
        f"limits.connections: {plan.connections}{capped}"
    )
    if settings.origin.embedded and settings.known_as is not None:
        console.plain(
            TO_TRY.format(url=settings.known_as, admin=_to_curl(settings.admin.listen))
        )


def _processes(settings: Settings) -> str:
    counts = processes.counts_of(settings)
    if counts.alone:
        return ""
    one = "keeper" if counts.keepers == 1 else "keepers"
    return f"{counts.workers} fronts, {counts.keepers} {one}, "


def _to_curl(address: ListenAddress) -> str:
    """What curl takes to get there from this machine."""
    if address.path:
        return f"--unix-socket {address.path} http://localhost"
    return address.url or f"http://{address}"
