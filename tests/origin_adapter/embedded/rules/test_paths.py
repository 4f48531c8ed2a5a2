"""Paths of streams, and patterns of them (PROTOCOL.md section 6.2)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin_adapter.embedded.rules.paths import literal_prefix, matches

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
    assert matches(pattern, path) is by_regex(pattern, path)


@given(patterns, paths)
def test_the_prefix_never_hides_a_match(pattern: str, path: str) -> None:
    """Looking only below the literal prefix loses nothing."""
    if matches(pattern, path):
        assert path.startswith(literal_prefix(pattern))


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
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
def test_examples(pattern: str, path: str, expected: bool) -> None:
    """One star is one segment, two are any number."""
    assert matches(pattern, path) is expected


def test_many_double_stars_are_no_trap() -> None:
    """A pattern that would take backtracking for ever."""
    assert not matches("/".join(["**", "a"] * 30) + "/b", "/".join(["a"] * 200))
