"""BoardMemory: the memory of a board, and what all processes know of it.

It is anonymous and shared: made before the first fork, inherited by every process, and
gone with the last of them. Nobody else can find it.
"""

import mmap
import secrets
from dataclasses import dataclass, field

from edge.board.layout import BoardTable, Layout
from edge.board.path_digests import SECRET_OCTETS, PathDigests

ID_OCTETS = 8


@dataclass(frozen=True, slots=True)
class BoardMemory:
    """``id`` names the board on links (W8). ``words`` is all of it, in words, and
    ``octets`` the same memory for the octets of texts alone."""

    id: str
    layout: Layout
    digests: PathDigests = field(repr=False)
    words: memoryview = field(repr=False)
    octets: memoryview = field(repr=False)

    @classmethod
    def make(cls, keepers: int, fronts: int) -> "BoardMemory":
        """New memory, all zero. At least one keeper and one front."""
        layout = Layout(keepers, fronts)
        octets = memoryview(mmap.mmap(-1, layout.octets))
        return cls(
            secrets.token_hex(ID_OCTETS),
            layout,
            PathDigests(secrets.token_bytes(SECRET_OCTETS), keepers),
            octets.cast("Q"),
            octets,
        )

    def table(self, table: BoardTable) -> memoryview:
        """The words of a table."""
        first = self.layout.table(table)
        return self.words[first : first + table.value]
