"""A URL is taken as it is written, checked, and never shown with its secrets."""

import pytest

from edge.cli.streams.address import address, fields, offset_of, source_path
from edge.cli.streams.exit_faults import Exit, Fault


def test_parameters_are_sorted_and_those_of_the_user_kept_as_written() -> None:
    """PROTOCOL.md section 10.1: one order, so that caches see one URL."""
    target = address("http://h:1/a%2Fb?zeta=%41&offsets=1&live2")

    assert target.url(offset="1_2", live="sse", cursor=None) == (
        "http://h:1/a%2Fb?live=sse&live2&offset=1_2&offsets=1&zeta=%41"
    )


def test_an_offset_is_encoded() -> None:
    """PROTOCOL.md section 8: offsets are opaque, and must be encoded in URLs."""
    assert address("http://h/s").url(offset="a+b:c") == "http://h/s?offset=a%2Bb%3Ac"


def test_credentials_are_taken_out_of_the_url() -> None:
    target = address("https://me:p%40ss@h:8443/s")

    assert target.credentials == ("me", "p@ss")
    assert target.url() == "https://h:8443/s"


@pytest.mark.parametrize(
    "url",
    ["", "h/s", "ftp://h/s", "http://", "http:///s", "http://h:x/s", "http://h/s#top",
     "http://h/a b", "http://h/s?offset=1", "http://h/s?%6Cive=sse", "http://[h/s"],
)  # fmt: skip
def test_what_names_no_stream_is_refused(url: str) -> None:
    with pytest.raises(Fault, match=r"^URL: ") as refused:
        address(url)
    assert refused.value.exit_code is Exit.WRONG


def test_header_fields_are_parted_at_the_first_colon() -> None:
    assert fields(["Authorization:  Bearer a:b ", "X-Empty:"]) == (
        ("Authorization", "Bearer a:b"),
        ("X-Empty", ""),
    )


@pytest.mark.parametrize(
    "field",
    ["secret", "X secret: 1", ": secret", "X: secret\r\nY: 1", "Host: secret",
     "Content-Length: 5", "transfer-encoding: secret", "X: secret\u2603"],
)  # fmt: skip
def test_a_field_that_cannot_be_sent_is_refused_and_not_repeated(field: str) -> None:
    with pytest.raises(Fault, match=r"^--header: ") as refused:
        fields([field])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("offset", ["", "a b", "a&b", "x" * 257, "é"])
def test_what_can_be_no_offset_is_refused(offset: str) -> None:
    with pytest.raises(Fault, match=r"^--offset: "):
        offset_of(offset)


def test_a_fork_is_of_a_stream_of_the_same_server() -> None:
    """PROTOCOL.md section 4.2: no forks across services."""
    target = address("http://h:1/new")

    assert source_path("/old", target) == "/old"
    assert source_path("http://h:1/old", target) == "/old"
    with pytest.raises(Fault, match="--fork-from"):
        source_path("http://other/old", target)
