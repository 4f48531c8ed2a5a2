"""The judges that need nobody else: tokens by keys, links by their signature.

Each verdict is remembered (``verdicts``), so that a good credential is judged once for
each path and right. What must wait for keys, or for a later turn of the event loop, is
MustWait. ``tokens`` and ``signed`` hold the rules; this module has their memory, their
keys and their budget. Made by ``judges``, called by the authorizer.
"""

from collections.abc import Sequence
from dataclasses import replace

from edge.access import needs, signed, tokens
from edge.access.challenges import Failure, denied
from edge.access.check_budget import CheckBudget
from edge.access.credentials import Credential, SignedLink, Token, digests_in
from edge.access.denials import Denials, client_of
from edge.access.judging import Case, LaterTurn, MustWait
from edge.access.key_ring import KeyRing
from edge.access.keys import KeySet
from edge.access.revocations import TokenFacts
from edge.access.tokens import TokenClaims
from edge.access.verdicts import LetIn, VerdictKey, Verdicts
from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.policy.http import request_target
from edge.policy.streams.authorize import Denied
from edge.policy.streams.ways import JwtWay, SignedWay


class SignedJudge:
    """Implements ``judging.Judge`` for signed URLs."""

    name = "signed"
    may_change = False

    def __init__(
        self,
        way: SignedWay,
        verdicts: Verdicts,
        budget: CheckBudget,
        denials: Denials,
    ) -> None:
        self._way = way
        self._verdicts = verdicts
        self._budget = budget
        self._denials = denials

    def judge(self, case: Case, credential: Credential) -> LetIn | Denied:
        """See Judge."""
        assert isinstance(credential, SignedLink)
        key = key_of(case, credential.digest)
        known = self._verdicts.get(key, case.now)
        if known is not None:
            return known
        epoch = self._verdicts.epoch
        spend(self._budget, self._denials, case, key)
        verdict = _by_link(credential, self._way, key, case.now)
        note(self._denials, case, key, verdict)
        self._verdicts.keep(key, verdict, case.now, epoch)
        return verdict


class JwtJudge:
    """Implements ``judging.Judge`` for tokens, by the keys of ``ring``."""

    name = "jwt"

    def __init__(
        self,
        way: JwtWay,
        ring: KeyRing,
        verdicts: Verdicts,
        budget: CheckBudget,
        denials: Denials,
    ) -> None:
        self._way = way
        self._ring = ring
        self._verdicts = verdicts
        self._budget = budget
        self._denials = denials

    @property
    def may_change(self) -> bool:
        """See Judge: keys at a URL may become others."""
        return self._ring.may_change

    def judge(self, case: Case, credential: Credential) -> LetIn | Denied:
        """See Judge."""
        assert isinstance(credential, Token)
        key = key_of(case, credential.digest)
        known = self._verdicts.get(key, case.now)
        if known is not None and self._ring.are_believed():
            return known
        epoch = self._verdicts.epoch
        claims = self._claims(credential, case, key)
        verdict = _reached(claims, self._way, key, case.own)
        if isinstance(verdict, LetIn):
            assert isinstance(claims, TokenClaims)
            verdict = replace(verdict, facts=_facts(claims, credential))
        note(self._denials, case, key, verdict)
        self._verdicts.keep(key, verdict, case.now, epoch)
        return verdict

    def _claims(
        self, token: Token, case: Case, key: VerdictKey
    ) -> TokenClaims | Failure:
        """What a token claims. Raises MustWait; Refusal if keys cannot be had."""
        ring, now = self._ring, case.now
        self._denials.check(client_of(case), key.credential)
        keys = ring.keys()
        if keys is None:
            _, keys = self._newer(case)
        spend(self._budget, self._denials, case, key)
        claims = tokens.verify(token.text, self._way, keys, now)
        if ring.may_change and _is_of_unknown_key(claims):
            newest, keys = self._newer(case)
            claims = tokens.verify(token.text, self._way, keys, now)
            if not newest and _is_of_unknown_key(claims):
                # Nobody knows yet whether it is bad. But who makes up keys must pay.
                why = Reason.TOKEN_UNKNOWN_KEY
                self._denials.denied(client_of(case), key.credential, why)
                raise _no_keys()
        return claims

    def _newer(self, case: Case) -> tuple[bool, KeySet]:
        """Newer keys, and whether they are the newest. Raises MustWait, Refusal."""
        if not case.may_wait:
            raise MustWait
        newest = self._ring.wait()
        keys = self._ring.keys()
        if keys is None:
            raise _no_keys()
        return newest, keys


def key_of(case: Case, digest: str) -> VerdictKey:
    """What a verdict by keys is remembered under: all that its judge saw (B2)."""
    return VerdictKey(
        case.route.match,
        case.way,
        case.right,
        case.request.path,
        request_target.extension(case.own),
        digest,
    )


def spend(budget: CheckBudget, denials: Denials, case: Case, key: VerdictKey) -> None:
    """A signature is going to be checked. Raises LaterTurn, TooManyDenied.

    1: this one may be judged, and stands in line; 2: others of its client are found to
    be bad; 3: its turn comes. So the client is looked at again.
    """
    client = client_of(case)
    denials.check(client, key.credential)
    if not case.may_wait and not budget.take():
        raise LaterTurn
    if case.may_wait:
        budget.wait()
        denials.check(client, key.credential)


def note(
    denials: Denials, case: Case, key: VerdictKey, verdict: LetIn | Denied
) -> None:
    """Charge a client for a credential that is bad."""
    if isinstance(verdict, Denied):
        client = client_of(case)
        denials.denied(client, key.credential, verdict.reason)
    else:
        denials.let_in(key.credential)


def _by_link(
    link: SignedLink, way: SignedWay, key: VerdictKey, now: float
) -> LetIn | Denied:
    said = signed.verify(link, way, key.path, key.extension, key.right, now)
    if isinstance(said, Failure):
        return _denied(said)
    return LetIn(said.expires_at, said.key)


def _reached(
    claims: TokenClaims | Failure,
    way: JwtWay,
    key: VerdictKey,
    own: Sequence[request_target.Parameter],
) -> LetIn | Denied:
    """Whether what a token claims reaches what is asked for."""
    if isinstance(claims, Failure):
        return _denied(claims)
    path, match, right = key.path, key.route, key.right
    if request_target.is_control(path):
        root = needs.root_of(path)
        wrong = tokens.permits_below(claims, path, match, root, right)
    else:
        asked = [p.name for p in own if p.name not in request_target.PROTOCOL]
        wrong = tokens.permits(claims, way, path, match, right, asked)
    if wrong is not None:
        return _denied(wrong)
    return LetIn(claims.expires_at, claims.subject or "")


def _facts(claims: TokenClaims, token: Token) -> TokenFacts:
    """What of the token an order to revoke may name."""
    return TokenFacts(
        digests_in(token),
        claims.subject,
        claims.token_id,
        claims.issuer,
        claims.issued_at,
    )


def _denied(failure: Failure) -> Denied:
    return replace(denied(failure), subject=failure.subject or "")


def _is_of_unknown_key(claims: TokenClaims | Failure) -> bool:
    return isinstance(claims, Failure) and claims.reason is Reason.TOKEN_UNKNOWN_KEY


def _no_keys() -> Refusal:
    detail = "The keys that would judge this token cannot be had."
    return Refusal(detail, reason=Reason.KEYS_UNAVAILABLE)
