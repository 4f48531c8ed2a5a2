"""Steps: what an answer of the origin, a poll or a write means, as values.

``fetch_results``, ``poll_results`` and ``ingest`` judge and yield steps; the hub
executes them in one place (``Hub._do``), as it does with decisions. The judges are
generators, and each step is executed before the next one is computed. A reader that is
released may change what the next one is told, so the order of the steps is part of
their meaning.

============ ======================================================================
To one reader
-----------------------------------------------------------------------------------
Again        decide it anew
Fail         what it waited for failed: decide it by that
Give         the origin's answer is its own: serve it from that, not from the log (L1)
Hold         let it wait at its own offset, though the origin only echoed it (U14)
GiveHead     a HEAD's answer
Status       hand on the origin's answer as it is, with its status
Spooled      serve it from an answer that is on its way through files (S1)
Bypass       pass it through one to one, by a request of its own (L11, L15)
AskHead      ask for the tail alone, which seems to have gone back (L2): by HEAD, or by
             GET where HEAD does not tell (U12)
------------ ----------------------------------------------------------------------
To a stream
-----------------------------------------------------------------------------------
LogChanged   its log changed its size; if it grew, the parked viewers are woken
Replace      a new incarnation begins: the old log is dropped, the follower ends (L5)
Wake         decide all parked viewers again
Kick         there is news: a follower that backs off asks at once
============ ======================================================================

A step to a reader that raises ends that reader alone. A step to a stream that raises is
a defect of the whole landing (see ``edge.live``).
"""

from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple, TypeVar

from edge.core.errors import OriginFault
from edge.core.reasons import Reason
from edge.core.values import OriginAnswer
from edge.live.rows import Reader, State, Stream
from edge.live.spool import Spool
from edge.policy.streams.decisions import Serve


class Again(NamedTuple):
    """Decide the reader anew: what it waited for is there, or will not come."""

    reader: Reader


class Fail(NamedTuple):
    """The origin failed; what is held may still answer (L6, L21)."""

    reader: Reader
    fault: OriginFault


class Give(NamedTuple):
    """Serve ``serve`` with ``body``, which is not taken from the log (L1). ``age`` is
    in seconds: when the origin said so (L16)."""

    reader: Reader
    serve: Serve
    body: bytes
    age: float


class Hold(NamedTuple):
    """Let a live reader wait where it stands, unclaimed, for the log to grow."""

    reader: Reader


class GiveHead(NamedTuple):
    """Answer a HEAD from the origin's 200."""

    reader: Reader
    answer: OriginAnswer


class Status(NamedTuple):
    """Give the origin's own answer to a reader that may see it. It is not kept."""

    reader: Reader
    answer: OriginAnswer
    reason: Reason


class Spooled(NamedTuple):
    """Serve the reader from the start of a spool."""

    reader: Reader
    spool: Spool


class Bypass(NamedTuple):
    """Pass the reader through by itself."""

    reader: Reader
    reason: Reason


class AskHead(NamedTuple):
    """Let the reader wait for a HEAD that begins now, or for a GET of ``now`` where
    HEAD does not tell."""

    reader: Reader


class LogChanged(NamedTuple):
    """Weigh the stream's log; ``grew``: count the range, and wake the viewers."""

    stream: Stream
    grew: bool


class Replace(NamedTuple):
    """Another stream, or none, may be at this key from now on."""

    stream: Stream
    reason: Reason


class Wake(NamedTuple):
    """The viewers have to be decided again, though the log did not grow."""

    stream: Stream


class Kick(NamedTuple):
    """End the back-off of the stream's follower."""

    stream: Stream


Release = Fail | Give | Hold | GiveHead | Status | Spooled | Bypass | AskHead
"""Steps by which a reader is given something, or asks for something else."""

ReaderStep = Again | Release
StreamStep = LogChanged | Replace | Wake | Kick
Step = ReaderStep | StreamStep
Steps = Iterator[Step]

T = TypeVar("T")
Judged = Generator[Step, None, T]
"""Steps that end with a verdict, which is the generator's return value."""


# Steps to many readers.


def bypass_all(readers: Iterable[Reader], reason: Reason) -> Steps:
    """Pass all of them through, parked or waiting."""
    return (Bypass(reader, reason) for reader in tuple(readers) if _is_here(reader))


def end_parked(stream: Stream, answer: OriginAnswer, reason: Reason) -> Steps:
    """Hand the status on to everybody who is parked at the stream. One that waits for
    a fetch meanwhile is told, too: otherwise each of a crowd would ask for itself."""
    readers = tuple(stream.parked)
    return (Status(reader, answer, reason) for reader in readers if _is_here(reader))


def _is_here(reader: Reader) -> bool:
    return reader.state is not State.DONE and reader.state is not State.RELAYED
