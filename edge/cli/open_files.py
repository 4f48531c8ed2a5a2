"""The limit of open files: what to raise it to, and how many connections then fit.

Every connection is an open file, and the soft limit that a process inherits is often
1024. ``plan_files`` is arithmetic; the other functions ask the system. This is the
only place of the command line that touches RLIMIT_NOFILE. ``start`` and ``reload``
call it before anything is forked, so children inherit the limit; ``check`` only looks;
``bench`` calls it for its own connections.
"""

import resource
from dataclasses import dataclass

REFUSED = 256
ADMIN = 32
OWN = 96
RESERVE = REFUSED + ADMIN + OWN
"""Files beside all connections: for those that are being refused, for operators, and
for listeners, logs, libraries and pipes. Without them a limit that is reached would
leave no file to say so."""
MIN_FILES = 20_000
"""The soft limit is raised to this even where fewer connections are asked for."""


@dataclass(frozen=True, slots=True)
class FilePlan:
    """The soft limit to set, and the client connections that fit below it."""

    soft: int
    connections: int


def plan_files(soft: int, hard: int, connections: int, upstream: int) -> FilePlan:
    """What to raise the soft limit to; ``hard`` may be RLIM_INFINITY.

    No more than is of use: some programs walk all files up to the limit.
    ``connections`` of the result may be zero or less: then nothing fits.
    """
    wanted = max(connections + upstream + RESERVE, MIN_FILES)
    if soft == resource.RLIM_INFINITY:
        return FilePlan(soft, connections)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    raised = max(soft, allowed)
    return FilePlan(raised, min(connections, raised - upstream - RESERVE))


def look(connections: int, upstream: int) -> FilePlan:
    """What would fit in this process; changes nothing."""
    return plan_files(
        *resource.getrlimit(resource.RLIMIT_NOFILE), connections, upstream
    )


def raise_files(connections: int, upstream: int) -> FilePlan:
    """Raise the soft limit and return what fits; keep it where the system refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    plan = plan_files(soft, hard, connections, upstream)
    if plan.soft == soft:
        return plan
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (plan.soft, hard))
    except (OSError, ValueError):
        return plan_files(soft, soft, connections, upstream)
    return plan


def raise_to_hard_limit() -> int | None:
    """Raise the soft limit to the hard one and return it; None: there is no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return None if hard == resource.RLIM_INFINITY else hard
