"""Files that settings name, read when the settings are.

A worker that starts later gets what was checked then. Errors never show what a file
holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import PlainSerializer, PlainValidator

from edge.access.keys import MAX_JWKS_BYTES


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file that holds a key, and what it held when the settings were read."""

    path: str
    octets: bytes = field(repr=False)


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
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from None
        check(octets)
        return KeyFile(given, octets)

    return read


def key_file(check: Callable[[bytes], object]) -> PlainValidator:
    """The validator of a file's path."""
    return PlainValidator(reading(check))


PATH = PlainSerializer(lambda file: file.path if isinstance(file, KeyFile) else file)
"""Only the path is ever shown."""
