"""JSON arrays are joined and cut as bytes, and stay the arrays they were (L8)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.protocol.json_arrays import fragment, whole
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
    ],
)
def test_a_body_that_is_no_array_is_refused(body: bytes) -> None:
    """L8: without its outer brackets it is never stored."""
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


def test_the_inside_is_not_judged() -> None:
    """What the module says it does not promise: messages are the origin's word."""
    assert whole(fragment(b"[1,,2]")) == b"[1,,2]"
    assert whole(fragment(b"[1],[2]")) == b"[1],[2]"
