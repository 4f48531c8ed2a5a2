"""read and tail against the Node reference server."""

import pytest

from tests.cli.streams.conftest import Run

TEXT = ("--content-type", "text/plain")
JSON = ("--content-type", "application/json")
MODES = pytest.mark.parametrize("mode", [(), ("--long-poll",)], ids=["sse", "poll"])


def test_a_read_prints_the_bytes_and_tells_the_next_offset(
    ds: Run, stream: str
) -> None:
    body = bytes(range(256))
    at = ds("create", stream, "-", "--json", given=body).told["next_offset"]

    ended = ds("read", stream)

    assert (ended.code, ended.out) == (0, body)
    assert ended.err == f"ds-edge: next offset: {at} (up to date)\n"


def test_a_read_goes_on_at_an_offset(ds: Run, stream: str) -> None:
    at = ds("create", stream, "-", *TEXT, "--json", given="abc").told["next_offset"]
    ds("append", stream, given="def")

    assert ds("read", stream, "--offset", "-1").out == b"abcdef"
    assert ds("read", stream, "--offset", at).out == b"def"
    end = ds("read", stream, "--offset", "now", "--json")
    assert (end.out, end.told["bytes"]) == (b"", 0)
    assert end.told["next_offset"] > at


def test_a_json_stream_is_printed_raw_or_by_lines(ds: Run, stream: str) -> None:
    ds("create", stream, "-", *JSON, given='[{"a":[1,2]},"x"]')

    assert ds("read", stream).out == b'[{"a":[1,2]},"x"]'
    assert ds("read", stream, "--json-lines").out == b'{"a":[1,2]}\n"x"\n'


def test_lines_are_only_made_of_json(ds: Run, stream: str) -> None:
    ds("create", stream, "-", *TEXT, given="[1,2]")

    assert ds("read", stream, "--json-lines").out == b"[1,2]"


@MODES
def test_a_tail_ends_when_the_stream_is_closed(
    ds: Run, stream: str, mode: tuple[str, ...]
) -> None:
    ds("create", stream, "-", *TEXT, "--closed", given="all\nof it\n")

    ended = ds("tail", stream, "--from-start", *mode)

    assert (ended.code, ended.out) == (0, b"all\nof it\n")
    assert ended.err.endswith("(closed)\n")
    assert ds("tail", stream, *mode).out == b""


@MODES
def test_a_tail_prints_each_message_of_a_json_stream_on_a_line(
    ds: Run, stream: str, mode: tuple[str, ...]
) -> None:
    ds("create", stream, "-", *JSON, "--closed", given="[1,[2,3]]")

    assert ds("tail", stream, "--from-start", *mode).out == b"1\n[2,3]\n"
