"""The exchange between the wire and the application, whatever the version of HTTP.

A front makes a ``Request`` of what a client sent, the application
(``edge.front.app.handler``) makes a ``Response`` of it, and the front puts that on
the wire. Neither value knows of HTTP/1.1, WSGI, Falcon or a socket: Falcon's way is one
front, an HTTP/2 front could be another. These are the events of an answer, in order:

========= ==================================================================
head      ``answer`` and ``per_response``: status, fields, and the whole body or
          its length where they are known
piece     one item of ``body``; it goes out as soon as it is there, and an empty
          one has the head go out alone
end       ``body`` is exhausted, or there is none: the answer is complete
cut       ``body`` raises AnswerCut: what was sent must not look complete
========= ==================================================================

Instead of any of them ClientGone may be raised: there is nobody left to answer. The
fast way hears the same events from the hub without waiting, through
``edge.core.ports.Sink``: begin, write, finish, abort. Either way the head is an Answer
and its PerResponse.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from edge.core.errors import ClientBodyCut, ClientFault, EdgeError
from edge.core.reasons import Reason
from edge.core.values import Answer, PerResponse

PIECE = 64 * 1024
"""Bytes of a body that are read or sent at once, at most."""


class ClientGone(ConnectionResetError):
    """The client left before its answer was complete. Nobody is at fault."""


class AnswerCut(ConnectionAbortedError):
    """An answer that had begun cannot be completed.

    The connection must end in a way by which the body cannot look complete.
    """

    def __init__(self, error: EdgeError) -> None:
        super().__init__(error.detail)
        self.error = error


class RequestBody:
    """The content of one request, counted: ``pieces`` gives it, once.

    ``length`` is the announced length, None when none was. ``read`` takes a size and
    blocks; b"" is the end. It raises ClientFault for what is too slow or malformed. A
    body that ends before its length raises ClientBodyCut: the upstream request is then
    broken off, and nothing is appended. Never holds more than one piece.
    """

    def __init__(self, read: Callable[[int], bytes], length: int | None) -> None:
        self.length = length
        self.left = length != 0
        self._read = read
        self._received = 0

    @property
    def begun(self) -> bool:
        """Whether anything of it was read."""
        return self._received > 0

    def pieces(self, limit: int | None) -> Iterator[bytes]:
        """Its pieces. Raises ClientFault, at once where its length says it, when it
        is larger than ``limit`` bytes."""
        if self.length is not None:
            _check_size(self.length, limit)
        return self._pieces(limit)

    def _pieces(self, limit: int | None) -> Iterator[bytes]:
        while piece := self._read(self._wanted()):
            self._received += len(piece)
            _check_size(self._received, limit)
            yield piece
        if self.length is not None and self._received < self.length:
            raise ClientBodyCut("The body ended before its announced end.")
        self.left = False

    def _wanted(self) -> int:
        if self.length is None:
            return PIECE
        return min(PIECE, self.length - self._received)


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        detail = f"The body is larger than {limit} bytes."
        raise ClientFault(detail, reason=Reason.BODY_TOO_LARGE, status=413)


def in_pieces(data: bytes) -> Iterator[bytes]:
    """``data`` cut up: the send time-out is then one of progress, not of size."""
    if len(data) <= PIECE:
        return iter((data,))
    starts = range(0, len(data), PIECE)
    return (data[start : start + PIECE] for start in starts)


class ClientWatch(Protocol):
    """Hears that the client left while there is nothing to say to it."""

    def start(self) -> None:
        """Watch, unless the watch is closed."""

    def pause(self) -> None:
        """Do not watch; ``start`` goes on."""

    def close(self) -> None:
        """Never watch again. May be called twice."""


class _Blind:
    """Implements ClientWatch where nobody can tell."""

    def start(self) -> None:
        """See ClientWatch."""

    def pause(self) -> None:
        """See ClientWatch."""

    def close(self) -> None:
        """See ClientWatch."""


BLIND = _Blind()


def no_watch(_gone: Callable[[], None]) -> ClientWatch:
    """The ``watch`` of a front that cannot tell."""
    return BLIND


@dataclass(slots=True, eq=False)
class Request:
    """One request. ``target`` is as received; ``fields`` by lower-case name, values
    of repeated ones joined by commas.

    ``client`` is an address, "" when it has none. ``body`` None: no content was
    announced. ``watch`` takes what to call once the client has left.
    """

    method: str
    target: str
    fields: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"
    client: str = ""
    body: RequestBody | None = None
    watch: Callable[[Callable[[], None]], ClientWatch] = no_watch

    def lookup(self, name: str) -> str | None:
        """A field by lower-case name; None when it is absent."""
        return self.fields.get(name)

    @property
    def body_left(self) -> bool:
        """Whether content was not read to its end: what follows it on the connection
        is no request, so the connection cannot be kept."""
        return self.body is not None and self.body.left


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """The answer to one request; see the events above.

    ``per_response`` None: nothing of the head differs between two deliveries. ``body``
    is a streamed one, for an Answer whose body is None.
    """

    answer: Answer
    per_response: PerResponse | None = None
    body: Iterable[bytes] | None = None
