"""The ports to files: what the hub needs of a disk, and never waits for.

Implemented by ``edge.files``. Each call returns at once; ``done`` is called later, on
the event loop, once, with what was asked for or with the OSError that came instead. It
never switches greenlets. Nothing is told after ``close``.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from edge.core.values import Headers

Read = Callable[[bytes | OSError], None]
"""Is told the bytes, or why there are none."""

Written = Callable[[OSError | None], None]
"""Is told that all was written (None), or why not: then nobody knows how much was."""


class NotKept(OSError):
    """A range is not kept, though nothing is wrong with the disk."""


class ReadFile(Protocol):
    """A file that is read."""

    def read(self, position: int, size: int, done: Read) -> None:
        """The ``size`` bytes from ``position`` on, all of which were written."""

    def close(self) -> None:
        """Forget the file. Idempotent; a call under way is still finished."""


class SpoolFile(ReadFile, Protocol):
    """A file without a name: what it takes of the disk ends with it (S1)."""

    def append(self, pieces: Sequence[bytes], done: Written) -> None:
        """Write all of them at the end. One call at a time."""


class SpoolFiles(Protocol):
    """Where such files are made."""

    def make(self) -> SpoolFile:
        """A new file. It is opened by the first ``append``, which may so fail."""


class KeptName(NamedTuple):
    """Whose bytes they are: a path, its extension parameters, and the partition as a
    text. ``route`` is that of whoever asks; what another one kept is not found."""

    path: str
    extension: str
    partition: str
    route: str


class KeptHead(NamedTuple):
    """A range that is kept on a disk, from the beginning of a stream up to ``end``
    (S2).

    ``size`` bytes of body. ``boundaries``: offsets within, each with its place in the
    bytes, in order; the last one is the end. ``is_answer``: the body is that of one
    answer, as it came; else it is what a log held of it. ``headers``: those that the
    route keeps.
    """

    end: str
    size: int
    content_type: str | None
    is_json: bool
    is_answer: bool
    closed: bool
    headers: Headers
    boundaries: tuple[tuple[str, int], ...]


class KeptRange(ReadFile, Protocol):
    """One range on the disk, opened. ``read`` tells only what its digest agrees with;
    where it does not, the range is forgotten, and the OSError says so (EBADMSG)."""

    @property
    def head(self) -> KeptHead: ...


class KeptWriter(Protocol):
    """A range on its way to the disk. Nobody finds it before ``finish``."""

    def append(self, data: bytes, done: Written) -> None:
        """The next ``RECORD_SIZE`` bytes; fewer at the end. One call at a time."""

    def finish(self, done: Written) -> None:
        """All of it was given."""

    def abandon(self) -> None:
        """Forget what came. Idempotent; no effect behind ``finish``."""


RECORD_SIZE = 1024 * 1024
"""Bytes that have one digest on the disk."""

Found = Callable[[KeptRange | OSError | None], None]
"""Is told what was found; None: nothing."""


ChosenKept = Callable[[KeptName, Headers], bool]
"""Whether a range is meant, by its name and the headers that it was kept with. Called
on a thread: it must be pure."""

Forgotten = Callable[[int | OSError], None]
"""Is told how many ranges were deleted, or what failed: then some may be left."""


class Disk(Protocol):
    """Where ranges outlive the memory, and the process (S2)."""

    def find(self, name: KeptName, done: Found) -> None:
        """Open what is kept under this name, if anything is."""

    def keep(self, name: KeptName, head: KeptHead) -> KeptWriter:
        """Begin to keep a range; it takes the place of an older one."""

    def forget(self, path: str, done: Forgotten | None = None) -> None:
        """Delete what is kept of this path, whoever it is for."""

    def purge(self, chooses: ChosenKept, done: Forgotten) -> None:
        """Delete all that ``chooses`` says yes to. What is asked of the disk after this
        call finds none of it, however long it takes."""

    @property
    def used(self) -> int:
        """Bytes of what is kept."""

    @property
    def size(self) -> int:
        """What they may be at most."""
