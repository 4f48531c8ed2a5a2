"""An origin whose calls are data: it tells what a test says on the event loop.

There, in gevent's hub, nothing can wait: whatever switched greenlets from a callback
would raise, and the hub's report fails the test.
"""

from collections.abc import Callable
from typing import TypeVar

import gevent
from gevent.event import Event

from edge.core.errors import EdgeError
from edge.core.ports import Exchange, Receiver, UpstreamCall
from edge.core.values import OriginAnswer, OriginAnswerHead, OriginRequest
from tests.support.patience import PATIENCE

T = TypeVar("T")


class HeldCall:
    """One call that waits for what the test says. An ``UpstreamCall``."""

    def __init__(self, request: OriginRequest, receiver: Receiver) -> None:
        self.request = request
        self.receiver = receiver
        self.cancelled = False

    def reply(self, answer: OriginAnswer) -> None:
        """Answer whole: head, body, end, in one turn."""
        self._later(self._answer, answer)

    def head(self, answer: OriginAnswer) -> None:
        """The head alone."""
        self._later(self._head, answer)

    def fail(self, fault: EdgeError) -> None:
        """Nothing more comes."""
        self._later(lambda fault: self.receiver.failed(fault), fault)

    def _later(self, tell: Callable[[T], None], told: T) -> None:
        def run() -> None:
            if not self.cancelled:
                tell(told)

        gevent.get_hub().loop.run_callback(run)

    def _head(self, answer: OriginAnswer) -> None:
        length = len(answer.body)
        self.receiver.head(
            OriginAnswerHead(answer.status, answer.headers, answer.framing, length)
        )

    def _answer(self, answer: OriginAnswer) -> None:
        self._head(answer)
        if answer.body and not self.cancelled:
            self.receiver.data(answer.body)
        if not self.cancelled:
            self.receiver.ended()

    def cancel(self) -> None:
        self.cancelled = True

    def pause(self) -> None:
        """It waits for the test anyhow."""

    def resume(self) -> None:
        """It waits for the test anyhow."""

    def __repr__(self) -> str:
        return f"<HeldCall {self.request.method} {self.request.target}>"


class LoopOrigin:
    """Implements ``edge.core.ports.Origin``. ``calls`` are all so far, in order."""

    def __init__(self) -> None:
        self.calls: list[HeldCall] = []
        self._taken = 0
        self._called = Event()

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        call = HeldCall(request, receiver)
        self.calls.append(call)
        self._called.set()
        receiver.sent()
        return call

    def expect(self) -> HeldCall:
        """The next call that was not taken yet, waiting for it if need be."""
        while len(self.calls) == self._taken:
            self._called.clear()
            assert self._called.wait(PATIENCE), f"no call came; {self.calls!r}"
        self._taken += 1
        return self.calls[self._taken - 1]

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        raise AssertionError("nobody waits for this origin")
