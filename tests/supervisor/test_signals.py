"""Signals as something to wait for."""

import subprocess
import sys

from tests.support.processes import ROOT


def test_signals_wait_instead_of_interrupting() -> None:
    """Sent before anybody waited, in a process of its own: main threads only."""
    code = (
        "import os, signal\n"
        "from edge.supervisor.signals import Signals\n"
        "signals = Signals((signal.SIGTERM, signal.SIGHUP))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(sorted(signals.wait(30)), signals.wait(0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (0, "[1, 15] []\n")
