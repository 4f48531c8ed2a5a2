"""The command line: ``ds-edge``.

Light to import, on purpose. ``serve`` and ``origin`` run on gevent, and its monkey
patch must come before any other import: nothing is imported here that could hold an
unpatched lock or socket. The commands are in ``edge.cli.app``. Those for streams are
also in ``edge.cli.streams.app``, which needs no settings and starts in half the time.

``streams`` and ``bench`` are tools, for users and for measuring. The edge can be
understood without them.
"""

import importlib
import sys

from edge.cli.streams import NAMES


def main() -> None:
    """The entry of ``ds-edge``. Exits with the command's code."""
    if sys.argv[1:2] in (["serve"], ["origin"]):
        importlib.import_module("edge.cli.serve")
    alone = NAMES.intersection(sys.argv[1:2])
    name = "edge.cli.streams.app" if alone else "edge.cli.app"
    importlib.import_module(name).app(prog_name="ds-edge")
