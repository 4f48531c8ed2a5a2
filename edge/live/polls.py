"""Polls: what a follower asks, what comes after an answer, and small rules of both.

Used by ``edge.live.followers``, which sends polls, and by ``edge.live.poll_results``,
which judges their answers.
"""

from dataclasses import dataclass
from enum import Enum

from edge.core.values import OriginAnswer, PartitionKind
from edge.live.rows import Stream
from edge.live.upstream import TooLarge
from edge.streamlog.barriers import RequestSnapshot
from edge.streamlog.stream_log import StreamLog


class Next(Enum):
    """What the follower does after a poll's answer, as the hub says."""

    GO_ON = "go-on"
    BACK_OFF = "back-off"
    STOP = "stop"


@dataclass(slots=True, eq=False)
class Poll:
    """One poll; ``answer`` once it was answered, after ``elapsed`` seconds.

    ``live``: it is a long-poll; otherwise a read that checks the end first (L7).
    ``sent`` and ``log`` are as they were when it was sent.
    """

    start: str
    live: bool
    log: StreamLog
    sent: RequestSnapshot
    answer: OriginAnswer | TooLarge | None = None
    elapsed: float = 0.0


def disarm(poll: Poll) -> None:
    """The poll is not on the wire any more: nothing is known until the next one is."""
    if poll.log.tail.armed is poll.sent:
        poll.log.tail.disarm()


def said(answer: OriginAnswer | TooLarge) -> str | None:
    """What an answer by which a follower backs off says to the operator."""
    if isinstance(answer, TooLarge):
        return None
    odd = "" if answer.status >= 300 else ", and not as polls are answered"
    return f"it answers {answer.status}{odd}"


def may_follow_unwatched(stream: Stream) -> bool:
    """Whether this stream may be followed without a parked viewer (L23, L24, B6)."""
    kind = stream.key.partition.kind
    shared = kind is not PartitionKind.CREDENTIAL and stream.lenders is None
    return shared and stream.log.ttl is None and not stream.log.tail.closed
