"""What a reader is given as a whole, and others after it. Made by ``delivery``, handed
out again by ``wakeup`` and ``answer_cache``."""

from edge.core.values import Answer, PerResponse
from edge.policy.streams.decisions import Kind, Serve


class Delivered:
    """A whole answer for a reader, and for others after it (``ports.Ready``)."""

    __slots__ = ("answer", "encoded", "per_response", "result", "size")

    def __init__(self, answer: Answer, per_response: PerResponse) -> None:
        self.answer = answer
        self.per_response = per_response
        self.encoded: object = None
        self.result = per_response.status.result(answer.status)
        self.size = len(answer.body or b"")


class EventsDelivered:
    """What an SSE viewer is given: a range, and its frames with the control event."""

    __slots__ = ("frames", "is_data", "serve", "size")

    def __init__(self, serve: Serve, frames: tuple[bytes, ...]) -> None:
        self.serve = serve
        self.frames = frames
        self.size = sum(map(len, frames))
        self.is_data = serve.kind is not Kind.EMPTY
