"""TimedTags: what stands in a table whatever is stored, and what gives way."""

from array import array
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from edge.board.timed_tags import BUCKET, TimedTags

TAG_BITS = 24
BUCKETS = 2
TAGS = 12
"""Of each bucket's keys: more than it has room for."""

KEYS = st.integers(0, TAGS * BUCKETS - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(1, 1000)),
        st.tuples(st.just("drop"), KEYS, st.just(0)),
    ),
    max_size=120,
)


def table(buckets: int = BUCKETS) -> TimedTags:
    words = memoryview(array("Q", bytes(8 * BUCKET * buckets)))
    return TimedTags(words, TAG_BITS)


def digest(key: int) -> int:
    """Of a key: half of them stand in the one bucket, half in the other. Tag 0, too."""
    return (key // BUCKETS) << (64 - TAG_BITS) | key % BUCKETS


@given(STEPS)
def test_a_bucket_has_the_latest_time_of_each_key_and_the_least_one_gives_way(
    steps: list[tuple[str, int, int]],
) -> None:
    """By a model: a bucket is a dict with eight places at most."""
    tags, model = table(), defaultdict[int, dict[int, int]](dict)
    for what, key, time in steps:
        bucket = model[key % BUCKETS]
        if what == "drop":
            tags.drop(digest(key))
            bucket.pop(key, None)
            continue
        tags.put(digest(key), time)
        if key not in bucket and len(bucket) == BUCKET:
            # Of those that have the least time, any may be gone.
            gone = [
                one
                for one, its in bucket.items()
                if its == min(bucket.values()) and tags.get(digest(one)) == 0
            ]
            assert len(gone) == 1
            del bucket[gone[0]]
        bucket[key] = max(time, bucket.get(key, 0))
        for one in range(TAGS * BUCKETS):
            assert tags.get(digest(one)) == model[one % BUCKETS].get(one, 0)


def test_a_time_that_no_word_can_hold_is_the_latest_one() -> None:
    """It must not run into the tag."""
    tags = table()
    tags.put(digest(3), 1 << 60)

    assert tags.get(digest(3)) == (1 << 40) - 1
    assert tags.get(digest(5)) == 0


def test_of_two_words_of_one_key_the_later_counts_and_both_are_forgotten() -> None:
    """1: two processes look for a place for one key; 2: a third takes the place that
    the first found; 3: both have stored."""
    words = memoryview(array("Q", bytes(8 * BUCKET)))
    tags = TimedTags(words, TAG_BITS)
    words[2] = 7 << (64 - TAG_BITS) | 50
    words[5] = 7 << (64 - TAG_BITS) | 90
    key = 7 << (64 - TAG_BITS)

    assert tags.get(key) == 90
    tags.put(key, 95)
    assert (words[2] & 0xFF, words[5] & 0xFF) == (50, 95)
    tags.drop(key)
    assert tags.get(key) == 0 and not any(words)
