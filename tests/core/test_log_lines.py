"""A line of the log, in both formats, whatever it tells."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.log_lines import dropped_line, log_line, logfmt, timestamp

WHEN = 1_700_000_000.25
ANYTHING = st.text(st.characters(exclude_categories=()))
PAIR = re.compile(r'([a-z]+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?: |$)')


def read_logfmt(line: str) -> dict[str, str]:
    """The pairs of a line, as a reader of logfmt takes it apart."""
    pairs, at = {}, 0
    while at < len(line):
        found = PAIR.match(line, at)
        assert found is not None, line[at:]
        value = found[2]
        pairs[found[1]] = json.loads(value) if value.startswith('"') else value
        at = found.end()
    return pairs


@given(ANYTHING)
def test_what_is_said_is_what_is_read(message: str) -> None:
    """One line of printable ASCII, in both formats."""
    more: dict[str, str | int | float] = {"exception": message, "lines": 3}
    as_json, as_text = (
        log_line(form, WHEN, "info", "edge.test", message, more)
        for form in ("json", "text")
    )
    said = {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "logger": "edge.test",
        "message": message,
        "exception": message,
    }

    assert json.loads(as_json) == said | {"lines": 3}
    assert read_logfmt(as_text) == said | {"lines": "3"}
    assert (as_json + as_text).isascii() and (as_json + as_text).isprintable()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("word", "word"),
        ("/v1/stream/a", "/v1/stream/a"),
        ("two words", '"two words"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "x"', r'"say \"x\""'),
        ("a\nb", r'"a\nb"'),
        (12.5, "12.5"),
    ],
)
def test_a_value_that_is_no_plain_word_is_quoted(
    value: str | float, written: str
) -> None:
    assert logfmt({"key": value}) == f"key={written}"


@pytest.mark.parametrize("level", ["critical", "notset", "whatever"])
def test_a_level_that_nobody_promised_is_an_error(level: str) -> None:
    """Who reads the log knows four."""
    line = json.loads(log_line("json", WHEN, level, "gunicorn.error", "x"))

    assert line["level"] == "error"


def test_dropped_lines_are_counted_in_a_line() -> None:
    line = json.loads(dropped_line("json", WHEN, 7))

    assert (line["level"], line["lines"]) == ("warning", 7)


@given(st.floats(0, 4e9))
def test_a_time_is_never_in_the_future(unix: float) -> None:
    assert timestamp(unix) <= timestamp(unix + 1)
    assert len(timestamp(unix)) == len("2023-11-14T22:13:20.250Z")
