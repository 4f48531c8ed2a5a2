"""The newest rows in memory: what they answer, and what they leave to the disk."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin_adapter.embedded.engine.tail_cache import ROW_OVERHEAD, TailCache
from origin_adapter.embedded.rules.lineage import Row
from origin_adapter.embedded.rules.refusals import Refused
from origin_adapter.embedded.rules.stream_rules import draft
from origin_adapter.embedded.rules.values import CreateStream, StoredStream

BIG = 1 << 30


def stream(tail: int, id: int = 1) -> StoredStream:
    return replace(draft(CreateStream("/s"), "tag", 0.0), id=id, tail=tail)


def rows(*bodies: bytes, start: int = 0) -> list[Row]:
    made = []
    for body in bodies:
        made.append(Row(start, start + len(body), body))
        start += len(body)
    return made


def test_a_reader_sees_no_further_than_the_stream_it_looked_up() -> None:
    """The page must not pass the tail that the answer claims."""
    tail_cache = TailCache(BIG)
    tail_cache.add(1, rows(b"aa", b"bb"))
    page = tail_cache.page(stream(tail=2), 0, BIG)
    assert page is not None
    assert (page.end, page.parts) == (2, [b"aa"])


def test_what_is_older_is_left_to_the_disk() -> None:
    """None is not an empty page."""
    tail_cache = TailCache(BIG)
    tail_cache.add(1, rows(b"bb", start=2))
    assert tail_cache.page(stream(tail=4), 0, BIG) is None
    assert tail_cache.page(stream(tail=4, id=2), 2, BIG) is None
    tail_cache.forget(1)
    assert tail_cache.page(stream(tail=4), 2, BIG) is None
    assert tail_cache.size == 0


def test_the_middle_of_a_row_was_never_minted() -> None:
    """As on disk."""
    tail_cache = TailCache(BIG)
    tail_cache.add(1, rows(b"aaaa"))
    with pytest.raises(Refused):
        tail_cache.page(stream(tail=4), 2, BIG)


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1), st.integers(1, 200))
def test_pages_join_to_the_whole(bodies: list[bytes], limit: int) -> None:
    """From any row on, in pages of any size."""
    tail_cache = TailCache(BIG)
    tail_cache.add(1, rows(*bodies))
    whole = b"".join(bodies)
    start, read = 0, b""
    while start < len(whole):
        page = tail_cache.page(stream(tail=len(whole)), start, limit)
        assert page is not None and page.start == start < page.end
        assert len(page.parts) == 1 or sum(map(len, page.parts)) <= limit
        read += b"".join(page.parts)
        start = page.end
    assert read == whole


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 300)), max_size=60),
    st.integers(1000, 5000),
)
def test_the_budget_holds(writes: list[tuple[int, int]], budget: int) -> None:
    """Whatever is written, to however many streams."""
    tail_cache = TailCache(budget)
    tails = dict.fromkeys(range(1, 6), 0)
    for id, size in writes:
        tail_cache.add(id, rows(b"x" * size, start=tails[id]))
        tails[id] += size
        assert tail_cache.size <= max(budget, size + ROW_OVERHEAD)
