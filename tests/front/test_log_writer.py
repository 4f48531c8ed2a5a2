"""Log lines leave without stopping anybody."""

import json
import logging
import os
from collections.abc import Iterator

import pytest

from edge.front.log import LineFormatter, LineHandler, LogWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading and its writing end."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_lines_are_written_in_order(pipe: tuple[int, int]) -> None:
    """The last ones too, when it ends."""
    output = LogWriter(pipe[1])
    output.start()
    for number in range(100):
        output.put(f"line {number}")
    output.stop()

    written = os.read(pipe[0], 1 << 16).decode().splitlines()
    assert written == [f"line {number}" for number in range(100)]


def test_lines_past_the_bound_are_dropped_and_counted(pipe: tuple[int, int]) -> None:
    """Nobody waits for a log that nobody reads; nothing is dropped silently."""
    output = LogWriter(pipe[1], max_lines=3)
    for number in range(5):
        output.put(f"line {number}")
    output.start()
    output.stop()

    *lines, last = os.read(pipe[0], 1 << 16).decode().splitlines()
    assert lines == ["line 0", "line 1", "line 2"]
    said = json.loads(last)
    assert said.pop("time").endswith("Z")
    assert said == {
        "level": "warning",
        "logger": "edge.log",
        "message": "lines were dropped: nothing reads the log",
        "lines": 2,
    }


def test_a_reader_that_went_away_is_no_error() -> None:
    """The edge outlives its log."""
    reading, writing = os.pipe()
    os.close(reading)
    output = LogWriter(writing)
    output.start()
    output.put("nobody reads this")
    output.stop()
    os.close(writing)


def test_a_record_becomes_one_json_line() -> None:
    """With its traceback, where there is one."""
    lines: list[str] = []
    handler = LineHandler(lines.append)
    handler.setFormatter(LineFormatter("json"))
    logger = logging.Logger("edge.test")
    logger.addHandler(handler)
    try:
        raise ValueError("of this")
    except ValueError:
        logger.exception("because %s", "x")

    document = json.loads(lines[0])
    assert document["level"] == "error"
    assert document["message"] == "because x"
    assert "ValueError: of this" in document["exception"]
    assert "\n" not in lines[0]
