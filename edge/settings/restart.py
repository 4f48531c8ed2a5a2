"""Which settings only a restart can change. Pure; called by ``edge.cli`` at a reload.

A reload replaces the workers. The processes around them keep what they had at the
start: the master its sockets and the number of its processes, the embedded origin its
options.
"""

from edge.settings.cross_checks import EMBEDDED_KEYS
from edge.settings.problems import Path, key_name
from edge.settings.schema import Settings

_OF_THE_MASTER: tuple[Path, ...] = (
    ("listen",),
    ("workers",),
    ("keepers",),
    ("run_folder",),
    ("admin", "listen"),
    # A new worker must find what the old one was ordered.
    ("access", "revocations"),
)

_OF_THE_ORIGIN: tuple[Path, ...] = (
    ("origin", "url"),
    *(("origin", key) for key in EMBEDDED_KEYS),
    # Its webhooks give subscribers URLs under it.
    ("public_url",),
)


def only_by_restart(before: Settings, after: Settings) -> list[str]:
    """The names of all settings that differ and need a restart."""
    paths = _paths(before.origin.embedded or after.origin.embedded)
    return [key_name(path) for path in paths if _at(before, path) != _at(after, path)]


def restart_names(*, embedded: bool) -> tuple[str, ...]:
    """The names of all settings that need a restart where they differ; ``embedded``:
    the origin is, before or after."""
    return tuple(map(key_name, _paths(embedded)))


def _paths(embedded: bool) -> tuple[Path, ...]:
    return _OF_THE_MASTER + (_OF_THE_ORIGIN if embedded else ())


def _at(settings: Settings, path: Path) -> object:
    value: object = settings
    for part in path:
        value = getattr(value, str(part))
    return value
