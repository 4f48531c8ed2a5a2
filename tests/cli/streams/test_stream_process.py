"""The stream commands as processes of their own: signals, pipes, memory, imports."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from tests.cli.streams.conftest import Run
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT, ds_edge

MIB = 1024 * 1024
LARGE = 96 * MIB

PEAK = (
    "import atexit, resource, sys\n"
    "def peak():\n"
    "    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    "    print('peak', kib * 1024, file=sys.stderr)\n"
    "atexit.register(peak)\n"
    "from edge.cli import main; main()\n"
)
"""``ds-edge`` that tells its largest size in bytes at its end."""


@contextmanager
def process(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as handle:
        try:
            yield handle
        finally:
            handle.kill()


@pytest.mark.parametrize("mode", [[], ["--long-poll"]])
def test_a_tail_prints_at_once_and_an_interrupt_tells_where_to_resume(
    ds: Run, stream: str, mode: list[str]
) -> None:
    at = ds("create", stream, "-", "-t", "text/plain", "--json", given="one\n")

    with process(*ds_edge("tail", stream, "--from-start", *mode)) as tail:
        assert tail.stdout is not None
        assert tail.stdout.readline() == b"one\n"
        assert ds("append", stream, given="two\n").code == 0
        assert tail.stdout.readline() == b"two\n"
        tail.send_signal(signal.SIGINT)
        _, err = tail.communicate(timeout=30)

    first, second = err.decode().splitlines()
    assert tail.returncode == 130
    assert first == "error: interrupted"
    assert second.startswith("ds-edge: next offset: ")
    assert at.told["next_offset"] in second or "two" not in second


def test_lines_are_appended_as_they_come(ds: Run, stream: str) -> None:
    """Nothing waits for a batch to be full, or for the input to end."""
    ds("create", stream, "-t", "text/plain")

    with (
        process(*ds_edge("tail", stream, "--from-start")) as tail,
        process(*ds_edge("append", stream, "--lines", "--batch", "9")) as append,
    ):
        assert tail.stdout is not None and append.stdin is not None
        for line in (b"one\n", b"two\n"):
            append.stdin.write(line)
            append.stdin.flush()
            assert tail.stdout.readline() == line
        append.send_signal(signal.SIGINT)
        _, err = append.communicate(timeout=30)

    assert append.returncode == 130
    assert b"next offset: " in err


def test_a_reader_that_goes_away_ends_a_read_quietly(ds: Run, stream: str) -> None:
    ds("create", stream, "-", given=bytes(4 * MIB))

    with process(*ds_edge("read", stream)) as read:
        assert read.stdout is not None and read.stderr is not None
        assert read.stdout.read(1) == b"\0"
        read.stdout.close()
        err = read.stderr.read()
        read.wait(timeout=PATIENCE)

    assert (read.returncode, err) == (141, b"")


def test_a_full_disk_is_one_line(ds: Run, stream: str) -> None:
    ds("create", stream, "-", given=bytes(MIB))

    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            ds_edge("read", stream), cwd=ROOT, stdout=full, stderr=subprocess.PIPE
        )

    assert ended.returncode == 1
    assert ended.stderr.startswith(b"error: standard output: No space left")


@pytest.mark.parametrize(
    ("arguments", "closed", "said"),
    [
        (("append", "-t", "text/plain"), "<&-", b"standard input is closed"),
        (("read",), ">&-", b"standard output is closed"),
    ],
)
def test_without_its_standard_stream_a_command_says_so(
    stream: str, arguments: tuple[str, ...], closed: str, said: bytes
) -> None:
    command = ds_edge(*arguments, stream)
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )

    assert ended.returncode == 1
    assert ended.stderr == b"error: " + said + b"\n"


def test_large_streams_take_little_memory_in_both_directions(
    ds: Run, stream: str
) -> None:
    """Constant memory: what a process holds does not grow with what passes."""
    ds("create", stream)
    small = _peak(["append", stream], b"x")

    assert _peak(["append", stream], bytes(LARGE)) - small < LARGE / 3
    assert _peak(["read", stream], b"") - small < LARGE / 3


def _peak(arguments: list[str], given: bytes) -> int:
    with process(sys.executable, "-c", PEAK, *arguments) as running:
        assert running.stdout is not None
        feeder = threading.Thread(target=_discard, args=(running.stdout,))
        feeder.start()
        assert running.stdin is not None and running.stderr is not None
        running.stdin.write(given)
        running.stdin.close()
        last = running.stderr.read().splitlines()[-1]
        feeder.join()
    word, number = last.split()
    assert word == b"peak"
    return int(number)


def _discard(output: IO[bytes]) -> None:
    while output.read(MIB):
        pass


def _loaded(*arguments: str) -> set[str]:
    code = (
        "import atexit, sys; sys.argv[0] = 'ds-edge'\n"
        "atexit.register(lambda: print(*sys.modules))\n"
        "from edge.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    return set(ended.stdout.splitlines()[-1].split())


def test_the_commands_are_not_patched_and_load_no_settings(origin: str) -> None:
    loaded = _loaded("close", f"{origin}/v1/stream/none")

    assert "requests" in loaded
    assert not loaded & {"gevent", "gunicorn", "falcon", "edge.settings"}


def test_help_needs_no_http() -> None:
    assert not _loaded("read", "--help") & {"requests", "urllib3", "gevent"}


def test_the_commands_are_listed_beside_the_others() -> None:
    ended = subprocess.run(
        ds_edge("--help"), cwd=ROOT, capture_output=True, text=True, check=True
    )

    for name in ("serve", "create", "append", "read", "tail", "close", "delete"):
        assert f" {name} " in ended.stdout
