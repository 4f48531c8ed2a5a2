"""HandOver: what a keeper takes for its origin while the one before it is still there.

A keeper that is replaced has logs, and polls on the wire. Until its successor was
*handed* a stream, it asks the old keeper for it, and nobody else: this is the one
exception to W2. The old one answers what it holds or has armed, as ``edge.live.heirs``
says, and "not held" for all else; from that word on the stream is the successor's, and
is asked of the origin. What the old keeper says is judged like any upstream's (W1).

============ =====================================================================
the old one  the successor
============ =====================================================================
answers      is given the head without the field of the link, with its provenance
holds not    asks the origin, and takes over the lineage that came with the word, if
             it has none (W8). A poll is told so, and begun anew: it was armed, and is
             in doubt (L7) only if no lineage came, or another one than it has
cannot       the same without a lineage: another fault, or other settings
is lost      asks the origin from now on, for all streams. Who had a poll there hears
             of a lost upstream, as after any crash: it is not known what it missed
============ =====================================================================

Writes, and what is passed on, go to the origin. Nothing here waits.
"""

from collections.abc import Callable
from dataclasses import replace

from edge.core.errors import EdgeError, NotHeld, OriginUnreachable
from edge.core.forwarded_call import ForwardedCall
from edge.core.ports import Clock, Exchange, Origin, Receiver, UpstreamCall
from edge.core.values import (
    Lineage,
    OriginAnswerHead,
    OriginRequest,
    Partition,
    Purpose,
)
from edge.link.keepers import READS, heard, linked

_HANDED = frozenset({Purpose.CATCH_UP, Purpose.FOLLOW, Purpose.EVENTS})
"""Reads of streams. What is passed on is nobody's to hold."""

_HELD = frozenset({Purpose.FOLLOW, Purpose.EVENTS})

HandedKey = tuple[str, str, Partition]
"""What is handed over: the route, the path, and for whom."""


class HandOver:
    """Implements ``edge.core.ports.Origin``: the ``old`` keeper, and then the
    ``origin``. ``settings`` stands for those by which this one asks, and is not "": an
    old keeper with others tells nothing. ``lives`` says whether the old one gives signs
    of life (monotonic seconds); ``close`` ends all connections to it."""

    def __init__(
        self,
        old: Origin,
        origin: Origin,
        board: str,
        settings: str,
        clock: Clock,
        lives: Callable[[float], bool],
        close: Callable[[], None],
    ) -> None:
        self._old: Origin | None = old
        self._origin = origin
        self._board = board
        self._settings = settings
        self._clock = clock
        self._lives = lives
        self._close = close
        self._handed: set[HandedKey] = set()
        self._asked: set[tuple[HandedKey, str]] = set()
        self._calls: set[_HandCall] = set()

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``ports.Origin.begin``."""
        old, key = self._old, _key(request)
        if old is None or key is None or not self._may_ask_old(request, key):
            return self._origin.begin(request, receiver)
        call = _HandCall(self, request, receiver, key)
        self._calls.add(call)
        assert request.link is not None
        terms = replace(request.link, only_held=self._settings)
        try:
            call.inner = old.begin(linked(self._board, request, terms), call)
        except BaseException:
            self._calls.discard(call)
            raise
        return call

    def _may_ask_old(self, request: OriginRequest, key: HandedKey) -> bool:
        """Whether the old keeper may hold that. Of what was handed, it may still hold
        ranges, for each of which it is asked once."""
        if key not in self._handed:
            return True
        asked = key, request.target
        is_range = request.method == "GET" and request.purpose is Purpose.CATCH_UP
        if not is_range or asked in self._asked:
            return False
        self._asked.add(asked)
        return True

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``."""
        return self._origin.open(request, on_sent)

    def look(self, now: float) -> None:
        """At each tick: an old keeper that gives no sign of life tells nothing of any
        end any more (W6)."""
        if self._old is not None and not self._lives(now):
            self.end()

    def end(self) -> None:
        """The old keeper is asked no more. Idempotent."""
        if self._old is None:
            return
        self._old = None
        self._handed.clear()
        self._asked.clear()
        for call in list(self._calls):
            call.lose()
        self._close()

    # For calls.

    def heard(
        self, head: OriginAnswerHead
    ) -> tuple[OriginAnswerHead, EdgeError | None]:
        """The old keeper's answer, and the fault that it stands for."""
        return heard(self._board, head, self._clock.monotonic())

    def hand(self, key: HandedKey) -> None:
        """This one is asked of the origin from now on."""
        if self._old is not None:
            self._handed.add(key)

    def over(self, call: "_HandCall") -> None:
        """It asks the old keeper no more."""
        self._calls.discard(call)

    def ask_origin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """Ask the origin what the old keeper could not tell."""
        return self._origin.begin(request, receiver)


class _HandCall(ForwardedCall):
    """A call to the old keeper, and then maybe to the origin: a Receiver for both, an
    UpstreamCall for who began it."""

    __slots__ = (
        *("_all", "_fault", "_has_head", "_is_handed", "_is_sent", "_key"),
        *("_lineage", "_receiver", "_request"),
    )

    def __init__(
        self,
        hand_over: HandOver,
        request: OriginRequest,
        receiver: Receiver,
        key: HandedKey,
    ) -> None:
        super().__init__()
        self._all = hand_over
        self._request = request
        self._receiver = receiver
        self._key = key
        self._is_sent = self._has_head = self._is_handed = False
        self._fault: EdgeError | None = None
        self._lineage: Lineage | None = None

    # For who began it.

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._all.over(self)
        super().cancel()

    # For whom it asks.

    def sent(self) -> None:
        """See ``ports.Receiver``."""
        if not self._is_sent:
            self._is_sent = True
            self._receiver.sent()

    def head(self, head: OriginAnswerHead) -> None:
        """See ``ports.Receiver``."""
        self._has_head = True
        if self._is_handed:
            self._receiver.head(self._inherited(head))
            return
        head, self._fault = self._all.heard(head)
        if self._fault is None:
            self._receiver.head(head)

    def data(self, piece: bytes) -> None:
        """See ``ports.Receiver``."""
        if self._fault is None:
            self._receiver.data(piece)

    def ended(self) -> None:
        """See ``ports.Receiver``."""
        if self._fault is not None:
            self._hand(self._fault)
            return
        self._all.over(self)
        self._receiver.ended()

    def failed(self, fault: EdgeError) -> None:
        """See ``ports.Receiver``."""
        if self._is_handed:
            self._receiver.failed(fault)
        elif self._fault is not None:
            self._hand(self._fault)
        elif self._may_ask(fault):
            self._hand(fault)
        else:
            self._all.over(self)
            self._receiver.failed(fault)

    def lose(self) -> None:
        """The old keeper is lost."""
        super().cancel()
        said = "the keeper before this one gives no sign of life"
        self.failed(OriginUnreachable(said))

    # What follows.

    def _may_ask(self, fault: EdgeError) -> bool:
        """Whether the origin may be asked unseen: the old keeper was lost before it
        said a word, and nobody was told that a poll waits there."""
        lost = isinstance(fault, OriginUnreachable) and not self._has_head
        return lost and not (self._is_sent and self._request.purpose in _HELD)

    def _hand(self, fault: EdgeError) -> None:
        self._all.over(self)
        self._all.hand(self._key)
        if isinstance(fault, NotHeld):
            self._lineage = fault.lineage
        if self._is_sent and self._request.purpose is Purpose.FOLLOW:
            self._receiver.failed(NotHeld(lineage=self._lineage))
            return
        self._is_handed, self._has_head, self._fault = True, False, None
        self.inner = self._all.ask_origin(self._request, self)

    def _inherited(self, head: OriginAnswerHead) -> OriginAnswerHead:
        """The origin's word, as one of the life that the old keeper held (W8)."""
        if self._lineage is None or not 200 <= head.status < 300:
            return head
        told = replace(head.provenance, lineage=self._lineage, inherits=True)
        return head._replace(provenance=told)


def _key(request: OriginRequest) -> HandedKey | None:
    """What a request is about; None: the old keeper is not to be asked for that."""
    terms = request.link
    if terms is None or request.method not in READS or request.purpose not in _HANDED:
        return None
    return terms.route, request.target.partition("?")[0], terms.partition
