"""RevocationFile: orders in a file, which every worker reads and any may write.

It survives reloads, new workers and restarts. It is JSON, so that an operator can read
it, and holds no token: a token stands there by its digest. It is written as a whole and
takes the old one's place at once, with mode 0600; its folder is made if it is not
there. Whoever writes holds a lock and reads first what others have written, so that no
order is lost between two workers. A file that does not say what it should is never
taken for an empty one, and never written over.

It blocks: ``revoker`` calls it on a thread, and at the start, before anybody is let in.
"""

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from edge.access.revocations import MAX_UNTIL, Revocation, RevokedBy

VERSION = 1
MODE = 0o600
TEMPORARY = ".temporary"
"""How the name of a file ends that ends with its edge."""

MAX_BYTES = 64 * 1024 * 1024
"""A larger file is none of ours."""

_Stamp: TypeAlias = tuple[int, int, int]
"""Which file it is, when it was written, and how long it is."""


class RevocationFault(Exception):
    """The file holds something else than orders. The text names it."""


@dataclass(slots=True)
class RevocationFile:
    """The file at ``path``."""

    path: str
    _read: _Stamp | None = None

    @property
    def lasts(self) -> bool:
        """Whether a later edge finds it."""
        return not self.path.endswith(TEMPORARY)

    def load(self) -> tuple[Revocation, ...]:
        """The orders; () if there is no file. Raises RevocationFault, OSError."""
        try:
            with open(self.path, "rb") as file:
                self._read = _stamp(os.fstat(file.fileno()))
                octets = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            self._read = None
            return ()
        return _parsed(octets, self.path)

    def has_changed(self) -> bool:
        """Whether it is another file than was read or written last. Raises OSError."""
        try:
            return _stamp(os.stat(self.path)) != self._read
        except FileNotFoundError:
            return self._read is not None

    def save(self, orders: Iterable[Revocation]) -> tuple[Revocation, ...]:
        """Write the orders, and those that others wrote; returns those of others.

        When it returns they survive a power cut. Raises RevocationFault, OSError.
        """
        with _locked(f"{self.path}.lock"):
            others = self.load()
            merged = {order.key: order for order in others}
            for order in orders:
                known = merged.get(order.key)
                if known is None or (known.at, known.until) < (order.at, order.until):
                    merged[order.key] = order
            self._read = _replace(self.path, _text(merged.values()))
        return others

    def try_out(self) -> None:
        """Find out whether it can be read and written; makes its folder.

        Raises RevocationFault, OSError.
        """
        os.makedirs(os.path.dirname(self.path) or ".", mode=0o700, exist_ok=True)
        with _locked(f"{self.path}.lock"):
            self.load()
            probe, name = _temporary(self.path)
            os.close(probe)
            os.unlink(name)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """While nobody else writes. The lock ends with its process."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(path: str, octets: bytes) -> _Stamp:
    """Put a file in the place of another, whole or not at all."""
    file, name = _temporary(path)
    try:
        with open(file, "wb") as writing:
            writing.write(octets)
            writing.flush()
            os.fsync(file)
            # Renaming changes none of it.
            stamp = _stamp(os.fstat(file))
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return stamp


def _temporary(path: str) -> tuple[int, str]:
    """A new file beside it, of mode 0600."""
    folder, name = os.path.split(path)
    return tempfile.mkstemp(prefix=f"{name}.", suffix=".new", dir=folder or ".")


def _stamp(found: os.stat_result) -> _Stamp:
    return found.st_ino, found.st_mtime_ns, found.st_size


# What is in it.


def _text(orders: Iterable[Revocation]) -> bytes:
    written = [item_of(order) for order in orders]
    return json.dumps({"version": VERSION, "revocations": written}, indent=0).encode()


def item_of(order: Revocation) -> dict[str, Any]:
    """An order as it goes through JSON."""
    name = "digest" if order.by is RevokedBy.TOKEN else order.by.value
    found: dict[str, Any] = {name: order.value, "at": order.at}
    if order.issuer is not None:
        found["issuer"] = order.issuer
    if order.until:
        found["until"] = order.until
    return found


def _parsed(octets: bytes, path: str) -> tuple[Revocation, ...]:
    try:
        if len(octets) > MAX_BYTES:
            raise ValueError("too long")
        document = json.loads(octets)
        if document["version"] != VERSION:
            raise ValueError(f"its version is not {VERSION}")
        return tuple(order_of(item) for item in document["revocations"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        said = "is damaged: it does not hold revocations"
        raise RevocationFault(f"{path} {said}") from error


def order_of(item: dict[str, Any]) -> Revocation:
    """The order that came through JSON.

    Raises ValueError, KeyError or TypeError for anything else.
    """
    named = [by for by in RevokedBy if _name(by) in item]
    if len(named) != 1:
        raise ValueError("not one name")
    [by] = named
    value, at = item[_name(by)], item["at"]
    issuer, until = item.get("issuer"), item.get("until", 0.0)
    texts = isinstance(value, str) and isinstance(issuer, str | None)
    times = type(at) is int and type(until) in (int, float)
    if not texts or not times or not 0 <= max(at, until) <= MAX_UNTIL:
        raise ValueError("not an order")
    return Revocation(by, value, at, issuer, float(until))


def _name(by: RevokedBy) -> str:
    return "digest" if by is RevokedBy.TOKEN else by.value
