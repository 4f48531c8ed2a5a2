"""The monkey patch for commands that serve. Importing this module patches.

It is the first thing that ``ds-edge serve`` and ``origin`` import: a module imported
earlier would keep locks and sockets that block a whole worker instead of one greenlet.
Only ``edge.cli`` imports it, and never for a command that does not serve.
What happens next is in ``edge.cli.start``.
"""

from gevent import monkey

monkey.patch_all()
