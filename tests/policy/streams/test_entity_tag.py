"""Entity tags: the same for the same answer, another for any other."""

import re
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.policy.http.conditional import matches
from edge.policy.streams.answers import body_digest, entity_tag

SAME: dict[str, Any] = {
    "content_type": "text/plain",
    "start": "0_1",
    "next_offset": "0_7",
    "digest": body_digest(b"hello"),
    "coding": "",
    "up_to_date": False,
    "closed": False,
}


def test_a_tag_is_strong_and_quoted() -> None:
    """RFC 9110 section 8.8.3: nothing in it needs care in a list."""
    tag = entity_tag(**SAME)

    assert re.fullmatch(r'"[A-Za-z0-9_-]{20,}"', tag)
    assert tag == entity_tag(**SAME)
    assert matches(f'W/"x", {tag}', tag)


def test_everything_that_a_304_cannot_take_back_is_in_the_tag() -> None:
    """L17, E3, E5, E30: also where the origin's own tag would stay the same."""
    variants: list[dict[str, Any]] = [
        {},
        {"content_type": "text/html"},
        {"start": "0_0"},
        {"next_offset": "0_8"},
        {"digest": body_digest(b"other")},
        {"coding": "gzip"},
        {"coding": "br"},
        {"up_to_date": True},
        {"closed": True},
        {"up_to_date": True, "closed": True},
    ]
    tags = [entity_tag(**{**SAME, **variant}) for variant in variants]

    for one, other in combinations(tags, 2):
        assert one != other
        assert not matches(one, other)


TEXT = st.text(st.sampled_from("0:1a"), max_size=4)
INPUT = st.tuples(
    TEXT, TEXT, TEXT, st.binary(max_size=3), TEXT, st.booleans(), st.booleans()
)


@given(INPUT, INPUT)
def test_unlike_inputs_have_unlike_tags(one: Any, other: Any) -> None:
    """No two fields run together, wherever one ends and the next begins."""
    assert (entity_tag(*one) == entity_tag(*other)) == (one == other)


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_a_digest_stands_for_its_bytes(one: bytes, other: bytes) -> None:
    assert (body_digest(one) == body_digest(other)) == (one == other)


def test_an_origins_odd_fields_still_make_a_tag() -> None:
    odd = {**SAME, "content_type": "text/\udce9", "start": "é", "coding": "\u2603"}

    assert entity_tag(**odd) != entity_tag(**SAME)
