"""JSON text: where a value ends (RFC 8259), without building the value.

A decoder makes objects many times the size of the body, and holds the interpreter until
it is done: a body of 16 MiB would stop every client for seconds. This module only walks
the text. The regex engine takes plain members and elements, up to ``RUN`` at a time.
Nesting is a stack of brackets. Numbers are never converted. After every ``STEP``
characters the caller may let other greenlets run.
"""

import re
from collections.abc import Callable

MAX_DEPTH = 256
"""Deepest nesting of arrays and objects."""

RUN = 500
STEP = 64 * 1024

_SPACE = r"[ \t\n\r]*"
_STRING = (
    r'"[^"\\\x00-\x1f]*+'
    r'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
)
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_PLAIN = (
    rf"(?:{_STRING}|{_NUMBER}|true|false|null"
    rf"|\[{_SPACE}\]|\{{{_SPACE}\}})"
)
_KEY = rf"{_STRING}{_SPACE}:{_SPACE}"

_plain = re.compile(_PLAIN, re.ASCII)
_key = re.compile(_KEY, re.ASCII)
_space = re.compile(_SPACE)
_after = re.compile(rf"{_SPACE}([,\]}}]){_SPACE}")
_runs = {
    "]": re.compile(rf"(?:{_PLAIN}{_SPACE},{_SPACE}){{0,{RUN}}}", re.ASCII),
    "}": re.compile(rf"(?:{_KEY}{_PLAIN}{_SPACE},{_SPACE}){{0,{RUN}}}", re.ASCII),
}
_many = re.compile(rf"(?:{_PLAIN}{_SPACE},{_SPACE}){{{RUN}}}", re.ASCII)
_CLOSER = {"[": "]", "{": "}"}


class NotJson(ValueError):
    """The text has no JSON value where one must be."""


class TooDeep(NotJson):
    """The text nests deeper than ``MAX_DEPTH``."""


def skip(text: str, index: int) -> int:
    """Where the white space at ``index`` ends."""
    found = _space.match(text, index)
    return index if found is None else found.end()


def value(text: str, index: int, pause: Callable[[], None] | None = None) -> int:
    """Where the value that begins at ``index`` ends. Raises NotJson, TooDeep.

    ``pause`` is called at intervals; the text must not change meanwhile.
    """
    closers: list[str] = []
    rest = index + STEP
    while True:
        if index > rest and pause is not None:
            pause()
            rest = index + STEP
        if (plain := _plain.match(text, index)) is not None:
            index = _close(text, plain.end(), closers)
            if not closers:
                return index
        else:
            index = _open(text, index, closers)
        index = _run(text, index, closers[-1])


def _open(text: str, index: int, closers: list[str]) -> int:
    """Step into the array or object that begins here; it is not empty."""
    closer = _CLOSER.get(text[index : index + 1])
    if closer is None:
        raise NotJson
    if len(closers) == MAX_DEPTH:
        raise TooDeep
    closers.append(closer)
    return skip(text, index + 1)


def _close(text: str, index: int, closers: list[str]) -> int:
    """Step out of all that ends after a value, to where the next value begins."""
    while closers:
        after = _after.match(text, index)
        if after is None:
            raise NotJson
        if after[1] == ",":
            return after.end()
        if after[1] != closers.pop():
            raise NotJson
        index = after.end() if closers else after.end(1)
    return index


def _run(text: str, index: int, closer: str) -> int:
    """Step past plain values, and past the key of the next value in an object."""
    run = _runs[closer].match(text, index)
    index = index if run is None else run.end()
    if closer == "]":
        return index
    key = _key.match(text, index)
    if key is None:
        raise NotJson
    return key.end()


def nth_end(text: str, count: int) -> int | None:
    """Where the ``count``-th of comma-separated values ends; None: there are fewer.

    The text is as it was stored: only such values. ``count`` is at least 1.
    """
    index = 0
    while count > RUN and (many := _many.match(text, index)) is not None:
        index = many.end()
        count -= RUN
    while index < len(text):
        end = value(text, index)
        count -= 1
        if count == 0:
            return end
        index = skip(text, skip(text, end) + 1)
    return None
