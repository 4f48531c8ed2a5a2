"""A fast connection over a list of bytes, before an origin in the test's hand.

``UpstreamByHand`` is told what is asked; the test tells the receiver what comes of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from edge.core.ports import Exchange, Receiver
from edge.core.values import (
    Framing,
    Header,
    OriginAnswerHead,
    OriginRequest,
    WriteOutcome,
)
from tests.front.fast.test_connection_stages import Table
from tests.front.fast.test_grants import HeldClock


@dataclass(eq=False)
class CallByHand:
    """Implements ``edge.core.ports.UpstreamCall``: keeps what it was told to do."""

    request: OriginRequest
    receiver: Receiver
    orders: list[str] = field(default_factory=list)

    def cancel(self) -> None:
        self.orders.append("cancel")

    def pause(self) -> None:
        self.orders.append("pause")

    def resume(self) -> None:
        self.orders.append("resume")

    @property
    def canceled(self) -> bool:
        return "cancel" in self.orders

    def head(self, status: int, *fields: Header, length: int | None = 0) -> None:
        """The head of the answer."""
        told = OriginAnswerHead(status, fields, Framing.LENGTH, length)
        self.receiver.head(told)

    def answer(self, status: int, *fields: Header, body: bytes = b"") -> None:
        """The whole answer."""
        self.head(status, *fields, length=len(body))
        if body:
            self.receiver.data(body)
        self.receiver.ended()


@dataclass(eq=False)
class UpstreamByHand:
    """Implements ``edge.core.ports.Origin``. ``sends``: requests go out at once, as
    they do to an origin that takes them."""

    calls: list[CallByHand] = field(default_factory=list)
    sends: bool = True

    def begin(self, request: OriginRequest, receiver: Receiver) -> CallByHand:
        call = CallByHand(request, receiver)
        self.calls.append(call)
        if self.sends:
            receiver.sent()
        return call

    def open(self, request: OriginRequest, on_sent: object = None) -> Exchange:
        raise AssertionError("nobody asks it the blocking way")


@dataclass(eq=False)
class WriterTable(Table):
    """One connection whose writes go to ``origin``. ``wrote`` is what the hub heard,
    and how much the client had heard by then."""

    origin: UpstreamByHand = field(default_factory=UpstreamByHand)
    clock: HeldClock = field(default_factory=HeldClock)
    wrote: list[tuple[WriteOutcome, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.context.parts = replace(self.context.parts, origin=self.origin)
        self.read_service.wrote = self._hear  # type: ignore[method-assign]

    def _hear(self, write: WriteOutcome) -> None:
        self.wrote.append((write, len(self.transport.sent)))

    @property
    def call(self) -> CallByHand:
        """The last one."""
        return self.origin.calls[-1]

    @property
    def outcomes(self) -> list[tuple[str, int | None]]:
        """Methods and statuses of what the hub heard."""
        return [(write.method, write.status) for write, _ in self.wrote]

    def write(self, body: bytes = b"body", *fields: str, path: str = "a") -> None:
        """A plain POST, whole."""
        self.feed(post(body, *fields, path=path))


def post(body: bytes, *fields: str, path: str = "a", method: str = "POST") -> bytes:
    """A plain write."""
    lines = [f"{method} /v1/stream/{path} HTTP/1.1", "Host: edge.test", *fields]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@contextmanager
def writer() -> Iterator[WriterTable]:
    """A table that is put away in the end."""
    made = WriterTable()
    try:
        yield made
    finally:
        made.close()
