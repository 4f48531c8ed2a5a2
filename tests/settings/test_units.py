"""Durations, sizes, rates and shares, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.settings import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
        ("365d", 31536000.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("0.25", 0.25),
        ("30", 30.0),
        ("0", 0.0),
        (" 2s ", 2.0),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "1x",
        "-1s",
        "1 0s",
        "1S",
        "1e3",
        "inf",
        "nan",
        "1m1h",
        "1s1s",
        "1:30",
        "٣s",
        "1_000",
        "0x10",
        "9" * 400,
        "1s\n2s",
        "+1s",
        ".5s",
        "1.s",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        units.parse_duration(text)


@given(st.floats(min_value=0, max_value=3e8))
def test_a_duration_that_is_written_reads_back_the_same(seconds: float) -> None:
    assert units.parse_duration(units.write_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=10**12))
def test_whole_milliseconds_read_back_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert units.parse_duration(units.write_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64KiB", 65536),
        ("64kib", 65536),
        ("64 KiB", 65536),
        ("1MiB", 1048576),
        ("1GiB", 1073741824),
        ("4GB", 4000000000),
        ("1KB", 1000),
        ("1.5KiB", 1536),
        ("512", 512),
        ("512B", 512),
        ("0", 0),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "k", "1k", "1M", "1G", "-1", "1.5", "0.1KB1", "1e3", "1 Ki B", "1KiBs"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    """``1k`` does not tell 1000 from 1024, so it is asked for."""
    with pytest.raises(ValueError, match="expected"):
        units.parse_size(text)


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_size_that_is_written_reads_back_the_same(size: int) -> None:
    assert units.parse_size(units.write_size(size)) == size


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("4/1s", units.Rate(4, 1.0)),
        ("4/s", units.Rate(4, 1.0)),
        ("100 / 1m", units.Rate(100, 60.0)),
        ("1/250ms", units.Rate(1, 0.25)),
    ],
)
def test_a_rate_is_a_count_within_a_time(text: str, rate: units.Rate) -> None:
    assert units.parse_rate(text) == rate


@pytest.mark.parametrize("text", ["4", "4/", "/1s", "0/1s", "4/0s", "-4/1s", "4/x"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a count within a time"):
        units.parse_rate(text)


@given(st.integers(1, 10**9 - 1), st.integers(1, 10**9))
def test_a_rate_that_is_written_reads_back_the_same(count: int, millis: int) -> None:
    rate = units.Rate(count, millis / 1000)
    assert units.parse_rate(units.write_rate(rate)) == rate


@pytest.mark.parametrize(
    ("text", "one_in"), [("full", 1), ("off", 0), ("sampled 1/100", 100), ("1/7", 7)]
)
def test_a_share_is_one_in_how_many(text: str, one_in: int) -> None:
    assert units.parse_share(text) == one_in
    assert units.parse_share(units.write_share(one_in)) == one_in


@pytest.mark.parametrize(
    "text", ["", "on", "100", "sampled", "1/0", "2/3", "sampled 1"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected full, off, or sampled"):
        units.parse_share(text)
