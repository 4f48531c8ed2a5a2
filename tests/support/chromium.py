"""Chromium for the test of the page in ``docs``: found, or installed, never skipped."""

import shutil

from tests.support import programs

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """The path of a Chromium; None when PATH has none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def ensure() -> str:
    """``find``, after installing it where that is possible. Raises ProgramMissing."""
    return find() or programs.ensure(NAMES[0], NAMES[0])
