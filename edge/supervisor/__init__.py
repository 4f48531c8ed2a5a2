"""The supervisor: the process that ``ds-edge serve`` becomes with its own origin.

It has two children, the origin and the edge, and nothing else: no settings, no
streams, no event loop, only the standard library. ``edge.cli.start`` checks all that it
can and then replaces itself with ``python -m edge.supervisor``.

- The origin is started first; the edge when the origin listens.
- An origin that dies is started again, after a longer pause each time. The edge goes
  on, and so do its parked readers.
- When the edge ends, the service ends: the origin is stopped, and the edge's exit code
  is the service's.
- Children die with this process, however it dies (``parent_death``).
"""
