"""Readers: seeded, in every mode, coding and credential; the judge gets each answer.

A reader picks a stream, an offset that it knows, a mode and who it is, and goes on from
there for a while, as clients do: catch-up, ``now``, HEAD, long-poll, event streams,
with conditionals, extension parameters and a cursor. Some walk away in the middle. It
judges nothing of the log; what it can tell at once, that a body is torn or that nobody
may be refused here, it tells.
"""

import asyncio
import json
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from math import inf

from tests.chaos import grants as grants_of
from tests.chaos.client import Client, Cut, Event, Reply, events
from tests.chaos.grants import Held
from tests.chaos.judge import Absence, Answer, brief
from tests.chaos.messages import Kind, Name, Torn, parse, without_spaces
from tests.chaos.world import Stream, World

NOBODY = "mallory"
"""The subject whom the origin refuses from the beginning."""

REVOKED = "eve"
"""The subject whom it refuses from some time on."""

SUBJECTS = ("",) * 10 + (
    "alice",
    "alice",
    "bob",
    "cookie",
    "parameter",
    NOBODY,
    REVOKED,
)
CODINGS = ("", "", "gzip", "br", "zstd", "gzip, br;q=0.5", "identity")
MODES = ("catch-up",) * 4 + ("now", "head", "long-poll", "long-poll", "sse", "sse")
MOST_KNOWN = 40
WITHIN = 40.0
"""Seconds after which a reader complains that it has no answer: above every time-out of
the edge together."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a reader asks for, over several requests."""

    stream: Stream
    subject: str
    codings: str
    extension: str
    held: Held | None = None

    @property
    def ends(self) -> float:
        """From when on its credential is good for nothing."""
        return inf if self.held is None else self.held.good.known

    def known_as(self, query: str) -> tuple[str, str]:
        """What an entity tag may be sent for. All who are let in share theirs."""
        if self.held is None:
            return self.target(query), repr(self.fields())
        return f"{query}&{self.extension}", self.codings

    def target(self, query: str) -> str:
        parts = [query, self.extension]
        if self.held is not None:
            parts.append(self.held.query)
        elif self.subject == "parameter":
            parts.append("token=parameter")
        return f"{self.stream.path}?{'&'.join(part for part in parts if part)}"

    def fields(self) -> dict[str, str]:
        said = dict[str, str]()
        if self.codings:
            said["Accept-Encoding"] = self.codings
        if self.held is not None:
            said |= self.held.fields
        elif self.subject == "cookie":
            said["Cookie"] = "session=1"
        elif self.subject not in ("", "parameter"):
            said["Authorization"] = f"Bearer {self.subject}"
        return said

    @property
    def offered(self) -> frozenset[str]:
        parts = (part.split(";")[0].strip() for part in self.codings.split(","))
        return frozenset(part for part in parts if part)


class Reader:
    """One reader of all streams, on a connection that it keeps for a while."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._dice = world.dice(f"reader {number}")
        self._client = Client(world.edge)

    async def run(self) -> None:
        while self._world.goes_on():
            async with self._patiently():
                await self._visit()
            if self._dice.random() < 0.2:
                self._client.close()
        self.leave()

    def leave(self) -> None:
        """Ask no more."""
        self._client.close()

    async def read_whole(self, stream: Stream) -> list[str]:
        """Read it to its end as anybody, or as far as it is answered; the sorts of the
        answers."""
        asking, offset, sorts = Asking(stream, "", "", ""), "-1", list[str]()
        async with self._patiently():
            while self._world.goes_on():
                _, answer = await self._read(asking, "catch-up", offset, "")
                if answer is None:
                    break
                sorts.append(answer.sort)
                if answer.closed or answer.up_to_date or answer.next == offset:
                    break
                offset = answer.next
        return sorts

    @asynccontextmanager
    async def _patiently(self) -> AsyncIterator[None]:
        try:
            yield
        except TimeoutError:
            self._world.complain(f"no-answer: within {WITHIN:g} s")

    async def _visit(self) -> None:
        dice = self._dice
        streams = self._world.streams
        (stream,) = dice.choices(streams, [one.readers for one in streams])
        extension = "" if dice.random() < 0.9 else f"x={dice.randrange(2)}"
        asking = self._drawn(stream, extension)
        mode = dice.choice(MODES)
        offset = dice.choice(("-1", "-1", "now", *dice.choices(stream.offsets, k=3)))
        if mode == "sse":
            await self._watch(asking, offset)
            return
        cursor = ""
        for _ in range(dice.randrange(1, 8)):
            if not self._world.goes_on():
                return
            if mode == "long-poll" and dice.random() < 0.05:
                await self._walk_away(asking, offset)
                return
            reply, answer = await self._read(asking, mode, offset, cursor)
            if answer is None or answer.closed:
                return
            if mode == "catch-up" and dice.random() < (0.7 if asking.codings else 0.4):
                continue  # once more the same: a hit, a coding, a 304
            cursor = reply.fields.get("stream-cursor", cursor)
            offset = answer.next
            if answer.up_to_date:
                mode = dice.choice((mode, "catch-up", "long-poll"))

    def _drawn(self, stream: Stream, extension: str) -> Asking:
        """Who comes, with what."""
        dice, grants = self._dice, self._world.grants
        if grants is None:
            subject, codings = dice.choice(SUBJECTS), dice.choice(CODINGS)
            return Asking(stream, subject, codings, extension)
        subject = dice.choice(grants_of.SUBJECTS)
        held = grants.hold(subject, stream.path, dice)
        return Asking(stream, subject, dice.choice(CODINGS), extension, held)

    # One request, one answer

    async def _read(
        self, asking: Asking, mode: str, offset: str, cursor: str
    ) -> tuple[Reply, Answer | None]:
        if mode != "head" and offset == "now":
            mode = "now" if mode == "catch-up" else mode
        offset = "now" if mode == "now" else offset
        query = "" if mode == "head" else f"offset={offset}"
        if mode == "long-poll":
            query += "&live=long-poll" + (f"&cursor={cursor}" if cursor else "")
        key, target = asking.known_as(query), asking.target(query)
        remembered = asking.stream.tags.get(key, [])
        fields = asking.fields()
        if mode == "catch-up" and remembered and self._dice.random() < 0.4:
            fields["If-None-Match"] = ", ".join(a.fields["etag"] for a in remembered)
        sent = time.monotonic()
        method = "HEAD" if mode == "head" else "GET"
        try:
            reply = await self._client.ask(method, target, fields, within=WITHIN)
        except Cut:
            self._world.met[f"cut {mode}"] += 1
            return Reply(0, {}), None
        about = Answer(
            target=target,
            mode=f"{mode}-now" if mode == "long-poll" and offset == "now" else mode,
            sent=sent,
            received=time.monotonic(),
            next="",
            start=None if offset == "now" or mode == "head" else offset,
            status=reply.status,
            subject=asking.subject,
            codings=asking.offered,
            ends=asking.ends,
        )
        if reply.status == 304:
            return reply, self._not_modified(asking, about, reply, remembered)
        if not self._is_success(asking, about, reply.status):
            return reply, None
        answer = self._answer(about, reply)
        if answer is not None:
            self._keep(asking, answer)
            if mode == "catch-up" and "etag" in answer.fields:
                asking.stream.tags[key] = [answer, *remembered[:2]]
        return reply, answer

    def _answer(self, about: Answer, reply: Reply) -> Answer | None:
        kind = _kind(reply.fields)
        try:
            names = parse(kind or Kind.TEXT, reply.body)
        except Torn as torn:
            self._world.complain(f"torn: {torn}", brief(_told_by(about, reply)))
            return None
        return replace(_told_by(about, reply), kind=kind, names=names)

    def _not_modified(
        self, asking: Asking, about: Answer, reply: Reply, remembered: list[Answer]
    ) -> Answer | None:
        """A 304 is the answer that its tag names, once more, and as new as any."""
        tag = reply.fields.get("etag")
        meant = [one for one in remembered if one.fields["etag"] == tag]
        if not meant:
            self._world.complain(f"304: for {tag}, which nobody sent", brief(about))
            return None
        seen = (about.sent, about.received)
        answer = replace(meant[0], status=304, sent=seen[0], received=seen[1])
        answer = replace(answer, ends=about.ends, subject=about.subject)
        if _is_relayed(reply.fields):
            # The origin's own: it names the bytes, and claims nothing of the tail.
            fields = reply.fields
            answer = replace(answer, up_to_date=False, closed=False, fields=fields)
        else:
            answer = _told_by(answer, reply)
            if _claims(answer) != _claims(meant[0]):
                said = "304: with other fields than its 200"
                self._world.complain(said, brief(about))
        self._keep(asking, answer)
        return answer

    def _is_success(self, asking: Asking, about: Answer, status: int) -> bool:
        """Whether there is anything to judge; what is odd about a refusal is told."""
        world, subject = self._world, asking.subject
        if status in (200, 204):
            trusted = world.bounds.trust + world.bounds.late(about.sent)
            since = world.revoked.get(subject)
            if since is not None and about.sent > since + trusted:
                world.complain(f"access: {subject} was refused, and is served")
            return True
        world.met[f"status {status}"] += 1
        if asking.held is not None and status in (401, 403):
            self._refused(asking.held, about, status)
        elif status < 500 and about.sent > about.ends:
            world.complain(f"ungranted: {status} tells of the stream", brief(about))
        elif status in (400, 404, 410):
            times = (about.sent, about.received)
            absence = Absence(about.mode, *times, status, about.start)
            asking.stream.absences.append(absence)
        elif status == 403 and subject in world.revoked:
            world.met["refused subject"] += 1
        elif status < 500:
            world.complain(f"status: {status}", brief(about))
        return False

    def _refused(self, held: Held, about: Answer, status: int) -> None:
        """Only who is not let in may hear so."""
        self._world.met["refused subject"] += 1
        if held.is_refused_wrongly(about.received):
            self._world.complain(f"locked-out: {status}", brief(about))

    def _keep(self, asking: Asking, answer: Answer) -> None:
        """For the judge; and its end as an offset to begin at."""
        met, stream = self._world.met, asking.stream
        met[f"mode {answer.mode}"] += 1
        met[f"sort {answer.sort}"] += 1
        met[f"subject {asking.subject or 'nobody'}"] += 1
        met[f"coding {answer.fields.get('content-encoding', 'none')}"] += 1
        stream.answers.append(answer)
        if answer.next not in stream.offsets:
            stream.offsets.append(answer.next)
            if len(stream.offsets) > MOST_KNOWN:
                del stream.offsets[self._dice.randrange(1, MOST_KNOWN)]

    async def _walk_away(self, asking: Asking, offset: str) -> None:
        target = asking.target(f"offset={offset}&live=long-poll")
        try:
            await self._client.ask(
                "GET", target, asking.fields(), within=self._dice.random()
            )
        except (Cut, TimeoutError):
            self._world.met["walked away"] += 1

    # Event streams

    async def _watch(self, asking: Asking, offset: str) -> None:
        """Follow an event stream for a while, and leave it, mostly before it ends."""
        until = time.monotonic() + self._dice.uniform(0.5, 6.0)
        target = asking.target(f"offset={offset}&live=sse")
        about = Answer(
            target=target,
            mode="sse",
            sent=time.monotonic(),
            received=0.0,
            next="",
            start=None if offset == "now" else offset,
            subject=asking.subject,
            ends=asking.ends,
        )
        try:
            async with asyncio.timeout(WITHIN):
                await self._client.send("GET", target, asking.fields())
                head = await self._client.head()
            about = replace(about, received=time.monotonic(), fields=head.fields)
            if self._is_success(asking, about, head.status):
                await self._follow(asking, about, until)
        except Cut:
            self._world.met["cut sse"] += 1
        finally:
            self._client.close()

    async def _follow(self, asking: Asking, about: Answer, until: float) -> None:
        data = list[Event]()
        try:
            async with asyncio.timeout(until - time.monotonic()):
                async for event in events(self._client):
                    if event.name == "data":
                        data.append(event)
                        continue
                    answer = self._told(asking, about, data, event)
                    if answer is None:
                        return
                    self._keep(asking, answer)
                    about = replace(about, start=answer.next, fields=_later(about))
                    data = []
        except TimeoutError:
            return
        self._world.met["event stream ended"] += 1

    def _told(
        self, asking: Asking, about: Answer, data: list[Event], control: Event
    ) -> Answer | None:
        """The data events up to a control event, which says where they end."""
        told = json.loads(b"".join(control.lines))
        try:
            kind, names = self._event_data(about.fields, data)
        except (Torn, ValueError) as torn:
            self._world.complain(f"torn: {torn}", brief(about))
            return None
        closed = bool(told.get("streamClosed"))
        return replace(
            about,
            received=time.monotonic(),
            ends=asking.ends,
            next=told["streamNextOffset"],
            kind=kind,
            names=names,
            up_to_date=bool(told.get("upToDate")) or closed,
            closed=closed,
        )

    def _event_data(
        self, fields: Mapping[str, str], data: list[Event]
    ) -> tuple[Kind | None, tuple[Name, ...]]:
        """Raises Torn, and ValueError where base64 is none."""
        if not data:
            return None, ()
        if fields.get("stream-sse-data-encoding") == "base64":
            parts = [b64decode(b"".join(e.lines), validate=True) for e in data]
            return Kind.BINARY, parse(Kind.BINARY, b"".join(parts))
        texts = [b"\n".join(event.lines) for event in data]
        if texts[0].startswith(b"["):
            names = [name for text in texts for name in parse(Kind.JSON, text)]
            return Kind.JSON, tuple(names)
        relayed = _is_relayed(fields)
        as_told = without_spaces if relayed and self._world.loses_spaces else bytes
        return Kind.TEXT, parse(Kind.TEXT, b"".join(texts), as_told)


def _is_relayed(fields: Mapping[str, str]) -> bool:
    return "fwd=bypass" in fields.get("cache-status", "")


def _told_by(about: Answer, reply: Reply) -> Answer:
    """With what every answer's fields tell."""
    fields = reply.fields
    return replace(
        about,
        next=fields.get("stream-next-offset", ""),
        up_to_date=fields.get("stream-up-to-date") == "true",
        closed=fields.get("stream-closed") == "true",
        fields=fields,
    )


def _later(about: Answer) -> Mapping[str, str]:
    """The fields of an event stream for its later events: what its head says of age and
    staleness is said of the first one."""
    fields = {name: value for name, value in about.fields.items() if name != "age"}
    if about.is_stale:
        del fields["cache-status"]
    return fields


def _claims(answer: Answer) -> tuple[str, bool, bool]:
    return answer.next, answer.up_to_date, answer.closed


def _kind(fields: Mapping[str, str]) -> Kind | None:
    told = fields.get("content-type", "").partition(";")[0]
    return Kind(told) if told in {kind.value for kind in Kind} else None
