"""Judging: one shape for all ways of letting in, and what a judge is given.

A route has ways, and each way has a judge. For every request the authorizer finds the
first way whose kind of credential is there, and asks its judge::

    request -- find --> credential -- judge --> LetIn, or Denied
                                       |
                                       +------> MustWait: not here, not now

There are two kinds of judges. Those by keys (``key_judges``) know by themselves: they
compute. Those who ask (``forward``, ``origin_way``) are told by somebody else, and
believe it for a time (``asked_verdicts``). A judge that would have to wait, on the
event loop's callback, raises MustWait. It is then called again in a greenlet, with
``may_wait``, where it may block. A verdict is remembered under all that its judge saw
(B2), so that it is found again on the callback.

A judge never says what a request reads, and never gives a *yes* that it was not told:
whatever goes wrong is Denied, or an EdgeError.
"""

from dataclasses import dataclass
from typing import Protocol

from edge.access.credentials import Credential
from edge.access.verdicts import LetIn
from edge.policy.http.request_target import Parameter
from edge.policy.streams.authorize import Denied, RequestHead
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import Right


class MustWait(Exception):
    """A verdict needs somebody else, or a later turn of the event loop."""


class LaterTurn(MustWait):
    """It needs a later turn, and nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One request that is to be judged, on the route and by the way of that number.

    ``own`` are its parameters without those of credentials. ``now`` is Unix time.
    """

    route: Route
    way: int
    request: RequestHead
    right: Right
    own: tuple[Parameter, ...]
    now: float
    may_wait: bool


class Judge(Protocol):
    """Judges by one way. ``name`` is the way's, in the log and in the metrics."""

    name: str

    @property
    def may_change(self) -> bool:
        """Whether a *yes* may end before its time, by something at a URL."""

    def judge(self, case: Case, credential: Credential) -> LetIn | Denied:
        """What the way says of its credential, now or lately.

        Raises MustWait if it has to wait and may not, and EdgeError (503) if nobody
        can be had who would judge.
        """
