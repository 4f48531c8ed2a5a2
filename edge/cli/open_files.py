"""The limit of open files: what to raise it to, and how many connections then fit.

Every connection is an open file, and the soft limit that a process inherits is often
1024. The limit is each process's: where several serve clients, the node has as many
connections as all of them together bear. ``plan_files`` is arithmetic; the other
functions ask the system. This is the only place of the command line that touches
RLIMIT_NOFILE. ``start`` and ``reload`` call it before anything is forked, so children
inherit the limit; ``check`` only looks; ``bench`` calls it for its own connections.
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
    """The soft limit to set, and the client connections that fit below it: in all
    processes that serve clients, and in ``each`` of them at most."""

    soft: int
    connections: int
    each: int


@dataclass(frozen=True, slots=True)
class FileNeed:
    """What else the processes of an edge need files for: ``upstream``, the connections
    to origin and keepers that each of so many ``servers`` of clients may have, and all
    those that one ``keeper`` may have (0: there is none)."""

    upstream: int
    servers: int = 1
    keeper: int = 0


def plan_files(soft: int, hard: int, connections: int, need: FileNeed) -> FilePlan:
    """What to raise the soft limit to; ``hard`` may be RLIM_INFINITY.

    As far as it goes, each process is given room for all ``connections``, for it may be
    the only one that serves. Whether keepers have enough, ``refusal`` says.

    No more than is of use: some programs walk all files up to the limit.
    ``connections`` of the result may be zero or less: then nothing fits.
    """
    upstream, others = need.upstream, need.keeper
    wanted = max(max(connections + upstream, others) + RESERVE, MIN_FILES)
    if soft == resource.RLIM_INFINITY:
        return FilePlan(soft, connections, connections)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    raised = max(soft, allowed)
    each = min(connections, raised - upstream - RESERVE)
    return FilePlan(raised, min(connections, need.servers * each), each)


def refusal(plan: FilePlan, others: int) -> str | None:
    """Why the limit of ``plan`` does not do for another process of the node, which has
    so many connections; None: it does."""
    unlimited = plan.soft == resource.RLIM_INFINITY
    if not unlimited and others and plan.soft < others + RESERVE:
        return (
            f"{plan.soft} open files are too few for a keeper of so many workers, "
            f"which may need {others + RESERVE}; take fewer workers, or raise ulimit -n"
        )
    return None


def look(connections: int, need: FileNeed) -> FilePlan:
    """What would fit; changes nothing."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    return plan_files(*limits, connections, need)


def raise_files(connections: int, need: FileNeed) -> FilePlan:
    """Raise the soft limit and return what fits; keep it where the system refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    plan = plan_files(soft, hard, connections, need)
    if plan.soft == soft:
        return plan
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (plan.soft, hard))
    except (OSError, ValueError):
        return plan_files(soft, soft, connections, need)
    return plan


def raise_to_hard_limit() -> int | None:
    """Raise the soft limit to the hard one and return it; None: there is no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return None if hard == resource.RLIM_INFINITY else hard
