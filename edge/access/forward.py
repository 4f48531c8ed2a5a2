"""ForwardJudge: an endpoint of the operator's says who is let in (A16, B11).

The ask is a GET without a body. The edge builds all of it: what is asked for stands in
``X-Forwarded-Method``, ``-Proto``, ``-Host``, ``-Uri`` and ``-For``, as Traefik,
Caddy and nginx tell it, and of the client's fields only those go along that the way
lists. The URI has no offset, live and cursor, since a verdict holds for all of them.

======== ==================================================================
2xx      lets in; ``Cache-Control`` may only shorten its time
401, 403 refuse: the endpoint's own answer goes to the one who asked
3xx      goes to navigations alone, for a page to log in; others get 401
others   no verdict: a misplaced endpoint is no judge
======== ==================================================================

No redirect is followed. What the endpoint answers is bounded: its head by the pool, the
body by ``MAX_BODY``, all of it by the way's time-out. Control paths are never let in:
what the endpoint is told of them is not what they ask for. Made by ``judges``.
"""

from dataclasses import replace
from urllib.parse import urlsplit

import gevent

from edge.access.asked_verdicts import (
    AskedVerdicts,
    NoVerdict,
    Question,
    Said,
    ToldNo,
    ToldYes,
)
from edge.access.asking import Open, asked_extension, asking_key, chain_fields
from edge.access.challenges import bearer
from edge.access.credentials import Credential, CredentialSet
from edge.access.judging import Case, MustWait
from edge.access.verdicts import LetIn
from edge.core.errors import EdgeError, OriginTimeout
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import Headers, Node, OriginRequest
from edge.policy.http import request_target
from edge.policy.streams.authorize import Denied
from edge.policy.streams.ways import ForwardWay
from edge.protocol.http_grammar import cache_directives

NAME = "forward"

MAX_BODY = 64 * 1024
"""Bytes of an endpoint's refusal that its client is given."""

MAX_SHARED_CHALLENGE = 1024
"""Characters of a challenge that are remembered with a *no*."""

MAX_SUBJECT = 1024
"""Characters of a subject; a longer one is none."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETURNED = frozenset({"content-type", "content-language", "set-cookie"})


class ForwardJudge:
    """Implements ``judging.Judge``. ``scheme`` is that of the edge's public address."""

    name = NAME
    may_change = False

    def __init__(
        self,
        way: ForwardWay,
        verdicts: AskedVerdicts,
        open_: Open,
        node: Node,
        scheme: str = "http",
    ) -> None:
        self._way = way
        self._verdicts = verdicts
        self._open = open_
        self._node = node
        self._scheme = scheme
        parts = urlsplit(way.url)
        self._target = request_target.join(parts.path or "/", parts.query)

    def judge(self, case: Case, credential: Credential) -> LetIn | Denied:
        """See Judge."""
        assert isinstance(credential, CredentialSet)
        request = case.request
        if request_target.is_control(request.path):
            words = "An endpoint is not asked about paths that speak for many streams."
            return Denied(Reason.PATH_NOT_GRANTED, words)
        if not credential and not case.may_wait:
            # Who has no credential is known by the address, if by anything: nobody
            # shares a head with it.
            raise MustWait
        built = self._request(case, credential)
        question = Question(
            asking_key(case, self._way, _seen(built)),
            lambda: self._ask(built, navigates=_navigates(case)),
            credential,
            alone=_navigates(case),
        )
        return self._verdicts.judge(question, case)

    def _request(self, case: Case, credential: CredentialSet) -> OriginRequest:
        request = case.request
        uri = request_target.join(request.path, asked_extension(case, self._way))
        method = "GET" if request.method == "HEAD" else request.method
        caller = request.client()
        fields = [
            ("x-forwarded-method", method),
            ("x-forwarded-proto", caller.scheme or self._scheme),
            ("x-forwarded-host", caller.host or request.lookup("host") or ""),
            ("x-forwarded-uri", uri),
        ]
        if caller.address:
            fields.append(("x-forwarded-for", caller.address))
        fields += credential.headers
        fields += chain_fields(request, self._node)
        return OriginRequest("GET", self._target, tuple(fields))

    def _ask(self, request: OriginRequest, navigates: bool) -> Said:
        late = OriginTimeout("the endpoint did not answer in time")
        try:
            with gevent.Timeout(self._way.timeout, late):
                return self._heard(self._open(request), navigates)
        except (EdgeError, OSError) as error:
            return NoVerdict(str(error))

    def _heard(self, exchange: Exchange, navigates: bool) -> Said:
        try:
            status, fields = exchange.status, exchange.headers
            if 200 <= status < 300:
                return _told(fields, self._way)
            if status in (401, 403):
                return _refused(status, fields, _gathered(exchange))
            if status in _REDIRECTS:
                return _sent_away(status, fields, navigates)
            return NoVerdict(f"the endpoint answered {status}")
        finally:
            exchange.close()


def _seen(request: OriginRequest) -> Headers:
    """What of an ask its verdict is known by (B2). The address is, whatever else was
    sent: who is let in by that must not open the door for all who send the same."""
    ignored = ("via", "cdn-loop")
    return tuple(pair for pair in request.headers if pair[0] not in ignored)


def _navigates(case: Case) -> bool:
    """Whether a browser goes there as to a page."""
    request = case.request
    is_read = request.method in ("GET", "HEAD")
    return is_read and request.lookup("sec-fetch-mode") == "navigate"


# What the endpoint says.


def _told(fields: Headers, way: ForwardWay) -> ToldYes:
    cookies = tuple(pair for pair in fields if pair[0] == "set-cookie")
    return ToldYes(_seconds(fields, way.cache), _subject(fields, way), cookies)


def _seconds(fields: Headers, most: float) -> float:
    """How long the endpoint is believed: what it tells may only shorten that."""
    told = ", ".join(value for name, value in fields if name == "cache-control")
    directives = cache_directives(told)
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    given = directives.get("max-age") or ""
    if "max-age" in directives and not (given.isascii() and given.isdigit()):
        # What cannot be read promises nothing (RFC 9111 section 4.2.1).
        return 0.0
    return min(most, float(given)) if given else most


def _subject(fields: Headers, way: ForwardWay) -> str:
    named = next((v for name, v in fields if name == way.identity_header), "")
    return named if len(named) <= MAX_SUBJECT else ""


def _refused(status: int, fields: Headers, body: bytes | None) -> ToldNo:
    """The endpoint's own answer for the one who asked; others hear the bare *no*."""
    words = "This is not let in."
    given = ", ".join(value for name, value in fields if name == "www-authenticate")
    challenge = given or (bearer() if status == 401 else None)
    shared = challenge
    if challenge is not None and len(challenge) > MAX_SHARED_CHALLENGE:
        shared = bearer() if status == 401 else None
    bare = Denied(Reason.ACCESS_REFUSED, words, status, shared)
    kept = tuple(pair for pair in fields if pair[0] in _RETURNED)
    if body is None:
        kept = tuple(pair for pair in kept if pair[0] == "set-cookie")
    own = replace(bare, challenge=challenge, fields=kept, body=body)
    return ToldNo(own, bare)


def _sent_away(status: int, fields: Headers, navigates: bool) -> ToldNo:
    """A redirect, which is for people: to them and nobody else."""
    words = "This is not let in: log in first."
    bare = Denied(Reason.ACCESS_REFUSED, words, 401, bearer())
    kept = tuple(pair for pair in fields if pair[0] in ("location", "set-cookie"))
    if not navigates or not any(name == "location" for name, _ in kept):
        return ToldNo(bare, bare)
    own = Denied(Reason.ACCESS_REFUSED, words, status, fields=kept)
    return ToldNo(own, bare)


def _gathered(exchange: Exchange) -> bytes | None:
    """The body of a refusal, as much as is given on; None without a whole one that is
    in the clear."""
    if any(name == "content-encoding" for name, _ in exchange.headers):
        return None
    gathered = bytearray()
    try:
        while len(gathered) < MAX_BODY and (piece := exchange.read()):
            gathered += piece
    except EdgeError:
        return None
    return bytes(gathered[:MAX_BODY]) or None
