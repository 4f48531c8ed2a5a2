"""JSON arrays are joined and cut as bytes, and stay the arrays they were (L8)."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.protocol.json_arrays import (
    MAX_COMPARED,
    agree,
    fragment,
    is_balanced,
    whole,
)
from edge.protocol.names import is_json

law = settings(deadline=None)
scalars = st.none() | st.booleans() | st.integers() | st.text()
messages = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)
arrays = st.lists(messages, max_size=4)
space = st.text(" \t\r\n", max_size=3)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, list[Any]]:
    """An array as some origin writes it, and what it means."""
    value = draw(arrays)
    text = json.dumps(
        value,
        indent=draw(st.sampled_from([None, 0, 2])),
        ensure_ascii=draw(st.booleans()),
    )
    body = f"{draw(space)}[{draw(space)}{text[1:-1]}{draw(space)}]{draw(space)}"
    return body.encode("utf-8", "surrogatepass"), value


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8"],
)
def test_application_json_is_json_mode(content_type: str) -> None:
    """PROTOCOL.md section 9.1, with any parameters."""
    assert is_json(content_type)


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/json", "application/ld+json", "application/x-ndjson", "json"],
)
def test_no_other_type_is(content_type: str | None) -> None:
    """Only this type has message boundaries; joining others would break them."""
    assert not is_json(content_type)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", b""),
        (b" [ \r\n\t] \n", b""),
        (b"[1]", b",1"),
        (b'[ {"a": 1}, 2 ]', b',{"a": 1}, 2'),
        (b"[[]]", b",[]"),
        (b'[" "]', b'," "'),
    ],
)
def test_a_fragment_is_the_inside_behind_a_comma(body: bytes, expected: bytes) -> None:
    """Nothing for nothing, so that fragments concatenate."""
    assert fragment(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"[", b"]", b"][", b"[1,2", b"1]", b"[1],", b"[1]\x00"),
        *(b"{}", b'{"a":[1]}', b"null", b'"[]"', b"<html>[]</html>"),
        *(b"\xef\xbb\xbf[1]", b"\x0b[1]"),
        *(b"[1],[2]", b"[1][2]", b'["a]', b'[{"a":1]', b"[[1]", b"[1]]"),
        *(b'["\\"]', b'["\\\\\\"]', b'[\\"]"]', b"[{]}]", b"[,1]", b"[1,]", b"[ , ]"),
        *(b"[" * 1000 + b"]" * 999, b"[" * 20 + b"}" + b"]" * 19),
    ],
)
def test_a_body_that_is_no_array_is_refused(body: bytes) -> None:
    """L8: whatever is left open would swallow what it is joined with."""
    with pytest.raises(ValueError, match="one array"):
        fragment(body)


@law
@given(bodies())
def test_a_range_comes_out_as_it_went_in(written: tuple[bytes, list[Any]]) -> None:
    """PROTOCOL.md section 9.1.5, for any array written in any style."""
    body, value = written

    assert json.loads(whole(fragment(body))) == value


@law
@given(st.lists(bodies(), max_size=5), st.data())
def test_joined_ranges_are_the_arrays_joined_and_any_cut_is_whole(
    ranges: list[tuple[bytes, list[Any]]], data: st.DataObject
) -> None:
    """L8: joining is concatenation, and every boundary cuts an array in two."""
    fragments = [fragment(body) for body, _ in ranges]
    first = data.draw(st.integers(0, len(ranges)))
    last = data.draw(st.integers(first, len(ranges)))
    log = memoryview(b"".join(fragments))
    start = sum(map(len, fragments[:first]))
    end = sum(map(len, fragments[:last]))

    expected = [message for _, value in ranges[first:last] for message in value]

    assert json.loads(whole(log[start:end])) == expected


@law
@given(bodies(), st.data())
def test_what_was_cut_anywhere_is_never_taken(
    written: tuple[bytes, list[Any]], data: st.DataObject
) -> None:
    """Also where the cut ends with a bracket that looks like the last one."""
    text = written[0].strip()
    cut = text[: data.draw(st.integers(0, len(text) - 1))]

    for body in (cut, cut + b"]"):
        try:
            taken = whole(fragment(body))
        except ValueError:
            continue
        assert body == cut + b"]" and all_ends_in(taken)


def all_ends_in(text: bytes) -> bool:
    """Whether brackets and strings are balanced, one character after another."""
    opened, in_string, escaped = [], False, False
    for character in text.decode("utf-8", "replace"):
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            opened.append(character)
        elif character in "]}" and (
            not opened or opened.pop() + character not in ("[]", "{}")
        ):
            return False
        elif character in "\\\0":
            # Neither may be there in any JSON text.
            return False
    return not opened and not in_string


@law
@given(st.text(alphabet='[]{}"\\,a\0', max_size=24).map(str.encode))
@example(b'"\\\\"')
@example(b'"\\\\\\""')
@example(b'\\""')
@example(b'"[""]"')
def test_balance_is_exact_about_strings_and_escapes(text: bytes) -> None:
    """L8, against a reader that goes one character after another."""
    assert is_balanced(text) == all_ends_in(text)


@pytest.mark.parametrize("depth", [1, 7, 8, 9, 100_000])
def test_depth_is_no_matter(depth: int) -> None:
    """However deep, it is neither refused nor too much for the stack."""
    text = b'[{"]":' * depth + b"1" + b"}]" * depth

    assert is_balanced(text)
    assert not is_balanced(text[:-1])
    assert not is_balanced(text[1:])


def test_messages_are_not_judged() -> None:
    """What the module says it does not promise: they are the origin's word."""
    assert whole(fragment(b"[1,,2]")) == b"[1,,2]"
    assert whole(fragment(b"[tru]")) == b"[tru]"


# Equal values.


@law
@given(arrays, arrays)
def test_fragments_agree_as_far_as_the_shorter_one_goes(
    held: list[Any], more: list[Any]
) -> None:
    """U16: however each of them is written."""
    one = fragment(json.dumps(held, indent=2).encode("utf-8", "surrogatepass"))
    other = fragment(json.dumps(held + more, separators=(",", ":")).encode())

    assert agree(one, other)
    assert agree(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b",1", b",2"),
        (b",1,2", b",1,3,4"),
        (b",[1]", b",[1,2]"),
        (b',"a"', b',"A"'),
        # What cannot be read is not known to agree.
        (b",tru", b",tru"),
        (b"," + b"[" * 100_000 + b"]" * 100_000, b",1"),
        (b",1" * MAX_COMPARED, b",1"),
    ],
)
def test_other_messages_do_not_agree(one: bytes, other: bytes) -> None:
    assert not agree(one, other)
    assert not agree(other, one)
