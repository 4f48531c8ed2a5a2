"""The monkey patch for commands that serve. Importing this module patches.

``ds-edge serve`` and ``origin`` import it before anything else. A module imported
earlier would keep locks and sockets that block a whole worker instead of one greenlet.
Only ``edge.cli`` imports it, and only for a command that serves. ``edge.cli.start``
comes next.
"""

from gevent import monkey

monkey.patch_all()
