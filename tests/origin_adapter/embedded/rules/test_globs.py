"""Globs over stream paths (PROTOCOL.md section 6.2)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin_adapter.embedded.rules import globs

segment = st.sampled_from(["a", "b", "ab"])
paths = st.lists(segment, min_size=1, max_size=5).map("/".join)
patterns = st.lists(segment | st.sampled_from(["*", "**"]), min_size=1, max_size=5).map(
    "/".join
)


def by_regex(pattern: str, path: str) -> bool:
    """The same rules by backtracking."""
    parts = {"*": "[^/]+/", "**": "([^/]+/)*"}
    text = "".join(parts.get(p, re.escape(p) + "/") for p in pattern.split("/"))
    return re.fullmatch(text, path + "/") is not None


@given(patterns, paths)
def test_any_pattern_on_any_path(pattern: str, path: str) -> None:
    """Linear matching decides as backtracking would."""
    assert globs.matches(pattern, path) is by_regex(pattern, path)


@given(patterns, paths)
def test_the_prefix_never_hides_a_match(pattern: str, path: str) -> None:
    """Looking only below the literal prefix loses nothing."""
    if globs.matches(pattern, path):
        assert path.startswith(globs.literal_prefix(pattern))


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("events/*", "events/a", True),
        ("events/*", "events/a/b", False),
        ("events/**", "events", True),
        ("**/done", "a/b/done", True),
        ("a/%2A", "a/*", True),
        ("a/%2A", "a/b", False),
        ("/events/*/", "events/a", True),
    ],
)
def test_examples(pattern: str, path: str, matches: bool) -> None:
    """One star is one segment, two are any number."""
    assert globs.matches(pattern, path) is matches


def test_many_double_stars_are_no_trap() -> None:
    """A pattern that would take backtracking for ever."""
    assert not globs.matches("/".join(["**", "a"] * 30) + "/b", "/".join(["a"] * 200))
