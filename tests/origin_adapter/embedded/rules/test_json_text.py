"""Where a JSON value ends: as the standard library's decoder sees it."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from origin_adapter.embedded.rules import json_text


def _no_constant(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)

anything = st.recursive(
    st.sampled_from(["null", "true", "-0", "1.5e+3", "0", '""', "[ ]", "{}"])
    | st.text().map(json.dumps)
    | st.text(max_size=5).map(lambda text: json.dumps(text, ensure_ascii=False)),
    lambda inner: (
        st.lists(inner).map(lambda items: f"[ {' ,'.join(items)}]")
        | st.lists(inner).map(
            lambda items: "{" + ",".join(f'"k" : {item}' for item in items) + "\n}"
        )
    ),
    max_leaves=12,
)
pieces = st.sampled_from([*'[]{},:"\\ 01-.eEtu', "\n", "\x00", "\x7f", "\ud800"])


def end_of(text: str) -> int | None:
    try:
        return json_text.value(text, 0)
    except json_text.NotJson:
        return None


def decoders_end_of(text: str) -> int | None:
    try:
        return _DECODER.raw_decode(text, 0)[1]
    except ValueError:
        return None


@given(anything, st.integers(0, 30), st.integers(0, 3), pieces | st.just(""))
@example("[1,]", 0, 0, "")
@example('{"a":1,}', 0, 0, "")
@example("01", 0, 0, "")
@example('"\\u12"', 0, 0, "")
@example("[1}", 0, 0, "")
@example("1.", 0, 0, "")
def test_it_agrees_with_the_decoder(text: str, at: int, cut: int, put: str) -> None:
    """On every text, and on every text with a fault put into it."""
    broken = text[:at] + put + text[at + cut :]
    assert end_of(text) == decoders_end_of(text)
    assert end_of(broken) == decoders_end_of(broken)


@pytest.mark.parametrize("size", [0, 1, 499, 500, 501, 1000, 1501])
@pytest.mark.parametrize("item", ["1", '{"a":[]}', '"x" '])
def test_runs_end_where_they_should(size: int, item: str) -> None:
    """Around the number of plain values that are taken at a time."""
    text = f"[{','.join([item] * size)}]"
    assert end_of(text) == len(text)
    assert end_of(text[:-1]) is None
    assert end_of(text[:-1] + ",]") is None
    members = "{" + ",".join(f'"k":{item}' for _ in range(size)) + "}"
    assert end_of(members) == len(members)
    for count in (1, size - 1, size, size + 1):
        if count < 1:
            continue
        found = json_text.nth_end(text[1:-1], count)
        assert (found is None) is (count > size)
        if found is not None:
            assert len(json.loads(f"[{text[1:-1][:found]}]")) == count


@pytest.mark.parametrize("item", ["1", '{"a":1}', '[[["deep"]]]', '"' + "x" * 99 + '"'])
def test_others_may_go_first_now_and_then(item: str) -> None:
    """A large body does not keep the event loop: L21's pollers go on."""
    text = "[" + ",".join([item] * (600_000 // len(item))) + "]"
    paused: list[None] = []

    assert json_text.value(text, 0, lambda: paused.append(None)) == len(text)

    assert len(paused) >= len(text) // json_text.STEP // 2
