"""An index of the schema: which keys there are, and what kind of value each takes.

``layers`` asks it what a key takes. ``load`` asks which known key an unknown one was
meant to be. Tests of the documents ask for every key. Pure.
"""

import enum
import typing
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from pydantic.fields import FieldInfo

from edge.settings.listeners import ONE_OR_MANY
from edge.settings.problems import Path, key_name
from edge.settings.schema import Settings
from edge.settings.section import Section, keys_of

Model = type[Section]


class KeyKind(enum.Enum):
    """The kind of value that a key takes.

    ONE_OR_MANY: a scalar, or a list in brackets.
    """

    SECTION = "section"
    STRUCTURE = "structure"
    SCALAR = "scalar"
    ONE_OR_MANY = "one-or-many"


def kind_of(path: Path) -> KeyKind | None:
    """The kind of the key at ``path``; None: there is no such key."""
    if not path:
        return KeyKind.SECTION
    section = _section_at(path[:-1])
    field = None if section is None else keys_of(section).get(str(path[-1]))
    return None if field is None else _kind(field)


@cache
def names() -> tuple[str, ...]:
    """Every key with its default, as ``origin.url`` and ``routes[].match``."""
    return tuple(name for name, _ in _walk(Settings, ""))


def fields() -> dict[str, FieldInfo]:
    """The field behind every name in ``names()``."""
    return dict(_walk(Settings, ""))


def known_in(path: Path) -> tuple[str, ...]:
    """The keys of the section at ``path``, indexes allowed."""
    section = _section_at(path)
    return () if section is None else tuple(keys_of(section))


def meant(path: Path) -> str | None:
    """The known key that an unknown one probably means.

    A similar key in the same section, or else the same word in another section.
    """
    word = str(path[-1])
    close = get_close_matches(word.lower(), known_in(path[:-1]), n=1)
    if close:
        return key_name((*path[:-1], close[0]))
    return next((n for n in names() if n.rpartition(".")[2] == word), None)


def _section_at(path: Path) -> Model | None:
    section: Model | None = Settings
    for part in path:
        if isinstance(part, int):
            continue
        field = None if section is None else keys_of(section).get(str(part))
        section = None if field is None else _inside(field.annotation)
    return section


def _inside(annotation: object) -> Model | None:
    """The first section in an annotation, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = map(_inside, typing.get_args(annotation))
    return next((one for one in found if one is not None), None)


def _model(field: FieldInfo) -> Model | None:
    """The section that a field holds, one or a list of them."""
    for kind in (field.annotation, *typing.get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def _kind(field: FieldInfo) -> KeyKind:
    if ONE_OR_MANY in field.metadata:
        return KeyKind.ONE_OR_MANY
    if typing.get_origin(field.annotation) in (tuple, dict):
        return KeyKind.STRUCTURE
    return KeyKind.SCALAR if _model(field) is None else KeyKind.SECTION


def _walk(section: Model, prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in keys_of(section).items():
        inner = _model(field)
        if inner is None:
            yield prefix + name, field
        else:
            many = "[]" if _kind(field) is KeyKind.STRUCTURE else ""
            yield from _walk(inner, f"{prefix}{name}{many}.")
