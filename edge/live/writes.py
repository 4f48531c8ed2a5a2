"""Writes: what a write that passed through this edge says of its stream.

Read your writes (L4) and new incarnations (L5). A write acts on the path:
on every partition and extension of it. Called by the front before the writer
hears its answer; changes logs, wakes viewers, never asks and never switches.
"""

from collections.abc import Callable

from edge.core.reasons import Reason
from edge.core.values import Headers
from edge.live.registry import StreamRegistry
from edge.live.stream import Stream
from edge.protocol import names
from edge.protocol.offsets import is_position


class Writes:
    """Applies writes. ``renew`` begins an incarnation, ``wake`` looks at the
    viewers again, ``kick`` ends a follower's back-off."""

    def __init__(
        self,
        streams: StreamRegistry,
        renew: Callable[[Stream, Reason], None],
        wake: Callable[[Stream], None],
        kick: Callable[[Stream], None],
    ) -> None:
        self._streams = streams
        self._renew = renew
        self._wake = wake
        self._kick = kick

    def wrote(
        self, route: str, path: str, method: str, status: int | None, headers: Headers
    ) -> None:
        """A write was answered, or its answer was lost (``status`` None)."""
        found = {name.lower(): value for name, value in headers}
        for stream in self._streams.of_path(route, path):
            if _replaces(method, status):
                self._renew(stream, Reason.REWRITTEN)
            elif method == "POST":
                self._appended(stream, status, found)

    def _appended(
        self, stream: Stream, status: int | None, headers: dict[str, str]
    ) -> None:
        offset = headers.get(names.IN_NEXT_OFFSET)
        if offset is not None and not is_position(offset):
            offset = None
        closed = names.is_true(headers.get(names.IN_CLOSED))
        if status is None or 200 <= status < 300:
            stream.log.tail.acknowledge(offset, closed)
        elif status == 409 and closed and offset is not None:
            # Refused since it is closed: the end is known from now on.
            stream.log.tail.close(offset)
        else:
            return
        self._kick(stream)
        log = stream.log
        if log.tail.closed and log.tail.offset == log.end:
            # Nothing more comes. Where data comes first, the poll brings both.
            self._wake(stream)


def _replaces(method: str, status: int | None) -> bool:
    """Whether another stream may be at this path from now on (L5)."""
    if method == "PUT":
        return status is None or status == 201
    return method == "DELETE" and (status is None or 200 <= status < 300)
