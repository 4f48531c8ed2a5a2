"""The monkey patch for commands that serve. Importing this module patches.

``ds-edge serve`` and ``origin`` import it before anything else. A module imported
earlier would keep locks and sockets that block a whole worker instead of one greenlet.
Only ``edge.cli`` imports it, and only for a command that serves. ``edge.cli.start``
comes next.
"""

from gevent import events, monkey

# For each of its 25 events gevent would look for plugins among all that is installed.
# There are none, and where much is installed that took a fifth of a start.
events.notify_and_call_entry_points = events.notify  # type: ignore[attr-defined]
monkey.patch_all()
