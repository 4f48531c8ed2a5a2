"""Keepers: what a front takes for its origin (W1 to W3, W7, W10, W11).

A request without terms goes to the real origin: nobody shares it. Every other one goes
to the keeper of its path, with the terms beside it. Which way it goes is decided once,
before its first byte: to the keeper, or *round* it where the board says that it has not
given a sign of life for too long. What goes round has few connections, since the keeper
alone knows what is asked already; above them nobody is asked.

========= ========================================================================
a keeper  the front
========= ========================================================================
answers   is given the head without the field of the link, with its provenance
fails     is told the fault as it was raised there: it is none of the stream's
misfits   asks the origin: the keeper has other settings, and forwarded nothing
is lost   asks again, once, what only reads and holds nothing armed. A write that was
          begun is never sent again; it ends as lost, as with any origin (L4, L5)
========= ========================================================================

What a follower asks for by events a keeper pushes, over a channel of its own (W15,
``channels``). It never goes round: the follower is told that it failed, and polls.

A PUT or a DELETE that goes round is stored on the board before it is sent and again
after: whoever reads meanwhile must not believe what it holds (W4).

Like the adapter, ``begin`` waits for nothing and ``open`` blocks its greenlet alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gevent.hub import get_hub

from edge.core.errors import (
    EdgeError,
    NotAsked,
    NotHeld,
    OriginFault,
    OriginUnreachable,
)
from edge.core.forwarded_call import ForwardedCall
from edge.core.ports import Clock, Exchange, Origin, Receiver, UpstreamCall
from edge.core.reasons import Reason
from edge.core.values import (
    DIRECT,
    LinkTerms,
    OriginAnswerHead,
    OriginRequest,
    Purpose,
)
from edge.link.channels import KeeperChannel, PushOrigin
from edge.link.exchanges import LinkExchange, RoundExchange
from edge.policy.http import link_fields

READS = frozenset({"GET", "HEAD"})
LIVES = frozenset({"PUT", "DELETE"})
"""Methods that may begin or end the life of a stream."""

_ASKED_AGAIN = frozenset({Purpose.CATCH_UP, Purpose.RELAY})
"""Reads that may be asked again unseen. A follower must learn that its poll, by which
others are told that they have all, was not at the origin for a while (L3)."""

_KEPT_ON_READS = frozenset(
    {"accept", "if-none-match", "traceparent", "tracestate", "x-request-id"}
)
"""What a keeper is told of a built read. All else it makes itself, of the terms."""


class KeepersView(Protocol):
    """What a front sees of its node on the board."""

    def owner(self, path: str) -> int:
        """The keeper of a path."""

    def goes_round(self, keeper: int, now: float) -> bool:
        """Whether this keeper is gone round (W7). ``now`` is monotonic seconds."""

    def is_leaving(self, keeper: int) -> bool:
        """Whether a process of this keeper's place is about to end (W12)."""

    def store_life(self, path: str) -> None:
        """See ``edge.core.ports.Board``."""


class LinkOrigin(Origin, Protocol):
    """One keeper, as its front calls it."""

    def close_idle(self) -> None:
        """Close every connection over which nothing is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepersOptions:
    """``board`` is the id of the node's board. ``round_connections``: how many requests
    of a kind may go round at once."""

    board: str
    round_connections: Mapping[Purpose, int]


class Keepers:
    """Implements ``edge.core.ports.Origin``: one ``link`` and one ``channel`` for each
    keeper, and the real ``origin``. ``requests`` counts those that go to keepers, by
    purpose."""

    def __init__(
        self,
        node: KeepersView,
        links: Sequence[LinkOrigin],
        channels: Sequence[KeeperChannel],
        origin: Origin,
        options: KeepersOptions,
        clock: Clock,
        requests: MutableMapping[str, int],
    ) -> None:
        self._node = node
        self._links = links
        self._channels = channels
        self._origin = origin
        self._board = options.board
        self._limits = options.round_connections
        self._clock = clock
        self._requests = requests
        # Requests that go round at this moment.
        self._round: Counter[Purpose] = Counter()

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``ports.Origin.begin``."""
        if request.link is None:
            return self._origin.begin(request, receiver)
        keeper, is_pushed = self._keeper(request), request.purpose is Purpose.EVENTS
        if keeper is None and is_pushed:
            detail = "the process that has this stream gives no sign of life"
            return _Refused(receiver, OriginUnreachable(detail))
        if keeper is None:
            return self.begin_round(request, receiver)
        call = _LinkCall(self, request, receiver)
        links: Sequence[PushOrigin] = self._channels if is_pushed else self._links
        call.ask(links[keeper], self._linked(request))
        return call

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``."""
        if request.link is None:
            return self._origin.open(request, on_sent)
        keeper = self._keeper(request)
        if keeper is None:
            return self._open_round(request, on_sent)
        try:
            return self._open(self._links[keeper], request, on_sent)
        except (OriginUnreachable, NotHeld):
            if not may_ask_again(request):
                raise
        except EdgeError as fault:
            if not is_misfit(fault, request):
                raise
            return self._open_round(request, on_sent)
        return self._open(self._links[keeper], request, None)

    def record(self, path: str, traceparent: str) -> None:
        """Have the keeper of this path record a span that it told with a push."""
        self._channels[self._node.owner(path)].record(traceparent)

    def look(self, now: float) -> None:
        """At each tick: a keeper that leaves waits until no front may send it anything
        over a connection that it closes (W12)."""
        for keeper, link in enumerate(self._links):
            if self._node.is_leaving(keeper):
                link.close_idle()

    def heard(
        self, head: OriginAnswerHead
    ) -> tuple[OriginAnswerHead, EdgeError | None]:
        """See ``heard``."""
        return heard(self._board, head, self._clock.monotonic())

    def _keeper(self, request: OriginRequest) -> int | None:
        """Whom to ask; None: nobody, the request goes round."""
        keeper = self._node.owner(_path(request))
        if self._node.goes_round(keeper, self._clock.monotonic()):
            return None
        self._requests[request.purpose.value] += 1
        return keeper

    def _linked(self, request: OriginRequest) -> OriginRequest:
        """The request as a keeper is asked."""
        assert request.link is not None
        return linked(self._board, request, request.link)

    def _open(
        self,
        link: Origin,
        request: OriginRequest,
        on_sent: Callable[[], None] | None,
    ) -> Exchange:
        exchange = link.open(self._linked(request), on_sent)
        how = exchange.framing, exchange.content_length
        told = OriginAnswerHead(exchange.status, exchange.headers, *how)
        head, fault = self.heard(told)
        if fault is not None:
            exchange.close()
            raise fault
        return LinkExchange(exchange, head)

    # Round.

    def begin_round(
        self, request: OriginRequest, receiver: Receiver, is_sent: bool = False
    ) -> UpstreamCall:
        """Ask the origin, unless too many do. ``is_sent``: the receiver was told so of
        the same request to a keeper."""
        try:
            self._enter(request)
        except NotAsked as fault:
            return _Refused(receiver, fault)
        call = _RoundCall(self, request, receiver, is_sent)
        try:
            call.inner = self._origin.begin(request, call)
        except BaseException:
            self.leave(request)
            raise
        return call

    def _open_round(
        self, request: OriginRequest, on_sent: Callable[[], None] | None
    ) -> Exchange:
        self._enter(request)
        try:
            exchange = self._origin.open(request, on_sent)
        except BaseException:
            self.leave(request)
            raise
        finally:
            self.store(request)
        return RoundExchange(exchange, lambda: self.leave(request))

    def _enter(self, request: OriginRequest) -> None:
        purpose = request.purpose
        if self._round[purpose] >= self._limits[purpose]:
            detail = "the process that has this stream gives no sign of life"
            raise NotAsked(detail, reason=Reason.LIMIT_ROUND, retry_after=1)
        self._round[purpose] += 1
        self.store(request)

    def leave(self, request: OriginRequest) -> None:
        """It goes round no longer."""
        self._round[request.purpose] -= 1

    def store(self, request: OriginRequest) -> None:
        """Tell the node that a stream may begin another life (W4)."""
        if request.method in LIVES:
            self._node.store_life(_path(request))


class _LinkCall(ForwardedCall):
    """A call to a keeper: a Receiver for the link, an UpstreamCall for who began it."""

    __slots__ = (
        *("_fault", "_has_head", "_is_sent", "_keepers"),
        *("_link", "_may_again", "_receiver", "_request"),
    )

    def __init__(
        self, keepers: Keepers, request: OriginRequest, receiver: Receiver
    ) -> None:
        super().__init__()
        self._keepers = keepers
        self._request = request
        self._receiver = receiver
        self._link: tuple[PushOrigin, OriginRequest] | None = None
        self._may_again = may_ask_again(request)
        self._is_sent = self._has_head = False
        self._fault: EdgeError | None = None

    def ask(self, link: PushOrigin, linked: OriginRequest) -> None:
        """Begin."""
        self._link = link, linked
        self.inner = link.begin(linked, self)

    # For the link.

    def sent(self) -> None:
        """See ``ports.Receiver``."""
        if not self._is_sent:
            self._is_sent = True
            self._receiver.sent()

    def head(self, head: OriginAnswerHead) -> None:
        """See ``ports.Receiver``. What a fault says beside its field nobody is told."""
        self._has_head = True
        head, self._fault = self._keepers.heard(head)
        if self._fault is None:
            self._receiver.head(head)

    def data(self, piece: bytes) -> None:
        """See ``ports.Receiver``."""
        if self._fault is None:
            self._receiver.data(piece)

    def ended(self) -> None:
        """See ``ports.Receiver``."""
        if self._fault is None:
            self._end()
            self._receiver.ended()
        else:
            self._failed(self._fault)

    def failed(self, fault: EdgeError) -> None:
        """See ``ports.Receiver``."""
        again = self._may_again and not self._has_head
        if self._fault is not None:
            self._failed(self._fault)
        elif again and isinstance(fault, OriginUnreachable) and self._link is not None:
            self._may_again = False
            self.ask(*self._link)
        else:
            self._failed(fault)

    def _failed(self, fault: EdgeError) -> None:
        if not is_misfit(fault, self._request):
            self._end()
            self._receiver.failed(fault)
            return
        self._fault, self._has_head, self._may_again = None, False, False
        self._link = None
        asked = self._request, self._receiver, self._is_sent
        self.inner = self._keepers.begin_round(*asked)

    def _end(self) -> None:
        self.inner = self._link = None


class _Refused:
    """An UpstreamCall of which nothing was sent: its receiver hears so in a later turn,
    unless it is cancelled before that."""

    __slots__ = ("_turn",)

    def __init__(self, receiver: Receiver, fault: OriginFault) -> None:
        self._turn = get_hub().loop.run_callback(receiver.failed, fault)

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._turn.stop()

    def pause(self) -> None:
        """There is nothing to pause."""

    def resume(self) -> None:
        """There is nothing to resume."""


class _RoundCall(ForwardedCall):
    """A call that goes round: the origin's own answer, and a place that comes free."""

    __slots__ = ("_is_over", "_is_sent", "_keepers", "_receiver", "_request")

    def __init__(
        self,
        keepers: Keepers,
        request: OriginRequest,
        receiver: Receiver,
        is_sent: bool,
    ) -> None:
        super().__init__()
        self._keepers = keepers
        self._request = request
        self._receiver = receiver
        self._is_sent = is_sent
        self._is_over = False

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._leave()
        super().cancel()

    def sent(self) -> None:
        """See ``ports.Receiver``."""
        if not self._is_sent:
            self._receiver.sent()

    def head(self, head: OriginAnswerHead) -> None:
        """See ``ports.Receiver``."""
        self._keepers.store(self._request)
        self._receiver.head(head)

    def data(self, piece: bytes) -> None:
        """See ``ports.Receiver``."""
        self._receiver.data(piece)

    def ended(self) -> None:
        """See ``ports.Receiver``."""
        self._leave()
        self._receiver.ended()

    def failed(self, fault: EdgeError) -> None:
        """See ``ports.Receiver``."""
        self._keepers.store(self._request)
        self._leave()
        self._receiver.failed(fault)

    def _leave(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._keepers.leave(self._request)


def linked(board: str, request: OriginRequest, terms: LinkTerms) -> OriginRequest:
    """The request as a keeper is asked, on these terms."""
    headers = request.headers
    if request.method in READS:
        kept = (field for field in headers if field[0] in _KEPT_ON_READS)
        headers = (*terms.partition.headers, *kept)
    told = link_fields.told_terms(board, terms)
    return replace(request, headers=(*headers, *told), link=None)


def heard(
    board: str, head: OriginAnswerHead, now: float
) -> tuple[OriginAnswerHead, EdgeError | None]:
    """A keeper's answer as it is taken, and the fault that it stands for. ``now`` is
    monotonic seconds."""
    field = next((v for n, v in head.headers if n == link_fields.FIELD), None)
    told = link_fields.answer_of(board, field, now)
    headers = link_fields.without_internal(head.headers)
    provenance = DIRECT if told is None else told.provenance
    how = head.framing, head.content_length, provenance
    fault = None if told is None else told.fault
    return OriginAnswerHead(head.status, headers, *how), fault


def may_ask_again(request: OriginRequest) -> bool:
    """Whether a request whose keeper was lost, or has handed it over, may be asked once
    more (W3)."""
    return request.method in READS and request.purpose in _ASKED_AGAIN


def is_misfit(fault: EdgeError, request: OriginRequest) -> bool:
    """Whether a keeper has said that it cannot read for this front."""
    return fault.reason is Reason.LINK_MISFIT and request.method in READS


def _path(request: OriginRequest) -> str:
    return request.target.partition("?")[0]
