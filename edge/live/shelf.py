"""Shelf: what is kept on a disk of streams, and what is made of it again (S2).

Two kinds of ranges are kept, both from the stream's beginning: an answer that went
through a spool, and what a log held: once it has not changed for a while, when its row
was forgotten, and when the worker drained.
Never what only one credential may see, what lives for a time, or what no cache may
store.

A row that holds nothing asks the disk once, before its first read asks the origin.
What a log held becomes a log again, in doubt until a read from a boundary within 64 KiB
before its end has matched (L7). A large answer has no such boundary: it is believed by
the row that took it over, once the origin has confirmed the stream (L6), or where the
route says that no stream is ever made again. All else is forgotten, and read anew.

A disk that does not answer within a second is not waited for. After three such calls or
failures in a row it is left alone for a minute. Nothing here switches greenlets.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from edge.core.errors import Refusal
from edge.core.file_ports import Disk, Forgotten, KeptHead, KeptRange, NotKept
from edge.core.reasons import Reason
from edge.core.values import PartitionKind, WriteOutcome
from edge.live.context import HubContext
from edge.live.quiet_logs import QuietLogs
from edge.live.registry import StreamRegistry
from edge.live.rows import Reader, State, Stream
from edge.live.shelf_copies import Copy, Copying, Loading, patient, reader_of
from edge.live.shelf_notes import DiskPhase, Note, is_nearly_kept, name_of, word_of
from edge.live.spool import Spool
from edge.live.spools import Spools
from edge.policy.streams.admission import LargeRange
from edge.policy.streams.decisions import Fetch
from edge.policy.streams.purge_selection import Chooses, PurgeSelection
from edge.policy.streams.routes import OriginNoStore, Recreate
from edge.protocol import names
from edge.protocol.offsets import BEGIN, order
from edge.streamlog.barriers import RequestSnapshot
from edge.streamlog.copies import Boundaries, LogCopy, copy_of, has_proof, restore

MAX_KEPT_LOG = 64 * 1024 * 1024
"""Bytes of a log that are kept at most: one piece."""

MAX_COPIES = 16
"""Ranges that are copied at the same time, of which a record each is in memory twice. A
row that is forgotten meanwhile is not kept; what a worker that drains holds waits."""

MAX_QUIET_COPIES = 2
"""A log that waits to be written (``quiet_logs``) is begun while fewer are under way:
whoever asks the disk for something waits for no more than these."""

MAX_LOADING = 64 * 1024 * 1024
"""Bytes of logs that are loaded at the same time, or one of them."""

MAX_STRIKES = 3
OFF_SECONDS = 60.0


class Shelf:
    """The disk of one hub. ``join`` lets a reader wait for a flight."""

    def __init__(
        self,
        context: HubContext,
        disk: Disk,
        streams: StreamRegistry,
        spools: Spools,
        join: Callable[[Reader, Fetch], None],
    ) -> None:
        self._disk = disk
        self._options = context.options
        self._counters = context.counters
        self._clock = context.clock
        self._guard = context.guard
        self._streams = streams
        self._spools = spools
        self._join = join
        self._notes: dict[Stream, Note] = {}
        self._copies = 0
        # Logs that wait until fewer are copied, and ranges until fewer are loaded.
        self._waiting: deque[tuple[Stream, KeptHead, LogCopy, int]] = deque()
        self._quiet = QuietLogs(context.clock.monotonic)
        self._loads: deque[tuple[Stream, Note, KeptRange]] = deque()
        self._loading = 0
        self._strikes = 0
        # Orders that are being carried out: what they mean is not kept.
        self.purges: list[PurgeSelection] = []
        self._off_until = 0.0
        streams.on_forget, streams.on_grown = self._row_forgotten, self._log_grew
        spools.on_begun, spools.on_miss = self._spool_begun, self.serves

    @property
    def used(self) -> int:
        """Bytes on the disk."""
        return self._disk.used

    @property
    def size(self) -> int:
        """What they may be at most."""
        return self._disk.size

    # Reading

    def serves(self, reader: Reader, fetch: Fetch) -> bool:
        """Whether the disk may spare the origin this request. If so, the reader waits
        for it, or is served."""
        stream = reader.stream
        if fetch.reason is not Reason.MISS or fetch.start is None or fetch.fresh:
            return False
        note = self._notes.get(stream)
        if note is None:
            if stream.log.holds_bytes or not _may_keep(stream) or self._is_off:
                return False
            note = self._notes[stream] = Note(stream.log.incarnation)
            self._ask(stream, note)
        if note.phase is DiskPhase.ASKING:
            reader.move(State.WAITING)
            note.waiting.append(reader)
            return True
        return note.phase is DiskPhase.LARGE and self._serve_large(reader, note)

    @property
    def _is_off(self) -> bool:
        return self._clock.monotonic() < self._off_until

    def _ask(self, stream: Stream, note: Note) -> None:
        note.phase = DiskPhase.ASKING
        stream.spooled += 1
        # By the guard: what comes too late comes by a timer.
        found = partial(self._guard.call, partial(self._found, stream, note))
        self._disk.find(name_of(stream), patient(found, _close))

    def _found(
        self, stream: Stream, note: Note, found: KeptRange | OSError | None
    ) -> None:
        if found is None or isinstance(found, OSError):
            if isinstance(found, OSError):
                self._failed(found)
            self._settle(stream, note, DiskPhase.NOTHING)
            return
        self._strikes = 0
        if not self._is_believable(stream, note, found.head):
            found.close()
            self.forget_path(stream.key.path)
            self._settle(stream, note, DiskPhase.NOTHING)
        elif found.head.is_answer:
            note.head, note.file = found.head, found
            self._settle(stream, note, DiskPhase.LARGE)
        else:
            self._loads.append((stream, note, found))
            self._load_next()

    def _load_next(self) -> None:
        """Load what waits for its turn, as far as memory is meant for that."""
        while self._loads:
            stream, note, file = self._loads[0]
            size = file.head.size
            if self._loading and self._loading + size > MAX_LOADING:
                return
            self._loads.popleft()
            if self._is_off:
                file.close()
                self._settle(stream, note, DiskPhase.NOTHING)
                continue
            self._loading += size
            done = partial(self._loaded, stream, note, file.head)
            Loading(file, partial(self._guard.call, done))

    def _is_believable(self, stream: Stream, note: Note, head: KeptHead) -> bool:
        """Whether it may be this stream, as far as that can be told before the origin
        is asked."""
        log, end = stream.log, log_end(stream)
        if note.incarnation != log.incarnation:
            return False
        if log.holds_bytes and not head.is_answer:
            return False
        if log.content_type not in (None, head.content_type):
            return False
        if end is not None and order(end) < order(head.end):
            return False
        if stream.route.recreate is Recreate.NEVER or note.kept_end == head.end:
            return True
        return not head.is_answer and self._is_provable(stream, head.boundaries)

    def _is_provable(self, stream: Stream, boundaries: Boundaries) -> bool:
        """Whether a process that begins could believe what a log held (L7)."""
        most = self._options.rules.max_probe
        return stream.route.recreate is Recreate.NEVER or has_proof(boundaries, most)

    def _loaded(
        self, stream: Stream, note: Note, head: KeptHead, data: bytes | OSError
    ) -> None:
        """A log's bytes are here, or they could not be read."""
        now, log = self._clock.monotonic(), stream.log
        self._loading -= head.size
        if isinstance(data, OSError):
            self._failed(data)
        elif self._is_believable(stream, note, head):
            if restore(log, head.boundaries, data, now):
                log.content_type, log.is_json = head.content_type, head.is_json
                log.kept_headers = head.headers
                note.kept_end = head.end
                self._counters.disk_loads += 1
            else:
                self.forget_path(stream.key.path)
                self._streams.renew(stream)
        self._settle(stream, note, DiskPhase.NOTHING)
        self._load_next()

    def _settle(self, stream: Stream, note: Note, phase: DiskPhase) -> None:
        """The disk has said what it has: decide all again who waited for that."""
        note.phase = phase
        stream.spooled -= 1
        waiting, note.waiting = note.waiting, []
        self._streams.weigh(stream)
        for reader in waiting:
            if reader.state is State.WAITING:
                reader.owner.advance(reader)

    # Large answers

    def _serve_large(self, reader: Reader, note: Note) -> bool:
        stream, head = reader.stream, note.head
        log, now = stream.log, self._clock.monotonic()
        if head is None or reader.offset != BEGIN or reader.is_sse or self._is_off:
            return False
        certain = stream.route.recreate is Recreate.NEVER
        if note.incarnation != log.incarnation or (log.tail.unverified and not certain):
            self.forget(stream)
            return False
        end = log_end(stream)
        verify = self._options.rules.verify_for(log, stream.key.partition.kind)
        confirmed = log.tail.is_confirmed_to(reader.barrier, now, verify)
        if not confirmed or end is None or order(end) < order(head.end):
            log.note_position(head.end)
            start = head.end if log.knows(head.end) else log.end
            self._join(reader, Fetch(start, Reason.UNCONFIRMED))
            return True
        if note.spool is not None and not note.spool.is_over:
            self._give(reader, note.spool)
        elif note.file is not None:
            self._give(reader, self._opened(stream, note, note.file, head))
        else:
            self._ask(stream, note)
            reader.move(State.WAITING)
            note.waiting.append(reader)
        return True

    def _give(self, reader: Reader, spool: Spool) -> None:
        if reader.rounds == 1:
            # Nobody was asked.
            reader.asked = None
        self._counters.disk_hits += 1
        self._spools.serve(reader, spool)

    def _opened(
        self, stream: Stream, note: Note, file: KeptRange, head: KeptHead
    ) -> Spool:
        told = LargeRange(head.end, head.content_type, False, head.closed, head.headers)
        log, now = stream.log, self._clock.monotonic()
        sent = RequestSnapshot(now, 0, 0, log.incarnation)
        known = (told, log.tail.confirmed_at, head.size)
        spool = Spool(stream, BEGIN, sent, *known, self._spools, _none)
        spool.how = Reason.FROM_DISK
        spool.show(file, head.size)
        note.spool, note.file = spool, None

        def failed(error: OSError) -> None:
            self._failed(error)
            if self._notes.get(stream) is note:
                note.phase = DiskPhase.NOTHING

        spool.on_failed = failed
        self._spools.add(spool)
        return spool

    # Keeping

    def _spool_begun(self, spool: Spool) -> None:
        stream, headers = spool.stream, dict(spool.range.headers)
        lives = names.IN_TTL in headers or names.IN_EXPIRES_AT in headers
        if spool.start == BEGIN and _may_keep(stream) and not lives:
            spool.on_whole = lambda: self._keep_spool(spool)

    def _keep_spool(self, spool: Spool) -> None:
        stream, told = spool.stream, spool.range
        if self._is_off or not spool.has_start or not _is_current(spool):
            return
        kept = stream.route.kept(told.headers)
        is_json = names.is_json(told.content_type, stream.route.json_types)
        boundaries = ((told.next, spool.written),)
        head = KeptHead(
            told.next,
            spool.written,
            told.content_type,
            is_json,
            True,
            told.closed,
            kept,
            boundaries,
        )

        def kept_now() -> None:
            note = Note(stream.log.incarnation)
            note.phase, note.head, note.kept_end = DiskPhase.LARGE, head, head.end
            if _is_current(spool):
                self._notes[stream] = note
                # That the stream is gone, say, is then about this answer too (L5).
                stream.log.note_position(told.next)
                stream.log.tail.hear(spool.sent, told.next, None, is_all=False)
            else:
                self.forget_path(stream.key.path)

        copying = self._copy(stream, head, spool.copy, kept_now)
        spool.on_over = copying.abandon
        spool.is_wanted = lambda: not copying.is_over

    def keep_all(self) -> None:
        """The worker drains: its successor is to find what is held."""
        for stream in self._streams:
            self._keep_log(stream)

    def look(self, now: float) -> None:
        """Time passes: keep what has not changed for a while."""
        if not self._is_off:
            self._quiet.tick()
            self._keep_quiet()

    def _log_grew(self, stream: Stream) -> None:
        # What may not be kept takes nobody's turn.
        if _may_keep(stream):
            self._quiet.grew(stream)

    def _keep_quiet(self) -> None:
        while self._copies < MAX_QUIET_COPIES and not self._is_off:
            stream = self._quiet.next()
            if stream is None:
                return
            note = self._notes.get(stream)
            if note is None or note.phase is DiskPhase.NOTHING:
                self._quiet.begun(self._keep_log(stream))

    def _row_forgotten(self, stream: Stream) -> None:
        """Called before its log is dropped."""
        if self._copies < MAX_COPIES:
            self._keep_log(stream)
        self._quiet.drop(stream)
        self._let_go(self._notes.pop(stream, None))

    def _keep_log(self, stream: Stream) -> int:
        """Keep what is held of it, if that may be and is worth it; bytes of that."""
        log, note = stream.log, self._notes.get(stream)
        if self._is_off or not _may_keep(stream) or log.tail.unverified:
            return 0
        copy = copy_of(log)
        if copy is None or copy.size > MAX_KEPT_LOG:
            return 0
        if note is not None and is_nearly_kept(copy, note.kept_end):
            return 0
        if not self._is_provable(stream, copy.boundaries):
            return 0
        if any(one.means(stream.key, log.kept_headers) for one in self.purges):
            return 0
        head = KeptHead(
            copy.end,
            copy.size,
            log.content_type,
            log.is_json,
            False,
            log.tail.closed and log.tail.offset == copy.end,
            log.kept_headers,
            copy.boundaries,
        )
        self._waiting.append((stream, head, copy, log.incarnation))
        self._copy_next()
        return copy.size

    def _copy_next(self) -> None:
        while self._waiting and self._copies < MAX_COPIES:
            stream, head, copy, incarnation = self._waiting.popleft()
            if not self._is_off:
                kept = partial(self._log_kept, stream, incarnation, head)
                self._copy(stream, head, reader_of(copy), kept)

    def _log_kept(self, stream: Stream, incarnation: int, head: KeptHead) -> None:
        """What this row's log held is on the disk; it may hold another one's now."""
        if stream.log.incarnation == incarnation:
            note = self._notes.setdefault(stream, Note(incarnation))
            if note.phase is DiskPhase.NOTHING:
                note.kept_end = head.end
            self._quiet.wrote(stream)

    # Forgetting

    def forget(self, stream: Stream) -> None:
        """Another stream, or none, is at this path."""
        self._quiet.drop(stream)
        self._let_go(self._notes.pop(stream, None))
        note = self._notes[stream] = Note(stream.log.incarnation)
        note.phase = DiskPhase.NOTHING
        self.forget_path(stream.key.path)

    def forget_path(self, path: str, done: Forgotten | None = None) -> None:
        """On the disk, and on its way there."""
        self._drop_waiting(lambda _, other, kept: other == path)
        self._disk.forget(path, done)

    def begin_purge(self, purge: PurgeSelection, done: Forgotten) -> None:
        """The same of all that is meant, and none is kept while this is in ``purges``
        (L27)."""
        self.purges.append(purge)
        meant = purge.chooses
        self._drop_waiting(meant)
        if purge.path is not None:
            self._disk.forget(purge.path[1], done)
        else:
            self._disk.purge(lambda one, kept: meant(one.route, one.path, kept), done)

    def _drop_waiting(self, meant: Chooses) -> None:
        for one in tuple(self._waiting):
            if meant(one[0].key.route, one[0].key.path, one[1].headers):
                self._waiting.remove(one)

    def wrote(self, write: WriteOutcome) -> None:
        """A write was answered, or its answer was lost. What was made or deleted at a
        path is not what is kept of it, whether or not a row knows of it."""
        done = write.status is None or 200 <= write.status < 300
        if done and write.method in ("PUT", "DELETE") and write.status != 200:
            self.forget_path(write.path)

    def _let_go(self, note: Note | None) -> None:
        if note is not None and note.file is not None:
            note.file.close()

    # Its own

    def _copy(
        self, stream: Stream, head: KeptHead, copy: Copy, kept: Callable[[], None]
    ) -> Copying:
        """Begin to write a range to the disk. ``kept``: is told that it is there."""

        def ended(error: OSError | None) -> None:
            self._copies -= 1
            if error is None:
                self._strikes = 0
                self._counters.disk_stores += 1
                kept()
            else:
                self._failed(error)
            self._copy_next()
            self._keep_quiet()

        self._copies += 1
        return Copying(self._disk.keep(name_of(stream), head), head.size, copy, ended)

    def _failed(self, error: OSError) -> None:
        self._counters.disk_faults[word_of(error).value] += 1
        if isinstance(error, NotKept):
            # Its own decision: no reason to leave the disk alone.
            return
        self._strikes += 1
        if self._strikes >= MAX_STRIKES:
            self._strikes = 0
            self._off_until = self._clock.monotonic() + OFF_SECONDS
            self._counters.disk_pauses += 1


def _may_keep(stream: Stream) -> bool:
    """Whether anything of this row may be on a disk (S2)."""
    log, route = stream.log, stream.route
    shared = stream.key.partition.kind is not PartitionKind.CREDENTIAL
    stays = log.ttl is None and log.expires_at is None
    stored = route.origin_no_store is OriginNoStore.HONOUR
    return shared and stays and stored and stream.lenders is None


def _is_current(spool: Spool) -> bool:
    return spool.sent.incarnation == spool.stream.log.incarnation


def log_end(stream: Stream) -> str | None:
    """The furthest offset that the origin named of this stream."""
    log = stream.log
    told = [one for one in (log.end, log.tail.offset) if one is not None]
    return max(told, key=order, default=None)


def _close(found: KeptRange | OSError | None) -> None:
    """It came too late."""
    if found is not None and not isinstance(found, OSError):
        found.close()


def _none() -> Any:
    raise Refusal("nothing is written to what is on the disk")
