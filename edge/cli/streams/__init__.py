"""The commands for streams: create, append, read, tail, close, delete.

A tool: clients of the protocol, not a part of the edge. The edge can be understood
without it, and it works with any server of streams. Parts, from the wire to the words:

``address``, ``session``, ``client``, ``server_errors``, ``exit_faults``
    where to ask, one request and its answer, and what went wrong;
``retry_policy``
    when to try again;
``sse_events``, ``json_values``
    bytes cut into events and into messages, without holding more than one;
``source``, ``batches``, ``writing``
    what goes out;
``replay_check``, ``output``, ``reading``, ``following``
    what comes in;
``app``, ``command``, ``options``, ``progress``, ``report``
    the commands, what all of them have in common, what is printed, the exit code.

Light to import: what speaks HTTP is loaded when a command runs.
"""

NAMES = frozenset({"create", "append", "read", "tail", "close", "delete"})
"""The names of the commands; ``edge.cli`` needs them to choose what it loads."""
