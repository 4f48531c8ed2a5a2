"""Input becomes appends: nothing is lost, reordered or kept waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.streams import batches
from edge.cli.streams.batches import AppendBatch, lines, marked_last, values
from edge.cli.streams.exit_faults import Fault


@given(st.lists(st.text("ab\r\n", min_size=1).map(str.encode)))
def test_lines_are_those_of_the_whole(pieces: list[bytes]) -> None:
    found = [line for group in lines(pieces) for line in group]

    assert b"".join(found) == b"".join(pieces)
    assert all(line.endswith(b"\n") for line in found[:-1])
    assert all(line.count(b"\n") <= 1 for line in found)


def test_a_line_is_given_out_as_soon_as_it_is_whole() -> None:
    arriving = iter([b"a\nb", b"b\n", b"never asked for"])
    groups = lines(arriving)

    assert next(groups) == [b"a\n"]
    assert next(groups) == [b"bb\n"]
    assert next(arriving) == b"never asked for"


def test_what_arrived_together_is_batched_up_to_the_number() -> None:
    made = batches.batches(
        [[b"a\n", b"b\n", b"c\n"], [b"d\n"]], 2, in_json=False, what="line"
    )

    assert list(made) == [
        AppendBatch(b"a\nb\n", 2),
        AppendBatch(b"c\n", 1),
        AppendBatch(b"d\n", 1),
    ]


def test_a_batch_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BATCH", 5)
    made = batches.batches([[b"aaa", b"bbb", b"c"]], 9, in_json=False, what="line")

    assert [batch.items for batch in made] == [1, 2]


def test_in_json_each_line_is_one_message_even_an_array() -> None:
    """PROTOCOL.md section 9.1.2: the server takes one level of an array off."""
    group = [b'{"a":1}\n', b"\n", b" [1,2] \r\n"]
    made = batches.batches([group], 1, in_json=True, what="line")

    assert [batch.body for batch in made] == [b'[{"a":1}]', b"[[1,2]]"]


@pytest.mark.parametrize("bad", [b"1,2\n", b"oops\n", b"NaN\n", b"[" * 100_000])
def test_a_line_that_is_no_json_is_named_after_all_before_it(bad: bytes) -> None:
    made = batches.batches(
        [[b"1\n"], [b"2\n", bad, b"3\n"]], 5, in_json=True, what="line"
    )

    assert next(made).body == b"[1]"
    assert next(made).body == b"[2]"
    with pytest.raises(Fault, match="line 3 is no JSON"):
        next(made)


@pytest.mark.parametrize(("cut", "what"), [(lines, "line 2"), (values, "value 2")])
def test_an_endless_item_is_not_held(
    cut: type, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [b"1\n", *[b"2" * 1024**2] * 20]

    with pytest.raises(Fault, match=f"{what} is larger than 16 MiB"):
        list(cut(pieces))


def test_the_last_one_is_marked() -> None:
    one, two = AppendBatch(b"1", 1), AppendBatch(b"2", 1)

    assert list(marked_last([one, two])) == [(one, False), (two, True)]
    assert list(marked_last([])) == []
