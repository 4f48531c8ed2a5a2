"""A small conforming origin in memory, for tests with many viewers.

It behaves like the Node reference server where that matters to an edge. Offsets are
``%016d_%016d`` and count framing too. An offset inside a message returns the whole
message; one beyond the tail returns the real tail. There is no ETag, no
``Cache-Control`` on reads, and a 204 has no content type. It pages only when ``page``
is set, always between messages.

A test may also act behind the edge's back: ``create``, ``append``, ``finish`` and
``remove`` do what another writer would do, and are not counted. ``lapse`` makes every
held long-poll time out.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from gevent.event import Event

from edge.core.errors import OriginUnreachable
from edge.core.ports import Exchange
from edge.core.values import Framing, Header, OriginAnswer, OriginRequest
from edge.protocol.offsets import BEGIN, NOW
from origin_adapter.blocking import BeginsByOpen, body_of
from origin_adapter.scripted.messages import Messages
from origin_adapter.scripted.played import PlayedExchange


@dataclass(slots=True)
class _Stream:
    """One stream: its messages, and the event that its next change sets."""

    messages: Messages
    ttl: str | None = None
    changed: Event = field(default_factory=Event)

    def touch(self) -> None:
        """Wake the calls that wait for a change; later calls wait for the next one."""
        self.changed.set()
        self.changed = Event()


class LivingOrigin(BeginsByOpen):
    """Implements ``edge.core.ports.Origin``; see the module.

    ``hold`` is how long a long-poll waits (seconds), ``page`` the largest
    body in bytes (None: never pages). ``requests`` counts by kind: create,
    append, close, delete, head, catch-up, long-poll, other. While ``down`` is
    true every call fails with OriginUnreachable. ``head_status``, if set, is
    what every HEAD is answered with.
    """

    def __init__(self, *, hold: float = 30.0, page: int | None = None) -> None:
        self.hold = hold
        self.page = page
        self.down = False
        self.head_status: int | None = None
        self.requests: Counter[str] = Counter()
        self._streams: dict[str, _Stream] = {}

    # The port.

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``."""
        body = body_of(request)
        if self.down:
            # No call takes it, so it is never on the wire.
            self.requests["down"] += 1
            fault = OriginUnreachable("the living origin is down")
            fault.unsent = True
            raise fault
        if on_sent is not None:
            on_sent()
        act = _ACTS.get(request.method, LivingOrigin._refuse)
        return _played(act(self, request, body), request.method)

    # What another writer does, uncounted.

    def create(self, path: str, content_type: str = "text/plain") -> str:
        """Create an empty stream (or a new one in its place); its tail."""
        self.remove(path)
        self._streams[path] = _Stream(Messages(content_type))
        return self.tail(path)

    def append(self, path: str, data: bytes) -> str:
        """Append one message, or the elements of a JSON array; the new tail."""
        stream = self._streams[path]
        stream.messages.append(data)
        stream.touch()
        return stream.messages.tail

    def finish(self, path: str) -> None:
        """Close the stream."""
        stream = self._streams[path]
        stream.messages.closed = True
        stream.touch()

    def remove(self, path: str) -> None:
        """Delete the stream, if there is one. A poll that waits there gets a 404."""
        stream = self._streams.pop(path, None)
        if stream is not None:
            stream.touch()

    def lapse(self, path: str | None = None) -> None:
        """Every long-poll held now times out at this moment; with ``path``, those of
        that stream alone."""
        for stream in (
            self._streams.values() if path is None else (self._streams[path],)
        ):
            stream.touch()

    def tail(self, path: str) -> str:
        """The offset at the end of the stream."""
        return self._streams[path].messages.tail

    # Writes.

    def _put(self, request: OriginRequest, body: bytes) -> OriginAnswer:
        self.requests["create"] += 1
        path = urlsplit(request.target).path
        asked = _field(request, "content-type") or "application/octet-stream"
        known = self._streams.get(path)
        if known is not None:
            same = known.messages.content_type == asked
            return self._state(known, 200 if same else 409)
        stream = _Stream(Messages(asked), _field(request, "stream-ttl"))
        if body:
            stream.messages.append(body)
        stream.messages.closed = _field(request, "stream-closed") == "true"
        self._streams[path] = stream
        return self._state(stream, 201)

    def _post(self, request: OriginRequest, body: bytes) -> OriginAnswer:
        closing = _field(request, "stream-closed") == "true"
        self.requests["close" if closing and not body else "append"] += 1
        stream = self._streams.get(urlsplit(request.target).path)
        if stream is None:
            return _text(404, b"Stream not found")
        if stream.messages.closed and (body or not closing):
            return self._state(stream, 409)
        if not body and not closing:
            return _text(400, b"Empty body")
        if body:
            stream.messages.append(body)
        stream.messages.closed = stream.messages.closed or closing
        stream.touch()
        return self._state(stream, 204)

    def _delete(self, request: OriginRequest, body: bytes) -> OriginAnswer:
        self.requests["delete"] += 1
        path = urlsplit(request.target).path
        if path not in self._streams:
            return _text(404, b"Stream not found")
        self.remove(path)
        return OriginAnswer(204, ())

    # Reads.

    def _head(self, request: OriginRequest, body: bytes) -> OriginAnswer:
        self.requests["head"] += 1
        if self.head_status is not None:
            return _text(self.head_status, b"")
        stream = self._streams.get(urlsplit(request.target).path)
        if stream is None:
            return _text(404, b"")
        return self._state(stream, 200, ("cache-control", "no-store"))

    def _get(self, request: OriginRequest, body: bytes) -> OriginAnswer:
        url = urlsplit(request.target)
        query = parse_qs(url.query, keep_blank_values=True)
        live = query.get("live") == ["long-poll"]
        self.requests["long-poll" if live else "catch-up"] += 1
        stream = self._streams.get(url.path)
        if stream is None:
            return _text(404, b"Stream not found")
        offset = query.get("offset", [BEGIN])[0]
        if offset == NOW:
            offset = stream.messages.tail
        if not stream.messages.understands(offset):
            return _text(400, b"Invalid offset format")
        if live:
            return self._poll(url.path, stream, offset, query.get("cursor", ["0"])[0])
        return self._read(stream, offset)

    def _read(self, stream: _Stream, offset: str, *more: Header) -> OriginAnswer:
        messages = stream.messages
        body, end = messages.after(offset, self.page)
        fields: list[Header] = [
            ("content-type", messages.content_type),
            ("stream-next-offset", end),
        ]
        if end == messages.tail:
            fields.append(("stream-up-to-date", "true"))
            if messages.closed:
                fields.append(("stream-closed", "true"))
        return OriginAnswer(200, (*fields, *more), body)

    def _poll(
        self, path: str, stream: _Stream, offset: str, cursor: str
    ) -> OriginAnswer:
        self._hold(stream, offset)
        if self._streams.get(path) is not stream:
            return _text(404, b"Stream not found")
        following = ("stream-cursor", str(int(cursor or "0") + 1))
        if stream.messages.reaches_beyond(offset) or offset > stream.messages.tail:
            return self._read(stream, offset, following)
        done = stream.messages.closed
        more = ("stream-closed", "true") if done else following
        fields = (("stream-next-offset", stream.messages.tail), more)
        return OriginAnswer(204, (("stream-up-to-date", "true"), *fields))

    def _hold(self, stream: _Stream, offset: str) -> None:
        """Wait at the tail for a change, a lapse, or ``hold`` seconds."""
        messages = stream.messages
        behind = messages.reaches_beyond(offset) or offset > messages.tail
        if not behind and not messages.closed:
            stream.changed.wait(self.hold)

    def _refuse(self, request: OriginRequest, body: bytes) -> OriginAnswer:
        self.requests["other"] += 1
        return _text(405, b"Method not allowed")

    @staticmethod
    def _state(stream: _Stream, status: int, *more: Header) -> OriginAnswer:
        """The fields of a stream's state, on the answer to a write or a HEAD."""
        messages = stream.messages
        fields: list[Header] = [("stream-next-offset", messages.tail), *more]
        if status != 204:
            fields.insert(0, ("content-type", messages.content_type))
        if stream.ttl is not None:
            fields.append(("stream-ttl", stream.ttl))
        if messages.closed:
            fields.append(("stream-closed", "true"))
        return OriginAnswer(status, tuple(fields))

    def __repr__(self) -> str:
        asked = ", ".join(f"{n} {kind}" for kind, n in sorted(self.requests.items()))
        return f"<LivingOrigin {len(self._streams)} streams [{asked}]>"


_ACTS: dict[str, Callable[[LivingOrigin, OriginRequest, bytes], OriginAnswer]] = {
    "GET": LivingOrigin._get,
    "HEAD": LivingOrigin._head,
    "PUT": LivingOrigin._put,
    "POST": LivingOrigin._post,
    "DELETE": LivingOrigin._delete,
}


def _field(request: OriginRequest, name: str) -> str | None:
    for key, value in request.headers:
        if key.lower() == name:
            return value
    return None


def _text(status: int, body: bytes) -> OriginAnswer:
    return OriginAnswer(status, (("content-type", "text/plain"),), body)


def _played(answer: OriginAnswer, method: str) -> PlayedExchange:
    bodyless = method == "HEAD" or answer.status == 204
    framing = Framing.NONE if bodyless else Framing.LENGTH
    length = None if bodyless else len(answer.body)
    exchange = PlayedExchange(answer.status, answer.headers, framing, length)
    if not bodyless:
        exchange.put(answer.body)
    exchange.end()
    return exchange
