"""What is stored of a body, and what is answered (PROTOCOL.md section 9.1)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin_adapter.embedded.rules import json_text, messages
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused

JSON = "application/json"

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def stored(body: str) -> bytes:
    batch = messages.batch(body.encode(), JSON)
    assert batch is not None and batch.json
    return batch.body


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('{"event": "created"}', '{"event": "created"}'),
        ('[{"event":"a"}, {"event":"b"}]', '{"event":"a"}, {"event":"b"}'),
        ("[[1,2], [3,4]]", "[1,2], [3,4]"),
        ("[[[1,2,3]]]", "[[1,2,3]]"),
        (" \r\n\t[ 1 ,\n2 ] ", "1 ,\n2"),
        ('"[1,2]"', '"[1,2]"'),
        ("1e400", "1e400"),
        ("[12345678901234567890.10]", "12345678901234567890.10"),
        ('["\\ud800", "a,]b"]', '"\\ud800", "a,]b"'),
    ],
)
def test_one_level_is_flattened_and_bytes_are_kept(body: str, kept: str) -> None:
    """Section 9.1.2; numbers keep their digits."""
    assert stored(body) == kept.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1,]",
        b"[1 2]",
        b"[,1]",
        b"[1]]",
        b"1 2",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"{'a':1}",
        b'{"a":1,}',
        b'"a\nb"',
        b"01",
        b"",
        b"\xef\xbb\xbf1",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"[]",
        b" [ ] ",
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    """Section 9.1.4: bad JSON, bad UTF-8, and arrays without a message."""
    if not body:
        assert messages.batch(body, JSON) is None
        return
    with pytest.raises(Refused) as refused:
        messages.batch(body, JSON)
    assert (refused.value.status, refused.value.reason) == (400, RefusalReason.BAD_JSON)


def test_an_empty_array_makes_an_empty_stream() -> None:
    """Section 9.1.3: only when creating."""
    assert messages.batch(b"[]", JSON, creating=True) is None


def test_deep_nesting_is_bounded_and_strings_do_not_count() -> None:
    """A body of brackets costs a scan, not a stack."""
    deep = json_text.MAX_DEPTH
    assert messages.batch(b"[" * deep + b"]" * deep, JSON) is not None
    assert messages.batch(json.dumps("[" * 100_000).encode(), JSON) is not None
    assert messages.batch(b"[" + b"[]," * 5000 + b"1]", JSON) is not None
    with pytest.raises(Refused) as refused:
        messages.batch(b"[" * 100_000, JSON)
    assert refused.value.reason is RefusalReason.JSON_TOO_DEEP


def test_a_huge_number_is_read_in_linear_time() -> None:
    """Digits are checked, never converted."""
    digits = b"7" * 1_000_000
    assert messages.batch(b"[" + digits + b"]", JSON) is not None


@given(st.lists(anything, min_size=1), st.integers(0, 4))
def test_what_goes_in_comes_out(values: list[object], indent: int) -> None:
    """For any messages and any white space: GET returns what POST brought."""
    body = json.dumps(values, indent=indent or None)
    batch = messages.batch(body.encode(), JSON)
    assert batch is not None

    answer = json.loads(messages.answer([batch.body, batch.body], JSON))

    assert answer == json.loads(body) * 2


@given(st.lists(anything, min_size=1, max_size=6), st.data())
def test_a_prefix_holds_the_first_messages(
    values: list[object], data: st.DataObject
) -> None:
    """Sub-offsets count messages (section 4.2), also beyond ASCII."""
    count = data.draw(st.integers(1, len(values)))
    batch = stored(json.dumps(values, ensure_ascii=False))

    part = batch[: messages.prefix(batch, count)]

    assert json.loads(b"[" + part + b"]") == json.loads(json.dumps(values[:count]))


def test_a_prefix_past_the_end_is_refused() -> None:
    """A sub-offset names a position within one append."""
    with pytest.raises(Refused) as refused:
        messages.prefix(b"1,2", 3)
    assert refused.value.reason is RefusalReason.BAD_FORK


@given(st.binary(min_size=1), st.sampled_from(["text/plain", "application/x-ndjson"]))
def test_bytes_are_bytes(body: bytes, kind: str) -> None:
    """Every other type is stored and answered as it came."""
    batch = messages.batch(body, kind)
    assert batch is not None
    assert messages.answer([batch.body, batch.body], kind) == body * 2


@given(
    st.lists(st.lists(st.binary(min_size=1), min_size=1), min_size=1),
    st.sampled_from([JSON, "text/plain"]),
)
def test_pages_come_to_the_body_of_all_their_batches(
    pages: list[list[bytes]], kind: str
) -> None:
    """One array over all of them, as long as was announced."""
    rows = [part for page in pages for part in page]
    whole = messages.answer(rows, kind)

    pieces = list(messages.pieces(pages, kind))

    assert b"".join(map(b"".join, pieces)) == whole
    assert messages.length(len(b"".join(rows)), len(rows), kind) == len(whole)


def test_many_small_batches_are_joined_and_large_ones_are_not_copied() -> None:
    """The system takes so many buffers at once."""
    small = [b"1"] * (messages.MAX_UNJOINED + 1)
    large = [b"x" * 100_000] * 2

    for kind in (JSON, "text/plain"):
        assert all(len(piece) < 3 for piece in messages.pieces([small], kind))
        (first, *_) = messages.pieces([large], kind)
        assert sum(part is large[0] for part in first) == 2
