"""The grammar of HTTP, as the RFCs write it; the tables are the RFCs' own."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocol.http_grammar import (
    BODILESS_STATUSES,
    FIELD_VALUE,
    HOP_BY_HOP,
    LAST_CHUNK,
    MAX_DELTA_SECONDS,
    TOKEN,
    age_seconds,
    cache_directives,
    connection_options,
    is_host,
    list_items,
    list_members,
    retry_after,
    trace_id,
)

TCHAR = "!#$%&'*+-.^_`|~0123456789" + "".join(
    chr(start + letter) for start in (0x41, 0x61) for letter in range(26)
)
"""RFC 9110 section 5.6.2."""

any_character = st.characters(max_codepoint=0x17F)


@given(any_character)
def test_a_token_is_made_of_its_alphabet(character: str) -> None:
    """RFC 9110 section 5.6.2: nothing else, and no letter beyond ASCII."""
    assert (TOKEN.fullmatch(character) is not None) is (character in TCHAR)


@given(any_character)
def test_a_value_holds_no_control_character_but_the_tab(character: str) -> None:
    """RFC 9110 section 5.5, read as latin-1."""
    code = ord(character)
    fit = code == 9 or 0x20 <= code <= 0x7E or 0x80 <= code <= 0xFF

    assert (FIELD_VALUE.fullmatch(character) is not None) is fit


def test_rules_are_for_whole_strings() -> None:
    """A line break at the end would be a second field."""
    assert TOKEN.fullmatch("a\n") is None
    assert FIELD_VALUE.fullmatch("a\n") is None
    assert not is_host("a\n")
    assert TOKEN.fullmatch("") is None
    assert FIELD_VALUE.fullmatch("") is not None


def test_the_fields_of_one_hop() -> None:
    """RFC 9110 section 7.6.1; RFC 7540 section 3.2.1 for HTTP2-Settings."""
    assert {
        *("connection", "proxy-connection", "keep-alive", "te"),
        *("transfer-encoding", "upgrade", "trailer", "http2-settings"),
    } == HOP_BY_HOP


def test_statuses_without_a_body_and_the_last_chunk() -> None:
    """RFC 9110 sections 15.3.5 and 15.4.5; RFC 9112 section 7.1."""
    assert {204, 304} == BODILESS_STATUSES
    assert LAST_CHUNK == b"0\r\n\r\n"


def test_a_list_is_cut_at_commas() -> None:
    """RFC 9110 section 5.6.1: white space around a member is none of it."""
    assert list_members(" a ,\tb,, c d ") == ["a", "b", "", "c d"]
    assert connection_options(["Close, X-Hop", "keep-alive"]) == {
        *("close", "x-hop", "keep-alive"),
    }
    assert connection_options([]) == frozenset()


@pytest.mark.parametrize(
    ("field", "items"),
    [
        ("", []),
        (" , ,", []),
        ("a", [("a", {})]),
        ("a;b=1;c, d ;\te=f", [("a", {"b": "1", "c": ""}), ("d", {"e": "f"})]),
        ('"a, b"; c="d; e", f', [('"a, b"', {"c": "d; e"}), ("f", {})]),
        (r'a;b="\"c\\", d', [("a", {"b": '"c\\'}), ("d", {})]),
        ("a;b=1;b=2", [("a", {"b": "2"})]),
        ('a;b="c, d;e', [("a", {"b": '"c, d;e'})]),
        ('"a, b;c', [('"a, b;c', {})]),
        ("(a b);c", [("(a b)", {"c": ""})]),
        (r'a;b="c\, d', [("a", {"b": r'"c\, d'})]),
        ('x"a, b"y', [('x"a, b"y', {})]),
    ],
)
def test_a_list_with_parameters_is_cut_outside_its_quotes(
    field: str, items: list[tuple[str, dict[str, str]]]
) -> None:
    """RFC 8941 section 3.1.2, RFC 8586. An open quote takes the rest with it."""
    assert list(list_items(field)) == items


token = st.text("ab-/*", min_size=1, max_size=4)
quoted = st.text(',;="\\ ab', max_size=6)


def in_quotes(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(
    st.lists(
        st.tuples(token, st.dictionaries(token, st.one_of(token, quoted), max_size=3)),
        max_size=4,
    )
)
def test_what_is_written_by_the_grammar_is_read_as_it_was_meant(
    items: list[tuple[str, dict[str, str]]],
) -> None:
    written = ", ".join(
        "; ".join([name, *(f"{key}={in_quotes(text)}" for key, text in found.items())])
        for name, found in items
    )

    assert list(list_items(written)) == items


@given(st.text(',;="\\ \tab\n\xe9', max_size=40))
def test_a_broken_list_is_no_error_and_nothing_quoted_is_a_member(field: str) -> None:
    for item in list_items(field):
        assert item.value and item.value == item.value.strip(" \t")
        assert "," not in item.value.partition('"')[0]


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("59", 59),
        (" 59\t", 59),
        ("7, 60", 7),
        ("x, 60", 0),
        ("-7", 0),
        ("+7", 0),
        ("1.5", 0),
        ("1e3", 0),
        ("\u0667", 0),
        ("007", 7),
        ("2147483648", MAX_DELTA_SECONDS),
        ("2147483649", MAX_DELTA_SECONDS),
        ("9" * 5000, MAX_DELTA_SECONDS),
        ("0" * 5000 + "7", 7),
    ],
)
def test_an_age_is_seconds_or_none_at_all(field: str | None, seconds: int) -> None:
    """RFC 9111 sections 1.2.2 and 5.1: the first of several; the largest there is."""
    assert age_seconds(field) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("-7", None),
        ("soon", None),
        ("Wed, 01 Jan 2025 00:01:00 GMT", 60.0),
        ("Tue, 31 Dec 2024 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(
    value: str | None, seconds: float | None
) -> None:
    """RFC 9110 section 10.2.3."""
    assert retry_after(value, datetime(2025, 1, 1, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("field", "directives"),
    [
        ("", {}),
        (", ,", {}),
        ("max-age=60", {"max-age": "60"}),
        ("Max-Age = 60 ,\tPUBLIC", {"max-age": "60", "public": None}),
        ('max-age="60"', {"max-age": "60"}),
        ('private="set-cookie, x"', {"private": "set-cookie, x"}),
        (r'x="a\"b\\", y', {"x": 'a"b\\', "y": None}),
        ("x=", {"x": ""}),
        ("a=1, a=2", {"a": "2"}),
    ],
)
def test_directives_are_read_with_their_arguments(
    field: str, directives: dict[str, str | None]
) -> None:
    """RFC 9111 section 5.2: without case, token and quoted form alike."""
    assert cache_directives(field) == directives


@pytest.mark.parametrize("unit", ['a="', 'a="\\', ",", "a", "a=", " ", '"', "\\"])
def test_a_hostile_cache_control_is_read_to_its_end(unit: str) -> None:
    field = unit * (65536 // len(unit)) + ", no-store"

    assert isinstance(cache_directives(field), dict)


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("field", "trace"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f"cc-{TRACE}-b7ad6b7169203331-09", TRACE),
        (f"cc-{TRACE}-b7ad6b7169203331-09-what-the-future", TRACE),
        (f"00-{TRACE}-b7ad6b7169203331-01-more", ""),
        (f"cc-{TRACE}-b7ad6b7169203331-09more", ""),
        (f"ff-{TRACE}-b7ad6b7169203331-01", ""),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", ""),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE}-b7ad6b7169203331", ""),
        (f"00-{TRACE}-b7ad6b7169203331-01,00-{TRACE}-b7ad6b7169203331-01", ""),
        (f" 00-{TRACE}-b7ad6b7169203331-01", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_trace_has_an_id_if_its_field_is_well_formed(
    field: str | None, trace: str
) -> None:
    assert trace_id(field) == trace
