"""The supervisor: the process that ``ds-edge serve`` becomes with its own origin.

Two children, the origin and the edge, and nothing else: no settings, no streams,
no event loop, only the standard library. ``edge.cli.start`` replaces itself with
``python -m edge.supervisor`` once everything that can be checked was checked.

- The origin is started first; the edge when the origin listens.
- An origin that dies is started again, later each time; the edge goes on, and
  its parked readers wait on.
- The edge decides when it is over: when it ends, the origin is told to, and the
  edge's exit code is passed on.
- Children die with this process, however it dies (``parent_death``).
"""
