"""One child process, and its death with its parent."""

import os
import subprocess
import sys

from edge.supervisor import parent_death
from edge.supervisor.child import DIE_WITH_PARENT, Child

QUIT = [sys.executable, "-c", "raise SystemExit(3)"]


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
