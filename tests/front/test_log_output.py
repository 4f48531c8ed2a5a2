"""What writes the log waits for nobody, and changes nothing that others share."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.core.counters import Counters
from edge.front.log import LogWriter
from edge.front.log_output import MAX_KEPT, PIECE, DirectLog, LogOutput
from tests.support.patience import PATIENCE

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading and its writing end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read_all(fd: int) -> bytes:
    """Everything that is in a pipe now."""
    os.set_blocking(fd, False)
    octets = b""
    while True:
        try:
            octets += os.read(fd, 1 << 16)
        except BlockingIOError:
            return octets


def test_a_full_pipe_takes_what_it_can_and_makes_nobody_wait(
    pipe: tuple[int, int],
) -> None:
    """A dead reader: this used to hang a master for ever."""
    data = LINE * 5000
    rest = LogOutput(pipe[1]).write(data)

    assert 0 < len(rest) < len(data)
    assert read_all(pipe[0]) + rest == data


def test_what_a_full_pipe_takes_are_whole_lines(pipe: tuple[int, int]) -> None:
    """Another process may write its own behind them."""
    LogOutput(pipe[1]).write(LINE * 5000)

    assert read_all(pipe[0]).endswith(b"\n")


def test_a_line_that_is_longer_than_a_piece_comes_whole(pipe: tuple[int, int]) -> None:
    data = LINE + b"y" * PIECE * 3 + b"\n" + LINE

    assert LogOutput(pipe[1]).write(data) == b""
    assert read_all(pipe[0]) == data


def test_others_that_share_the_pipe_still_wait_as_they_did(
    pipe: tuple[int, int],
) -> None:
    """A shell's pipe must not begin to refuse what others write."""
    LogOutput(pipe[1]).write(LINE)

    assert os.get_blocking(pipe[1])


def test_a_socket_whose_reader_has_stopped_makes_nobody_wait() -> None:
    """As that of a service manager's journal."""
    writer, reader = socket.socketpair()
    with writer, reader:
        data = LINE * 50_000
        with closing(LogOutput(writer.fileno())) as output:
            rest = output.write(data)

        assert 0 < len(rest) < len(data)
        assert writer.getblocking()


def test_a_file_takes_everything(tmp_path: Path) -> None:
    """By the place that all who write there share."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        file.write(b"before\n")
        assert LogOutput(file.fileno()).write(LINE * 1000) == b""
        file.write(b"after\n")

    assert (tmp_path / "log").read_bytes() == b"before\n" + LINE * 1000 + b"after\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    output = LogOutput(writing)

    assert output.write(LINE) == b""
    os.close(writing)


def test_what_a_stuck_reader_does_not_take_is_kept_then_dropped_and_counted(
    pipe: tuple[int, int],
) -> None:
    log = DirectLog(pipe[1])
    for number in range(4000):
        log.put(f"{number:0100}")
    dropped = log.dropped
    taken = read_all(pipe[0])
    log.put("again")
    taken += read_all(pipe[0])
    log.put("and again")
    taken += read_all(pipe[0])

    *lines, said, again, last = taken.decode().splitlines()
    assert lines == [f"{number:0100}" for number in range(4000 - dropped)]
    assert dropped > 4000 - 2 * (MAX_KEPT + (1 << 16)) // 100
    assert json.loads(said)["lines"] == dropped
    assert (again, last) == ("again", "and again")


def test_a_fork_does_not_write_what_its_parent_kept(pipe: tuple[int, int]) -> None:
    log = DirectLog(pipe[1])
    for _ in range(1000):
        log.put("x" * 100)
    log.forget()
    read_all(pipe[0])
    log.put("mine")

    assert read_all(pipe[0]) == b"mine\n"


def test_a_worker_counts_what_it_drops_and_ends_with_a_stuck_reader(
    pipe: tuple[int, int],
) -> None:
    """The last lines are given up, the worker is not."""
    os.set_blocking(pipe[1], False)
    while True:
        try:
            os.write(pipe[1], b"x" * PIECE)
        except BlockingIOError:
            break
    os.set_blocking(pipe[1], True)
    writer = LogWriter(pipe[1], max_lines=3)
    writer.counters = counters = Counters()
    writer.start()
    for number in range(5):
        writer.put(f"line {number}")
    writer.stop()

    assert counters.log_lines_dropped == 2


def test_a_reader_that_keeps_up_gets_every_line(pipe: tuple[int, int]) -> None:
    """However many there are: more than a pipe holds at one time."""
    taken = bytearray()
    wanted = 15_000 * 101

    def read() -> None:
        while len(taken) < wanted and (piece := os.read(pipe[0], 1 << 16)):
            taken.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    writer = LogWriter(pipe[1])
    for number in range(15_000):
        writer.put(f"{number:0100}")
    writer.start()
    writer.stop()
    reader.join(PATIENCE)

    lines = taken.decode().splitlines()
    assert writer.dropped == 0
    assert lines == [f"{number:0100}" for number in range(15_000)]
