"""Paths: which may name a stream, and the patterns that select them (L26).

A path is a stream's key exactly as it was sent, including its percent-encoding. A path
that another program could read as another one is refused: dot segments, NUL, backslash
and control characters, plain or encoded, and broken encodings (PROTOCOL.md section
12.2).

Subscriptions name streams by paths relative to the root, or by a pattern of them
(section 6.2): ``*`` is one segment, ``**`` any number of segments, also none. Every
other segment stands for itself. ``%2A`` in a pattern is a literal asterisk.
"""

import re
from functools import lru_cache

from origin_adapter.embedded.rules.refusals import RefusalReason, Refused, bad_request

_PLAIN = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*", re.ASCII)
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_FORBIDDEN = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff]|5[Cc])", re.ASCII)
_DOT = re.compile(r"%2[Ee]", re.ASCII)
_SLASH = re.compile(r"%2[Ff]", re.ASCII)
RESERVED = "__ds"


def check(path: str, root: str, limit: int) -> str:
    """The path if it may name a stream below ``root``; raises Refused."""
    if len(path) > limit:
        raise bad_request(
            RefusalReason.BAD_PATH, f"a path has at most {limit} characters"
        )
    if _PLAIN.fullmatch(path) is None or _BROKEN.search(path):
        raise bad_request(
            RefusalReason.BAD_PATH, "the path has characters it must encode"
        )
    if _FORBIDDEN.search(path):
        raise bad_request(
            RefusalReason.BAD_PATH, "control characters and backslash in a path"
        )
    segments = _DOT.sub(".", _SLASH.sub("/", path)).split("/")
    if "." in segments or ".." in segments:
        raise bad_request(RefusalReason.BAD_PATH, "dot segments in a path")
    if not path.startswith(root) or path == root:
        raise Refused(404, RefusalReason.NOT_FOUND, f"streams live below {root}")
    if is_reserved(path, root):
        raise Refused(404, RefusalReason.NOT_FOUND, f"{RESERVED} is reserved")
    return path


def is_reserved(path: str, root: str) -> bool:
    """Whether a path belongs to the control interface (section 6)."""
    return path[len(root) :].split("/", 1)[0] == RESERVED


# Relative paths and patterns.


def relative(path: str) -> str:
    """A path as subscriptions write it: without slashes around it."""
    return path.strip("/")


def matches(pattern: str, path: str) -> bool:
    """Whether a stream path matches. Linear in both, for every pattern."""
    segments = _segments(path)
    # reached[i]: the patterns so far can match exactly the first i segments.
    reached = [True] + [False] * len(segments)
    for want in _segments(pattern):
        reached = _step(want, segments, reached)
        if True not in reached:
            return False
    return reached[-1]


def literal_prefix(pattern: str) -> str:
    """The longest text with which every matching path begins."""
    plain: list[str] = []
    for segment in _segments(pattern):
        if segment in ("*", "**"):
            return "/".join([*plain, ""]) if segment == "*" else "/".join(plain)
        plain.append(_literal(segment))
    return "/".join(plain)


@lru_cache(maxsize=1024)
def _segments(path: str) -> tuple[str, ...]:
    return tuple(segment for segment in path.split("/") if segment)


def _step(want: str, segments: tuple[str, ...], reached: list[bool]) -> list[bool]:
    if want == "**":
        first = reached.index(True) if True in reached else len(reached)
        return [index >= first for index in range(len(reached))]
    moved = [False] * len(reached)
    for index, segment in enumerate(segments):
        if (reached[index] and want in ("*", segment)) or (
            reached[index] and _literal(want) == segment
        ):
            moved[index + 1] = True
    return moved


def _literal(segment: str) -> str:
    return segment.replace("%2A", "*").replace("%2a", "*")
