"""Which paths are granted: globs over raw paths, and names bound to claims (A14, B20).

A path is matched as it is keyed: octets as received, segment by segment, nothing
decoded. What is percent-encoded matches only a glob that is written so. In a glob,
``*`` stands for any octets within a segment, and a segment ``**`` for one or more
segments; everything else stands for itself. So a grant for ``/a`` is none for ``/a/b``,
``/ab`` or ``/a%2Fb``, and ``/a/**`` is none for ``/a``.

Globs come from claims and are few (``MAX_GLOBS``). Each is matched in steps that grow
with its own length times the path's, never exponentially. Called by ``tokens``.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

MAX_GLOBS = 256
"""The most that one claim may hold."""

_GLOB = re.compile(r"/(?:[!$&-;=@A-Z\[\]^_a-z|~]|%[0-9A-Fa-f]{2})*")
"""Absolute, of the octets of a raw path (``request_target``), which has ``*`` too."""

_ANY = "**"
_UNESCAPED = "-_.!~*'()"
"""What encodeURIComponent leaves beside letters and digits (ECMA-262)."""


@dataclass(frozen=True, slots=True)
class PathGrants:
    """The paths that some globs cover. ``globs`` is each glob by its segments."""

    globs: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, globs: Iterable[str]) -> "PathGrants":
        """Take globs as a claim has them. One that is malformed grants nothing.

        Raises ValueError if there are more than ``MAX_GLOBS``.
        """
        taken = list(globs)
        if len(taken) > MAX_GLOBS:
            raise ValueError(f"more than {MAX_GLOBS} globs")
        return cls(tuple(tuple(g.split("/")) for g in taken if is_glob(g)))

    def cover(self, path: str) -> bool:
        """Whether any glob matches the whole raw path."""
        segments = path.split("/")
        return any(_covers(glob, segments) for glob in self.globs)

    def cover_below(self, root: str) -> bool:
        """Whether one glob matches every path below ``root``, a raw path without a
        slash at its end."""
        above = root.split("/")
        return any(
            glob[-1] == _ANY
            and any(_covers(glob[:-1], above[:n]) for n in range(1, len(above) + 1))
            for glob in self.globs
        )


def is_glob(text: str) -> bool:
    """Whether this is an absolute glob. ``**`` must be a whole segment."""
    if _GLOB.fullmatch(text) is None:
        return False
    return all(_ANY not in s or s == _ANY for s in text.split("/"))


def is_bound(segment: str, value: str) -> bool:
    """Whether a raw segment is this value, as it stands or as encodeURIComponent
    writes it (B20).

    A value with a ``%`` counts only encoded: raw, ``a%40b`` would be taken for the
    segment of the value ``a@b``, which may be somebody else's. "" is no value.
    """
    if not value:
        return False
    if segment == value:
        return "%" not in value
    try:
        return segment == quote(value, safe=_UNESCAPED)
    except UnicodeEncodeError:  # a lone surrogate has no octets
        return False


def _covers(glob: Sequence[str], path: Sequence[str]) -> bool:
    """Match segments. Only the last ``**`` seen is ever widened, as for ``*`` in
    text: what stood before it has matched as early as it can."""
    at = 0
    here = 0
    widen: tuple[int, int] | None = None
    while here < len(path):
        if at < len(glob) and glob[at] == _ANY:
            at, here = at + 1, here + 1
            widen = at, here
        elif at < len(glob) and _is_like(glob[at], path[here]):
            at, here = at + 1, here + 1
        elif widen is None:
            return False
        else:
            at, here = widen[0], widen[1] + 1
            widen = at, here
    return at == len(glob)


def _is_like(pattern: str, segment: str) -> bool:
    """Match one segment; ``*`` is any run of octets, also an empty one."""
    first, *others = pattern.split("*")
    if not others:
        return segment == first
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
