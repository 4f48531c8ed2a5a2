"""What workers tell their master, through a pipe in this very process."""

import os
import signal
from collections.abc import Iterator

import pytest

from edge.process.worker_pipe import READY, WAKE, WorkerPipe


@pytest.fixture
def woken() -> Iterator[list[int]]:
    """The signals that came, for as long as a test runs."""
    came: list[int] = []
    before = signal.signal(WAKE, lambda number, _frame: came.append(number))
    yield came
    signal.signal(WAKE, before)


def test_lines_are_read_once_in_their_order(woken: list[int]) -> None:
    """And the master is woken for them."""
    pipe, me = WorkerPipe(), os.getpid()
    worker = os.fork()
    if worker == 0:
        pipe.write(READY, me)
        pipe.write("over-memory", me)
        os._exit(0)
    os.waitpid(worker, 0)

    assert list(pipe.read()) == [(READY, worker), ("over-memory", worker)]
    assert list(pipe.read()) == []
    assert woken


def test_who_has_a_dead_master_s_pid_is_not_woken(woken: list[int]) -> None:
    """It is somebody else, whom the signal may end."""
    pipe = WorkerPipe()
    pipe.write(READY, os.getpid())

    assert list(pipe.read()) == [(READY, os.getpid())]
    assert not woken


def test_a_master_that_has_gone_is_no_error() -> None:
    """The worker's heartbeat notices, and ends it."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    pipe = WorkerPipe()
    pipe.write(READY, pid)

    assert list(pipe.read()) == [(READY, os.getpid())]
