"""YAML text to plain data, with the line of every key.

Scalars stay text. The schema says what ``30s``, ``off`` or ``010`` means; YAML 1.1
would read ``off`` as false and ``1:30`` as 90. Only an unquoted ``null``, ``~`` or an
empty value is None. A Document holds dicts, lists, text and None, and nothing else.

Aliases and tags are refused, and depth and size are bounded: a settings file needs none
of them, and each can exhaust memory or surprise. A key written twice is an error; YAML
would silently take the last. This module raises nothing: problems go into
``Document.problems``. Pure, except ``read``.
"""

import os
from dataclasses import dataclass, field

import yaml
from yaml.composer import ComposerError
from yaml.events import Event
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from edge.settings.problems import Path, Problem, SourceLocation

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16

Data = dict[str, "Data"] | list["Data"] | str | None

NOWHERE = SourceLocation("settings")
"""The location of a value that no source holds."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_CORE = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Document:
    """What one source says.

    ``source`` is the location of the whole document, ``places`` that of each key.
    ``readable`` is False if it could not be parsed at all.
    """

    data: Data = None
    places: dict[Path, SourceLocation] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    readable: bool = True
    source: SourceLocation = NOWHERE


def read(path: str | os.PathLike[str]) -> Document:
    """The document in a file."""
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return _unreadable(SourceLocation(name), f"cannot be read: {error.strerror}")
    if len(content) > MAX_BYTES:
        return _unreadable(SourceLocation(name), f"is larger than {MAX_BYTES} bytes")
    try:
        return parse(content.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _unreadable(SourceLocation(name, line), "is not UTF-8 text")


def parse(text: str, source: str) -> Document:
    """The document in ``text``; ``source`` names it in problems."""
    opened: list[Event] = []
    try:
        _refuse_excess(text, opened)
        node = yaml.compose(text, Loader=_Loader)
    except _Excess as error:
        return _unreadable(SourceLocation(source, error.line), str(error))
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _unreadable(SourceLocation(source, line), "holds a control character")
    except yaml.MarkedYAMLError as error:
        message = _sentence(error) + _still_open(error, opened, text)
        return _unreadable(_place_of(error, source), message)
    document = Document(source=SourceLocation(source))
    if node is not None:
        document.data = _walk(node, (), source, document)
    return document


def scalar(text: str) -> str | None:
    """The value of unquoted text."""
    return None if text in _NULLS else text


class _Loader(yaml.SafeLoader):
    """Resolves nothing: every plain scalar is text; any other tag was written."""


_Loader.yaml_implicit_resolvers = {}


class _Excess(Exception):
    """A YAML feature that a settings file must not use."""

    def __init__(self, event: yaml.Event, message: str) -> None:
        super().__init__(message)
        self.line = None if event.start_mark is None else event.start_mark.line + 1


def _refuse_excess(text: str, opened: list[Event]) -> None:
    """Raise _Excess at the first alias or too deep a level.

    It looks at the parser's events, before anything is built. ``opened`` are the
    beginnings of lists and mappings that have not ended where the text is no YAML.
    """
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            opened.pop()
        depth = len(opened)
        if isinstance(event, yaml.AliasEvent):
            raise _Excess(event, "aliases are not taken; write the value out")
        if depth > MAX_DEPTH:
            raise _Excess(event, f"is nested deeper than {MAX_DEPTH} levels")


def _walk(node: Node, path: Path, source: str, into: Document) -> Data:
    if isinstance(node, MappingNode):
        return _mapping(node, path, source, into)
    if isinstance(node, SequenceNode):
        return _sequence(node, path, source, into)
    _check_tag(node, "str", path, source, into)
    text = str(node.value)
    quoted = isinstance(node, ScalarNode) and node.style is not None
    return text if quoted else scalar(text)


def _mapping(node: MappingNode, path: Path, source: str, into: Document) -> Data:
    _check_tag(node, "map", path, source, into)
    mapping: dict[str, Data] = {}
    for key, value in node.value:
        place = SourceLocation(source, key.start_mark.line + 1)
        if not isinstance(key, ScalarNode) or key.tag != f"{_CORE}str":
            into.problems.append(Problem(place, path, "a key must be plain text"))
            continue
        here = (*path, key.value)
        if key.value in mapping:
            first = into.places[here].line
            message = f"is written twice; the first is on line {first}"
            into.problems.append(Problem(place, here, message))
            continue
        into.places[here] = place
        mapping[key.value] = _walk(value, here, source, into)
    return mapping


def _sequence(node: SequenceNode, path: Path, source: str, into: Document) -> Data:
    _check_tag(node, "seq", path, source, into)
    items: list[Data] = []
    for index, item in enumerate(node.value):
        here = (*path, index)
        into.places[here] = SourceLocation(source, item.start_mark.line + 1)
        items.append(_walk(item, here, source, into))
    return items


def _check_tag(node: Node, kind: str, path: Path, source: str, into: Document) -> None:
    if node.tag != f"{_CORE}{kind}":
        place = SourceLocation(source, node.start_mark.line + 1)
        into.problems.append(Problem(place, path, "tags (!...) are not taken"))


def _place_of(error: yaml.MarkedYAMLError, source: str) -> SourceLocation:
    mark = error.problem_mark or error.context_mark
    return SourceLocation(source, None if mark is None else mark.line + 1)


def _sentence(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, ComposerError):
        return "holds more than one document (---)"
    return f"is not YAML: {error.problem or error.context}"


def _still_open(error: yaml.MarkedYAMLError, opened: list[Event], text: str) -> str:
    """Which bracket or quote is open where the text is no YAML any more: its end is
    noticed to be missing lines later. "" if none is."""
    marks = [event.start_mark for event in reversed(opened)]
    if error.context == "while scanning a quoted scalar":
        marks = [error.context_mark]
    for mark in marks:
        sign = "" if mark is None else text[mark.index : mark.index + 1]
        if mark is not None and sign in ("[", "{", "'", '"'):
            where = f"line {mark.line + 1}, column {mark.column + 1}"
            return f"; the {sign} of {where} is not closed"
    return ""


def _unreadable(place: SourceLocation, message: str) -> Document:
    return Document(problems=[Problem(place, (), message)], readable=False)
