"""OriginJudge: the origin says who is let in, asked with the client's credential.

A17, B16. The ask carries all that the way looks at, the extension parameters and the
route's request headers, and nothing of the edge's own. It moves no log and confirms
nothing: its answer is judged by the status alone.

============== =============================================================
2xx            lets in
401, 403       refuse, with the origin's challenge
404, 410       that credential's own answer; others may hear another one
others         no verdict
============== =============================================================

**HEAD or GET.** An origin may judge a HEAD otherwise than the GET that readers send. So
the first ask of a route, and one in a hundred after, is a GET of ``offset=now``, whose
body is not waited for, with a HEAD beside it; the GET judges. HEAD judges alone only
while both agreed. Where they once differ, GET judges for good.

Only reads are asked about. A write keeps its own credential, and the origin judges that
itself (B9): the authorizer lets it pass. Made by ``judges``.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import gevent

from edge.access.asked_verdicts import (
    AskedVerdicts,
    NoVerdict,
    Question,
    Said,
    ToldNo,
    ToldYes,
)
from edge.access.asking import asked_extension, asking_key, chain_fields
from edge.access.challenges import bearer
from edge.access.credentials import Credential, CredentialSet
from edge.access.judging import Case
from edge.access.verdicts import LetIn
from edge.core.counters import Counters
from edge.core.errors import EdgeError, OriginTimeout
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import Headers, Node, OriginRequest
from edge.policy.http import request_target
from edge.policy.streams.authorize import Denied, granted_partition
from edge.policy.streams.ways import OriginWay
from edge.protocol import names

NAME = "origin"

COMPARED_EVERY = 100
"""One ask in so many compares HEAD with GET."""

MAX_CHALLENGE = 1024
"""Characters of the origin's challenge that are given on."""

NOW = f"{names.PARAM_OFFSET}=now"
"""The tail: a GET of it has no body (PROTOCOL.md section 5.6)."""

_log = logging.getLogger("edge.access")

Open = Callable[[OriginRequest], Exchange]
"""Sends an ask. Raises EdgeError."""


@dataclass(slots=True)
class HeadAgreement:
    """Whether HEAD may judge on a route. ``agreed`` None: they were not compared yet,
    False: they differed, and HEAD never judges again."""

    agreed: bool | None = None
    asks: int = 0

    def compares_now(self) -> bool:
        """Whether the next ask compares both; counts it."""
        count, self.asks = self.asks, self.asks + 1
        return self.agreed is not False and count % COMPARED_EVERY == 0

    def undecided(self) -> None:
        """There was nothing to compare: the next ask compares, if none did yet."""
        if self.agreed is None:
            self.asks = 0

    def compared(self, by_get: Said, by_head: Said) -> bool:
        """Take in a comparison; whether it is the first by which they differ."""
        same = _word(by_get) == _word(by_head)
        differs = not same and self.agreed is not False
        self.agreed = same and self.agreed is not False
        return differs


def _word(said: Said) -> str:
    """What was said, as far as both have to agree."""
    match said:
        case ToldYes():
            return "let in"
        case ToldNo(own=own):
            return "refused" if own.status in (401, 403) else "absent"
        case NoVerdict():
            return "nothing"


def _is_passing(said: Said) -> bool:
    """Whether the origin is only away, or busy: that says nothing of HEAD and GET."""
    return isinstance(said, NoVerdict) and said.passes


class OriginJudge:
    """Implements ``judging.Judge``. ``timeout``: seconds for an ask."""

    name = NAME
    may_change = False

    def __init__(
        self,
        way: OriginWay,
        verdicts: AskedVerdicts,
        open_: Open,
        timeout: float,
        node: Node,
        counters: Counters,
    ) -> None:
        self._way = way
        self._verdicts = verdicts
        self._open = open_
        self._timeout = timeout
        self._node = node
        self._counters = counters
        self._agreement = HeadAgreement()

    def judge(self, case: Case, credential: Credential) -> LetIn | Denied:
        """See Judge. Only for reads."""
        assert isinstance(credential, CredentialSet)
        shared = granted_partition(case.request, case.route).headers
        seen = (*credential.headers, *shared)
        extension = asked_extension(case, self._way)
        headers = (*seen, *chain_fields(case.request, self._node))
        question = Question(
            asking_key(case, self._way, seen),
            lambda: self._ask(case.request.path, extension, headers),
            credential,
        )
        return self._verdicts.judge(question, case)

    def _ask(self, path: str, extension: str, headers: Headers) -> Said:
        head = OriginRequest("HEAD", request_target.join(path, extension), headers)
        query = f"{NOW}&{extension}" if extension else NOW
        get = OriginRequest("GET", request_target.join(path, query), headers)
        agreement = self._agreement
        if not agreement.compares_now():
            return self._say(head if agreement.agreed else get)
        by_get = self._say(get)
        by_head = by_get if _is_passing(by_get) else self._say(head)
        if _is_passing(by_head):
            agreement.undecided()
        elif agreement.compared(by_get, by_head):
            self._counters.asks["origin-head-differs"] += 1
            _log.warning(
                "the origin judges a HEAD otherwise than a GET: GET judges from now on"
            )
        return by_get

    def _say(self, request: OriginRequest) -> Said:
        late = OriginTimeout("the origin did not answer in time")
        try:
            with gevent.Timeout(self._timeout, late):
                exchange = self._open(request)
            try:
                return _said(exchange.status, exchange.headers, self._way.trust)
            finally:
                exchange.close()
        except (EdgeError, OSError) as error:
            return NoVerdict(str(error))


def _said(status: int, fields: Headers, trust: float) -> Said:
    if 200 <= status < 300:
        return ToldYes(trust)
    if status in (401, 403):
        denied = _refusal(status, fields)
        return ToldNo(denied, denied)
    if status in (404, 410):
        words = "There is nothing here for this credential."
        # Not remembered: whoever creates the stream finds it at once.
        return ToldNo(Denied(Reason.ACCESS_ABSENT, words, status), None)
    passes = (status >= 500 and status != 501) or status in (408, 425, 429)
    return NoVerdict(f"the origin answered {status}", passes)


def _refusal(status: int, fields: Headers) -> Denied:
    given = ", ".join(value for name, value in fields if name == "www-authenticate")
    challenge = given if 0 < len(given) <= MAX_CHALLENGE else None
    if challenge is None and status == 401:
        challenge = bearer()
    words = "The origin does not let this credential in."
    return Denied(Reason.ACCESS_REFUSED, words, status, challenge)
