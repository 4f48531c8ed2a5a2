"""A run: an origin, a fault proxy, an edge; writers, readers, weather; the judgement.

Everything is drawn by dice of the seed: settings of the edge, weather, what everybody
does. The servers and the kernel still choose the order, so a seed repeats a run's plan,
not each of its moments. A run ends by time, and later if it has not met yet what its
plan needs: a busy machine does less in a second. What was met is counted, what is wrong
is listed; who called decides what to make of both.
"""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any
from urllib.parse import urlsplit

from tests.chaos import grants as grants_of
from tests.chaos.client import Reply, once
from tests.chaos.fault_proxy import FaultProxy, Weather
from tests.chaos.grants import Endpoint, Grants
from tests.chaos.history import Bounds, Incarnation, Life, Span
from tests.chaos.judge import Absence, brief, judge, judge_absence
from tests.chaos.messages import Name, Torn, parse
from tests.chaos.readers import NOBODY, REVOKED, Reader
from tests.chaos.world import Stream, World
from tests.chaos.writers import Writer, audit
from tests.support.processes import Edge, edge, embedded_origin, laid_over, node_origin

HOLD_MS = 1_000
ROOT = "/v1/stream"
JUDGED_AT = 60
"""Answers of one stream that are judged together while the run goes on."""

CALM_END = 2.0
"""Seconds without faults before writers and readers end, and again before the end."""

BACK_OFF = 15.0
"""Seconds for which the edge may still hold back after an outage."""

LONGER = 4.0
"""How many seconds a run is made longer at a time."""

QUIET = 0.15
"""Readers of a stream that is hardly read, beside one of any other."""

_ALICE = {"Authorization": "Bearer alice"}
SEVERAL: dict[str, Any] = {
    "workers": 2,
    "keepers": 2,
    "cache": {"memory": "8MiB", "max_object": "256KiB", "max_page": "4KiB"},
}
"""Settings of an edge of several processes, each of which has little room."""

WAYS: tuple[tuple[str, dict[str, str]], ...] = (
    *(("", {}), ("", _ALICE), ("&live=long-poll", {}), ("&live=long-poll", _ALICE)),
)
CODINGS = ("gzip", "br", "zstd")
"""How each stream is read in the end, and with which codings."""

WAYS_OF_ACCESS = (WAYS[0], WAYS[2])
"""In a run with access, where nothing is coded."""

CODED_READS = 3
MOST_CODED_READS = 100
"""How often each stream is read with each coding, and how often until a run has met
that: who asks for one first gets what is not coded yet."""

SECONDS = ("verify", "trust")

MET_LATER = ("judged", "read whole", "coding", "events")
"""What is met in the end of a run, or by the judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is. ``rate`` is the share of requests that meet a fault in a storm;
    ``settings`` are laid over those that the seed draws; ``launcher`` starts the edge
    in place of its own command (``tests.chaos.mutants``). ``needed`` is how often each
    thing must be met; for that a run goes on to ``most`` seconds. ``stop_at_first``: it
    ends at the first complaint; where ``awaited`` names laws, at one of theirs. With
    ``access`` every route judges who may read."""

    seed: int
    origin: str = "node"
    seconds: float = 25.0
    most: float = 0.0
    needed: Mapping[str, int] = field(default_factory=dict)
    rate: float = 0.15
    streams: int = 8
    writers: int = 6
    readers: int = 16
    settings: dict[str, Any] = field(default_factory=dict)
    launcher: tuple[str, ...] = ()
    stop_at_first: bool = False
    awaited: frozenset[str] = frozenset()
    access: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. ``first_wrong``: seconds after its beginning, or None."""

    plan: Plan
    met: Counter[str]
    wrong: list[str]
    laws: Counter[str]
    first_wrong: float | None

    @property
    def lacks(self) -> dict[str, int]:
        """What was met less often than it must be for the run to mean anything."""
        return _lacks(self.met, self.plan.needed)


def _lacks(met: Counter[str], needed: Mapping[str, int]) -> dict[str, int]:
    return {what: met[what] for what in needed if met[what] < needed[what]}


def drawn_settings(seed: int) -> dict[str, Any]:
    """Settings of the edge: short times, and sizes that make it page and forget."""
    dice = random.Random(f"{seed} settings")
    memory, largest, page = dice.choice(
        (
            ("1MiB", "64KiB", "4KiB"),
            ("1MiB", "1MiB", "64KiB"),
            ("64MiB", "16MiB", "4KiB"),
            ("64MiB", "16MiB", "1MiB"),
        )
    )
    verify = dice.choice(("1s", "3s", "10s"))
    trust = dice.choice(("0s", "1s"))
    linger = dice.choice(("0s", "1s", "5s"))
    # By events wherever that may be; by itself it is for busier streams than these.
    follow = {"follow": dice.choice(("sse", "sse", "auto"))}
    return {
        "cache": {
            "memory": memory,
            "max_object": largest,
            "max_page": page,
            "verify": verify,
            "trust": trust,
            "closed_max_age": verify,
        },
        "live": {
            "long_poll_timeout": "1s",
            "sse_lifetime": "3s",
            "linger": linger,
        },
        "origin": {"head_timeout": "3s", "read_timeout": "4s", "idle_timeout": "2s"},
        "routes": [
            {"match": f"{ROOT}/strict/**", "tail": "strict", **follow},
            {"match": f"{ROOT}/**", **follow},
        ],
        "shutdown": {"grace": "1s"},
        "log": {"access": "off"},
    }


def run(plan: Plan) -> Outcome:
    """Run it to its end. Raises ProcessFault if a server does not start or stop."""
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> Outcome:
    settings = laid_over(drawn_settings(plan.seed), plan.settings)
    weather = Weather(random.Random(f"{plan.seed} weather"))
    endpoint, grants = Endpoint(), None
    with _origin(plan.origin) as origin:
        proxy = FaultProxy(_port(origin), weather)
        async with proxy.running(), endpoint.running():
            streams = [_stream(plan, number) for number in range(plan.streams)]
            if plan.access:
                settings |= grants_of.settings(endpoint.url)
                grants = Grants({one.path: one.number for one in streams})
                endpoint.grants, proxy.refuses = grants, grants.is_refused_by_origin
            url = f"http://127.0.0.1:{proxy.port}"
            with edge(url, plan.launcher, **settings) as front:
                world = World(
                    seed=plan.seed,
                    edge=_port(front.url),
                    origin=_port(origin),
                    proxy=proxy,
                    bounds=_bounds(plan, settings),
                    until=time.monotonic() + plan.seconds,
                    streams=streams,
                    grants=grants,
                    admin=_port(front.admin),
                    loses_spaces=plan.origin == "node",
                    stop_at_first=plan.stop_at_first,
                    awaited=plan.awaited,
                )
                await _live(world, plan)
                if not world.is_stopped():
                    await _judge_the_end(world, plan)
                    await _look_at_metrics(world, front)
                proxy.cut_all()
    world.met += weather.counted
    return Outcome(plan, world.met, world.wrong, world.laws, world.first_wrong)


def _port(url: str) -> int:
    return urlsplit(url).port or 0


def _stream(plan: Plan, number: int) -> Stream:
    part = "strict" if number % 4 == 3 else "plain"
    if plan.access:
        part = grants_of.part_of(number)
    readers = QUIET if number % 3 == 2 else 1.0
    return Stream(number, f"{ROOT}/{part}/{plan.seed}-{number}", readers)


@contextmanager
def _origin(name: str) -> Iterator[str]:
    if name == "node":
        with node_origin(HOLD_MS, webhooks=False) as node:
            yield node.url
    else:
        flags = ("--durability", "os")
        with embedded_origin(HOLD_MS, None, *flags) as embedded:
            yield embedded.url


def _bounds(plan: Plan, settings: dict[str, Any]) -> Bounds:
    seconds = {name: float(settings["cache"][name][:-1]) for name in SECONDS}
    return Bounds(hold=HOLD_MS / 1000, granted=plan.access, storms=[], **seconds)


# While it lives.


async def _live(world: World, plan: Plan) -> None:
    """Writers, readers, weather and judge, until the time is over."""
    world.refuse(NOBODY, since=-inf)
    jobs = [Writer(world, number).run() for number in range(plan.writers)]
    jobs += [Reader(world, number).run() for number in range(plan.readers)]
    jobs += [_weather(world, plan), _revoke(world, plan), _judge_along(world)]
    jobs += [_prolong(world, plan)]
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(job)


async def _weather(world: World, plan: Plan) -> None:
    """Calm, storm, calm; in the middle of a storm all connections are cut, and every
    other one ends with an outage, the first one too. Calm in the end."""
    dice, weather, storms = world.dice("skies"), world.proxy.weather, world.storms
    while world.goes_on():
        # The run may have been made longer.
        last = world.until - CALM_END
        await world.rest(dice.uniform(0.5, 2.5), last)
        if time.monotonic() >= last:
            await world.rest(0.1)
            continue
        begun = time.monotonic()
        storms.append(Span(begun))
        weather.rate = plan.rate
        await world.rest(dice.uniform(1.0, 2.5), last)
        if plan.rate:
            world.met["all cut"] += 1
            world.proxy.cut_all()
            await world.rest(dice.uniform(1.0, 2.5), last)
        if plan.rate and len(storms) % 2:
            await _outage(world, plan, dice.uniform(0.5, 2.5), last)
        weather.rate, weather.dark = 0.0, False
        storms[-1] = Span(begun, time.monotonic())


async def _outage(world: World, plan: Plan, seconds: float, last: float) -> None:
    """Nothing is reached. One reader makes sure that readers meet it: what it has read
    whole just before, it reads again, until the edge shows it what may be old. With
    access all of them are judged, and none is anybody."""
    weather, reader = world.proxy.weather, Reader(world, plan.readers)
    streams = [] if plan.access else world.streams
    weather.rate = 0.0
    for stream in streams:
        await reader.read_whole(stream)
    weather.dark = True
    world.met["outage"] += 1
    world.proxy.cut_all()
    back = time.monotonic() + seconds
    for stream in streams:
        if "stale" in await reader.read_whole(stream):
            break
    reader.leave()
    await world.rest(seconds, min(back, last))


async def _prolong(world: World, plan: Plan) -> None:
    """Let the run go on while it has not met what it needs, but for what only the
    judge and the end of a run meet."""
    ends = world.begun + plan.most
    needed = {k: v for k, v in plan.needed.items() if not k.startswith(MET_LATER)}
    while world.goes_on():
        await world.rest(0.2)
        soon_over = world.until - time.monotonic() < CALM_END + 0.5
        if soon_over and _lacks(world.met + world.proxy.weather.counted, needed):
            world.until = max(world.until, min(world.until + LONGER, ends))


async def _revoke(world: World, plan: Plan) -> None:
    """The origin refuses somebody whom it did not refuse before."""
    await world.rest(plan.seconds * 0.4)
    world.refuse(REVOKED, since=time.monotonic())
    if world.grants is not None:
        await _take_back(world, world.grants)


async def _take_back(world: World, grants: Grants) -> None:
    """One subject is no longer let in where it is judged, and some time the edge hears
    by itself; of another one it is told by an order (A3, A10, A17)."""
    barred, ordered = grants_of.BARRED, grants_of.ORDERED
    asked = time.monotonic()
    grants.barred |= {barred, ordered}
    grants.lost |= {name: Span(asked) for name in (barred, ordered)}
    orders = [{"subject": ordered}, {"token": ordered}]
    for order in orders:
        said = json.dumps(order).encode()
        fields = {"Content-Type": "application/json"}
        reply = await once(world.admin, "POST", "/access/revoke", fields, said)
        assert reply.status == 200, reply
    grants.lost[ordered] = Span(asked, time.monotonic())
    grants.lost[barred] = Span(asked, asked + 2 * grants_of.BELIEVED)
    world.met["order"] += len(orders)


async def _judge_along(world: World) -> None:
    while world.goes_on():
        for stream in world.streams:
            if len(stream.answers) >= JUDGED_AT:
                await _judge(world, stream)
        await world.rest(0.2)


async def _judge(world: World, stream: Stream) -> None:
    """Judge what has been answered. Nobody creates or deletes the stream meanwhile, so
    the log that is read now holds all that those answers may hold."""
    async with stream.turns.shared():
        answers, stream.answers = stream.answers, []
        absences, stream.absences = stream.absences, []
        if stream.alive is not None:
            unplaced = {answer.next for answer in answers}
            await audit(world, stream, stream.alive, unplaced)
        for one in stream.lives:
            one.settle()
        for answer in answers:
            for complaint in judge(answer, stream.lives, world.bounds):
                world.complain(
                    complaint, f"{brief(answer, world.begun)} {_story(world, stream)}"
                )
        for absence in absences:
            for complaint in judge_absence(absence, stream.lives, world.bounds):
                world.complain(
                    complaint, f"{_since(world, absence)} {_story(world, stream)}"
                )
        world.met["judged"] += len(answers) + len(absences)


def _since(world: World, absence: Absence) -> Absence:
    """With its times in seconds since the run began."""
    sent, received = absence.sent - world.begun, absence.received - world.begun
    return replace(absence, sent=sent, received=received)


def _story(world: World, stream: Stream) -> str:
    """The lives of a stream, in seconds since the run began."""
    return f"{stream.path} " + "; ".join(
        f"{one.number}: {len(one.log)} messages, "
        f"born {_life(world, one.birth)}, died {_life(world, one.death)}, "
        f"closed {_life(world, one.closure)}"
        for one in stream.lives[-3:]
    )


def _life(world: World, life: Life | None) -> str:
    if life is None:
        return "never"
    asked, known = (time - world.begun for time in (life.span.asked, life.span.known))
    word = "heard" if life.heard else "doubted" if life.doubted else "unheard"
    return f"{asked:.2f} to {known:.2f} {life.way.value} {word}"


# In the end.


async def _judge_the_end(world: World, plan: Plan) -> None:
    """All is calm: each stream is what its writers were told. All at once, for polls
    wait a while at the end of each. One is written now: it is long enough to be coded.
    """
    await asyncio.sleep(CALM_END)
    if not plan.access:
        world.streams.append(_stream(plan, plan.streams))
        await Writer(world, plan.writers).write_all(world.streams[-1])
    async with asyncio.TaskGroup() as group:
        for stream in world.streams:
            group.create_task(_judge_the_end_of(world, stream))


async def _judge_the_end_of(world: World, stream: Stream) -> None:
    """It is read whole, in each way, and is what the origin has; and so is its log."""
    one = stream.alive
    if _may_be_unheard(world, stream):
        world.met["not read whole"] += 1
    elif one is None:
        reply = await _read(world, f"{stream.path}?offset=-1", _let_in(world))
        if reply.status not in (404, 410):
            world.complain(f"end: {reply.status} of a dead stream", stream.path)
    else:
        await audit(world, stream, one)
        for live, fields in WAYS if world.grants is None else WAYS_OF_ACCESS:
            said = {**fields, **_let_in(world)}
            await _read_whole(world, stream, one, live, said)
        for coding in CODINGS if world.grants is None else ():
            await _read_coded(world, stream, one, coding)
    await _judge(world, stream)
    for life in stream.lives:
        for complaint in life.faults():
            world.complain(complaint, stream.path)


async def _read_coded(
    world: World, stream: Stream, one: Incarnation, coding: str
) -> None:
    for reads in range(MOST_CODED_READS):
        if reads >= CODED_READS:
            if world.met[f"coding {coding}"]:
                return
            await asyncio.sleep(0.05)
        await _read_whole(world, stream, one, "", {"Accept-Encoding": coding})


def _let_in(world: World) -> dict[str, str]:
    """The fields by which everything may be read."""
    return {} if world.grants is None else world.grants.writer()


def _may_be_unheard(world: World, stream: Stream) -> bool:
    """Whether the edge may still show what was deleted behind it (L6)."""
    ends = [one.death for one in stream.lives if one.death is not None]
    if not ends or ends[-1].heard:
        return False
    now, bounds = time.monotonic(), world.bounds
    return now - ends[-1].span.known < bounds.verify + bounds.late(now)


async def _read_whole(
    world: World, stream: Stream, one: Incarnation, live: str, fields: dict[str, str]
) -> None:
    names, offset = list[Name](), "-1"
    for _ in range(len(one.log) + 2):
        target = f"{stream.path}?offset={offset}{live}"
        reply = await _read(world, target, fields)
        if reply.status not in (200, 204):
            world.complain(f"end: {reply.status}", target)
            return
        try:
            names += parse(one.kind, reply.body)
        except Torn as torn:
            world.complain(f"torn: {torn}", f"{target} {fields} {dict(reply.fields)}")
            return
        world.met[f"coding {reply.fields.get('content-encoding', 'none')}"] += 1
        offset = reply.fields["stream-next-offset"]
        if "stream-up-to-date" in reply.fields:
            break
    told = names, "stream-closed" in reply.fields
    if told != _last_word(one):
        # A write that was answered to nobody may have come to its end only now.
        await audit(world, stream, one)
    if told != _last_word(one):
        world.complain(f"end: {len(names)} of {len(one.log)} messages", target)
    world.met["read whole"] += 1


def _last_word(one: Incarnation) -> tuple[list[Name], bool]:
    """What the origin has, and whether it is closed."""
    return one.log, one.closure is not None


async def _read(world: World, target: str, fields: dict[str, str]) -> Reply:
    """Read once it is answered by the origin's word: back-offs may still go on."""
    for _ in range(int(BACK_OFF / 0.25)):
        reply = await once(world.edge, "GET", target, fields)
        if reply.status < 500 and "detail=stale" not in reply.fields["cache-status"]:
            break
        await asyncio.sleep(0.25)
    return reply


async def _look_at_metrics(world: World, front: Edge) -> None:
    """Nothing inside the edge may have failed unseen; its log tells what did. How often
    streams were followed by events is counted."""
    log = front.process.log.read_text(errors="replace").splitlines()
    page = (await once(_port(front.admin), "GET", "/metrics")).body.decode()
    heard = re.search(r"^ds_edge_events_heard_total (\S+)", page, re.M)
    world.met["events heard"] += int(float(heard[1])) if heard else 0
    ended = r'^ds_edge_event_streams_ended_total\{reason="(\S+)"\} (\S+)'
    for reason, value in re.findall(ended, page, re.M):
        if float(value):
            world.met[f"events ended {reason}"] += int(float(value))
    for name, value in re.findall(r"^(ds_edge_internal_errors\S*) (\S+)", page, re.M):
        if float(value):
            told = "\n".join(line for line in log if "rror" in line)
            world.complain(f"internal-error: {name} {value}", told)
