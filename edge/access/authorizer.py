"""AccessAuthorizer: judges requests on routes with ways, and leaves the others alone.

It is the authorizer that wiring gives to the pipeline. Of a request on a route with
ways it finds the first credential (``credentials``), has it judged by its way
(``tokens``, ``signed``), remembers the verdict (``verdicts``), and turns it into a
Grant or Denied of the pipeline. ``needs`` says which right a request takes. What must
wait for keys, or for a later turn of the event loop, becomes an Ask: its ``verdict``
judges again in a greenlet, where waiting is allowed.

A fork lets its reader see what its source holds. So who creates one needs the right to
read the source, by the source's own route and with the same credentials (B22).
"""

from collections.abc import Sequence
from dataclasses import replace

from edge.access import credentials, needs, signed, tokens
from edge.access.challenges import Failure, denied, without_credential
from edge.access.check_budget import CheckBudget
from edge.access.credentials import Credential, SignedLink, Token
from edge.access.key_ring import KeyRing, KeyRings
from edge.access.keys import KeySet
from edge.access.tokens import TokenClaims
from edge.access.verdicts import LetIn, VerdictKey, Verdicts
from edge.core.counters import Counters
from edge.core.errors import ClientFault, Refusal
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.values import Lease, Partition
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
from edge.policy.streams.ways import JwtWay, Place, SignedWay, Way
from edge.protocol import names

SOON_SECONDS = 60.0
"""If less is left of a grant, nobody may keep an answer (B17)."""

JUDGED_AGAIN_SECONDS = 30.0
"""How long a head is remembered that keys at a URL let in: they may change (B15)."""


class _MustWait(Exception):
    """A verdict needs newer keys, or a later turn of the event loop."""


class _LaterTurn(_MustWait):
    """It needs a later turn, and nothing else."""


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
    ) -> None:
        self._routes = routes
        self._rings = rings
        self._clock = clock
        self._counters = counters
        self._public_url = public_url
        self._budget = budget or CheckBudget()
        self._verdicts = Verdicts()
        rings.changed = self._verdicts.forget

    def __call__(self, route: Route, request: RequestHead, now: float) -> AccessVerdict:
        """See Authorizer. Raises ClientFault for a request that is malformed."""
        try:
            return self._judge(route, request, now, may_wait=False)
        except _LaterTurn:
            later = self._budget.call_later
            return Ask(lambda: self._judge_later(route, request), later)
        except _MustWait:
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
        name = "jwt" if isinstance(way, JwtWay) else "signed"
        verdict = self._verdict(route, way, credential, request, now, may_wait)
        if isinstance(verdict, LetIn) and self._is_forged(route, credential, request):
            words = "A cookie lets write only from pages of this site."
            verdict = Denied(Reason.CROSS_SITE, words, subject=verdict.subject)
        result = "granted" if isinstance(verdict, LetIn) else "denied"
        self._counters.verdicts[f"{name}-{result}"] += 1
        if isinstance(verdict, Denied):
            return replace(verdict, way=name)
        may_change = isinstance(way, JwtWay) and self._rings.of(way).may_change
        partition = granted_partition(request, route)
        lease = Lease(self._clock.monotonic() + (verdict.ends_at - now))
        return _grant(partition, verdict, lease, name, now, may_change)

    def _verdict(
        self,
        route: Route,
        way: Way,
        credential: Credential,
        request: RequestHead,
        now: float,
        may_wait: bool,
    ) -> LetIn | Denied:
        """What the way says of its credential, now or lately. Raises _MustWait."""
        own = [
            p for p in request.parameters if p.name not in route.credential_parameters
        ]
        key = VerdictKey(
            route.match,
            route.ways.index(way),
            needs.right_of(request),
            request.path,
            request_target.extension(own),
            credential.digest,
        )
        known = self._verdicts.get(key, now)
        if known is not None and self._are_believed(way):
            return known
        epoch = self._verdicts.epoch
        judged: LetIn | Failure
        if isinstance(way, SignedWay):
            assert isinstance(credential, SignedLink)
            self._spend(may_wait)
            judged = _by_link(credential, way, key, now)
        else:
            assert isinstance(credential, Token)
            claims = self._claims(credential, way, now, may_wait)
            judged = _reached(claims, way, key, own)
        verdict = _denied(judged) if isinstance(judged, Failure) else judged
        self._verdicts.keep(key, verdict, now, epoch)
        return verdict

    def _are_believed(self, way: Way) -> bool:
        """Whether what was judged by the way's keys still holds."""
        return isinstance(way, SignedWay) or self._rings.of(way).are_believed()

    def _claims(
        self, token: Token, way: JwtWay, now: float, may_wait: bool
    ) -> TokenClaims | Failure:
        """What a token claims. Raises _MustWait; Refusal if keys cannot be had."""
        ring = self._rings.of(way)
        keys = ring.keys()
        if keys is None:
            _, keys = self._newer(ring, may_wait)
        self._spend(may_wait)
        claims = tokens.verify(token.text, way, keys, now)
        if ring.may_change and _is_of_unknown_key(claims):
            newest, keys = self._newer(ring, may_wait)
            claims = tokens.verify(token.text, way, keys, now)
            if not newest and _is_of_unknown_key(claims):
                raise _no_keys()
        return claims

    def _newer(self, ring: KeyRing, may_wait: bool) -> tuple[bool, KeySet]:
        """Newer keys, and whether they are the newest. Raises _MustWait, Refusal."""
        if not may_wait:
            raise _MustWait
        newest = ring.wait()
        keys = ring.keys()
        if keys is None:
            raise _no_keys()
        return newest, keys

    def _spend(self, may_wait: bool) -> None:
        """A signature is going to be checked. Raises _MustWait."""
        if may_wait:
            self._budget.wait()
        elif not self._budget.take():
            raise _LaterTurn

    def _is_forged(
        self, route: Route, credential: Credential, request: RequestHead
    ) -> bool:
        """Whether a page elsewhere may have made a browser send this write (B10)."""
        by_cookie = (
            isinstance(credential, Token) and credential.source.place is Place.COOKIE
        )
        if not by_cookie or request.method in ("GET", "HEAD"):
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
    ends_at = let_in.ends_at
    soon = now >= ends_at - SOON_SECONDS
    again = ends_at if soon else ends_at - SOON_SECONDS
    if may_change:
        again = min(again, now + JUDGED_AGAIN_SECONDS)
    return Grant(partition, again, None, ends_at, soon, lease, way, let_in.subject)


def _by_link(
    link: SignedLink, way: SignedWay, key: VerdictKey, now: float
) -> LetIn | Failure:
    said = signed.verify(link, way, key.path, key.extension, key.right, now)
    return said if isinstance(said, Failure) else LetIn(said.expires_at, said.key)


def _reached(
    claims: TokenClaims | Failure,
    way: JwtWay,
    key: VerdictKey,
    own: Sequence[request_target.Parameter],
) -> LetIn | Failure:
    """Whether what a token claims reaches what is asked for."""
    if isinstance(claims, Failure):
        return claims
    path, match, right = key.path, key.route, key.right
    if request_target.is_control(path):
        root = needs.root_of(path)
        wrong = tokens.permits_below(claims, path, match, root, right)
    else:
        asked = [p.name for p in own if p.name not in request_target.PROTOCOL]
        wrong = tokens.permits(claims, way, path, match, right, asked)
    return wrong or LetIn(claims.expires_at, claims.subject or "")


def _denied(failure: Failure) -> Denied:
    return replace(denied(failure), subject=failure.subject or "")


def _is_of_unknown_key(claims: TokenClaims | Failure) -> bool:
    return isinstance(claims, Failure) and claims.reason is Reason.TOKEN_UNKNOWN_KEY


def _no_keys() -> Refusal:
    detail = "The keys that would judge this token cannot be had."
    return Refusal(detail, reason=Reason.KEYS_UNAVAILABLE)
