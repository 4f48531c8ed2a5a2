"""The judges of a worker: one for each way of its routes.

``Judges.made`` builds them from the ways; ``of`` finds the one of a way, which is known
by identity: the routes hold it. All share one memory of verdicts, and one count of
what each client was denied. Each endpoint that is
asked has a line of its own: a slow one holds up nobody at another. Called by the
authorizer and by wiring.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge.access import forward, origin_way
from edge.access.ask_line import AskLine
from edge.access.asked_verdicts import AskedVerdicts
from edge.access.asking import Open
from edge.access.check_budget import CheckBudget
from edge.access.denials import Denials
from edge.access.judging import Judge
from edge.access.key_judges import JwtJudge, SignedJudge
from edge.access.key_ring import KeyRings
from edge.access.verdicts import Verdicts
from edge.core.counters import Counters
from edge.core.errors import OriginUnreachable
from edge.core.ports import Clock, Exchange
from edge.core.values import Node, OriginRequest
from edge.policy.streams.routes import Route
from edge.policy.streams.upstream_requests import NAMELESS
from edge.policy.streams.ways import ForwardWay, JwtWay, OriginWay, SignedWay, Way


def _nobody(request: OriginRequest) -> Exchange:
    raise OriginUnreachable("nobody is there to be asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Askers:
    """How somebody else is asked; given by wiring.

    ``endpoint`` gives, for a way, what sends to its URL; ``origin`` what sends to the
    origin, which has ``timeout`` seconds to answer. ``scheme`` is that of the edge's
    own address.
    """

    endpoint: Callable[[ForwardWay], Open] = lambda way: _nobody
    origin: Callable[[], Open] = lambda: _nobody
    timeout: float = 10.0
    node: Node = NAMELESS
    scheme: str = "http"


class Judges:
    """See the module. ``verdicts`` is the memory of all of them."""

    def __init__(
        self,
        routes: Sequence[Route],
        rings: KeyRings,
        clock: Clock,
        counters: Counters,
        *,
        budget: CheckBudget,
        denials: Denials,
        askers: Askers,
    ) -> None:
        self.verdicts = Verdicts()
        self._rings = rings
        self._clock = clock
        self._counters = counters
        self._budget = budget
        self._denials = denials
        self._askers = askers
        # All routes that ask one and the same stand in one line before it.
        self._lines: dict[str, AskLine] = {}
        self._judges = {id(w): self._made(w) for route in routes for w in route.ways}

    def of(self, way: Way) -> Judge:
        """The judge of a way."""
        return self._judges[id(way)]

    def _made(self, way: Way) -> Judge:
        askers = self._askers
        match way:
            case SignedWay():
                return SignedJudge(way, self.verdicts, self._budget, self._denials)
            case JwtWay():
                ring = self._rings.of(way)
                return JwtJudge(way, ring, self.verdicts, self._budget, self._denials)
            case ForwardWay():
                asked = self._asked(forward.NAME, origin_of(way.url))
                send = askers.endpoint(way)
                return forward.ForwardJudge(
                    way, asked, send, askers.node, askers.scheme
                )
            case OriginWay():
                asked = self._asked(origin_way.NAME, "")
                return origin_way.OriginJudge(
                    way,
                    asked,
                    askers.origin(),
                    askers.timeout,
                    askers.node,
                )

    def _asked(self, name: str, whom: str) -> AskedVerdicts:
        line = self._lines.setdefault(whom, AskLine())
        return AskedVerdicts(
            name, self.verdicts, line, self._denials, self._clock, self._counters
        )


def origin_of(url: str) -> str:
    """Scheme and authority of a URL: who is asked."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
