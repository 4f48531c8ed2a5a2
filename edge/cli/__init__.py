"""The command line: ``ds-edge``.

Import-light on purpose: ``serve`` and ``origin`` run on gevent, whose monkey patch
must come before anything else is imported, so nothing is imported here that could
hold an unpatched lock or socket. The commands themselves are in ``edge.cli.app``;
those for streams also stand alone in ``edge.cli.streams.app``, which needs no
settings and so starts in half the time.
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
