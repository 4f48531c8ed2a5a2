"""Which settings only a restart can change. Pure; called by ``edge.cli`` at a reload.

A reload replaces the worker. What the processes around it hold stays as it was at the
start: the sockets that the master bound, the number of workers, and what the embedded
origin was told.
"""

from edge.settings.cross_checks import EMBEDDED_KEYS
from edge.settings.problems import Path, key_name
from edge.settings.schema import Settings

_OF_THE_MASTER: tuple[Path, ...] = (("listen",), ("workers",), ("admin", "listen"))

_OF_THE_ORIGIN: tuple[Path, ...] = (
    ("origin", "url"),
    *(("origin", key) for key in EMBEDDED_KEYS),
    # Its webhooks tell subscribers to call back there.
    ("public_url",),
)


def only_by_restart(before: Settings, after: Settings) -> list[str]:
    """The names of all such keys that differ."""
    paths = _OF_THE_MASTER
    if before.origin.embedded or after.origin.embedded:
        paths += _OF_THE_ORIGIN
    return [key_name(path) for path in paths if _at(before, path) != _at(after, path)]


def _at(settings: Settings, path: Path) -> object:
    value: object = settings
    for part in path:
        value = getattr(value, str(part))
    return value
