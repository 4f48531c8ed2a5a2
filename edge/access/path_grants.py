"""Which paths are granted: globs over raw paths, and names bound to claims (A14, B20).

A path is matched as it is keyed: octets as received, segment by segment, nothing
decoded. What is percent-encoded matches only a glob that is written so. In a glob,
``*`` stands for any octets within a segment, but for a ``;`` and a slash that is
encoded: there some origins part a segment. A segment ``**``, which may be there once,
stands for one or more segments; everything else for itself. So a grant for ``/a``
is none for ``/a/b``, ``/ab`` or ``/a%2Fb``, and ``/a/**`` is none for ``/a``.

Globs come from claims and are few (``MAX_GLOBS``). With one ``**`` a glob is compared
from both ends, once: what a token costs grows with its length, never with its length
times the path's. Called by ``tokens``.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

MAX_GLOBS = 256
"""The most that one claim may hold."""

_GLOB = re.compile(r"/(?:[!$&-;=@A-Z\[\]^_a-z|~]|%[0-9A-Fa-f]{2})*")
"""Absolute, of the octets of a raw path (``request_target``), which has ``*`` too."""

_ANY = "**"
_PARTS = re.compile(";|%3[Bb]|%2[Ff]")
_UNESCAPED = "-_.!~*'()"
"""What encodeURIComponent leaves beside letters and digits (ECMA-262)."""


class Glob(NamedTuple):
    """A glob by its segments: those before its ``**``, and those after it.

    ``after`` is None for a glob without ``**``.
    """

    before: tuple[str, ...]
    after: tuple[str, ...] | None

    def covers(self, path: Sequence[str]) -> bool:
        """Whether it matches all segments of a raw path."""
        head, tail = self.before, self.after
        if tail is None:
            return len(path) == len(head) and _are_like(head, path)
        if len(path) <= len(head) + len(tail):
            return False
        return _are_like(head, path) and _are_like(tail, path[len(path) - len(tail) :])

    def covers_below(self, root: Sequence[str]) -> bool:
        """Whether it matches every path of these segments and more."""
        if self.after != () or len(self.before) > len(root):
            return False
        return _are_like(self.before, root)


@dataclass(frozen=True, slots=True)
class PathGrants:
    """The paths that some globs cover."""

    globs: tuple[Glob, ...] = ()

    @classmethod
    def of(cls, globs: Iterable[str]) -> "PathGrants":
        """Take globs as a claim has them. One that is malformed grants nothing.

        Raises ValueError if there are more than ``MAX_GLOBS``.
        """
        taken = list(globs)
        if len(taken) > MAX_GLOBS:
            raise ValueError(f"more than {MAX_GLOBS} globs")
        return cls(tuple(_taken_apart(glob) for glob in taken if is_glob(glob)))

    def cover(self, path: str) -> bool:
        """Whether any glob matches the whole raw path."""
        segments = path.split("/")
        return any(glob.covers(segments) for glob in self.globs)

    def cover_below(self, root: str) -> bool:
        """Whether one glob matches every path below ``root``, a raw path without a
        slash at its end."""
        segments = root.split("/")
        return any(glob.covers_below(segments) for glob in self.globs)


def is_glob(text: str) -> bool:
    """Whether this is an absolute glob. ``**`` must be a whole segment, and the only
    one of its kind."""
    if _GLOB.fullmatch(text) is None:
        return False
    wild = [segment for segment in text.split("/") if _ANY in segment]
    return wild in ([], [_ANY])


def is_bound(segment: str, value: str) -> bool:
    """Whether a raw segment is this value, as it stands or as encodeURIComponent
    writes it (B20).

    A value with a ``%`` or a ``;`` counts only encoded: raw, ``a%40b`` would be taken
    for the segment of the value ``a@b``, and ``a;b`` by servlet containers for that of
    ``a``, which may be somebody else's. "" is no value.
    """
    if not value:
        return False
    if segment == value:
        return not {"%", ";"}.intersection(value)
    try:
        return segment == quote(value, safe=_UNESCAPED)
    except UnicodeEncodeError:  # a lone surrogate has no octets
        return False


def _taken_apart(glob: str) -> Glob:
    segments = tuple(glob.split("/"))
    if _ANY not in segments:
        return Glob(segments, None)
    at = segments.index(_ANY)
    return Glob(segments[:at], segments[at + 1 :])


def _are_like(patterns: Sequence[str], segments: Sequence[str]) -> bool:
    """Match as many segments as there are patterns, one by one."""
    return all(map(_is_like, patterns, segments))


def _is_like(pattern: str, segment: str) -> bool:
    """Match one segment; ``*`` is any run of octets, also an empty one."""
    first, *others = pattern.split("*")
    if not others:
        return segment == first
    if len(_PARTS.findall(segment)) > len(_PARTS.findall(pattern)):
        return False
    *middle, last = others
    if not segment.startswith(first):
        return False
    here = len(first)
    for piece in middle:
        here = segment.find(piece, here)
        if here < 0:
            return False
        here += len(piece)
    return len(segment) - here >= len(last) and segment.endswith(last)
