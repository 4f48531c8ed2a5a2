"""create, append, close, delete against the Node reference server."""

from pathlib import Path

import pytest

from tests.cli.streams.conftest import Run

TEXT = ("--content-type", "text/plain")
JSON = ("--content-type", "application/json")


def test_a_stream_is_created_and_a_second_time_it_exists(ds: Run, stream: str) -> None:
    first = ds("create", stream, *TEXT)
    second = ds("create", stream, *TEXT, "--json")

    assert (first.code, first.out) == (0, b"")
    assert first.err.startswith("ds-edge: created, next offset: ")
    assert (second.told["ok"], second.told["created"]) == (True, False)
    assert second.told["content_type"] == "text/plain"


def test_a_stream_that_exists_otherwise_is_a_conflict(ds: Run, stream: str) -> None:
    ds("create", stream, *TEXT)

    ended = ds("create", stream, "--content-type", "text/html")

    assert ended.code == 5
    assert ended.err.startswith("error: 409 Conflict: Stream already exists")


def test_a_create_may_bring_all_there_is(ds: Run, stream: str) -> None:
    ended = ds("create", stream, "-", *TEXT, "--closed", "--json", given="all of it")

    assert ended.told["closed"] is True
    assert ds("read", stream).out == b"all of it"
    assert ds("read", stream, "--json").told["closed"] is True


def test_a_create_says_when_the_stream_ends(ds: Run, stream: str) -> None:
    assert ds("create", stream, "--ttl", "3600").code == 0
    assert ds("create", stream, "--ttl", "1800").code == 5
    assert ds("create", f"{stream}-b", "--expires-at", "2999-01-31T12:00:00Z").code == 0
    assert ds("create", f"{stream}-c", "--expires-at", "tomorrow").code == 1


def test_a_fork_begins_where_it_is_told(ds: Run, stream: str) -> None:
    """PROTOCOL.md section 4.2."""
    at = ds("create", stream, "-", *TEXT, "--json", given="abc").told["next_offset"]
    ds("append", stream, given="defg")

    ds("create", f"{stream}-1", "--fork-from", stream)
    ds("create", f"{stream}-2", "--fork-from", stream, "--fork-offset", at)
    ds("create", f"{stream}-3", "--fork-from", stream, "--fork-offset", at,
       "--fork-sub-offset", "2")  # fmt: skip

    assert ds("read", f"{stream}-1").out == b"abcdefg"
    assert ds("read", f"{stream}-2").out == b"abc"
    assert ds("read", f"{stream}-3").out == b"abcde"
    assert ds("create", f"{stream}-4", "--fork-from", "/none").code == 3


def test_input_is_one_body_unless_told_otherwise(ds: Run, stream: str) -> None:
    ds("create", stream, *TEXT)

    ended = ds("append", stream, "--json", given="one\ntwo\n")

    assert (ended.told["appends"], ended.told["items"]) == (1, None)
    assert ds("read", stream).out == b"one\ntwo\n"


def test_a_large_body_is_streamed_from_a_file(
    ds: Run, stream: str, tmp_path: Path
) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(range(256)) * 4096)
    ds("create", stream)

    assert ds("append", stream, str(file)).code == 0
    assert ds("append", stream, given=file.read_bytes()).code == 0
    assert ds("read", stream).out == file.read_bytes() * 2


def test_each_line_is_an_append(ds: Run, stream: str) -> None:
    ds("create", stream, *TEXT)

    alone = ds("append", stream, "--lines", "--json", given="a\nb\n\nc")
    together = ds("append", stream, "--lines", "--batch", "9", "--json", given="\nd\n")

    assert (alone.told["appends"], alone.told["items"]) == (4, 4)
    assert (together.told["appends"], together.told["items"]) == (1, 2)
    assert ds("read", stream).out == b"a\nb\n\nc\nd\n"


def test_each_json_value_is_a_message(ds: Run, stream: str) -> None:
    ds("create", stream, *JSON)

    ds("append", stream, "--lines", given='{"n":1}\n[2,3]\n')
    ds("append", stream, "--messages", given='{"n":\n4} 5 "x"')
    ds("append", stream, given="[6,7]")

    lines = ds("read", stream, "--json-lines").out.decode().splitlines()
    assert lines == ['{"n":1}', "[2,3]", '{"n":4}', "5", '"x"', "6", "7"]


def test_lines_before_a_faulty_one_are_appended_and_counted(
    ds: Run, stream: str
) -> None:
    ds("create", stream, *JSON)

    ended = ds("append", stream, "--lines", given="1\noops\n3\n")

    assert ended.code == 1
    assert ended.err.startswith("error: line 2 is no JSON\nds-edge: appends: 1, ")
    assert ds("read", stream).out == b"[1]"


def test_nothing_to_append_is_told(ds: Run, stream: str) -> None:
    ds("create", stream, *TEXT)

    assert ds("append", stream).err.startswith("error: there is nothing to append\n")
    assert ds("append", stream, "--lines").code == 0


@pytest.mark.parametrize("mode", [(), ("--lines",), ("--lines", "--batch", "9")])
def test_the_last_append_closes(ds: Run, stream: str, mode: tuple[str, ...]) -> None:
    """PROTOCOL.md section 5.2: append and close are one step."""
    ds("create", stream, *TEXT)

    ended = ds("append", stream, *mode, "--close", "--json", given="a\nb\n")

    assert ended.told["closed"] is True
    assert ds("read", stream).out == b"a\nb\n"
    assert ds("append", stream, given="c").code == 5


@pytest.mark.parametrize("mode", [(), ("--lines",)])
def test_without_input_the_stream_is_only_closed(
    ds: Run, stream: str, mode: tuple[str, ...]
) -> None:
    ds("create", stream, *TEXT)

    ended = ds("append", stream, *mode, "--close", "--json")

    assert (ended.told["closed"], ended.told["appends"]) == (True, 0)


def test_a_producer_appends_once_however_often_it_is_run(ds: Run, stream: str) -> None:
    """PROTOCOL.md section 5.2.1."""
    ds("create", stream, *TEXT)
    run = ("append", stream, "--lines", "--producer-id", "p", "--json")

    first = ds(*run, given="a\nb\n")
    again = ds(*run, given="a\nb\n")
    more = ds(*run, "--producer-seq", str(first.told["next_seq"]), given="c\n")

    assert (first.told["duplicates"], first.told["next_seq"]) == (0, 2)
    assert (again.told["duplicates"], again.told["next_seq"]) == (2, 2)
    assert more.told["next_seq"] == 3
    assert ds("read", stream).out == b"a\nb\nc\n"


def test_a_gap_and_a_stale_epoch_are_conflicts(ds: Run, stream: str) -> None:
    ds("create", stream, *TEXT)
    run = ("append", stream, "--producer-id", "p")
    ds(*run, "--epoch", "1", given="a")

    gap = ds(*run, "--epoch", "1", "--producer-seq", "5", given="b")
    stale = ds(*run, "--epoch", "0", given="b")

    assert gap.code == stale.code == 5
    assert "1 comes next, 5 was sent" in gap.err
    assert "the producer's epoch is over: it is 1 now" in stale.err


def test_a_sequence_must_rise(ds: Run, stream: str) -> None:
    """PROTOCOL.md section 5.2: Stream-Seq compares as text."""
    ds("create", stream, *TEXT)

    assert ds("append", stream, "--seq", "b", given="1").code == 0
    assert ds("append", stream, "--seq", "a", given="2").code == 5


def test_a_stream_is_closed_once_and_for_all(ds: Run, stream: str) -> None:
    ds("create", stream, *TEXT)

    assert ds("close", stream).err.startswith("ds-edge: closed, next offset: ")
    assert ds("close", stream, "--json").told["closed"] is True
    refused = ds("append", stream, given="x")
    assert refused.code == 5
    assert refused.err.startswith("error: 409 Conflict: the stream is closed at ")


def test_a_stream_is_deleted_and_then_not_found(ds: Run, stream: str) -> None:
    ds("create", stream)

    assert ds("delete", stream).code == 0
    gone = ds("delete", stream, "--json")
    assert (gone.code, gone.told["exit"], gone.told["status"]) == (3, 3, 404)
    for command in ("append", "read", "tail", "close"):
        assert ds(command, stream, given="x").code == 3


def test_a_stream_with_forks_is_gone(ds: Run, stream: str) -> None:
    """PROTOCOL.md section 4.2: soft-deleted."""
    ds("create", stream, *TEXT)
    ds("create", f"{stream}-fork", "--fork-from", stream)

    assert ds("delete", stream).code == 0
    assert ds("read", stream).code == 4
    assert ds("delete", stream).code == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "nowhere"), "URL: expected http"),
        (("create", "http://h/s", "--ttl", "1", "--expires-at", "x"), "--ttl: "),
        (("create", "http://h/s", "--fork-offset", "1"), "--fork-from: required"),
        (("create", "http://h/s", "/no/such/file"), "/no/such/file: No such file"),
        (("create", "http://h/s", "-H", "oops"), "--header: expected"),
        (("append", "http://h/s", "--batch", "2"), "--batch: needs --lines"),
        (("append", "http://h/s", "--lines", "--messages"), "--lines: "),
        (("append", "http://h/s", "--lines", "--seq", "a"), "--seq: "),
        (("append", "http://h/s", "--epoch", "1"), "--producer-id: required"),
        (("append", "http://h/s", "--producer-id", ""), "--producer-id: must not"),
        (("append", "http://h/s", "--producer-id", "é"), "--producer-id: only"),
        (("read", "http://h/s", "--offset", "a b"), "--offset: "),
        (("tail", "http://h/s", "--offset", "1", "--from-start"), "--offset: "),
    ],
)
def test_options_that_mean_nothing_are_refused_unsent(
    ds: Run, arguments: tuple[str, ...], said: str
) -> None:
    ended = ds(*arguments)

    assert ended.code == 2
    assert ended.err.startswith(f"error: {said}")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("--ttl", "-1"), ("--timeout", "0"), ("--retries", "x"), ("--what",)]
)
def test_options_that_are_no_options_exit_with_2(
    ds: Run, arguments: tuple[str, ...]
) -> None:
    assert ds("create", "http://h/s", *arguments).code == 2
