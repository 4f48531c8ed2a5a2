"""Judge: does an answer tell the truth? Pure: a history, one answer, what is wrong.

Three sets of laws. Those of the *fields* need no history: what an answer may say of
itself to whom (L12, L14, L15, L16, L19, U2). Those of the *place* look for an
incarnation that the answer can be of: its bytes are a range of that one's log (L5, L7,
L8), its offsets are that range's ends (L1, L9), it lived when the origin last said so
(L6), and each claim was true at some moment between the request and the answer (L3,
L4). Those of *absence* say when an answer may deny a stream. An answer is right if one
incarnation makes it so. ``readers`` makes answers, ``run`` has them judged when the log
is known.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from tests.chaos.history import Bounds, Incarnation, Life, Way
from tests.chaos.messages import Kind, Name

_TELLING = frozenset({"cache-status", "cache-control", "age", "etag"})
LIVE = frozenset({"long-poll", "long-poll-now", "sse"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, or an event with its control event, as its reader saw it.

    ``mode`` is catch-up, now, head, long-poll, long-poll-now or sse. ``subject`` is the
    credential, "" for none. ``start`` is the offset that was asked for, None for
    ``now``. ``names`` are its bytes; in a 304 those of the answer that its tag names.
    ``since`` is when a viewer last heard that it has everything; ``codings`` those that
    the reader takes. From ``ends`` on its credential is good for nothing.
    """

    target: str
    mode: str
    sent: float
    received: float
    next: str
    start: str | None = None
    status: int = 200
    subject: str = ""
    kind: Kind | None = None
    names: tuple[Name, ...] = ()
    up_to_date: bool = False
    closed: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    codings: frozenset[str] = frozenset()
    ends: float = inf

    @property
    def is_stale(self) -> bool:
        return self.fields.get("cache-status", "").endswith("detail=stale")

    @property
    def age(self) -> int:
        return int(self.fields.get("age", "0"))

    @property
    def max_age(self) -> int:
        found = re.search(r"max-age=(\d+)", self.fields.get("cache-control", ""))
        return int(found[1]) if found else 0

    @property
    def sort(self) -> str:
        """How the edge came by it: hit, stale, 304, pass, or asked of the origin."""
        told = self.fields.get("cache-status", "")
        if self.status == 304:
            return "304"
        if self.is_stale:
            return "stale"
        if "; hit" in told:
            return "hit"
        return "pass" if self.is_relayed else "asked"

    @property
    def is_silence(self) -> bool:
        """Whether it tells its reader nothing but the offset that it came with (U8)."""
        tells = self.names or self.up_to_date or self.closed
        return self.mode in LIVE and not tells and self.next == self.start

    @property
    def is_relayed(self) -> bool:
        """Whether it is the origin's own, which passed one to one."""
        return "fwd=bypass" in self.fields.get("cache-status", "")


@dataclass(frozen=True, slots=True)
class Absence:
    """A 404 or 410; or a 400, which denies the offset ``start``."""

    mode: str
    sent: float
    received: float
    status: int
    start: str | None = None


Complaints = Iterator[str]


def brief(answer: Answer, begun: float = 0.0) -> str:
    """The answer in short, for whoever has to find out what went wrong; its times in
    seconds since the run began."""
    sent, received = answer.sent - begun, answer.received - begun
    bare = replace(answer, sent=sent, received=received, names=(), fields={})
    told = repr(bare)
    names = f"{len(answer.names)} messages"
    if answer.names:
        names += f" from {answer.names[0]} to {answer.names[-1]}"
    kept = {n: v for n, v in answer.fields.items() if n in _TELLING}
    return f"{told} {kept} {names}"


def judge(
    answer: Answer, lives: Sequence[Incarnation], bounds: Bounds
) -> tuple[str, ...]:
    """What is wrong with the answer, each beginning with the word of its law."""
    wrong = list(of_fields(answer, bounds))
    verdicts: list[list[str]] = [
        list(_of_place(answer, one, bounds)) for one in _fitting(answer, lives)
    ]
    if verdicts:
        wrong += sorted(verdicts, key=len)[0]
    elif answer.names:
        wrong.append(f"bytes: no log ever held {_shown(answer, lives)}")
    elif not any(one.may_end_at(None) for one in lives):
        wrong.append(f"offset: {answer.next} was no end of any incarnation")
    return tuple(wrong)


def judge_absence(
    absence: Absence, lives: Sequence[Incarnation], bounds: Bounds
) -> tuple[str, ...]:
    """A stream may be denied only if there is a moment at which it was not there: since
    the request, or, if the edge had not to know that it began, a little before (L15).
    An offset may be denied by an incarnation in which it stands for nothing yet."""
    for one in lives:
        late = 0.0 if _is_edges(one.birth) else bounds.late(absence.sent)
        since = one.birth.span.known
        until = absence.received if one.death is None else one.death.span.asked
        if since >= absence.sent - late or absence.received > until:
            continue
        place = one.places.get(absence.start or "-1")
        stood = place is not None and one.at_least(absence.sent, late) >= place
        if absence.status != 400 or stood:
            return (f"denied: {absence.status} though incarnation {one.number} lived",)
    return ()


# The fields.


def of_fields(answer: Answer, bounds: Bounds) -> Complaints:
    """What an answer may say of itself, and to whom."""
    for law in (_sharing, _stale_dress, _coding, _freshness, _progress, _kept_time):
        yield from law(answer, bounds)
    yield from _granted(answer, bounds)


def _granted(answer: Answer, bounds: Bounds) -> Complaints:
    """A1, A3, B12: nothing is told to who is not let in, and neither a byte nor a claim
    to who is not let in any more."""
    over = answer.sent - answer.ends
    if over > 0:
        yield f"ungranted: {answer.status}, asked for {over:.2f} s after the end"
    tells = answer.names or answer.up_to_date or answer.closed
    over = answer.received - answer.ends
    if answer.sent <= answer.ends and tells and over > bounds.ROUND_TRIP:
        yield f"ungranted: it came {over:.2f} s after the end"


def _sharing(answer: Answer, bounds: Bounds) -> Complaints:
    told = answer.fields.get("cache-control", "")
    if answer.subject and ("public" in told or "s-maxage" in told):
        yield f"shared: {told!r} for a credential"


def _stale_dress(answer: Answer, bounds: Bounds) -> Complaints:
    if not answer.is_stale:
        return
    told = answer.fields.get("cache-control")
    kept = told != "no-store" and answer.mode != "sse"
    if answer.up_to_date or answer.closed or kept:
        yield "stale: it makes a claim, or may be kept"
    if "etag" in answer.fields:
        yield "stale: it has an entity tag"
    if answer.subject and not bounds.granted:
        yield "stale: it was shown to a credential"


def _coding(answer: Answer, bounds: Bounds) -> Complaints:
    coding = answer.fields.get("content-encoding")
    if coding is not None and coding not in answer.codings:
        yield f"coding: {coding} was not asked for"
    if coding is not None and (answer.subject or answer.mode in LIVE):
        yield f"coding: {coding} on a live answer, or for a credential"


def _freshness(answer: Answer, bounds: Bounds) -> Complaints:
    told = answer.fields.get("cache-control", "")
    empty = not answer.names and answer.mode != "sse"
    empty = empty and answer.start in (None, answer.next)
    if empty and not answer.is_relayed and told != "no-store":
        yield f"freshness: {told!r} on an answer without bytes"
    if answer.max_age and answer.age >= answer.max_age:
        yield f"freshness: age {answer.age} of {answer.max_age}"


def _progress(answer: Answer, bounds: Bounds) -> Complaints:
    empty = answer.mode in ("catch-up", "now") and not answer.names
    # The origin's own 304 says nothing of the tail.
    empty = empty and not (answer.status == 304 and answer.is_relayed)
    if empty and not (answer.up_to_date or answer.closed):
        yield "no-progress: neither bytes nor a claim"


def _kept_time(answer: Answer, bounds: Bounds) -> Complaints:
    """L6 and L14: the bytes shown were confirmed lately before the reader came, or
    since. Ages are whole seconds."""
    limit = _most_age(answer, bounds)
    waited = answer.received - answer.sent
    over = answer.age > limit + waited + bounds.ROUND_TRIP
    if over and answer.names and not answer.is_stale:
        yield f"unconfirmed: for {answer.age} s, and {limit:g} s are allowed"


def _most_age(answer: Answer, bounds: Bounds) -> float:
    """For so long what is shown may be unconfirmed."""
    is_apart = answer.subject and not bounds.granted
    return min(bounds.verify, bounds.trust) if is_apart else bounds.verify


def _told_age(answer: Answer, bounds: Bounds) -> float:
    """How long ago it was confirmed. An event stream tells no age, and may show what
    any other answer may."""
    return _most_age(answer, bounds) if answer.mode == "sse" else answer.age


# The place.


def _fitting(answer: Answer, lives: Sequence[Incarnation]) -> list[Incarnation]:
    """The incarnations of which the answer can be, by its bytes; else by its offset."""
    if answer.names:
        return [one for one in lives if one.find(answer.names) is not None]
    return [one for one in lives if answer.next in one.places]


def _of_place(answer: Answer, one: Incarnation, bounds: Bounds) -> Complaints:
    """Whether it tells the truth, if it is of this incarnation."""
    at = one.find(answer.names)
    end = one.places.get(answer.next) if at is None else at + len(answer.names)
    assert end is not None
    yield from _ends(answer, one, at, end)
    yield from _life(answer, one, bounds)
    if not one.was_written(end, answer.received):
        yield "future: it shows what nobody had written"
    for law in (_all_there, _closure, _closed_range):
        yield from law(answer, one, end, bounds)


def _ends(answer: Answer, one: Incarnation, at: int | None, end: int) -> Complaints:
    told = one.places.get(answer.next)
    if told is None:
        if not one.may_end_at(end):
            yield f"offset: {answer.next} was never given out by the origin"
    elif told != end:
        yield f"next: {answer.next} is {told}, and the bytes end at {end}"
    begin = one.places.get(answer.start or "")
    if begin is None or (at is None and begin > end):
        return  # of another incarnation, or one that lay beyond the end at that time
    if begin != (end if at is None else at):
        yield f"start: {answer.start} is {begin}, and the bytes begin at {at}"
    if answer.kind not in (None, one.kind):
        yield f"type: {answer.kind} of a stream of {one.kind}"


def _life(answer: Answer, one: Incarnation, bounds: Bounds) -> Complaints:
    """L5, L6: it is of an incarnation that lived since the request; or, if the edge was
    not told that it died, when the origin confirmed it last, which its Age tells. While
    the origin is away, who waits is told nothing, by a silence (U5, W5)."""
    if answer.received < one.birth.span.asked:
        yield f"unborn: incarnation {one.number} had not begun"
    death = one.death
    if death is None:
        return
    since = answer.sent
    says_nothing = answer.is_silence and bounds.is_rough(answer.received)
    unheard = not (_is_edges(death) or death.doubted)
    unconfirmed = answer.is_stale and not _is_edges(death)
    if says_nothing or unheard or unconfirmed:
        since -= _told_age(answer, bounds) + 1 + bounds.late(answer.sent)
    if death.span.known < since:
        ago = answer.sent - death.span.known
        yield f"dead: incarnation {one.number} ended {ago:.1f} s before the request"


def _all_there(
    answer: Answer, one: Incarnation, end: int, bounds: Bounds
) -> Complaints:
    """L3, L4: a claim holds at some moment since the request; where the stream ends is
    a claim too."""
    least = one.at_least(answer.sent, bounds.late(answer.sent))
    tells_end = answer.mode in ("head", "now", "long-poll-now")
    if end < least and (answer.up_to_date or answer.closed or tells_end):
        missed = [
            f"{w.way.value} {w.span.known - answer.sent:.2f} s {w.offset}"
            for w in one.missing(end, answer.sent)
        ]
        yield f"claim: it is all at {end}, and {least} were acknowledged: {missed}"
    born = one.birth.span.known < answer.sent - bounds.late(answer.sent)
    follows = answer.mode == "long-poll-now" and (born or _is_edges(one.birth))
    if follows and end - len(answer.names) < least:
        yield f"now: it begins before {least}, where the stream already ended"


def _closure(answer: Answer, one: Incarnation, end: int, bounds: Bounds) -> Complaints:
    """``Stream-Closed`` is said of a closed stream's end, and not withheld there."""
    closure = one.closure
    final = closure is not None and end == len(one.log)
    if answer.closed:
        if not final:
            yield f"closed: it is not, or not at {end} of {len(one.log)}"
        elif one.closing > answer.received:
            yield "closed: before anybody closed it"
    elif closure is not None and final and answer.up_to_date:
        late = 0.0 if _is_edges(closure) else bounds.late(answer.sent)
        if closure.span.known < answer.sent - late:
            yield "closure-hidden: all is told but that it is closed"


def _closed_range(
    answer: Answer, one: Incarnation, end: int, bounds: Bounds
) -> Complaints:
    """L16: only what cannot grow any more is fresh downstream; as what has died, and
    what ends before the offset at which more will follow."""
    dead = one.death is not None and one.death.span.asked < answer.received
    if answer.mode != "catch-up" or not answer.max_age or dead:
        return
    if one.is_named_later(answer.next, end):
        return
    ends_it = one.closure is not None and one.closing < answer.received
    if end == len(one.log) and not ends_it:
        yield f"freshness: max-age={answer.max_age} on the end of an open stream"
    elif end < len(one.log) and not one.was_written(end + 1, answer.received):
        yield f"freshness: max-age={answer.max_age} before anything followed"


def _is_edges(life: Life) -> bool:
    """Whether the edge knew of it by the time it was known."""
    return life.way is Way.EDGE and life.heard


def _shown(answer: Answer, lives: Sequence[Incarnation]) -> str:
    """The names in short, and where each run of them lies."""
    runs = list[str]()
    for one in lives:
        held = [name for name in answer.names if one.find([name]) is not None]
        if held:
            runs.append(f"{len(held)} in incarnation {one.number}")
    first, last = answer.names[0], answer.names[-1]
    return f"{len(answer.names)} messages {first} to {last}: {', '.join(runs)}"
