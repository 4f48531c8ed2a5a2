"""Where the files lie that come with the program: its pages, the settings.

A checkout has them in its own folders. A wheel carries them as data, and whoever
installs it chooses the folder (an environment's ``share``, ``/usr/local/share``): the
record of the installed package tells it. Reads names of files, and no file.
"""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import edge

DISTRIBUTION = "durable-streams-edge"
SHARED = "share/ds-edge/"
"""The folder that ``pyproject.toml`` puts them into."""

PAGE = "docs/follow.html"
DASHBOARD = "docs/dashboard.html"
SETTINGS = "config/edge.yaml"


def page() -> Path | None:
    """The page that follows a stream; None if it was not installed."""
    return path_of(PAGE)


def path_of(name: str) -> Path | None:
    """Where the file ``name`` of the checkout lies here; None if it is nowhere."""
    checkout = Path(edge.__file__).resolve().parents[1] / name
    if checkout.is_file():
        return checkout
    try:
        installed = files(DISTRIBUTION) or ()
    except PackageNotFoundError:
        return None
    for one in installed:
        if one.as_posix().endswith(SHARED + name):
            found = Path(str(one.locate())).resolve()
            return found if found.is_file() else None
    return None
