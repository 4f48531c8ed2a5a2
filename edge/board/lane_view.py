"""LaneView: the board as one process has it: the port ``Board``, and its lane.

A process has one for as long as it lives. It stores into its own lane and reads all
others. Nothing here blocks, and nothing is locked.

``news`` is asked before everything that goes out. It costs one comparison of a time, of
an object and of a slot's bytes (docs/performance.md has the figure); all else is done
only where one of them tells that something is new.

Called on the event loop: by the hub for its rows, by the timer of beats, and by
whoever tells or reads figures of the node.
"""

import logging
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from edge.board import slot_words
from edge.board.accept_balance import (
    SPARE_CONNECTIONS,
    is_above,
    may_pause,
)
from edge.board.fence import fence
from edge.board.keeper_pulse import FRESH_SECONDS, KeeperPulse, OwnBeat
from edge.board.layout import ANNOUNCED, Field
from edge.board.memory import BoardMemory
from edge.board.node_denials import NodeDenials
from edge.board.slot_words import NO_CHAIN, Chain
from edge.board.sums import CountedNumbers, Sums
from edge.board.tally_table import TallyTable
from edge.core.accepting import BALANCE_SECONDS
from edge.core.node_board import COVERS_NOBODY, News, SlotWatch
from edge.core.values import Place, Role

_log = logging.getLogger("edge.board")

LATE_SECONDS = FRESH_SECONDS * 2 / 3
"""Whose last beat is older beats before it takes what the node bounds."""

AHEAD_SHARE = 64
"""Nobody takes more ahead than this part of what is left."""


class LaneView:
    """One process's view of the board."""

    __slots__ = (
        "_beats",
        "_boot",
        "_chains",
        "_clock",
        "_fields",
        "_lane",
        "_lanes",
        "_memory",
        "_own",
        "_pulses",
        "_slots",
        "_sums",
        "_words",
    )

    def __init__(
        self,
        memory: BoardMemory,
        sums: Sums,
        lane: int,
        boot: int,
        clock: Callable[[], float],
    ) -> None:
        layout = memory.layout
        self._memory = memory
        self._sums = sums
        self._words = memory.words
        self._lane = lane
        self._lanes = layout.lanes
        self._boot = boot
        self._clock = clock
        self._fields = {field: layout.field(field) for field in Field}
        self._own = OwnBeat(gaps=self._words[self._fields[Field.GAPS] + lane])
        role = tuple(Role)[self._words[self._fields[Field.ROLE] + lane]]
        # A keeper's own rows have no keeper above them.
        owners = (None,) if role is Role.KEEPER else range(layout.keepers)
        self._pulses = [KeeperPulse(keeper=owner) for owner in owners]
        self._slots: dict[int, memoryview] = {}
        self._chains: dict[int, Chain] = {}

    # Rows: see ``edge.core.ports.Board``.

    def watch(self, path: str) -> SlotWatch:
        """See ``edge.core.ports.Board``."""
        digest = self._memory.digests.of(path)
        slot = self._slot(digest.slot)
        pulse = self._pulses[digest.owner % len(self._pulses)]
        seen = array("Q", slot.tolist()).tobytes()
        return SlotWatch(path, digest.life, slot, seen, pulse, pulse.epoch)

    def news(self, watch: SlotWatch, now: float) -> News | None:
        """See ``edge.core.ports.Board``."""
        pulse = watch.pulse
        if (
            now < pulse.fresh_until
            and watch.epoch is pulse.epoch
            and watch.slot.tobytes() == watch.seen
        ):
            return None
        return self._look(watch, now)

    def covers(self, watch: SlotWatch, news: News, ends: Iterable[str]) -> bool:
        """See ``edge.core.ports.Board``."""
        if COVERS_NOBODY in news.ends:
            return False
        digest = self._memory.digests.end
        return set(news.ends) <= {digest(watch.path, end) for end in ends}

    def store_write(self, path: str, offset: str | None) -> None:
        """See ``edge.core.ports.Board``."""
        number = self._memory.digests.of(path).slot
        slot, lane, words = self._slot(number), self._lane, slot_words
        if offset is None:
            slot[lane] = words.unplaced_write_stored(slot[lane])
            self._chains[number] = NO_CHAIN
            return
        new = Chain(path, offset, slot[self._lanes :].tobytes())
        chain, digest = self._chains.get(number), self._memory.digests.end
        slot[lane], self._chains[number] = words.write_stored(
            slot[lane], chain, new, digest
        )

    def store_life(self, path: str) -> None:
        """See ``edge.core.ports.Board``."""
        digest = self._memory.digests.of(path)
        slot, lane = self._slot(digest.slot), self._lanes + self._lane
        slot[lane] = slot_words.life_stored(slot[lane], digest.life)

    def owner(self, path: str) -> int:
        """The number of the keeper to which a path belongs. It never moves (W1)."""
        return self._memory.digests.of(path).owner

    def _slot(self, number: int) -> memoryview:
        slot = self._slots.get(number)
        if slot is None:
            layout = self._memory.layout
            first = layout.slot(number)
            slot = self._slots[number] = self._words[first : first + layout.slot_words]
        return slot

    def _look(self, watch: SlotWatch, now: float) -> News | None:
        """Something is new, or nothing vouches any more for its not being so."""
        pulse = watch.pulse
        assert isinstance(pulse, KeeperPulse)
        if now >= pulse.fresh_until:
            self._renew(pulse, now)
        before, watch.epoch = watch.epoch, pulse.epoch
        silent = pulse.is_silent or pulse.epoch.gaps != before.gaps
        doubt = pulse.epoch.doubts != before.doubts
        # Whole words, once: what is judged is what counts as seen.
        words = watch.slot.tolist()
        seen = memoryview(watch.seen).cast("Q").tolist()
        watch.seen = array("Q", words).tobytes()
        lanes, own = self._lanes, self._lane
        ends = slot_words.covering_ends(seen[:lanes], words[:lanes], own)
        lives = slot_words.lives_concern(seen[lanes:], words[lanes:], own, watch.life)
        if not (ends or lives or doubt or silent):
            return None
        return News(bool(ends), lives, doubt, silent, ends)

    # Beats.

    def beat(self, now: float) -> None:
        """A sign of life: every quarter of a second, by a timer of its own (W6)."""
        own = self._own
        own.give(now)
        # The gap first: who sees the beat must know of it.
        self._store(Field.GAPS, own.gaps)
        self._store(Field.BEAT, int(own.beat * 1000))
        for pulse in self._pulses:
            self._renew(pulse, now)

    def keeper_beat(self, keeper: int) -> float:
        """When this keeper last gave a sign of life, for ``keeper_health``; -inf before
        its first. In a front alone."""
        pulse = self._pulses[keeper]
        self._renew(pulse, self._clock())
        return pulse.beat

    def _renew(self, pulse: KeeperPulse, now: float) -> None:
        pulse.renew(self._words, self._memory.layout, self._own, now)

    def denials(self, rate: str) -> NodeDenials:
        """What all fronts know of bad credentials, by an allowance of this name (W17).
        In a front alone."""
        return NodeDenials(self._memory, rate, self._clock)

    # What this process is.

    def store_connections(self, connections: int) -> None:
        """How many connections of clients this process has."""
        self._store(Field.CONNECTIONS, connections)

    def store_accepts(self, most: int) -> None:
        """How many connections this process takes; 0: no new ones."""
        self._store(Field.ACCEPTS, most)

    def store_leaves(self) -> None:
        """This process is about to end: fronts retire their connections to it (W12)."""
        self._store(Field.LEAVES, 1)

    # What the others are.

    def leaving(self) -> frozenset[int]:
        """The boots of the processes that are about to end (W12)."""
        boots, leaves = self._all(Field.BOOT), self._all(Field.LEAVES)
        return frozenset(
            boot for boot, leaving in zip(boots, leaves, strict=True) if leaving
        )

    def beat_of(self, boot: int) -> float:
        """When the process with this boot last gave a sign of life (monotonic seconds);
        -inf: it has ended, or gave none."""
        told = zip(self._all(Field.BOOT), self._all(Field.BEAT), strict=True)
        beat = next((beat for one, beat in told if one == boot), 0)
        return beat / 1000 if beat else -math.inf

    def is_leaving(self, keeper: int) -> bool:
        """Whether a process in this keeper's place is about to end (W12)."""
        fields = (Field.LEAVES, Field.ROLE, Field.PLACE)
        role = tuple(Role).index(Role.KEEPER)
        told = zip(*(self._all(each) for each in fields), strict=True)
        return any(lane == (1, role, keeper) for lane in told)

    def places(self, now: float) -> tuple[Place, ...]:
        """Where the processes with a fresh beat stand, each once."""
        roles, numbers = self._all(Field.ROLE), self._all(Field.PLACE)
        every = tuple(Role)
        fresh = self._fresh(now)
        return tuple({Place(every[roles[lane]], numbers[lane]): None for lane in fresh})

    def must_pause(self, connections: int) -> bool:
        """Whether this process, with so many connections, lets others accept for
        ``BALANCE_SECONDS`` (W13). Asked before each connection is accepted.

        One that is full lets others accept while one of them has room. Of those that
        have room never all pause: before one does it says so, and looks whether another
        still accepts. Of two that do so at once, one at least sees the other, and goes
        on.
        """
        self._store(Field.CONNECTIONS, connections)
        is_full = (
            0 < self._words[self._fields[Field.ACCEPTS] + self._lane] <= connections
        )
        if connections <= SPARE_CONNECTIONS and not is_full:
            return False
        now = self._clock()
        counts = self._all(Field.CONNECTIONS)
        others = self._with_room(now, counts)
        if is_full:
            return bool(others)
        if not is_above(connections, [counts[lane] for lane in others]):
            return False
        self._store(Field.PAUSED, math.ceil((now + BALANCE_SECONDS) * 1000))
        paused = self._all(Field.PAUSED)
        if may_pause(paused[lane] <= now * 1000 for lane in others):
            return True
        self._store(Field.PAUSED, 0)
        return False

    def has_room(self, connections: int, most: int) -> bool:
        """Whether the node may have one more than it has, with so many in this process:
        ``most`` in all."""
        return self.take(Field.CONNECTIONS, connections, most) > connections

    def take(self, field: Field, own: int, most: int, ahead: int = 0) -> int:
        """How many this process may have, which has ``own`` and asks for one more, with
        ``most`` in the node: ``own`` if there is no more. Up to ``ahead`` more than it
        asks for, as long as that is little of what is left.

        They are counted here before the others are: of two that take the last at once,
        both may see that it is taken, and never none.
        """
        now = self.awake()
        ahead = min(ahead, most // AHEAD_SHARE)
        wanted = own + 1 + ahead
        self._store(field, wanted)
        fence()
        counts = self._all(field)
        taken = sum(counts) - ahead
        if taken > most:
            # Those who are silent do not count.
            taken = sum(counts[lane] for lane in self._fresh(now)) - ahead
        left = most - taken
        has = own if left < 0 else own + 1 + min(ahead, left // AHEAD_SHARE)
        if has != wanted:
            self._store(field, has)
        return has

    def awake(self) -> float:
        """The time now, at which this process has a fresh beat: else the others would
        not count what it takes."""
        now = self._clock()
        if now - self._own.beat > LATE_SECONDS:
            self.beat(now)
        return now

    def store_count(self, field: Field, own: int) -> None:
        """How many this process has, or may have."""
        self._store(field, own)

    def fresh_lanes(self, now: float) -> list[int]:
        """The lanes whose holders have a fresh beat."""
        return list(self._fresh(now))

    @property
    def tallies(self) -> TallyTable:
        """A new table of this process's tallies. It is to have one."""
        return TallyTable(self._memory, self._lane)

    def _with_room(self, now: float, counts: Sequence[int]) -> list[int]:
        """The other lanes that accept and beat, and may take one more."""
        accepts = self._all(Field.ACCEPTS)
        fresh = (lane for lane in self._fresh(now) if lane != self._lane)
        return [lane for lane in fresh if counts[lane] < accepts[lane]]

    def _fresh(self, now: float) -> Iterator[int]:
        """The lanes whose holders have a fresh beat."""
        oldest = (now - FRESH_SECONDS) * 1000
        beats = self._all(Field.BEAT)
        return (lane for lane, beat in enumerate(beats) if beat and beat > oldest)

    # Texts and orders.

    def store_text(self, octets: bytes) -> None:
        """What this process tells of itself: a JSON object whose ``counters`` are
        numbers that only grow, or such numbers by label. At most 64 KiB."""
        if not self._sums.store(self._lane, self._boot, octets):
            _log.error("no room for a text of %d octets", len(octets))

    def totals(self) -> CountedNumbers:
        """The sums of ``counters`` over all processes that there are and have been, by
        the last text of each. They never go back."""
        return self._sums.totals()

    def texts(self) -> list[dict[str, Any]]:
        """The texts of all processes with a fresh beat."""
        boots = self._all(Field.BOOT)
        fresh = self._fresh(self._clock())
        texts = (self._sums.text(lane, boots[lane]) for lane in fresh)
        return [text for text in texts if text is not None]

    def processes(self) -> list[tuple[float, dict[str, Any]]]:
        """The text of each process that there is, and seconds since its last sign of
        life, however many these are."""
        boots, beats = self._all(Field.BOOT), self._all(Field.BEAT)
        now, found = self._clock(), []
        for lane, (boot, beat) in enumerate(zip(boots, beats, strict=True)):
            text = self._sums.text(lane, boot) if boot and beat else None
            if text is not None:
                found.append((max(0.0, now - beat / 1000), text))
        return found

    def store_announced(self, number: int) -> None:
        """This process announces an order (W14)."""
        self._store(Field.ANNOUNCED, number)

    def announced(self) -> int:
        """The furthest order that anybody announced. Never goes back."""
        # The lanes first: one that is taken back meanwhile is in the other word.
        furthest = max(self._all(Field.ANNOUNCED))
        return max(furthest, self._words[ANNOUNCED])

    def store_acted(self, word: int) -> None:
        """How far this process carried out orders; 0: it reads none."""
        self._store(Field.ACTED, word)

    def order_lanes(self) -> list[tuple[int, int]]:
        """The lanes whose holders read orders, and how far each carried them out."""
        acted = enumerate(self._all(Field.ACTED))
        return [(lane, word) for lane, word in acted if word]

    def _all(self, field: Field) -> list[int]:
        """A field of all lanes."""
        first = self._fields[field]
        return self._words[first : first + self._lanes].tolist()

    def _store(self, field: Field, value: int) -> None:
        self._words[self._fields[field] + self._lane] = value
