"""Processes start when they answer, end when asked, and never outlive us."""

import http.client
import os
import signal
import subprocess
import sys

import pytest

from tests.support import processes
from tests.support.processes import ROOT, ProcessFault, running

WAITS = "import sys; sys.stdin.read()"
DEAF = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); sys.stdin.read()"
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_process_ends_with_its_context() -> None:
    with running("waiter", python(WAITS)) as process:
        assert not process.ended(within=0)
    assert process.handle.returncode == -signal.SIGTERM


def test_a_process_that_is_killed_by_the_test_is_no_fault() -> None:
    with running("victim", python(WAITS)) as process:
        os.kill(process.pid, signal.SIGKILL)
        assert process.ended(within=10)


def test_a_process_that_ignores_term_is_killed_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "STOP_WITHIN", 0.1)
    deaf = running("stubborn", python(DEAF), stdout=subprocess.PIPE)
    with pytest.raises(ProcessFault, match="stubborn did not end"), deaf as process:
        assert process.handle.stdout is not None
        with process.handle.stdout as said:
            assert said.readline() == b"deaf\n"
    assert process.handle.returncode == -signal.SIGKILL


def test_a_failure_shows_the_log_of_the_process() -> None:
    loud = python("print('it went wrong here')")
    with pytest.raises(ValueError) as failure, running("loud", loud) as process:
        assert process.ended(within=10)
        raise ValueError
    assert "it went wrong here" in failure.value.__notes__[0]


def test_a_process_that_ends_early_is_never_ready() -> None:
    address = f"127.0.0.1:{processes.free_port()}"
    short = running("short", python("raise SystemExit(3)"))
    with pytest.raises(ProcessFault, match="ended with 3 before"), short as process:
        processes.wait_until_ready(process, address, "/ready")


def test_a_child_dies_with_its_parent() -> None:
    """Both write to one pipe, so its end is the end of both."""
    forever = "import signal; print('alive', flush=True); signal.pause()"
    parent = (
        "import sys\n"
        "from tests.support.processes import running\n"
        f"with running('child', [sys.executable, '-c', {forever!r}], stdout=1) as it:\n"
        "    it.handle.wait()\n"
    )
    with subprocess.Popen(python(parent), cwd=ROOT, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"alive\n"
        started.kill()
        assert started.stdout.read() == b""


def test_the_node_origin_answers() -> None:
    with processes.node_origin() as origin:
        connection = http.client.HTTPConnection(origin.url.removeprefix("http://"))
        connection.request(
            "PUT", "/v1/stream/a", headers={"content-type": "text/plain"}
        )
        assert connection.getresponse().status == 201
        connection.close()


def test_settings_are_laid_over_key_by_key() -> None:
    base = {"listen": "a", "origin": {"url": "b", "connections": 1}}
    top = {"origin": {"connections": 2}, "live": {"linger": "0s"}}
    assert processes.laid_over(base, top) == {
        "listen": "a",
        "origin": {"url": "b", "connections": 2},
        "live": {"linger": "0s"},
    }
