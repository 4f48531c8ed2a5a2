"""Which raw paths a glob covers, and which segment a claim's value is (A14, B20)."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.access.path_grants import MAX_GLOBS, PathGrants, is_bound, is_glob

PARTS = "%2[Ff]|;|%3[Bb]"
"""Where some origins part a segment."""

segments = st.lists(
    st.sampled_from(["a", "b", "%2F", "%61", ".", ";", "ab", "!", "~"]), max_size=3
).map("".join)
paths = st.lists(segments, min_size=1, max_size=5).map(lambda s: "/" + "/".join(s))
wild = st.lists(st.sampled_from(["a", "b", "*", "%2F"]), max_size=4).map("".join)
globs = st.lists(st.one_of(segments, wild, st.just("**")), min_size=1, max_size=5).map(
    lambda s: "/" + "/".join(s)
)


@st.composite
def globs_and_paths(draw: st.DrawFn) -> tuple[str, str]:
    """A glob, and a path that it may cover: made from it, and perhaps changed."""
    glob = draw(globs.filter(is_glob))
    made = [
        "/".join(draw(st.lists(segments, min_size=1, max_size=3)))
        if part == "**"
        else "".join(draw(segments) if c == "*" else c for c in part)
        for part in glob.split("/")
    ]
    if draw(st.integers(0, 2)) == 0:
        made[draw(st.integers(1, len(made) - 1))] = draw(segments)
    return glob, "/".join(made)


@st.composite
def roots(draw: st.DrawFn) -> tuple[str, str]:
    """A root, and a glob for what is below it, or below one above it."""
    root = draw(paths).split("/")
    kept = root[: draw(st.integers(1, len(root)))]
    glob = [
        part if draw(st.booleans()) or re.search(PARTS, part) else "*"
        for part in kept[1:]
    ]
    return "/".join(root), "/".join(["", *glob, "**"])


def covers(glob: str, path: str) -> bool:
    return PathGrants.of([glob]).cover(path)


@given(paths, paths)
def test_a_grant_without_wildcards_covers_no_other_raw_path(one: str, two: str) -> None:
    assert covers(one, one)
    assert covers(one, two) is (one == two)


@given(st.one_of(globs_and_paths(), st.tuples(globs.filter(is_glob), paths)))
def test_a_glob_covers_what_its_expression_matches(pair: tuple[str, str]) -> None:
    """The plain meaning: * within what no origin parts, ** for one or more whole
    segments, of which each may be empty: anything at all."""
    glob, path = pair
    within = f"(?:(?!{PARTS})[^/])*"
    expression = "/".join(
        ".*" if part == "**" else re.escape(part).replace(r"\*", within)
        for part in glob.split("/")
    )

    assert covers(glob, path) is (re.fullmatch(expression, path) is not None)


@pytest.mark.parametrize(
    ("glob", "path", "covered"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", False),
        ("/a", "/ab", False),
        ("/a", "/a/", False),
        ("/a", "/a%2Fb", False),
        ("/a", "/%61", False),
        ("/a", "/A", False),
        ("/%61", "/%61", True),
        ("/a%2Fb", "/a%2fb", False),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b%2Fc", False),
        ("/a/*%2F*", "/a/b%2fc", False),
        ("/a/*%2F*", "/a/b%2Fc", True),
        ("/a/*%2F*", "/a/b%2Fc%2Fd", False),
        ("/a/*-b", "/a/c;-b", False),
        ("/a/*-b", "/a/c%3b-b", False),
        ("/a/*;*", "/a/c;d", True),
        ("/a/*Fb", "/a/%2Fb", False),
        ("/a/**", "/a/b%2Fc;d", True),
        ("/a/*", "/a/b/c", False),
        ("/a/*", "/a", False),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/a/", True),
        ("/a/**", "/a", False),
        ("/a/**", "/ab", False),
        ("/**/z", "/a/b/z", True),
        ("/**/z", "/z", False),
        ("/a/x*y", "/a/xy", True),
        ("/a/x*y", "/a/x", False),
        ("/a/x*xy", "/a/xy", False),
        ("/**", "/", True),
    ],
)
def test_globs_match_segment_by_segment(glob: str, path: str, covered: bool) -> None:
    assert covers(glob, path) is covered


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a/*",
        "http://h/a",
        "/a**",
        "/a/**b",
        "/**/a/**",
        "/***",
        "/{sub}",
        "/a b",
        "/ä",
        "/a\n",
        "/%6",
        "/a?b",
        "/a#",
    ],
)
def test_what_is_no_absolute_glob_grants_nothing(text: str) -> None:
    assert not is_glob(text)
    assert not PathGrants.of([text]).globs


def test_one_bad_glob_takes_nothing_from_the_others() -> None:
    assert PathGrants.of(["a", "/a"]).cover("/a")


def test_no_more_globs_are_taken_than_are_allowed() -> None:
    assert len(PathGrants.of(["/a"] * MAX_GLOBS).globs) == MAX_GLOBS
    with pytest.raises(ValueError, match="more than 256 globs"):
        PathGrants.of(["/a"] * (MAX_GLOBS + 1))


def test_a_glob_made_to_be_slow_is_compared_once() -> None:
    """As long as a token and a path may be; one that tried all splits would not end
    while anybody waits."""
    glob = "/" + "/".join(["**", *["*a*a*"] * 900, "b"])

    assert not covers(glob, "/" + "/".join(["a" * 4] * 2000))


@pytest.mark.parametrize(
    ("glob", "root", "covered"),
    [
        ("/a/**", "/a", True),
        ("/**", "/a/b", True),
        ("/a/**", "/a/b", True),
        ("/*/**", "/a", True),
        ("/a/*", "/a", False),
        ("/a/b/**", "/a", False),
        ("/b/**", "/a", False),
        ("/a", "/a", False),
        ("/a/**/z", "/a", False),
    ],
)
def test_what_is_below_a_root_is_granted_as_a_whole_or_not(
    glob: str, root: str, covered: bool
) -> None:
    assert PathGrants.of([glob]).cover_below(root) is covered


@given(roots(), paths)
def test_a_grant_below_a_root_covers_every_path_there(
    pair: tuple[str, str], rest: str
) -> None:
    root, glob = pair
    grants = PathGrants.of([glob])

    assert grants.cover_below(root)
    assert grants.cover(root + rest)


@pytest.mark.parametrize(
    ("segment", "value", "bound"),
    [
        ("alice", "alice", True),
        ("alice", "Alice", False),
        ("alice", "alic", False),
        ("a%40b", "a@b", True),
        ("a@b", "a@b", True),
        ("a%2Fb", "a/b", True),
        ("a;b", "a;b", False),
        ("a%3Bb", "a;b", True),
        ("a%2fb", "a/b", False),
        ("%61lice", "alice", False),
        ("a%40b", "a%40b", False),
        ("a%2540b", "a%40b", True),
        ("%C3%A4", "ä", True),
        ("a!'()*", "a!'()*", True),
        ("anything", "*", False),
        ("*", "*", True),
        ("", "", False),
        ("x", "\ud800", False),
    ],
)
def test_a_name_is_the_value_raw_or_as_a_browser_encodes_it(
    segment: str, value: str, bound: bool
) -> None:
    assert is_bound(segment, value) is bound


@given(segments.filter(bool), st.text(), st.text())
def test_a_segment_never_belongs_to_two_values(
    segment: str, one: str, two: str
) -> None:
    """Else somebody could register a name that opens another's streams."""
    candidates = {one, two, segment, unquote(segment)}

    assert sum(is_bound(segment, value) for value in candidates) <= 1
