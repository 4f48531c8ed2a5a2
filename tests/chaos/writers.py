"""Writers: seeded, through the edge and behind it; and the origin's word on the log.

A writer appends (one message, several, in pieces, as an idempotent producer), closes,
deletes, creates anew and forks, and writes into the history what it asked and what it
was told. ``audit`` reads the log past the edge: that is the truth which answers are
judged by. Before a stream is deleted it is read to its end, while nobody else writes.
"""

import asyncio
import time
from collections.abc import Set
from dataclasses import dataclass
from itertools import count

from tests.chaos.client import Cut, Reply, once
from tests.chaos.history import Incarnation, Life, Span, Way, Write
from tests.chaos.messages import MAX_SIZE, Kind, Name, Torn, append_body, parse
from tests.chaos.world import Stream, World

UNKNOWN = (Cut, TimeoutError, OSError)
"""How a write ends whose fate nobody knows."""

SETTLED = 0.3
"""Seconds after which a write that had no answer has happened, or never will: no fault
holds a request back."""

SIZES = (0, 5, 30, 60, 200, 1_500, 1_500, 5_000, MAX_SIZE)
LONG_LIFE = 150
"""Appends after which a stream is closed or deleted more often."""

PROBED = 40_000
"""Bytes up to which a stream is deleted behind the edge. A longer one may be held as
one range too large to be checked by its end: the limit that L7 documents."""

WORTH_CODING = 10_000
"""Bytes from which a stream is surely sent coded to whoever takes that."""

RETRIES = 4


class Writer:
    """One writer of all streams."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number
        self._dice = world.dice(f"writer {number}")
        self._numbers = count()
        self._producers: dict[Incarnation, _Producer] = {}

    async def run(self) -> None:
        while self._world.goes_on():
            await self._act(self._dice.choice(self._world.streams))
            await asyncio.sleep(self._dice.random() * 0.2)

    async def write_all(self, stream: Stream) -> None:
        """Create it through the edge, as text that is worth coding, and close it."""
        one = await self._begin(stream, Kind.TEXT, {}, way=Way.EDGE)
        while one is not None and one.closure is None:
            closes = _bytes(one) > WORTH_CODING
            await self._write(stream, one, closes, Way.EDGE)

    async def _act(self, stream: Stream) -> None:
        one, throw = stream.alive, self._dice.random()
        if one is None:
            await self._create(stream)
        elif throw < self._end_rate(stream, one):
            await self._delete(stream)
        else:
            async with stream.turns.shared():
                if stream.alive is not None:
                    await self._append(stream, stream.alive)

    def _end_rate(self, stream: Stream, one: Incarnation) -> float:
        """How often it is deleted."""
        if one.closure is not None:
            return 0.3
        if stream.is_quiet:
            return 0.06
        return 0.1 if len(one.writes) > LONG_LIFE else 0.03

    def _way(self, behind: float) -> Way:
        return Way.BEHIND if self._dice.random() < behind else Way.EDGE

    async def _call(
        self,
        way: Way,
        method: str,
        path: str,
        fields: dict[str, str],
        body: bytes = b"",
    ) -> tuple[Span, Reply | None]:
        """When it was asked and known, and the answer, if there was one."""
        port = self._world.edge if way is Way.EDGE else self._world.origin
        if self._world.grants is not None and way is Way.EDGE:
            fields = {**fields, **self._world.grants.writer()}
        chunked = method == "POST" and bool(body) and self._dice.random() < 0.3
        asked = time.monotonic()
        try:
            reply = await once(port, method, path, fields, body, chunked=chunked)
        except UNKNOWN:
            return Span(asked, time.monotonic()), None
        return Span(asked, time.monotonic()), reply

    # Appends

    async def _append(self, stream: Stream, one: Incarnation) -> None:
        dice = self._dice
        if one.closure is None and dice.random() < 0.02:
            await self._close(stream, one)
        elif dice.random() < 0.2 and one.closure is None:
            await self._produce(stream, one)
        else:
            many = dice.choice((1, 1, 1, 2, 4))
            await asyncio.gather(*(self._write(stream, one) for _ in range(many)))

    def _names(self, stream: Stream, one: Incarnation) -> tuple[Name, ...]:
        several = self._dice.choice((1, 1, 3)) if one.kind is Kind.JSON else 1
        about = (stream.number, one.number, self._number)
        sizes = self._dice.choices(SIZES, k=several)
        return tuple(Name(*about, next(self._numbers), size) for size in sizes)

    async def _write(
        self,
        stream: Stream,
        one: Incarnation,
        closes: bool = False,
        way: Way | None = None,
    ) -> None:
        way = way or self._way(behind=0.35)
        write = Write(way, self._names(stream, one), Span(time.monotonic()))
        one.writes.append(write)
        fields = {"Content-Type": one.kind.value}
        if closes:
            fields["Stream-Closed"] = "true"
        if self._dice.random() < 0.2:
            fields["Authorization"] = "Bearer alice"
        body = append_body(one.kind, write.names)
        write.span, reply = await self._call(way, "POST", stream.path, fields, body)
        self._note(stream, one, write, reply)
        if closes and write.ok:
            one.closure = one.closure or Life(write.span, way, heard=way is Way.EDGE)

    def _note(
        self, stream: Stream, one: Incarnation, write: Write, reply: Reply | None
    ) -> None:
        """What an append's answer says of it."""
        if reply is None or reply.status >= 500:
            self._world.met[f"append {write.way.value} unknown"] += 1
            return
        write.ok = reply.status < 300
        if write.ok:
            write.offset = reply.fields.get("stream-next-offset")
        elif reply.status != 409 or one.closing > write.span.known:
            self._world.complain(f"write-denied: {reply.status}", write)
        word = "acknowledged" if write.ok else "refused"
        self._world.met[f"append {write.way.value} {word}"] += 1

    async def _produce(self, stream: Stream, one: Incarnation) -> None:
        """An append that is repeated until it is acknowledged, and happens once."""
        if one not in self._producers:
            self._producers[one] = _Producer(f"{self._number}-{one.number}")
        producer = self._producers[one]
        write = Write(Way.EDGE, self._names(stream, one), Span(time.monotonic()))
        one.writes.append(write)
        fields = {"Content-Type": one.kind.value, **producer.fields()}
        body = append_body(one.kind, write.names)
        for attempt in range(RETRIES):
            span, reply = await self._call(Way.EDGE, "POST", stream.path, fields, body)
            write.span = Span(write.span.asked, span.known)
            if reply is not None and reply.status < 500:
                self._note(stream, one, write, reply)
                if attempt:
                    self._repeated(write)
                producer.next()
                return
            await asyncio.sleep(SETTLED)
        self._note(stream, one, write, None)
        producer.begin_anew()

    def _repeated(self, write: Write) -> None:
        """A duplicate's answer may name the tail; and one that was refused, because the
        stream was closed, may have happened before."""
        write.offset = None
        write.ok = write.ok or None
        self._world.met["append repeated"] += 1

    async def _close(self, stream: Stream, one: Incarnation) -> None:
        one.closing = min(one.closing, time.monotonic())
        if self._dice.random() < 0.5:
            await self._write(stream, one, closes=True)
        else:
            way, fields = self._way(behind=0.3), {"Stream-Closed": "true"}
            span, reply = await self._call(way, "POST", stream.path, fields)
            if reply is not None and reply.status < 300:
                one.closure = one.closure or Life(span, way, heard=way is Way.EDGE)
        self._world.met["close"] += 1

    # Lives

    async def _create(self, stream: Stream) -> None:
        async with stream.turns.alone():
            if stream.alive is not None:
                return
            source = self._dice.choice(self._world.streams)
            forks = self._dice.random() < 0.3 and source is not stream
            if not forks or source.turns.is_taken:
                kind = self._dice.choice(list(Kind))
                await self._begin(stream, kind, {})
                return
            async with source.turns.shared():
                if source.alive is not None:
                    await self._fork(stream, source, source.alive)

    async def _fork(self, stream: Stream, source: Stream, one: Incarnation) -> None:
        await audit(self._world, source, one)
        offset = self._dice.choice([o for o in one.places if o != "-1"])
        place = one.places[offset]
        fields = {"Stream-Forked-From": source.path, "Stream-Fork-Offset": offset}
        base = tuple(one.log[:place])
        begun = await self._begin(stream, one.kind, fields, base)
        if begun is not None:
            begun.places |= {o: p for o, p in one.places.items() if p <= place}
            self._world.met["fork"] += 1

    async def _begin(
        self,
        stream: Stream,
        kind: Kind,
        fields: dict[str, str],
        base: tuple[Name, ...] = (),
        way: Way | None = None,
    ) -> Incarnation | None:
        """PUT; the incarnation that begins, unless none does."""
        way = way or self._way(behind=0.3)
        fields = {"Content-Type": kind.value, **fields}
        span, reply = await self._call(way, "PUT", stream.path, fields)
        status, known = await self._is_there(stream, reply)
        heard = reply is not None and reply.status == 201
        if status != 200:
            if heard:
                self._world.complain(f"created-not-there: HEAD {status}", stream.path)
            return None
        birth = Life(Span(span.asked, known), way, heard and way is Way.EDGE)
        one = Incarnation(len(stream.lives), kind, birth, base)
        one.places["-1"] = 0
        told = {} if reply is None else reply.fields
        one.first = told.get("stream-next-offset", fields.get("Stream-Fork-Offset", ""))
        if one.first:
            one.places[one.first] = len(base)
        stream.lives.append(one)
        self._world.met[f"create {way.value}"] += 1
        self._world.met["recreation"] += bool(one.number)
        return one

    async def _is_there(self, stream: Stream, reply: Reply | None) -> tuple[int, float]:
        """The origin's own word, and when it was known: once a call whose fate nobody
        knows has settled."""
        if reply is None or reply.status >= 500:
            await asyncio.sleep(SETTLED)
        head = await once(self._world.origin, "HEAD", stream.path)
        return head.status, time.monotonic()

    async def _delete(self, stream: Stream) -> None:
        async with stream.turns.alone():
            one = stream.alive
            if one is None:
                return
            await asyncio.sleep(SETTLED if any(w.ok is None for w in one.writes) else 0)
            await audit(self._world, stream, one)
            behind = 0.8 if stream.is_quiet else 0.4
            if self._world.grants is not None or _bytes(one) >= PROBED:
                # Who may read is asked there, not what is made anew unheard (L7).
                behind = 0.0
            way = self._way(behind)
            await self._end(stream, one, way)
            if (
                one.death is not None
                and way is Way.BEHIND
                and self._dice.random() < 0.7
            ):
                await self._replace(stream, one)

    async def _end(self, stream: Stream, one: Incarnation, way: Way) -> None:
        """DELETE; afterwards ``death`` is set, unless it lives on."""
        span, reply = await self._call(way, "DELETE", stream.path, {})
        status, known = await self._is_there(stream, reply)
        done = reply is not None and reply.status < 300
        if status == 200:
            if done:
                self._world.complain("deleted-still-there:", stream.path)
            return
        edges = way is Way.EDGE
        one.death = Life(
            Span(span.asked, span.known if done else known),
            way,
            heard=edges and done,
            doubted=edges and not done,
        )
        word = "unknown" if edges and not done else way.value
        self._world.met[f"delete {word}"] += 1

    async def _replace(self, stream: Stream, old: Incarnation) -> None:
        """Behind the edge another stream takes its place at once, and is longer, so
        that a read from the old end finds something (L7)."""
        new = await self._begin(stream, old.kind, {}, way=Way.BEHIND)
        while new is not None and _bytes(new) <= _bytes(old):
            await self._write(stream, new, way=Way.BEHIND)
        self._world.met["replaced behind"] += new is not None


def _bytes(one: Incarnation) -> int:
    """About how long its log is, or will be: three in ten characters take two bytes."""
    written = sum(name.size + 30 for write in one.writes for name in write.names)
    return int(1.3 * (written + sum(name.size + 30 for name in one.base)))


@dataclass(slots=True)
class _Producer:
    """An idempotent producer of one incarnation."""

    name: str
    epoch: int = 0
    sequence: int = 0

    def fields(self) -> dict[str, str]:
        told = {"Id": self.name, "Epoch": self.epoch, "Seq": self.sequence}
        return {f"Producer-{name}": str(value) for name, value in told.items()}

    def next(self) -> None:
        self.sequence += 1

    def begin_anew(self) -> None:
        """Nobody knows whether the last one was taken."""
        self.epoch, self.sequence = self.epoch + 1, 0


async def audit(
    world: World, stream: Stream, one: Incarnation, offsets: Set[str] = frozenset()
) -> None:
    """Read on at the origin to the end of the log; ask it where offsets stand, those
    of the answers that wait for the judge and these."""
    async with stream.audit:
        await _read_on(world, stream, one)
        named = {w.offset for w in one.writes if w.offset} | one.places.keys()
        for offset in (offsets | {a.next for a in stream.answers}) - named:
            await _locate(world, stream, one, offset)
        head = await once(world.origin, "HEAD", stream.path)
        if head.fields.get("stream-closed") == "true" and one.closure is None:
            span = Span(one.closing, time.monotonic())
            one.closure = Life(span, Way.BEHIND, heard=False)


async def _read_on(world: World, stream: Stream, one: Incarnation) -> None:
    offset = max(one.places, key=lambda known: one.places[known])
    if one.places[offset] != len(one.log):
        offset = "-1"
        one.log.clear()
    while True:
        target = f"{stream.path}?offset={offset}"
        reply = await once(world.origin, "GET", target)
        try:
            one.log += parse(one.kind, reply.body)
        except Torn as torn:
            world.complain(f"origin-torn: {torn}", target)
        offset = reply.fields["stream-next-offset"]
        one.places[offset] = len(one.log)
        if "stream-up-to-date" in reply.fields or "stream-closed" in reply.fields:
            return


async def _locate(world: World, stream: Stream, one: Incarnation, offset: str) -> None:
    """Where an offset stands of which no acknowledgement told: before what follows it,
    or, if nothing does, at the end. Others may write meanwhile."""
    reply = await once(world.origin, "GET", f"{stream.path}?offset={offset}")
    if reply.status != 200:
        return
    try:
        rest = parse(one.kind, reply.body)
    except Torn:
        return
    if rest and rest[0] in one.log:
        one.places[offset] = one.log.index(rest[0])
    elif not rest and reply.fields["stream-next-offset"] == offset:
        await _read_on(world, stream, one)
