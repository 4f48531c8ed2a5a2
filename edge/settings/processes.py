"""How many processes serve: ``workers`` and ``keepers``, and what each has of memory.

``auto`` is settled once, at the start, by what the machine gives: a reload changes no
number of processes. Everything after that is given settings with plain numbers
(``settled``). Pure: the cores and a container's memory are arguments.

``cache.memory`` is the node's: three quarters of it are the keepers', who hold the
streams, and a quarter is the fronts'. Each share must be twice ``cache.max_object`` at
least, or one large object would evict everything (W13).
"""

from typing import NamedTuple

from edge.core.values import Role
from edge.settings.fields import MAX_COUNT
from edge.settings.schema import Settings
from edge.settings.units import write_size

MAX_AUTO = 8
"""More fronts than that are asked for by a number."""

LEAST_OBJECTS = 2
"""How often ``cache.max_object`` must fit into each share of the memory."""


PROCESS_MEMORY = 48 << 20
"""Bytes that a process of its own takes beside what it holds: an estimate. One that has
just started was seen at 58 MiB, much of which it shares with the others."""

LEAST_CONNECTIONS = 3
"""One for each of reads, writes and what passes."""

UNBOUNDED: dict[str, object] = {
    "connections": MAX_COUNT,
    "viewers": MAX_COUNT,
    "viewers_per_stream": MAX_COUNT,
    "relays_per_stream": MAX_COUNT,
    "relays_per_client": MAX_COUNT,
    "denied_per_client": None,
    "max_body": None,
}
"""The limits of a keeper, where they are about clients."""


class ProcessCounts(NamedTuple):
    """So many fronts and keepers; one worker alone has no keepers."""

    workers: int
    keepers: int

    @property
    def alone(self) -> bool:
        return self.workers == 1


ALONE = ProcessCounts(1, 0)


def settled(settings: Settings, cores: int, bound: int | None = None) -> Settings:
    """The settings with numbers in place of ``auto``, on a machine of so many cores,
    within so many bytes of memory (None: there is no bound)."""
    settings = within(settings, bound)
    if isinstance(settings.workers, int):
        return with_counts(settings, counts_of(settings))
    number = max(1, min(cores, MAX_AUTO))
    while number > 1 and _faults(settings, _with_keepers(settings, number), bound):
        number -= 1
    return with_counts(settings, _with_keepers(settings, number))


def within(settings: Settings, bound: int | None) -> Settings:
    """The settings with a ``cache.memory`` that a container bears, where none was
    given: a quarter of its ``bound`` at most."""
    cache = settings.cache
    if bound is None or "memory" in cache.model_fields_set:
        return settings
    share = max(bound // 4 >> 20 << 20, cache.max_object)
    if share >= cache.memory:
        return settings
    changes = {"cache": cache.model_copy(update={"memory": share})}
    return settings.model_copy(update=changes)


def bound_fault(
    settings: Settings, counts: ProcessCounts, bound: int | None
) -> str | None:
    """Why a container's ``bound`` may not do for so many processes; None: it does."""
    number = 1 + counts.workers + counts.keepers
    # Beside what is held, as much again as an eighth of it is prepared.
    needed = number * PROCESS_MEMORY + settings.cache.memory * 9 // 8
    if bound is None or needed <= bound:
        return None
    return (
        f"{number} processes and cache.memory may take {write_size(_round_up(needed))},"
        f" and this container has {write_size(_round_up(bound))}: the kernel would end"
        " one of them; lower cache.memory, or take fewer workers"
    )


def with_counts(settings: Settings, counts: ProcessCounts) -> Settings:
    """The settings with these numbers, whatever they say."""
    return settings.model_copy(update=counts._asdict())


def counts_of(settings: Settings) -> ProcessCounts:
    """The numbers in settings that are settled; one worker where they are not."""
    if not isinstance(settings.workers, int):
        return ALONE
    return _with_keepers(settings, settings.workers)


def memory_share(settings: Settings, role: Role) -> int:
    """What one process of this role may hold of ``cache.memory``, in bytes."""
    memory, counts = settings.cache.memory, counts_of(settings)
    if role is Role.WORKER or counts.alone:
        return memory
    if role is Role.FRONT:
        return memory // 4 // counts.workers
    return memory * 3 // 4 // max(1, counts.keepers)


def share_fault(settings: Settings, counts: ProcessCounts) -> str | None:
    """Why ``cache.memory`` does not do for so many processes; None: it does."""
    if counts.alone:
        return None
    least = LEAST_OBJECTS * settings.cache.max_object
    memory = settings.cache.memory
    needed = max(4 * least * counts.workers, -(-4 * least * counts.keepers // 3))
    if memory >= needed:
        return None
    return (
        f"{write_size(memory)} of cache.memory are too little for {counts.workers} "
        f"workers and {counts.keepers} keepers: each must have {write_size(least)}, "
        f"twice cache.max_object; set at least {write_size(_round_up(needed))}"
    )


def in_place(settings: Settings, role: Role) -> Settings:
    """The settings for one process of this role; they must be settled.

    What is the node's is divided: the memory, and the connections to the origin. A
    keeper bounds no client: its fronts have done that (W13).
    """
    if role is Role.WORKER:
        return settings
    share = {"memory": memory_share(settings, role)}
    changes: dict[str, object] = {"cache": settings.cache.model_copy(update=share)}
    if role is Role.KEEPER:
        origin, keepers = settings.origin, counts_of(settings).keepers
        divided = {
            "connections": origin.connections // keepers,
            "max_followers": max(1, origin.max_followers // keepers),
        }
        changes["origin"] = origin.model_copy(update=divided)
        changes["limits"] = settings.limits.model_copy(update=UNBOUNDED)
    return settings.model_copy(update=changes)


def origin_fault(settings: Settings, counts: ProcessCounts) -> str | None:
    """Why ``origin.connections`` do not do for so many keepers; None: they do."""
    origin, keepers = settings.origin, max(1, counts.keepers)
    left = origin.connections // keepers - max(1, origin.max_followers // keepers)
    if counts.alone or left >= LEAST_CONNECTIONS:
        return None
    return (
        f"origin.connections ({origin.connections}) and origin.max_followers "
        f"({origin.max_followers}) leave each of {counts.keepers} keepers {left} "
        f"connections for what is not followed, and it needs {LEAST_CONNECTIONS}"
    )


def upstream_files(settings: Settings) -> int:
    """The connections that one who serves clients may have to origin and keepers."""
    upstream = settings.origin.connections
    return upstream if counts_of(settings).alone else 2 * upstream


def keeper_files(settings: Settings) -> int:
    """The connections that a keeper may have at most: those of its fronts, and its
    own. Zero: there is none."""
    counts = counts_of(settings)
    fronts = 0 if counts.alone else counts.workers + 1
    return fronts * settings.origin.connections


def _faults(settings: Settings, counts: ProcessCounts, bound: int | None) -> bool:
    return bool(
        share_fault(settings, counts)
        or origin_fault(settings, counts)
        or bound_fault(settings, counts, bound)
    )


def _round_up(size: int) -> int:
    """To whole MiB, as people write sizes."""
    return -(-size // (1 << 20)) << 20


def _with_keepers(settings: Settings, workers: int) -> ProcessCounts:
    if workers == 1:
        return ALONE
    if isinstance(settings.keepers, int):
        return ProcessCounts(workers, settings.keepers)
    return ProcessCounts(workers, max(1, workers // 4))
