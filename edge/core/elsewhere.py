"""Elsewhere: what viewers the other processes of a node have, as last looked at.

The limit on viewers is the node's, and not divided among its processes: each adds to
its own number what the others had a quarter of a second ago (W13). Where a process is
alone, there is nobody else (``NOBODY``).
"""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Elsewhere:
    """Kept right by the timer of beats; read before a viewer is let in."""

    viewers: int = 0


NOBODY = Elsewhere()
"""For a process that is alone. Never changed."""
