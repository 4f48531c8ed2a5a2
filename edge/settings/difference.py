"""What differs between two settings, and what of it a reload would not take. Pure.

Values are compared as they are, and told as people write them, secrets masked: of two
secrets it is told that they differ, and nothing else. Of a running edge there is only
what it shows of its settings: two secrets cannot be compared then, and that is told.
Called by ``ds-edge config``, and at a reload.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from edge.settings.addresses import EMBEDDED
from edge.settings.dump import MASK, for_people
from edge.settings.restart import only_by_restart, restart_names
from edge.settings.schema import Settings


class Difference(NamedTuple):
    """One setting that differs: as it was and as it is, None where it is not there.
    ``restart``: only a restart can change it."""

    key: str
    old: Any
    new: Any
    restart: bool

    @property
    def secret(self) -> bool:
        """Whether the values are not to be seen."""
        return MASK in (self.old, self.new)


def differences(old: Settings, new: Settings) -> list[Difference]:
    """All settings that differ, in the order in which settings stand."""
    kept = tuple(only_by_restart(old, new))
    was, now = dict(_leaves(_compared(old))), dict(_leaves(_compared(new)))
    told_was, told_now = dict(_leaves(for_people(old))), dict(_leaves(for_people(new)))
    return [
        Difference(key, told_was.get(key), told_now.get(key), _is_in(key, kept))
        for key in {**now, **was}
        if key not in was or key not in now or was[key] != now[key]
    ]


class ShownDifferences(NamedTuple):
    """What differs as far as can be seen, and the secrets of which nobody can say."""

    differences: list[Difference]
    unknown: list[str]


def shown_differences(
    shown: Mapping[str, Any], new: Mapping[str, Any]
) -> ShownDifferences:
    """The same of settings that are shown for people (``dump.for_people``)."""
    was, now = dict(_leaves(shown)), dict(_leaves(new))
    embedded = EMBEDDED in (was.get("origin.url"), now.get("origin.url"))
    kept = restart_names(embedded=embedded)
    found = [
        Difference(key, was.get(key), now.get(key), _is_in(key, kept))
        for key in {**now, **was}
        if key not in was or key not in now or was[key] != now[key]
    ]
    same = (key for key in now if was.get(key) == now[key])
    return ShownDifferences(found, [key for key in same if now[key] == MASK])


def _compared(settings: Settings) -> dict[str, Any]:
    """The values themselves, secrets too. They stay here."""
    return settings.model_dump(mode="python", by_alias=True)


def _leaves(tree: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting by its name, as in ``routes[0].match``."""
    if isinstance(tree, Mapping) and (tree or not name):
        for key, value in tree.items():
            yield from _leaves(value, f"{name}.{key}".removeprefix("."))
    elif isinstance(tree, list | tuple) and any(isinstance(v, Mapping) for v in tree):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{name}[{number}]")
    else:
        yield name, tree


def _is_in(key: str, names: tuple[str, ...]) -> bool:
    return any(
        key == name or key.startswith((f"{name}.", f"{name}[")) for name in names
    )
