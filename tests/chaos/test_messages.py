"""Messages tell who they are, and nothing else passes for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.messages import (
    MAX_SIZE,
    Kind,
    Name,
    Torn,
    append_body,
    encode,
    parse,
    without_spaces,
)

some = st.integers(0, 99)
sizes = st.integers(0, 400) | st.just(MAX_SIZE)
message = st.builds(Name, some, some, some, some, sizes)
kinds = st.sampled_from(Kind)
texts = st.sampled_from([Kind.TEXT, Kind.BINARY])


@given(kinds, st.lists(message, max_size=5))
def test_a_body_tells_which_messages_it_is(kind: Kind, names: list[Name]) -> None:
    assert parse(kind, append_body(kind, names)) == tuple(names)


@given(kinds, message, st.data())
def test_a_body_with_one_byte_more_less_or_other_is_torn(
    kind: Kind, name: Name, data: st.DataObject
) -> None:
    whole = append_body(kind, [name])
    at = data.draw(st.integers(0, len(whole) - 1))
    other = bytes([whole[at] ^ 1])
    before, after = whole[:at], whole[at + 1 :]
    for changed in (before + after, before + other + after, whole + b"x"):
        try:
            told = parse(kind, changed)
        except Torn:
            continue
        # A digit of the name was changed or lost, or JSON is written in another way.
        assert told != (name,) or kind is Kind.JSON


@given(texts, message, message, st.data())
def test_what_was_cut_or_joined_elsewhere_is_torn(
    kind: Kind, first: Name, second: Name, data: st.DataObject
) -> None:
    one, other = encode(kind, first), encode(kind, second)
    at = data.draw(st.integers(1, len(one) - 1))
    for torn in (one[:at], one[at:], one[:at] + other):
        with pytest.raises(Torn):
            parse(kind, torn)


def test_what_lost_its_spaces_on_the_way_is_told_as_such() -> None:
    names = tuple(Name(1, 2, 3, number, MAX_SIZE) for number in range(3))
    arrived = b"".join(without_spaces(encode(Kind.TEXT, name)) for name in names)

    assert parse(Kind.TEXT, arrived, without_spaces) == names
    with pytest.raises(Torn):
        parse(Kind.TEXT, arrived)
