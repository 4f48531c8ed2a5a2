"""Globs over stream paths (PROTOCOL.md section 6.2).

``*`` is one segment, ``**`` any number of them, none included; every other
segment stands for itself. ``%2A`` in a pattern is a literal asterisk.
"""

from functools import lru_cache


def normal(path: str) -> str:
    """A stream path without slashes around it."""
    return path.strip("/")


def matches(pattern: str, path: str) -> bool:
    """Whether a stream path matches; linear in both, whatever the pattern."""
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
