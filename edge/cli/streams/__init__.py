"""The commands for streams: create, append, read, tail, close, delete.

They speak the protocol with any server that does; nothing here knows whether an
edge is in between. Parts, from the wire to the words:

``address``, ``client``, ``faults``
    where to ask, one request and its answer, and what went wrong;
``policy``
    when to try again;
``sse_events``, ``json_values``
    bytes cut into events and into messages, without holding more than one;
``source``, ``batches``, ``writing``
    what goes out; ``once``, ``output``, ``reading``, ``following`` what comes in;
``conclusion``, ``progress``, ``app``
    what is told, the exit code, and the options.

Light to import: ``app`` loads what speaks HTTP only when a command runs.
"""

NAMES = frozenset({"create", "append", "read", "tail", "close", "delete"})
"""What the commands are called; ``edge.cli`` finds their way without the rest."""
