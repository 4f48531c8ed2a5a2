"""Files that settings name, read when the settings are.

A worker that starts later gets what was checked then. Errors never show what a file
holds.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from edge.access.keys import MAX_JWKS_BYTES
from edge.settings import fragments
from edge.settings.fragments import told


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file that holds a key, and what it held when the settings were read. ``open``:
    others than its owner and its group could read it then."""

    path: str
    octets: bytes = field(repr=False)
    open: bool = field(default=False, compare=False)


def reading(check: Callable[[bytes], object]) -> Callable[[object], KeyFile]:
    """Reads the file at a path; ``check`` raises ValueError for what is no key."""

    def read(given: object) -> KeyFile:
        if isinstance(given, KeyFile):
            return given
        if not isinstance(given, str) or not given or "\0" in given:
            raise ValueError("expected the path of a file")
        try:
            with open(given, "rb") as file:
                octets = file.read(MAX_JWKS_BYTES + 1)
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from None
        check(octets)
        return KeyFile(given, octets, bool(mode & stat.S_IROTH))

    return read


def key_file(check: Callable[[bytes], object]) -> PlainValidator:
    """The validator of a file's path."""
    return PlainValidator(reading(check))


PATH = PlainSerializer(lambda file: file.path if isinstance(file, KeyFile) else file)
"""Only the path is ever shown."""

PemFile = Annotated[KeyFile, key_file(lambda octets: None), PATH, told(fragments.PATH)]
"""What it must hold, ``cross_checks`` knows."""
