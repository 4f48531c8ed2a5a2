"""ShelfNotes: what the shelf knows of each row, and how it calls things (S2)."""

import enum
from errno import EBADMSG

from edge.core.file_ports import KeptHead, KeptName, KeptRange, NotKept
from edge.core.reasons import Reason
from edge.live.rows import Reader, Stream
from edge.live.spool import Spool
from edge.streamlog.copies import LogCopy


class DiskPhase(enum.Enum):
    """What a row knows of the disk."""

    ASKING = "asking"  # readers wait for what it says
    NOTHING = "nothing"  # nothing is there for this row, or not any more
    LARGE = "large"  # an answer is there, too large to hold


class Note:
    """What is known of one row. ``incarnation``: of the log that it belongs to."""

    __slots__ = ("file", "head", "incarnation", "kept_end", "phase", "spool", "waiting")

    def __init__(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.phase = DiskPhase.NOTHING
        self.waiting: list[Reader] = []
        self.head: KeptHead | None = None
        self.file: KeptRange | None = None
        self.spool: Spool | None = None
        self.kept_end = ""


def is_nearly_kept(copy: LogCopy, kept_end: str) -> bool:
    """Whether all but a hundredth of it was on the disk when this row was made of it:
    to read that little again is cheaper than to write the rest again."""
    kept = dict(copy.boundaries).get(kept_end, 0)
    return kept > 0 and copy.size - kept <= copy.size // 100


def name_of(stream: Stream) -> KeptName:
    key = stream.key
    partition = f"{key.partition.kind.value} {key.partition.digest}"
    return KeptName(key.path, key.extension, partition, key.route)


def word_of(error: OSError) -> Reason:
    """How a failure of the disk is called."""
    if isinstance(error, TimeoutError):
        return Reason.DISK_SLOW
    if isinstance(error, NotKept):
        return Reason.DISK_NO_ROOM
    return Reason.DISK_DAMAGED if error.errno == EBADMSG else Reason.DISK_FAILED
