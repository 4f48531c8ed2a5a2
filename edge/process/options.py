"""What an operator sets about the process. Settings fill these; nothing reads a file.

Durations are seconds, sizes are bytes.
"""

from dataclasses import dataclass, field

from edge.front.options import Limits, LogOptions


@dataclass(frozen=True, slots=True)
class RecycleOptions:
    """When a worker asks to be replaced: not for a reason that is None.

    ``after_requests`` are reads and writes, ``memory`` is what the process holds.
    No worker is replaced before it has lived ``least_age`` seconds.
    """

    after_requests: int | None = None
    memory: int | None = None
    least_age: float = 60.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The process: addresses, workers, how it leaves.

    ``listen`` and ``admin`` are as gunicorn takes them: ``host:port``,
    ``unix:/path`` or ``fd://n``; an empty ``admin`` is none. ``grace`` is how
    long requests may take to finish after a signal to stop; for the first
    ``idle_grace`` of it idle connections may still begin one. ``heartbeat``
    seconds without a sign of life make the master replace the worker; ``recycle``
    says when it asks for that itself.
    """

    listen: str = "127.0.0.1:8080"
    admin: str = "127.0.0.1:8081"
    admin_token: str | None = field(default=None, repr=False)
    workers: int = 1
    grace: float = 10.0
    idle_grace: float = 1.0
    heartbeat: int = 30
    recycle: RecycleOptions = field(default_factory=RecycleOptions)
    limits: Limits = field(default_factory=Limits)
    log: LogOptions = field(default_factory=LogOptions)
