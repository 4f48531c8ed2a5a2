"""DiskPurges: what is to go from a disk, found by reading the head of each range.

What a path has is found by its name. Ranges that are meant in any other way are looked
for folder by folder, one folder in a turn, so that what else is asked of the disk waits
for no longer than that. From the first turn on, nothing that is meant is found any
more, or kept: ``dooms`` says so. Several orders share one walk.

On the thread of the disk's index alone.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.core.file_ports import ChosenKept, Forgotten, KeptHead, KeptName
from edge.files.open_range import close_all, open_first

_FIRST_PIECE = re.compile(r"([0-9a-f]{32}-[0-9a-f]{32})\.0")


@dataclass(eq=False, slots=True)
class _Order:
    """One order: how many folders are left to look through, and what came of it."""

    chooses: ChosenKept
    done: Forgotten
    left: int
    count: int = 0
    fault: OSError | None = None


class DiskPurges:
    """All orders of one disk below ``folder``. ``folders`` are those of this process.
    ``delete`` deletes a range, by its folder and the stem of its files."""

    def __init__(
        self, folder: Path, folders: tuple[str, ...], delete: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._folders = folders
        self._delete = delete
        self._orders: list[_Order] = []
        self._at = 0

    @property
    def is_at_work(self) -> bool:
        """Whether a walk is not over."""
        return bool(self._orders)

    def begin(self, chooses: ChosenKept, done: Forgotten) -> None:
        """From now on nothing that it says yes to is found. ``done`` is given back by
        ``step`` once all of it is deleted."""
        self._orders.append(_Order(chooses, done, len(self._folders)))

    def dooms(self, name: KeptName, head: KeptHead) -> bool:
        """Whether an order that is not carried out yet means this range."""
        return any(one.chooses(name, head.headers) for one in self._orders)

    def step(self) -> list[tuple[Forgotten, int | OSError]]:
        """Look through one folder; whom to tell that all is deleted, and how much, or
        what failed. What cannot be read is deleted: nobody knows what it is."""
        folder = self._folders[self._at]
        self._at = (self._at + 1) % len(self._folders)
        try:
            for name in os.listdir(self._folder / folder):
                known = _FIRST_PIECE.fullmatch(name)
                if known is not None:
                    self._look_at(self._folder / folder / name, f"{folder}/{known[1]}")
        except FileNotFoundError:
            # Nothing was ever kept there.
            pass
        except OSError as error:
            for order in self._orders:
                order.fault = error
        for order in self._orders:
            order.left -= 1
        over = [one for one in self._orders if not one.left]
        self._orders = [one for one in self._orders if one.left]
        return [(one.done, one.fault or one.count) for one in over]

    def _look_at(self, place: Path, stem: str) -> None:
        try:
            piece, first = open_first(place)
        except FileNotFoundError:
            return
        except OSError:
            self._delete(stem)
            return
        close_all([first])
        headers = piece.head.headers
        meant = [one for one in self._orders if one.chooses(piece.name, headers)]
        if meant:
            self._delete(stem)
        for order in meant:
            order.count += 1
