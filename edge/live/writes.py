"""Writes: what a write that passed through this edge says of its stream.

Read your writes (L4) and new incarnations (L5). A write acts on the path: on every
partition and extension of it. Called by the hub before the writer hears its answer.
It changes what the tails know, and yields steps for the rest; it never asks and never
switches.
"""

from edge.core.reasons import Reason
from edge.core.values import Headers
from edge.live.registry import StreamRegistry
from edge.live.rows import Stream
from edge.live.steps import Kick, Replace, Steps, Wake
from edge.protocol import names
from edge.protocol.offsets import is_position


def wrote(
    streams: StreamRegistry,
    route: str,
    path: str,
    method: str,
    status: int | None,
    headers: Headers,
) -> Steps:
    """A write was answered, or its answer was lost (``status`` None)."""
    found = {name.lower(): value for name, value in headers}
    for stream in streams.of_path(route, path):
        if _replaces(method, status):
            yield Replace(stream, Reason.REWRITTEN)
        elif method == "POST":
            yield from _appended(stream, status, found)


def _appended(stream: Stream, status: int | None, headers: dict[str, str]) -> Steps:
    offset = headers.get(names.IN_NEXT_OFFSET)
    if offset is not None and not is_position(offset):
        offset = None
    closed = names.is_true(headers.get(names.IN_CLOSED))
    log = stream.log
    if status is None or 200 <= status < 300:
        log.tail.acknowledge(offset, closed)
    elif status == 409 and closed and offset is not None:
        # Refused since it is closed: the end is known from now on.
        log.tail.close(offset)
    else:
        return
    yield Kick(stream)
    if log.tail.closed and log.tail.offset == log.end:
        # Nothing more comes. Where data comes first, the poll brings both.
        yield Wake(stream)


def _replaces(method: str, status: int | None) -> bool:
    """Whether another stream may be at this path from now on (L5)."""
    if method == "PUT":
        return status is None or status == 201
    return method == "DELETE" and (status is None or 200 <= status < 300)
