"""What every entrance asks of a head beyond the parser's own strictness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import head_rules
from edge.core.errors import ClientFault
from edge.core.reasons import Reason


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "example.org:8080",
        "example.org:",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8080",
        "EXAMPLE",
        "a%20b",
        "a_b",
    ],
)
def test_a_host_may_be_a_name_or_an_address(host: str) -> None:
    """RFC 3986 section 3.2.2."""
    assert head_rules.validate((1, 1), [("HOST", host)])


@pytest.mark.parametrize(
    "host",
    ["", "a b", "a/b", "a?b", "a#b", "u@a", "a,b", "[::1", "::1", "a:b", "a:123456"],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    """P2; RFC 9112 section 3.2."""
    with pytest.raises(ClientFault) as caught:
        head_rules.validate((1, 1), [("HOST", host)])
    assert caught.value.reason is Reason.BAD_HOST


def test_http_1_0_needs_no_host() -> None:
    """It came with HTTP/1.1."""
    assert head_rules.validate((1, 0), [])
    with pytest.raises(ClientFault):
        head_rules.validate((1, 1), [])


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([], True),
        (["keep-alive"], True),
        (["close"], False),
        (["x", "CLOSE"], False),
        (["x ,\tclose"], False),
        (["closed, x-close"], True),
    ],
)
def test_every_member_of_every_connection_field_counts(
    values: list[str], kept: bool
) -> None:
    """RFC 9110 section 7.6.1."""
    fields = [("CONNECTION", value) for value in values]

    assert head_rules.validate((1, 1), [("HOST", "a"), *fields]) is kept


@pytest.mark.parametrize(
    "coding", ["gzip, chunked", "identity", "chunked, chunked", ""]
)
def test_the_only_transfer_coding_is_chunked(coding: str) -> None:
    """RFC 9112 section 6.1: nothing here could undo another."""
    with pytest.raises(ClientFault) as caught:
        head_rules.validate((1, 1), [("HOST", "a"), ("TRANSFER-ENCODING", coding)])
    assert caught.value.reason is Reason.UNSUPPORTED_FRAMING


@pytest.mark.parametrize(
    ("target", "authority", "origin_form"),
    [
        ("/a?b", None, "/a?b"),
        ("//a", None, "//a"),
        ("*", None, "*"),
        ("http://h/a?b", "h", "/a?b"),
        ("HTTPS://h:1", "h:1", "/"),
        ("http://h?b", "h", "/?b"),
    ],
)
def test_a_target_is_brought_into_origin_form(
    target: str, authority: str | None, origin_form: str
) -> None:
    """RFC 9112 section 3.2.2."""
    assert head_rules.origin_form(target) == (authority, origin_form)


@pytest.mark.parametrize("target", ["ftp://h/", "http:///a", "http://u@h/", "a:80", ""])
def test_a_target_of_another_form_is_refused(target: str) -> None:
    """P11: CONNECT's form too; nothing is guessed."""
    with pytest.raises(ClientFault):
        head_rules.origin_form(target)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_an_origin_form_is_never_changed(rest: str) -> None:
    """L26: paths are keyed and sent as received."""
    assert head_rules.origin_form("/" + rest) == (None, "/" + rest)
