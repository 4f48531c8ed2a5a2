"""The supervisor with stand-ins: small commands that play an origin and an edge.

What the real ones do is in ``test_service``; here they do what is hard to make
them do. Everything they say comes through one pipe, so reading it is waiting.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.processes import ROOT

READY = "import os, signal, sys; os.write(int(sys.argv[-1]), b'1');"
LIVES = READY + "signal.pause()"
DIES = READY + "open(sys.argv[1], 'a').write('x'); sys.exit(9)"
NEVER_READY = "import signal; print('origin', flush=True); signal.pause()"
FAILS = "import sys; sys.exit(3)"

ENDS = "import sys; print('edge', flush=True); sys.exit(5)"
STAYS = "import signal; print('edge', flush=True); signal.pause()"
DEAF = (
    "import signal; told = lambda *_: print('told', flush=True);"
    "signal.signal(signal.SIGTERM, told); print('edge', flush=True)\n"
    "while True: signal.pause()"
)
PATIENT = (
    "import os, sys, time\n"
    "while not os.path.exists(sys.argv[1]) or os.path.getsize(sys.argv[1]) < 3:\n"
    "    time.sleep(0.02)"
)


@contextmanager
def supervised(
    origin: str, edge: str, file: str = "", form: str = "text"
) -> Iterator[subprocess.Popen[str]]:
    """A supervisor of two commands; ``file`` is an argument of both."""
    python = [sys.executable, "-c"]
    command = [sys.executable, "-m", "edge.supervisor", "0", form]
    command += [*python, origin, file, "--", *python, edge, file]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def said(pipe: IO[str] | None) -> IO[str]:
    """A pipe that is there."""
    assert pipe is not None
    return pipe


def test_the_edge_s_exit_code_is_the_service_s() -> None:
    with supervised(LIVES, ENDS) as service:
        out, error = service.communicate()

    assert (service.returncode, out) == (5, "edge\n")
    assert error.endswith(' message="the edge ended with 5"\n')


def test_an_origin_that_cannot_start_ends_it_before_the_edge_begins() -> None:
    with supervised(FAILS, ENDS) as service:
        out, error = service.communicate()

    assert (service.returncode, out, error) == (3, "", "")


def test_told_to_stop_before_the_origin_was_ready_is_no_failure() -> None:
    with supervised(NEVER_READY, ENDS) as service:
        assert said(service.stdout).readline() == "origin\n"
        service.terminate()
        out, error = service.communicate()

    assert (service.returncode, out, error) == (0, "", "")


def test_an_edge_that_does_not_listen_to_term_yet_was_stopped_all_the_same() -> None:
    """It dies of the signal; that was asked for, and is no failure."""
    with supervised(LIVES, STAYS) as service:
        assert said(service.stdout).readline() == "edge\n"
        service.terminate()
        service.communicate()

    assert service.returncode == 0


def test_an_origin_that_dies_again_and_again_is_given_more_and_more_time(
    tmp_path: Path,
) -> None:
    with supervised(DIES, PATIENT, str(tmp_path / "deaths")) as service:
        _, error = service.communicate()

    assert service.returncode == 0
    waits = [line.partition("message=")[2] for line in error.splitlines()]
    assert waits[:2] == [
        '"the origin ended with 9; again in 0.1 s"',
        '"the origin ended with 9; again in 0.2 s"',
    ]


def test_an_edge_that_will_not_stop_is_killed_when_told_twice() -> None:
    with supervised(LIVES, DEAF) as service:
        assert said(service.stdout).readline() == "edge\n"
        service.terminate()
        assert said(service.stdout).readline() == "told\n"
        service.send_signal(signal.SIGINT)
        _, error = service.communicate()

    assert service.returncode == 128 + signal.SIGKILL
    assert error.endswith(' message="told twice to stop: killing what is left"\n')


def test_lines_for_programs_have_the_form_of_the_edge_s() -> None:
    with supervised(LIVES, ENDS, form="json") as service:
        _, error = service.communicate()
    line = json.loads(error)

    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "edge.supervisor",
        "message": "the edge ended with 5",
    }


def test_the_supervisor_imports_little_beside_the_standard_library() -> None:
    """It lives as long as the service, and has nothing to do with gevent."""
    code = (
        "import sys, edge.supervisor.__main__\n"
        "home = [m for m in sys.modules if m.split('.')[0] in "
        "('gevent', 'gunicorn', 'falcon', 'typer', 'pydantic', 'origin_adapter')]\n"
        "print(home, sorted(m for m in sys.modules if m.startswith('edge.') "
        "and not m.startswith('edge.supervisor')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )

    light = ["edge.core", "edge.core.log_lines", "edge.front", "edge.front.log_output"]
    assert done.stdout == f"[] {light}\n"
