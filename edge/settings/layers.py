"""The layers of settings: a file, the environment over it, flags over both.

The result is one tree of plain data. For every key it remembers the source, and a
problem names that file, variable or flag. Sections are merged key by key. Lists and
mappings of header fields are replaced whole. The only check here is that a variable
names a setting; ``schema`` checks the rest.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from edge.settings import document, schema_index
from edge.settings.document import Data, Document
from edge.settings.problems import Path, Problem, SourceLocation
from edge.settings.schema_index import KeyKind

PREFIX = "DS_EDGE_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"

# Kubernetes sets these in every pod beside a service that is called ds-edge, or
# ds-edge-metrics, by what comes behind the service's name. No setting looks like them.
_ADDRESS = r"[0-9A-Fa-f.:]+"
_SERVICE_LINKS = {
    re.compile(rf"DS_EDGE_(?:[A-Z0-9_]+_)?{name}", re.ASCII): re.compile(
        value, re.ASCII
    )
    for name, value in (
        (r"SERVICE_HOST", _ADDRESS),
        (r"SERVICE_PORT(?:_[A-Z0-9_]+)?", r"\d+"),
        (r"PORT(?:_\d+_(?:TCP|UDP|SCTP))?", r"(?:tcp|udp|sctp)://\S+"),
        (r"PORT_\d+_(?:TCP|UDP|SCTP)_PROTO", r"tcp|udp|sctp"),
        (r"PORT_\d+_(?:TCP|UDP|SCTP)_PORT", r"\d+"),
        (r"PORT_\d+_(?:TCP|UDP|SCTP)_ADDR", _ADDRESS),
    )
}


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting given on the command line: ``--origin``, its key, its text."""

    name: str
    path: Path
    text: str


def stack(
    base: Document, environ: Mapping[str, str], flags: Sequence[Flag] = ()
) -> Document:
    """``base`` with the environment and then the flags on top. ``base`` is changed."""
    _require_mapping(base, ())
    for variable, path in _variables(environ):
        _add_variable(base, variable, path, environ[variable])
    for flag in flags:
        value = document.scalar(flag.text)
        _put(base, flag.path, Document(value, {(): SourceLocation(flag.name)}))
    return base


def variable_of(name: str) -> str:
    """The variable that sets a key: ``origin.url`` is ``DS_EDGE_ORIGIN__URL``."""
    return PREFIX + name.replace(".", "__").upper()


def _variables(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    """Variables with our prefix that are not empty, sections before their keys."""
    found = [
        (name, tuple(name.removeprefix(PREFIX).lower().split("__")))
        for name, text in environ.items()
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE and text
    ]
    ours = [pair for pair in found if not _is_service_link(pair[0], environ[pair[0]])]
    return sorted(ours, key=lambda pair: (len(pair[1]), pair))


def _is_service_link(name: str, text: str) -> bool:
    """Whether Kubernetes makes such a variable, with such a value."""
    return any(
        named.fullmatch(name) and value.fullmatch(text)
        for named, value in _SERVICE_LINKS.items()
    )


def _add_variable(base: Document, variable: str, path: Path, text: str) -> None:
    kind = schema_index.kind_of(path)
    if kind is None:
        base.problems.append(_unknown(variable))
        return
    # An address of IPv6 begins with a bracket too, and ends with its port.
    listed = text.startswith("[") and text.endswith("]")
    if kind is KeyKind.SCALAR or (kind is KeyKind.ONE_OR_MANY and not listed):
        value = document.scalar(text)
        _put(base, path, Document(value, {(): SourceLocation(variable)}))
        return
    layer = document.parse(text, variable)
    layer.places[()] = SourceLocation(variable)
    base.problems += layer.problems
    base.readable = base.readable and layer.readable
    if layer.readable:
        _put(base, path, layer)


def _unknown(variable: str) -> Problem:
    known = [variable_of(name) for name in schema_index.names() if "[]" not in name]
    close = get_close_matches(variable, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return Problem(SourceLocation(variable), (), f"names no setting{hint}")


def _put(base: Document, path: Path, layer: Document) -> None:
    """Set ``path`` to the layer's data; a section on a section is merged."""
    if schema_index.kind_of(path) is KeyKind.SECTION and isinstance(layer.data, dict):
        for key, value in layer.data.items():
            inner = {
                place[1:]: where
                for place, where in layer.places.items()
                if place[:1] == (key,)
            }
            _put(base, (*path, key), Document(value, inner))
        return
    parent = _require_mapping(base, path[:-1])
    parent[str(path[-1])] = layer.data
    for old in [place for place in base.places if place[: len(path)] == path]:
        del base.places[old]
    for inner_path, where in layer.places.items():
        base.places[(*path, *inner_path)] = where


def _require_mapping(base: Document, path: Path) -> dict[str, Data]:
    """The mapping at ``path``, made if there is none. Anything else is a problem."""
    if path:
        parent = _require_mapping(base, path[:-1])
        here = parent.get(str(path[-1]))
    else:
        here = base.data
    if isinstance(here, dict):
        return here
    if here is not None:
        place = base.places.get(path, base.source)
        base.problems.append(Problem(place, path, "expected a mapping of settings"))
    made: dict[str, Data] = {}
    if path:
        parent[str(path[-1])] = made
    else:
        base.data = made
    return made
