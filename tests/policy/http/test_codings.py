"""Content codings: what a client takes, and bytes that come back the same."""

import gzip

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.http.codings import CODINGS, MIN_SIZE, accepted, compress, worth

DECODERS = {
    "zstd": lambda data: zstandard.ZstdDecompressor().decompress(data),
    "br": brotli.decompress,
    "gzip": gzip.decompress,
}


@pytest.mark.parametrize(
    ("field", "codings"),
    [
        (None, ()),
        ("", ()),
        ("identity", ()),
        ("gzip", ("gzip",)),
        ("gzip, deflate, br, zstd", ("zstd", "br", "gzip")),
        ("GZIP , Br", ("br", "gzip")),
        ("x-gzip", ("gzip",)),
        ("gzip;q=1.0, br;q=0.5", ("gzip", "br")),
        ("br;q=0.5, gzip;q=0.5, zstd;q=0.5", ("zstd", "br", "gzip")),
        ("gzip ; q=0.9 , br;Q=0.95", ("br", "gzip")),
        ("gzip;q=0", ()),
        ("gzip;q=0.000, br", ("br",)),
        ("*", ("zstd", "br", "gzip")),
        ("*;q=0", ()),
        ("*;q=0, gzip", ("gzip",)),
        ("br;q=0, *;q=0.3", ("zstd", "gzip")),
        ("gzip;q=0.5, *;q=0.1", ("gzip", "zstd", "br")),
        ("identity;q=1, gzip;q=0.5", ()),
        ("identity;q=0.5, gzip, br;q=0.2", ("gzip",)),
        ("identity;q=0", ()),
        ("gzip, gzip;q=0", ()),
        ("gzip;q=0, gzip", ()),
        ("deflate, compress, exi", ()),
    ],
)
def test_codings_are_taken_by_weight_then_by_preference(
    field: str | None, codings: tuple[str, ...]
) -> None:
    """RFC 9110 section 12.5.3; E30, P8: one small closed set."""
    assert accepted(field) == codings


@pytest.mark.parametrize(
    "junk",
    [
        ";;;",
        "gzip;q=2",
        "gzip;q=-1",
        "gzip;q=.5",
        "gzip;q=0.1234",
        "gzip;q=nan",
        "gzip;q",
        "gzip;level=9",
        "gz ip",
        "gzip\xe9",
        '"gzip"',
        "gzip\r\nx",
    ],
)
def test_a_member_that_is_none_is_ignored(junk: str) -> None:
    assert accepted(junk) == ()
    assert accepted(f"{junk}, br") == ("br",)


def test_a_long_field_is_read_like_a_short_one() -> None:
    field = ", ".join(f"x{number}" for number in range(5000))

    assert accepted(field) == ()
    assert accepted(field + ", gzip") == ("gzip",)


@given(st.text(max_size=60))
def test_any_field_gives_known_codings_once_each(field: str) -> None:
    found = accepted(field)

    assert set(found) <= set(CODINGS)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("coding", CODINGS)
def test_coded_bytes_decode_to_the_same_and_are_the_same_each_time(
    coding: str,
) -> None:
    """E30: one tag for a coding, so one sequence of bytes for it."""
    for body in (b"", b"x", b"event " * 4096, bytes(range(256)) * 64):
        coded = compress(coding, body)

        assert DECODERS[coding](coded) == body
        assert coded == compress(coding, body)


@pytest.mark.parametrize("coding", CODINGS)
def test_coding_pays_on_text(coding: str) -> None:
    assert len(compress(coding, b'{"event":"created"},' * 512)) < 512


@pytest.mark.parametrize("coding", ["", "identity", "deflate", "GZIP"])
def test_no_other_coding_is_made(coding: str) -> None:
    with pytest.raises(ValueError, match="no such coding"):
        compress(coding, b"x")


@pytest.mark.parametrize(
    ("content_type", "is_worth"),
    [
        ("text/plain", True),
        ("Text/HTML; charset=utf-8", True),
        ("application/json", True),
        ("application/JSON;charset=utf-8", True),
        ("application/x-ndjson", True),
        ("application/problem+json", True),
        ("image/svg+xml", True),
        ("text/event-stream", False),
        ("application/octet-stream", False),
        ("application/zip", False),
        ("image/png", False),
        ("", False),
        (None, False),
    ],
)
def test_text_and_its_kin_are_worth_coding(
    content_type: str | None, is_worth: bool
) -> None:
    """L19: never event streams."""
    assert worth(content_type, MIN_SIZE) is is_worth
    assert not worth(content_type, MIN_SIZE - 1)
