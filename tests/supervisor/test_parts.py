"""The supervisor's parts: backoff, death with the parent, signals to wait for."""

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from edge.supervisor import parent_death
from edge.supervisor.backoff import (
    FIRST_SECONDS,
    HEALTHY_SECONDS,
    MAX_SECONDS,
    pause_after,
)
from edge.supervisor.child import DIE_WITH_PARENT, Child
from tests.support.processes import ROOT

QUIT = [sys.executable, "-c", "raise SystemExit(3)"]


def test_a_first_death_is_hardly_noticed() -> None:
    assert pause_after(None, lived=0.0) == FIRST_SECONDS


def test_one_that_cannot_run_is_tried_less_and_less_often() -> None:
    pauses = [pause_after(None, 0.0)]
    for _ in range(9):
        pauses.append(pause_after(pauses[-1], 0.0))

    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_SECONDS


@given(st.floats(FIRST_SECONDS, MAX_SECONDS), st.floats(HEALTHY_SECONDS, 1e9))
def test_a_long_life_is_forgiven(last: float, lived: float) -> None:
    assert pause_after(last, lived) == FIRST_SECONDS


def test_a_command_whose_parent_died_early_does_not_start() -> None:
    """The kernel would never tell it: the parent's end is in the past."""
    orphan = [*DIE_WITH_PARENT, str(os.getppid()), "echo", "alive"]
    done = subprocess.run(orphan, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (parent_death.ORPHANED, "")


def test_a_command_that_dies_with_its_parent_is_the_command() -> None:
    """Same process, same exit code, same words."""
    words = [*DIE_WITH_PARENT, str(os.getpid()), sys.executable, "-c"]
    code = "import os, sys; print(os.getpid(), sys.argv[1:]); raise SystemExit(7)"
    started = subprocess.Popen([*words, code, "a b"], stdout=subprocess.PIPE, text=True)
    said, _ = started.communicate()

    assert said == f"{started.pid} ['a b']\n"
    assert started.returncode == 7


def test_a_child_tells_its_end_once() -> None:
    child = Child("quitter", QUIT)
    assert child.ended() is None
    child.start()
    codes = []
    while child.running:
        codes.append(child.ended())

    assert codes[-1] == 3
    assert set(codes[:-1]) <= {None}
    assert child.ended() is None


def test_signals_wait_instead_of_interrupting() -> None:
    """Sent before anybody waited, in a process of its own: main threads only."""
    code = (
        "import os, signal\n"
        "from edge.supervisor.signals import Signals\n"
        "signals = Signals((signal.SIGTERM, signal.SIGHUP))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(sorted(signals.wait(5)), signals.wait(0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (0, "[1, 15] []\n")


def test_the_supervisor_imports_the_standard_library_only() -> None:
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

    assert done.stdout == "[] []\n"
