"""Ingest: what an upstream answer does to a stream and to those parked at it.

The part that flights and polls have in common: an answer is taken into the log,
a new incarnation begins (L2, L5, L7), a key passes for a while (L15), a
partition is refused (L14), a status ends whoever waits. It changes rows and
releases readers; it never asks the origin and never switches greenlets.
"""

from collections.abc import Callable

from edge.core.counters import Counters
from edge.core.errors import EdgeError
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.values import Mode, OriginAnswer, PartitionKind
from edge.live.absorb import RESET_REASONS, Effect, absorb
from edge.live.delivery import Delivery
from edge.live.guard import Guard
from edge.live.options import HubOptions
from edge.live.reader import Reader, State
from edge.live.registry import StreamRegistry
from edge.live.stream import Stream
from edge.live.waiters import Waiters
from edge.policy.streams.admission import Admission
from edge.protocol.offsets import NOW
from edge.streamlog.tail import RequestSnapshot

_TO_DO = frozenset({"location", "retry-after", "www-authenticate"})


class Ingest:
    """Takes answers into rows. ``relay`` passes a reader on by itself,
    ``unfollow`` ends a stream's follower."""

    def __init__(
        self,
        options: HubOptions,
        counters: Counters,
        clock: Clock,
        streams: StreamRegistry,
        delivery: Delivery,
        viewers: Waiters,
        guard: Guard,
        relay: Callable[[Reader, Reason], None],
        unfollow: Callable[[Stream], None],
    ) -> None:
        self._options = options
        self._counters = counters
        self._clock = clock
        self._streams = streams
        self._delivery = delivery
        self._viewers = viewers
        self._guard = guard
        self._relay = relay
        self._unfollow = unfollow

    # The log

    def take_in(
        self,
        stream: Stream,
        start: str,
        sent: RequestSnapshot,
        admission: Admission,
        answer: OriginAnswer,
    ) -> Effect:
        """Let the log take the answer in, and begin a new one where it cannot."""
        log, now = stream.log, self._clock.monotonic()
        keep, max_probe = stream.waiter_offsets(), self._options.rules.max_probe
        effect = absorb(
            log, stream.route, start, sent, admission, answer, now, keep, max_probe
        )
        if effect in RESET_REASONS and effect is not Effect.WENT_BACK:
            self.replaced(stream, RESET_REASONS[effect])
        elif effect is Effect.GREW:
            self._counters.stores += 1
            self._streams.weigh(stream)
            self._viewers.wake(stream)
        elif effect is Effect.NOT_KEPT:
            self._counters.not_stored[Reason.NO_PROOF.value] += 1
        return effect

    def renew(self, stream: Stream, reason: Reason) -> None:
        """A new incarnation (L5): the old log is dropped, who waits is decided anew."""
        self._counters.drops[reason.value] += 1
        # First the log: whoever is released by the rest must not see the old one.
        self._streams.renew(stream)
        self._unfollow(stream)
        self._viewers.wake(stream)

    def replaced(self, stream: Stream, reason: Reason) -> None:
        """A read saw another stream, or none, where this one was (L5).

        That ends this key's incarnation alone; the other keys of the path must
        confirm theirs at their next read.
        """
        self.renew(stream, reason)
        for other in self._streams.of_path(stream.key.route, stream.key.path):
            if other is not stream:
                other.log.tail.mark_unverified()

    # The whole key

    def pass_on(self, stream: Stream, start: str | None, reason: Reason) -> None:
        """L15: the key passes for a while. Not for an offset that clients made up."""
        if start is None or start == NOW or stream.log.knows(start):
            until = self._clock.monotonic() + self._options.pass_for
            stream.pass_on(reason, until)
            self.renew(stream, reason)

    def refuse_partition(self, stream: Stream, answer: OriginAnswer) -> None:
        """L14: a 401 or 403 ends a credential partition's log and its viewers."""
        if stream.key.partition.kind is not PartitionKind.CREDENTIAL:
            return
        self.end_parked(stream, answer, Reason.REFUSED)
        self.renew(stream, Reason.REFUSED)

    def gone(self, stream: Stream, start: str | None, answer: OriginAnswer) -> None:
        """404 or 410 (L5): the stream is gone, or only its beginning is (E8)."""
        log = stream.log
        if not log.holds_bytes and log.tail.offset is None:
            return
        known = start in (None, NOW) or (start is not None and log.knows(start))
        retention = answer.status == 410 and start not in (None, NOW, log.end)
        if known and not retention:
            self.replaced(stream, Reason.GONE)
        else:
            log.tail.mark_unverified()

    def mark_large(self, stream: Stream, start: str | None) -> None:
        """L11: what was too large to hold is asked for one by one for a while."""
        until = self._clock.monotonic() + self._options.pass_for
        stream.mark_large(start, until)
        self._counters.not_stored[Reason.TOO_LARGE.value] += 1

    # Those who wait

    def end_parked(self, stream: Stream, answer: OriginAnswer, reason: Reason) -> None:
        def end(reader: Reader) -> None:
            self.give_status(reader, answer, reason)

        self._guard.each(end, list(stream.parked))

    def relay_all(self, readers: list[Reader], reason: Reason) -> None:
        for reader in readers:
            if not reader.done and reader.state is not State.RELAYED:
                self._relay(reader, reason)

    def give_status(self, reader: Reader, answer: OriginAnswer, reason: Reason) -> None:
        """Hand on a status; one whose event stream has begun can only be ended."""
        if reader.begun:
            self._viewers.end(reader, reason)
        elif reader.read.mode is not Mode.HEAD and not _says_anything(answer):
            # A HEAD's status tells a GET's reader nothing without a word.
            if answer.status >= 400:
                detail = "the origin answered so"
                error = EdgeError(detail, reason=reason, status=answer.status)
                self._delivery.refuse(reader, error)
            else:
                self._delivery.raw(reader, answer, reason)
        else:
            self._delivery.raw(reader, answer, reason)


def _says_anything(answer: OriginAnswer) -> bool:
    """Whether a status comes with words, or with what its reader is to do."""
    return bool(answer.body) or any(name in _TO_DO for name, _ in answer.headers)
