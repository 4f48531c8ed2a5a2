"""What is wrong with the settings, and where: file, line and key.

All problems are collected before anything is raised: one run of ``ds-edge check`` shows
them all. Every module of this package makes problems, ``edge.cli`` prints them. A
problem never repeats the value of a secret. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""The way to a value in the settings: ``("routes", 0, "access")``."""


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where a value was written: a file, a variable or a flag; its line from 1."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. ``path`` is empty when the whole source is wrong."""

    place: SourceLocation
    path: Path
    message: str

    @property
    def key(self) -> str:
        """The key as people write it; "" for a whole source."""
        return key_name(self.path)

    def __str__(self) -> str:
        parts = (str(self.place), self.key, self.message)
        return ": ".join(part for part in parts if part)


class SettingsError(Exception):
    """The settings cannot be used. ``problems`` are all reasons, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(dict.fromkeys(problems), key=_in_order))
        super().__init__("\n".join(map(str, self.problems)))


def key_name(path: Path) -> str:
    """A path as people write it: ``routes[0].access``."""
    name = ""
    for part in path:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            # A key of a file is written to a terminal: no escape sequences.
            name += f".{part if part.isprintable() else ascii(part)}"
    return name.removeprefix(".")


def _in_order(problem: Problem) -> tuple[str, int, str]:
    return problem.place.source, problem.place.line or 0, problem.key


@dataclass(frozen=True, slots=True)
class Conflict:
    """The key to change, why it cannot stay, and the key that it clashes with."""

    path: Path
    message: str
    other: Path | None = None


def repeated(given: object) -> str:
    """A word that was given, shortened, for the problem that it is none of those that
    are known. What holds others is not repeated: there may be secrets in it."""
    if isinstance(given, dict | list | tuple):
        return "a mapping" if isinstance(given, dict) else "a list"
    return repr(str(given)[:60])
