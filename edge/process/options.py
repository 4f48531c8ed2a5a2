"""What an operator sets about the process. Settings fill these, and hold the
defaults; what no setting names has its value here.

Durations are seconds, sizes are bytes.
"""

from dataclasses import dataclass, field

from edge.front.options import Limits, LogOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleOptions:
    """When a worker asks to be replaced: not for a reason that is None.

    ``after_requests`` are reads and writes, ``memory`` is what the process holds.
    No worker is replaced before it has lived ``least_age`` seconds.
    """

    after_requests: int | None
    memory: int | None
    least_age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """The process: addresses, workers, how it leaves.

    ``listen`` and ``admin`` are as gunicorn takes them: ``host:port``,
    ``unix:/path`` or ``fd://n``; an empty ``admin`` is none. ``grace`` is how
    long requests may take to finish after a signal to stop; for the first
    ``idle_grace`` of it idle connections may still begin one. ``heartbeat``
    seconds without a sign of life make the master replace the worker; ``recycle``
    says when it asks for that itself.
    """

    listen: str
    admin: str
    admin_token: str | None = field(repr=False)
    workers: int
    grace: float
    idle_grace: float = 1.0
    heartbeat: int = 30
    recycle: RecycleOptions
    limits: Limits
    log: LogOptions
