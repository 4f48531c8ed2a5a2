"""AccessAuthorizer: judges requests on routes with ways, and leaves the others alone.

It is the authorizer that wiring gives to the pipeline. Of a request on a route with
ways it finds the first credential (``credentials``), has it judged by its way's judge
(``judging``, ``judges``), and turns the verdict into a Grant or Denied of the pipeline.
``needs`` says which right a request takes. What must wait for somebody, or for a later
turn of the event loop, becomes an Ask: its ``verdict`` judges again in a greenlet,
where waiting is allowed.

A fork lets its reader see what its source holds. So who creates one needs the right to
read the source, by the source's own route and with the same credentials (B22).
"""

from collections.abc import Sequence
from dataclasses import replace

from edge.access import credentials, needs, origin_way
from edge.access.challenges import Failure, denied, without_credential
from edge.access.check_budget import CheckBudget
from edge.access.credentials import Credential, CredentialSet, Token, digests_in
from edge.access.denials import Denials
from edge.access.judges import Askers, Judges
from edge.access.judging import Case, Judge, LaterTurn, MustWait
from edge.access.key_ring import KeyRings
from edge.access.leases import Leases
from edge.access.revocations import Revocations, TokenFacts
from edge.access.verdicts import LetIn
from edge.core.counters import Counters
from edge.core.errors import ClientFault
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.values import NO_END, Lease, LentCredential, Partition
from edge.policy.http import request_target
from edge.policy.streams.authorize import (
    UNJUDGED,
    AccessVerdict,
    Ask,
    Denied,
    Grant,
    RequestHead,
    authorize,
    granted_partition,
)
from edge.policy.streams.pipeline import check_meaning, find_route
from edge.policy.streams.routes import Access, Route
from edge.policy.streams.ways import OriginWay, Right, TokenPlace
from edge.protocol import names

SOON_SECONDS = 60.0
"""If less is left of a grant, nobody may keep an answer (B17)."""

JUDGED_AGAIN_SECONDS = 30.0
"""How long a head is remembered that keys at a URL let in: they may change (B15). And
how soon whoever came by them is judged anew when they have changed (A20)."""

RENEWING_SECONDS = 1.0
"""How long a head is remembered whose verdict is being asked for anew."""


class AccessAuthorizer:
    """Implements ``edge.policy.streams.authorize.Authorizer``. One for each worker."""

    def __init__(
        self,
        routes: Sequence[Route],
        rings: KeyRings,
        clock: Clock,
        counters: Counters,
        public_url: str | None = None,
        budget: CheckBudget | None = None,
        askers: Askers | None = None,
        revocations: Revocations | None = None,
        leases: Leases | None = None,
        denials: Denials | None = None,
    ) -> None:
        self._routes = routes
        self._clock = clock
        self._counters = counters
        self._public_url = public_url
        self._budget = budget or CheckBudget()
        self._judges = Judges(
            routes,
            rings,
            clock,
            counters,
            budget=self._budget,
            denials=Denials(clock.monotonic) if denials is None else denials,
            askers=askers or Askers(),
        )
        # Not by ``or``: an empty one is false.
        self._revocations = Revocations(0.0) if revocations is None else revocations
        self._leases = Leases() if leases is None else leases
        rings.changed = self._judge_again

    def forget(self) -> None:
        """Begin a new epoch: whoever asks next is judged anew."""
        self._judges.verdicts.forget()

    def _judge_again(self) -> None:
        """Keys have changed: whoever came by them is judged anew before long (A20)."""
        self.forget()
        now = self._clock.monotonic()
        self._leases.judge_again(now, JUDGED_AGAIN_SECONDS)

    def __call__(self, route: Route, request: RequestHead, now: float) -> AccessVerdict:
        """See Authorizer. Raises ClientFault for a request that is malformed."""
        try:
            return self._judge(route, request, now, may_wait=False)
        except LaterTurn:
            later = self._budget.call_later
            return Ask(lambda: self._judge_later(route, request), later)
        except MustWait:
            return Ask(lambda: self._judge_later(route, request))

    def _judge_later(self, route: Route, request: RequestHead) -> Grant | Denied:
        return self._judge(route, request, self._clock.wall(), may_wait=True)

    def _judge(
        self, route: Route, request: RequestHead, now: float, *, may_wait: bool
    ) -> Grant | Denied:
        if route.access is Access.GRANTED:
            verdict = self._by_ways(route, request, now, may_wait)
        elif needs.is_open(request):
            return UNJUDGED
        elif needs.speaks_for_judged(request.path, route, self._routes):
            words = "This speaks for streams that are judged on another route."
            return Denied(Reason.PATH_NOT_GRANTED, words)
        else:
            verdict = authorize(route, request, now)
        if isinstance(verdict, Grant) and request.method not in ("GET", "HEAD"):
            return self._fork(route, request, now, may_wait) or verdict
        return verdict

    def _by_ways(
        self, route: Route, request: RequestHead, now: float, may_wait: bool
    ) -> Grant | Denied:
        if needs.is_open(request):
            return UNJUDGED
        found = credentials.find_first(route.ways, request)
        if found is None:
            self._counters.verdicts["none-denied"] += 1
            return without_credential(route.ways)
        way, credential = found
        judge = self._judges.of(way)
        right = needs.right_of(request)
        if isinstance(way, OriginWay) and right is not Right.READ:
            return self._kept(route, request, credential, judge.name)
        own = tuple(
            p for p in request.parameters if p.name not in route.credential_parameters
        )
        number = route.ways.index(way)
        case = Case(route, number, request, right, own, now, may_wait)
        verdict = self._unless_revoked(judge, case, credential)
        if isinstance(verdict, LetIn) and self._is_forged(route, credential, request):
            words = "A cookie lets write only from pages of this site."
            verdict = Denied(Reason.CROSS_SITE, words, subject=verdict.subject)
        self._count(judge.name, verdict)
        if may_wait:
            # What was waited for took time, which is not given twice.
            now = self._clock.wall()
        if isinstance(verdict, Denied):
            return replace(verdict, way=judge.name)
        partition = granted_partition(request, route)
        lease = self._lease(judge, credential, verdict, now)
        return _grant(partition, verdict, lease, judge.name, now, judge.may_change)

    def _unless_revoked(
        self, judge: Judge, case: Case, credential: Credential
    ) -> LetIn | Denied:
        """What the judge says, if no order took it back (A10). Nothing switches between
        the last look here and the new lease, which the next order finds.

        Of what others say, only the credential itself is looked up here. They say for
        themselves who it is, and are asked anew after each order.
        """
        if self._is_revoked(credential):
            return _revoked()
        verdict = judge.judge(case, credential)
        if isinstance(verdict, Denied):
            return verdict
        if verdict.asked is not None:
            facts = TokenFacts(digests_in(credential), verdict.subject or None)
            verdict = replace(verdict, facts=facts)
            return _revoked() if self._is_revoked(credential) else verdict
        revoked = self._revocations.refuses(verdict.facts)
        return _revoked(verdict.subject) if revoked else verdict

    def _is_revoked(self, credential: Credential) -> bool:
        """Whether a credential that others judge was revoked itself. One with a
        signature is not looked at before that was checked (B23)."""
        if len(self._revocations) == 0 or not isinstance(credential, CredentialSet):
            return False
        return self._revocations.names_token(digests_in(credential))

    def _kept(
        self, route: Route, request: RequestHead, credential: Credential, way: str
    ) -> Grant | Denied:
        """A write on a route where the origin judges: it keeps its credential, and the
        origin judges it when it comes (B9). What speaks for streams that are judged by
        others is nobody's (B5)."""
        routes = [r for r in self._routes if r is route or not _asks_origin(r)]
        lease = self._leases.give(NO_END, TokenFacts(digests_in(credential)))
        verdict: Grant | Denied = Grant(lease=lease, way=way)
        if needs.speaks_for_judged(request.path, route, routes):
            words = "This speaks for streams that are judged on another route."
            verdict = Denied(Reason.PATH_NOT_GRANTED, words, way=way)
        elif self._is_revoked(credential):
            verdict = replace(_revoked(), way=way)
        self._count(way, verdict)
        return verdict

    def _count(self, way: str, verdict: LetIn | Grant | Denied) -> None:
        result = "denied" if isinstance(verdict, Denied) else "granted"
        self._counters.verdicts[f"{way}-{result}"] += 1

    def _lease(
        self, judge: Judge, credential: Credential, let_in: LetIn, now: float
    ) -> Lease:
        """What the hub's readers hold of a *yes*; by the origin's, its credential."""
        monotonic = self._clock.monotonic()
        ends_at = monotonic + (let_in.ends_at - now)
        lease = self._leases.give(ends_at, let_in.facts, judge.may_change)
        if judge.name == origin_way.NAME and let_in.asked is not None:
            assert isinstance(credential, CredentialSet)
            lease.lends = LentCredential(
                credential.digest,
                credential.headers,
                credential.parameters,
                monotonic + (let_in.asked.fresh_until - now),
                lambda: self._take_back(let_in),
            )
        return lease

    def _take_back(self, let_in: LetIn) -> None:
        """The origin refused whom it had let in: it is asked anew (A3)."""
        if let_in.key is not None:
            self._judges.verdicts.end(let_in.key)

    def _is_forged(
        self, route: Route, credential: Credential, request: RequestHead
    ) -> bool:
        """Whether a page elsewhere may have made a browser send this write (B10)."""
        if request.method in ("GET", "HEAD") or not _is_sent_by_itself(credential):
            return False
        return needs.is_of_another_site(request, route, self._public_url)

    def _fork(
        self, route: Route, request: RequestHead, now: float, may_wait: bool
    ) -> Denied | None:
        """Why the source of a fork may not be read; None: there is none, or it may.

        Where neither the stream nor its source is on a route with ways, the origin
        judges. Raises ClientFault for a source that is not one checked path.
        """
        source = request.lookup(names.IN_FORKED_FROM)
        granted = route.access is Access.GRANTED
        if source is None or not (granted or self._any_judges()):
            return None
        if "?" in source or "," in source:
            detail = "the source of a fork is one path"
            raise ClientFault(detail, reason=Reason.BAD_PATH)
        path, _ = request_target.split(source)
        its_route = find_route(self._routes, path)
        words = "The right to read the source of the fork is not granted."
        nowhere = Denied(Reason.PATH_NOT_GRANTED, words)
        check_meaning(self._routes, path, its_route)
        if its_route is None or request_target.is_control(path):
            return nowhere
        if its_route.access is Access.PUBLIC:
            return None
        if its_route.access is Access.PARTITIONED:
            return nowhere if granted else None
        read = replace(request, method="GET", target=path, path=path)
        verdict = self._by_ways(its_route, read, now, may_wait)
        return verdict if isinstance(verdict, Denied) else None

    def _any_judges(self) -> bool:
        return any(route.access is Access.GRANTED for route in self._routes)


def _grant(
    partition: Partition,
    let_in: LetIn,
    lease: Lease,
    way: str,
    now: float,
    may_change: bool,
) -> Grant:
    """The grant with its times. All who are let in share two reads: one for those who
    have time left, one for those whose grant ends soon (B17)."""
    ends_at, asked = let_in.ends_at, let_in.asked
    # An answer that sets a cookie is for its one asker, and is not kept by it.
    soon = now >= ends_at - SOON_SECONDS or bool(let_in.fields)
    again = ends_at if soon else ends_at - SOON_SECONDS
    if may_change:
        again = min(again, now + JUDGED_AGAIN_SECONDS)
    if asked is not None:
        # Looked at often while it is being renewed: the new one has more time.
        due = asked.renews_at if now < asked.renews_at else now + RENEWING_SECONDS
        again = min(again, due)
    subject, fields = let_in.subject, let_in.fields
    # A cookie is set once: who is asked anew would set another one.
    renewable = asked is not None and not fields
    return Grant(
        partition, again, None, ends_at, soon, lease, way, subject, fields, renewable
    )


def _revoked(subject: str = "") -> Denied:
    words = "The token was revoked."
    failure = Failure(Reason.TOKEN_REVOKED, words)
    return replace(denied(failure), subject=subject)


def _asks_origin(route: Route) -> bool:
    return any(isinstance(way, OriginWay) for way in route.ways)


def _is_sent_by_itself(credential: Credential) -> bool:
    """Whether a browser adds it to whatever a page anywhere sends (B10): cookies, and
    what it asked its user for."""
    if isinstance(credential, Token):
        return credential.source.place is TokenPlace.COOKIE
    if isinstance(credential, CredentialSet):
        scheme = (credential.get("authorization") or "").partition(" ")[0].lower()
        by_user = scheme in ("basic", "digest", "negotiate", "ntlm")
        return by_user or credential.get("cookie") is not None
    return False
