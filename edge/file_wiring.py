"""The files of one process, made of the settings: its spool, and its disk.

Called by ``edge.wiring`` in the process, after the fork.
"""

from edge.core.values import Role
from edge.files.file_systems import usual_folder
from edge.files.worker_files import WorkerFiles
from edge.process.seat import Seat
from edge.settings import Settings


def worker_files(settings: Settings, seat: Seat) -> WorkerFiles:
    """The files of one process. A front has none; each keeper has its part of the disk,
    and its own of the folders."""
    if seat.place.role is Role.FRONT:
        return WorkerFiles(None, None)
    keepers = 1 if seat.node is None else seat.node.keepers
    place = disk_place(settings)
    if place is not None:
        folder, size, origin = place
        place = folder, size // keepers, origin
    share = (seat.place.number, keepers)
    return WorkerFiles(spool_folder(settings), place, share)


def spool_folder(settings: Settings) -> str | None:
    """The folder of the spool (S1); None: there is none."""
    spool = settings.cache.spool
    return None if spool.size is None else spool.path or usual_folder()


def disk_place(settings: Settings) -> tuple[str, int, str] | None:
    """Where ranges are kept (S2), how much of them, and whose; None: nowhere."""
    disk, origin = settings.cache.disk, settings.origin.call_url
    return None if disk.path is None else (disk.path, disk.size, origin)
