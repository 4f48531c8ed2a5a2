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

**GET, never HEAD.** The ask is a GET of ``offset=now``, whose body is not waited for.
Some origins judge a HEAD otherwise than the GET that readers send, or not at all; and
that both agreed on one credential says nothing of another one.

Only reads are asked about. A write keeps its own credential, and the origin judges that
itself (B9): the authorizer lets it pass. Made by ``judges``.
"""

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
from edge.access.judging import Case
from edge.access.verdicts import LetIn
from edge.core.errors import EdgeError, OriginTimeout
from edge.core.reasons import Reason
from edge.core.values import Headers, Node, OriginRequest
from edge.policy.http import request_target
from edge.policy.streams.authorize import Denied, granted_partition
from edge.policy.streams.ways import OriginWay
from edge.protocol import names

NAME = "origin"

MAX_CHALLENGE = 1024
"""Characters of the origin's challenge that are given on."""

NOW = f"{names.PARAM_OFFSET}=now"
"""The tail: a GET of it has no body (PROTOCOL.md section 5.6)."""


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
    ) -> None:
        self._way = way
        self._verdicts = verdicts
        self._open = open_
        self._timeout = timeout
        self._node = node

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
        query = f"{NOW}&{extension}" if extension else NOW
        target = request_target.join(path, query)
        return self._say(OriginRequest("GET", target, headers))

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
    return NoVerdict(f"the origin answered {status}")


def _refusal(status: int, fields: Headers) -> Denied:
    given = ", ".join(value for name, value in fields if name == "www-authenticate")
    challenge = given if 0 < len(given) <= MAX_CHALLENGE else None
    if challenge is None and status == 401:
        challenge = bearer()
    words = "The origin does not let this credential in."
    return Denied(Reason.ACCESS_REFUSED, words, status, challenge)
