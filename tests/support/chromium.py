"""Chromium for the test of the page in ``docs``: found, or installed, never skipped.

On Debian and Ubuntu, as root, it is installed by name from the system's packages;
elsewhere the machine's owner is told what to install.
"""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium")


class ChromiumMissing(Exception):
    """There is no Chromium, and it could not be installed; the text says why."""


def find() -> str | None:
    """The path of a Chromium; None when PATH has none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def ensure() -> str:
    """``find``, after installing it where that is possible. Raises ChromiumMissing."""
    found = find()
    if found is None:
        _install()
        found = find()
    if found is None:
        raise ChromiumMissing("chromium was installed, and is not on PATH")
    return found


def _install() -> None:
    if shutil.which(INSTALL[0]) is None or os.geteuid() != 0:
        raise ChromiumMissing(
            f"this test drives a real browser: install Chromium ({NAMES[0]} on PATH)"
        )
    for command in (("apt-get", "update"), INSTALL):
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            said = "\n".join(done.stdout.splitlines()[-10:])
            raise ChromiumMissing(f"{' '.join(command)} failed:\n{said}")
