"""AskedVerdicts: what others say of credentials, asked for once and believed a while.

The theory of both ways that ask (A16, A17, B11, B12, B18)::

    asked           4/5                 fresh until                kept until
      |--------------|----------------------|--------------------------|
      |   let in     | let in, and asked    | asked; whoever was let   | new
      |              | anew beside it, once | in is, if nobody answers |

- **Once.** All who ask the same at once share one ask (a flight). It runs in a greenlet
  of its own: a client that leaves takes nobody's answer along.
- **Renewal.** In its last fifth, from a moment drawn by lot, a *yes* is asked for anew
  by whoever arrives then; nobody waits for it. Nobody is asked for while parked.
- **Silence.** No verdict is no *no*. Who was let in stays so until twice the time; then
  the next renewal waits a fifth. Nobody new is let in: 503, and never 401.
- **No.** A *no* ends the *yes* at once, and is believed for two seconds.
- **One's own.** An answer that is for its one asker alone (it sets a cookie) is neither
  shared nor remembered. Whoever waited for it asks for itself.
- **Epochs.** What was begun under an older epoch is asked again, and not kept.

Called by the judges that ask. ``judge`` never switches unless the case may wait.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import gevent
from gevent.event import Event

from edge.access.ask_line import AskLine
from edge.access.credentials import CredentialSet
from edge.access.denials import Denials, client_of
from edge.access.judging import Case, MustWait
from edge.access.verdicts import AskedTimes, LetIn, VerdictKey, Verdicts
from edge.core.counters import Counters
from edge.core.errors import Refusal, TooManyDenied
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.values import Headers
from edge.policy.streams.authorize import Denied

NO_SECONDS = 2.0
"""How long a *no* is believed at most."""

LAST_PART = 0.2
"""The part of its time, the last one, in which a *yes* is asked for anew."""

LEAST_SECONDS = 1.0
"""How long whoever is let in may stay at least, from when that is heard: with less,
polls would spin, and who answers slowly would let in nobody."""

_log = logging.getLogger("edge.access")


@dataclass(frozen=True, slots=True)
class ToldYes:
    """A *yes* that was told: for how many seconds, and whom it named.

    With 0 nobody remembers it. ``fields`` are for the answer of the one who asked; with
    any, nobody shares it either.
    """

    seconds: float
    subject: str = ""
    fields: Headers = ()


@dataclass(frozen=True, slots=True)
class ToldNo:
    """A *no* that was told: what its one asker hears, and what others hear for two
    seconds. ``shared`` None: others ask for themselves."""

    own: Denied
    shared: Denied | None


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """Nobody answered, or nothing that means anything. ``why`` is for the log."""

    why: str


Said: TypeAlias = ToldYes | ToldNo | NoVerdict


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked, for whom. ``ask`` blocks, ends in time, and raises nothing.

    ``key`` is all that goes into the ask, ``credential`` what of it may be bad.
    ``alone``: a remembered *no* does not count, and no flight is shared.
    """

    key: VerdictKey
    ask: Callable[[], Said]
    credential: CredentialSet
    alone: bool = False

    @property
    def digest(self) -> str:
        """Stands for the credential; "" for none, which is nobody's own."""
        return self.credential.digest if self.credential else ""


@dataclass(slots=True, eq=False)
class _Flight:
    """One ask under way. ``said`` None once it has ended: nobody was asked, and
    ``refusal`` is what its owner hears, if it is for that one alone. ``epoch`` is that
    of its verdict."""

    ended: Event = field(default_factory=Event)
    epoch: int = -1
    said: Said | None = None
    verdict: LetIn | Denied | None = None
    refusal: TooManyDenied | None = None


class AskedVerdicts:
    """The verdicts of one way. ``name`` is the way's; ``draw`` gives 0 up to 1."""

    def __init__(
        self,
        name: str,
        verdicts: Verdicts,
        line: AskLine,
        denials: Denials,
        clock: Clock,
        counters: Counters,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._verdicts = verdicts
        self._line = line
        self._denials = denials
        self._clock = clock
        self._counters = counters
        self._draw = draw
        self._flights: dict[VerdictKey, _Flight] = {}
        self._silent = False

    def __repr__(self) -> str:
        return f"<AskedVerdicts {self._name}, {len(self._flights)} flights>"

    def judge(self, question: Question, case: Case) -> LetIn | Denied:
        """The verdict, remembered or asked for. Raises MustWait, Refusal (503), and
        TooManyDenied (429)."""
        key = question.key
        known = self._verdicts.get(key, case.now)
        if isinstance(known, LetIn):
            if known.asked is not None and case.now >= known.asked.renews_at:
                self._renew(question, case)
            return known
        if known is not None and not question.alone:
            return known
        flight = None if question.alone else self._flights.get(key)
        is_owner = flight is None
        if is_owner and not self._verdicts.was_let_in(key, case.now):
            self._denials.check(client_of(case), question.digest)
        if not case.may_wait:
            raise MustWait
        if flight is None:
            flight = self._begin(question, case)
        flight.ended.wait()
        return self._given(flight, is_owner, question, case)

    def _renew(self, question: Question, case: Case) -> None:
        """Ask anew beside what goes on, unless somebody does. Raises MustWait: on the
        callback not all is known that is asked with."""
        if question.key in self._flights or not self._line.has_room:
            return
        if not case.may_wait:
            raise MustWait
        self._begin(question, case)

    def _given(
        self, flight: _Flight, is_owner: bool, question: Question, case: Case
    ) -> LetIn | Denied:
        """What one who waited for a flight is given."""
        said = flight.said
        if flight.refusal is not None:
            if is_owner:
                raise flight.refusal
            # Somebody else, at another address, showed the same credential.
            return self.judge(question, case)
        if isinstance(said, ToldYes) and flight.epoch != self._verdicts.epoch:
            # 1: it was told; 2: an order took something back; 3: this greenlet wakes.
            return self.judge(question, case)
        if isinstance(said, ToldNo):
            given = said.own if is_owner else said.shared
            if given is not None:
                return given
        elif isinstance(said, ToldYes):
            assert isinstance(flight.verdict, LetIn)
            if is_owner or not said.fields:
                return flight.verdict
        else:
            return self._without_verdict(said, question.key)
        # It was another one's alone.
        return self.judge(replace(question, alone=True), case)

    def _without_verdict(self, said: NoVerdict | None, key: VerdictKey) -> LetIn:
        """Whoever was let in stays so; nobody else is. Raises Refusal."""
        standing = self._verdicts.standing(key, self._clock.wall())
        if standing is not None and standing.asked is not None:
            # Also where it was not kept: there was no room to ask.
            return replace(standing, ends_at=standing.asked.kept_until)
        if said is None:
            detail = "Too many credentials are being asked about."
            raise Refusal(detail, reason=Reason.ACCESS_BUSY)
        detail = "Nobody can be had who would say whether this is let in."
        raise Refusal(detail, reason=Reason.ACCESS_UNAVAILABLE)

    # An ask.

    def _begin(self, question: Question, case: Case) -> _Flight:
        """Begin a flight, which others find unless the question is asked alone."""
        flight = _Flight()
        if not question.alone:
            self._flights[question.key] = flight
        gevent.spawn(self._fly, flight, question, client_of(case))
        return flight

    def _fly(self, flight: _Flight, question: Question, client: str) -> None:
        try:
            self._ask(flight, question, client)
        except TooManyDenied as refusal:
            flight.refusal = refusal
        except Refusal:
            self._count("busy")
        finally:
            # Whatever happened: nobody is left waiting. 1: the verdict is remembered;
            # 2: the flight leaves the table; 3: who waited is woken. Nothing switches
            # between them: whoever asks finds the flight, or the verdict.
            if self._flights.get(question.key) is flight:
                del self._flights[question.key]
            flight.ended.set()

    def _ask(self, flight: _Flight, question: Question, client: str) -> None:
        key, verdicts = question.key, self._verdicts
        is_new = not verdicts.was_let_in(key, self._clock.wall())
        with self._line.turn(client, is_new):
            if is_new:
                # While it stood in line, others of its client were found to be bad.
                self._denials.check(client, question.digest)
            asked_at, epoch = self._clock.wall(), verdicts.epoch
            said = question.ask()
            if epoch != verdicts.epoch:
                # What it was told may be what has just been taken back.
                asked_at, epoch = self._clock.wall(), verdicts.epoch
                said = question.ask()
        if epoch != verdicts.epoch:
            said = NoVerdict("what lets in was changed again and again")
        self._note(said)
        self._charge(said, question, client)
        flight.said, flight.epoch = said, epoch
        flight.verdict = self._take(said, key, asked_at, epoch)

    def _charge(self, said: Said, question: Question, client: str) -> None:
        """A bad credential costs its client something."""
        digest = question.digest
        if isinstance(said, ToldYes):
            self._denials.let_in(digest)
        elif isinstance(said, ToldNo):
            self._denials.denied(client, digest, said.own.reason)

    def _take(
        self, said: Said, key: VerdictKey, asked_at: float, epoch: int
    ) -> LetIn | Denied | None:
        """Remember what was told, as far as it may be."""
        now, verdicts = self._clock.wall(), self._verdicts
        if isinstance(said, ToldYes):
            let_in = self._let_in(said, asked_at, key)
            if said.seconds > 0 and not said.fields:
                verdicts.keep(key, let_in, now, epoch)
            return let_in
        if isinstance(said, ToldNo):
            verdicts.end(key)
            if said.shared is not None:
                verdicts.keep(key, said.shared, now, epoch, NO_SECONDS)
            return said.own
        standing = verdicts.standing(key, now)
        if standing is not None and standing.asked is not None:
            verdicts.keep(key, _postponed(standing, standing.asked, now), now, epoch)
        return None

    def _let_in(self, said: ToldYes, asked_at: float, key: VerdictKey) -> LetIn:
        seconds = max(said.seconds, LEAST_SECONDS)
        fresh_until = asked_at + seconds
        ends_at = max(fresh_until, self._clock.wall() + LEAST_SECONDS)
        times = AskedTimes(
            asked_at,
            fresh_until,
            fresh_until - LAST_PART * seconds * self._draw(),
            max(fresh_until + seconds, ends_at),
        )
        return LetIn(ends_at, said.subject, times, said.fields, key)

    def _note(self, said: Said) -> None:
        """Count it, and log when they fall silent and when they answer again."""
        words = {ToldYes: "let-in", ToldNo: "refused", NoVerdict: "unanswered"}
        self._count(words[type(said)])
        silent = isinstance(said, NoVerdict)
        if isinstance(said, NoVerdict) and not self._silent:
            _log.warning("nobody says who is let in by %s: %s", self._name, said.why)
        elif self._silent and not silent:
            _log.info("it is said again who is let in by %s", self._name)
        self._silent = silent

    def _count(self, result: str) -> None:
        self._counters.asks[f"{self._name}-{result}"] += 1


def _postponed(let_in: LetIn, asked: AskedTimes, now: float) -> LetIn:
    """A *yes* that nobody renewed: it stands, and the next renewal waits a while."""
    pause = LAST_PART * (asked.fresh_until - asked.asked_at)
    return replace(
        let_in,
        ends_at=asked.kept_until,
        asked=replace(asked, renews_at=now + pause),
    )
