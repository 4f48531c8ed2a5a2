"""The command line: ``ds-edge``.

Import-light on purpose: ``serve`` runs on gevent, whose monkey patch must come
before anything else is imported, so nothing is imported here that could hold an
unpatched lock or socket. The commands themselves are in ``edge.cli.app``.
"""

import importlib
import sys


def main() -> None:
    """The entry of ``ds-edge``. Exits with the command's code."""
    if sys.argv[1:2] == ["serve"]:
        importlib.import_module("edge.cli.serve")
    importlib.import_module("edge.cli.app").app(prog_name="ds-edge")
