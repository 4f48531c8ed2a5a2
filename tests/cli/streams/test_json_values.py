"""JSON is cut into its messages, whatever the pieces (PROTOCOL.md section 9.1)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.streams.json_values import ArrayMessages, JsonValues, NotOneArray

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.sampled_from('a"\\[]{},é\n')),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.text(max_size=2), below, max_size=3)
    ),
    max_leaves=6,
)
INDENT = st.sampled_from([None, 1])


def pieces_of(text: str, chance: st.DataObject) -> list[bytes]:
    whole = text.encode()
    cuts = sorted(chance.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    ends = zip([0, *cuts], [*cuts, len(whole)], strict=True)
    return [whole[a:b] for a, b in ends]


def lines_of(*pieces: bytes) -> bytes:
    messages = ArrayMessages()
    out = b"".join(part for piece in pieces for part in messages.feed(piece))
    messages.finish()
    return out


def values_of(*pieces: bytes, limit: int = 1000) -> list[bytes]:
    values = JsonValues(limit)
    found = [value for piece in pieces for value in values.feed(piece)]
    return [*found, *values.finish()]


@given(st.lists(VALUES, max_size=4), INDENT, st.data())
def test_each_message_of_an_array_is_one_line(
    messages: list[Any], indent: int | None, chance: st.DataObject
) -> None:
    text = json.dumps(messages, indent=indent, ensure_ascii=False)

    lines = lines_of(*pieces_of(text, chance))

    assert [json.loads(line) for line in lines.splitlines()] == messages


@given(st.lists(VALUES, max_size=4), INDENT, st.data())
def test_values_behind_one_another_are_told_apart(
    messages: list[Any], indent: int | None, chance: st.DataObject
) -> None:
    text = "\n".join(json.dumps(m, indent=indent, ensure_ascii=False) for m in messages)

    assert [json.loads(v) for v in values_of(*pieces_of(text, chance))] == messages


def test_the_text_of_a_message_is_not_changed() -> None:
    assert lines_of(b' [ {"a": 1.50, "b" :[ ]} , "\\u00e9" ] \n') == (
        b'{"a": 1.50, "b" :[ ]} \n"\\u00e9" \n'
    )


def test_an_empty_array_has_no_line() -> None:
    assert lines_of(b" [ \n ] ") == b""


@pytest.mark.parametrize(
    "body", [b"", b"[1", b'["a', b"{}", b"oops", b"[1][2]", b"[1]x", b'"[1]"']
)
def test_what_is_no_array_is_an_error(body: bytes) -> None:
    with pytest.raises(NotOneArray):
        lines_of(body)


def test_values_need_no_space_between_them() -> None:
    assert values_of(b'{"a":1}[2]"x"{}') == [b'{"a":1}', b"[2]", b'"x"', b"{}"]
    assert values_of(b'1"a"') == [b"1", b'"a"']


def test_a_value_that_is_cut_is_given_out_to_be_judged() -> None:
    assert values_of(b'{"a":') == [b'{"a":']


def test_a_value_has_a_largest_size() -> None:
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        values_of(b"[" + b"1," * 20, limit=10)
