"""Offsets are opaque: checked for safety, compared, and never made up."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.protocol.offsets import (
    BEGIN,
    MAX_LENGTH,
    NOW,
    is_position,
    is_safe,
    order,
)

FORBIDDEN = set(',&=?/"\\')
"""Section 8's five, and what would need escaping in JSON and in a header."""
VISIBLE = set(string.ascii_letters + string.digits + string.punctuation)

law = settings(deadline=None)
tokens = st.text(sorted(VISIBLE - FORBIDDEN), min_size=1, max_size=MAX_LENGTH)


@pytest.mark.parametrize("code", range(0x180))
def test_only_visible_ascii_outside_the_forbidden_seven_is_safe(code: int) -> None:
    """PROTOCOL.md section 8: single tokens that need no escaping anywhere."""
    character = chr(code)

    assert is_safe(character) == (character in VISIBLE - FORBIDDEN)


@pytest.mark.parametrize(
    "offset",
    [
        "0000000000000000_0000000000000027",
        "01J9ZK3V6C8QX",
        "snapshot",
        "0_27_snapshot",
        "-1",
        "now",
        "a" * MAX_LENGTH,
    ],
)
def test_offsets_of_real_origins_and_words_of_extensions_are_safe(offset: str) -> None:
    """O8: extension words pass untouched."""
    assert is_safe(offset)


@pytest.mark.parametrize(
    "offset",
    ["", "a" * (MAX_LENGTH + 1), "0 1", "0_1\n", "0\r\nA:b", "\u0663", "a\x00"],
)
def test_what_could_break_a_url_or_a_head_is_not_safe(offset: str) -> None:
    """A trailing line feed too, which ``$`` would have let through."""
    assert not is_safe(offset)


@law
@given(tokens)
def test_any_token_of_the_alphabet_is_safe(offset: str) -> None:
    """Section 8 leaves the structure to the origin."""
    assert is_safe(offset)


@pytest.mark.parametrize("sentinel", [BEGIN, NOW])
def test_an_origin_never_mints_a_sentinel(sentinel: str) -> None:
    """Section 8, reserved values: clients tell questions from positions by them."""
    assert is_safe(sentinel)
    assert not is_position(sentinel)


@pytest.mark.parametrize("offset", ["-2", "NOW", "0", "-1_0"])
def test_what_only_looks_like_a_sentinel_is_a_position(offset: str) -> None:
    """Offsets are case-sensitive and whole."""
    assert is_position(offset)


@law
@given(tokens)
def test_the_beginning_comes_before_every_position(offset: str) -> None:
    """L1: even before those that sort below ``-`` bytewise."""
    if is_position(offset):
        assert order(BEGIN) < order(offset)


@law
@given(tokens, tokens)
def test_positions_compare_bytewise(left: str, right: str) -> None:
    """L1, and section 8: lexicographic order is the order in the stream."""
    if is_position(left) and is_position(right):
        assert (order(left) < order(right)) == (left.encode() < right.encode())
