"""What the edge counts: plain integers, one set per worker.

Each part adds to its counters where the counted thing happens::

    counters.delivered += 1
    counters.reads[read.mode.value] += 1

A worker's greenlets share one thread and an addition never switches, so there are no
locks. This module does not know who publishes the numbers. ``DESCRIPTIONS`` says what
each counter means and what its label holds; the metrics endpoint walks it with
``snapshot()``. Counters only ever grow. What goes up and down (viewers, logs, bytes
held) is read from the hub on demand.

The label of ``answers`` is ``edge.core.values.CacheStatus.result``.
"""

import enum
from collections import defaultdict
from dataclasses import dataclass

from edge.core.counted_reasons import LABELS
from edge.core.histograms import Timings
from edge.core.values import Mode, Purpose, Result


@dataclass(frozen=True, slots=True)
class Described:
    """One counter: its meaning, and what its label holds (None: no label). ``values``
    are all that the label may say, where these are few: their series are there before
    the first one is counted."""

    name: str
    help: str
    label: str | None = None
    values: tuple[str, ...] = ()


def _each(labels: type[enum.Enum]) -> tuple[str, ...]:
    return tuple(str(label.value) for label in labels)


DESCRIPTIONS: tuple[Described, ...] = (
    Described(
        "reads", "Reads that arrived, by how the stream is read.", "mode", _each(Mode)
    ),
    Described("answers", "Reads that were answered, by how.", "result", _each(Result)),
    Described("delivered", "Answers and SSE data events delivered to readers."),
    Described(
        "origin_requests",
        "Requests sent to the origin, by purpose.",
        "purpose",
        _each(Purpose),
    ),
    Described(
        "origin_faults",
        "Failures of the origin: no answer, one that breaks the protocol, or one of an "
        "origin that is away; for a follower's poll also 408, 425 and 429.",
        "reason",
        LABELS["origin_faults"],
    ),
    Described(
        "origin_statuses",
        "Answers to reads by which the origin refuses work: 408, 425, 429 and 5xx.",
        "status",
        LABELS["origin_statuses"],
    ),
    Described(
        "refusals",
        "Requests refused at a limit, and reads of the origin not made, by reason.",
        "reason",
        LABELS["refusals"],
    ),
    Described(
        "lent_refusals",
        "Answers of the origin by which it refused a lent credential, by status.",
        "status",
        LABELS["lent_refusals"],
    ),
    Described("breaker_opened", "Times that reads of the origin were stopped."),
    Described(
        "passes",
        "Requests passed on one to one, by reason.",
        "reason",
        LABELS["passes"],
    ),
    Described("spooled", "Answers too large to hold that went through a file."),
    Described(
        "spool_cuts",
        "Readers of such answers that were cut, by reason.",
        "reason",
        LABELS["spool_cuts"],
    ),
    Described("disk_hits", "Answers too large to hold that came from the disk."),
    Described("disk_loads", "Logs that were made of what the disk had."),
    Described("disk_stores", "Ranges written to the disk."),
    Described(
        "disk_faults",
        "Calls of the disk that failed, by reason.",
        "reason",
        LABELS["disk_faults"],
    ),
    Described("disk_pauses", "Times that the disk was left alone for a minute."),
    Described("stores", "Ranges stored."),
    Described(
        "not_stored",
        "Answers that were not taken into a log, by reason.",
        "reason",
        LABELS["not_stored"],
    ),
    Described("drops", "Logs dropped, by reason.", "reason", LABELS["drops"]),
    Described(
        "purges",
        "Orders to purge, by what they named and how.",
        "purge",
        LABELS["purges"],
    ),
    Described(
        "purged",
        "Streams softened or forgotten by them, by mode.",
        "mode",
        LABELS["purged"],
    ),
    Described(
        "evictions",
        "Ranges or rows evicted to stay within the budget, by the part they stood in.",
        "part",
        ("probation", "protected"),
    ),
    Described("flights", "Catch-up fetches begun that several reads may share."),
    Described("follower_polls", "Polls that followers sent to the origin."),
    Described("event_streams", "Event streams that followers asked the origin for."),
    Described(
        "event_streams_ended",
        "Event streams of followers that ended, by how.",
        "reason",
        LABELS["event_streams_ended"],
    ),
    Described("events_heard", "Answers that followers heard by event streams."),
    Described("events_skipped", "Comments and unknown events in event streams."),
    Described(
        "viewers_ended",
        "Parked viewers that ended, by reason.",
        "reason",
        LABELS["viewers_ended"],
    ),
    Described("wakeups", "Times that a stream's parked viewers were woken."),
    Described("growths", "Times that a stream grew while viewers waited for it."),
    Described("woken", "Viewers that were served because they were woken."),
    Described(
        "verdicts",
        "Requests judged by the ways of a route: by which way, and how.",
        "verdict",
        LABELS["verdicts"],
    ),
    Described(
        "asks",
        "Asks whether to let in: by which way, and their result.",
        "ask",
        LABELS["asks"],
    ),
    Described(
        "revocations",
        "Orders to revoke, by what they named.",
        "by",
        LABELS["revocations"],
    ),
    Described(
        "key_fetches",
        "Key sets asked for at their URLs, by result.",
        "result",
        ("answered", "failed"),
    ),
    Described(
        "client_faults",
        "Requests that were at fault, by reason.",
        "reason",
        LABELS["client_faults"],
    ),
    Described(
        "writes",
        "Writes answered, by class of status.",
        "status",
        ("2xx", "3xx", "4xx", "5xx", "lost"),
    ),
    Described(
        "problems", "Problem documents sent, by status.", "status", LABELS["problems"]
    ),
    Described("compressions", "Bodies compressed."),
    Described("bytes_out", "Bytes of bodies sent to clients."),
    Described("bytes_from_origin", "Bytes of bodies received from the origin."),
    Described(
        "tls_handshakes",
        "Handshakes of TLS: full, resumed, or failed, and then by reason.",
        "result",
        LABELS["tls_handshakes"],
    ),
    Described("accept_pauses", "Pauses in accepting for want of descriptors."),
    Described("log_lines_dropped", "Lines of the log that nothing took."),
    Described("spans_exported", "Spans of traces that a collector took."),
    Described(
        "spans_dropped",
        "Spans that were sampled and lost, by reason.",
        "reason",
        LABELS["spans_dropped"],
    ),
    Described(
        "collections",
        "Full garbage collections, by moment.",
        "moment",
        ("quiet", "overdue"),
    ),
    Described(
        "replacements",
        "Workers replaced by new ones, by reason.",
        "reason",
        LABELS["replacements"],
    ),
    Described("internal_errors", "Exceptions that an outermost guard caught."),
)


class Counters:
    """The numbers of one worker, by the names in DESCRIPTIONS, and its ``timings``.

    A labelled counter maps the label's value to its number. A value that was not seen
    before starts at 0.
    """

    __slots__ = (*(described.name for described in DESCRIPTIONS), "timings")

    reads: dict[str, int]
    answers: dict[str, int]
    delivered: int
    origin_requests: dict[str, int]
    origin_faults: dict[str, int]
    origin_statuses: dict[str, int]
    refusals: dict[str, int]
    lent_refusals: dict[str, int]
    breaker_opened: int
    passes: dict[str, int]
    spooled: int
    spool_cuts: dict[str, int]
    disk_hits: int
    disk_loads: int
    disk_stores: int
    disk_faults: dict[str, int]
    disk_pauses: int
    stores: int
    not_stored: dict[str, int]
    drops: dict[str, int]
    purges: dict[str, int]
    purged: dict[str, int]
    evictions: dict[str, int]
    flights: int
    follower_polls: int
    event_streams: int
    event_streams_ended: dict[str, int]
    events_heard: int
    events_skipped: int
    viewers_ended: dict[str, int]
    wakeups: int
    growths: int
    woken: int
    verdicts: dict[str, int]
    asks: dict[str, int]
    revocations: dict[str, int]
    key_fetches: dict[str, int]
    client_faults: dict[str, int]
    writes: dict[str, int]
    problems: dict[str, int]
    compressions: int
    bytes_out: int
    bytes_from_origin: int
    tls_handshakes: dict[str, int]
    accept_pauses: int
    log_lines_dropped: int
    spans_exported: int
    spans_dropped: dict[str, int]
    collections: dict[str, int]
    replacements: dict[str, int]
    internal_errors: int

    timings: Timings

    def __init__(self) -> None:
        self.timings = Timings()
        for described in DESCRIPTIONS:
            start = 0 if described.label is None else defaultdict[str, int](int)
            setattr(self, described.name, start)

    def snapshot(self) -> dict[str, int | dict[str, int]]:
        """A copy of all numbers, by name, in the order of DESCRIPTIONS."""
        return {
            described.name: self._copy(described.name) for described in DESCRIPTIONS
        }

    def _copy(self, name: str) -> int | dict[str, int]:
        value: int | dict[str, int] = getattr(self, name)
        return value if isinstance(value, int) else dict(value)
