"""What an operator sets about the process. Settings fill these fields and hold their
defaults. What no setting names has its value here.

Durations are seconds, sizes are bytes.
"""

from dataclasses import dataclass, field

from edge.front.options import Limits, LogOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleOptions:
    """When a worker asks to be replaced. A bound that is None is no reason.

    ``after_requests`` are reads and writes, ``memory`` is what the process holds.
    No worker is replaced before it has lived ``least_age`` seconds.
    """

    after_requests: int | None
    memory: int | None
    least_age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """The process: addresses, workers, and how it ends.

    With ``keepers`` the ``workers`` are fronts; without, there is one, alone.

    ``listen`` and ``admin`` are as gunicorn takes them: ``host:port``, ``unix:/path``
    or ``fd://n``; an empty ``admin`` is none. ``admin_names`` are the names by which it
    may be called where it has no token. ``proxy_protocol`` says for each of ``listen``
    whether connections begin with a header of it.

    ``grace`` is how long requests may take to finish after a signal to stop, which
    begins ``delay`` seconds after that signal: until then only readiness says no.
    Meanwhile an idle connection may still begin one within ``idle_grace`` seconds,
    which those also have who are released when the
    grace is over. After ``heartbeat`` seconds without a sign of life (a keeper:
    ``keeper_heartbeat``) the master replaces the worker. ``recycle`` says when a worker
    asks for it itself.
    """

    listen: tuple[str, ...]
    proxy_protocol: tuple[bool, ...]
    admin: str
    admin_token: str | None = field(repr=False)
    admin_names: frozenset[str]
    workers: int
    keepers: int
    delay: float
    grace: float
    idle_grace: float = 1.0
    heartbeat: int = 30
    keeper_heartbeat: int = 5
    recycle: RecycleOptions
    limits: Limits
    log: LogOptions
