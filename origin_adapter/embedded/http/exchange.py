"""A request and its answer, without HTTP/1.1 or a socket.

``connection`` makes the one of a head and sends the other. ``app`` and what it calls
know nothing else of a client.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from origin_adapter.embedded.http.bodies import BodyInput

Buffers = Sequence[bytes | memoryview]
"""Bytes that follow each other."""


@dataclass(slots=True)
class ServerRequest:
    """A request. ``fields`` have lower-case names; those in ``repeated`` came more than
    once, and their values stand in one, with commas.

    ``path`` is as it was sent. ``host`` is the authority by which the client calls this
    server, ``client`` its address without port, "" on a Unix socket.
    """

    method: str
    path: str
    query: str
    fields: Mapping[str, str]
    repeated: frozenset[str]
    host: str
    client: str
    body: BodyInput

    def field(self, name: str) -> str | None:
        """The value of a field, whatever the case of its name."""
        return self.fields.get(name.lower())


@dataclass(slots=True)
class ServerResponse:
    """An answer: ``body``, or else ``pieces`` as they come.

    ``length`` is what the pieces come to, if that is known. If they raise, the
    connection is cut, and the client sees that less came than was announced.
    """

    status: int = 200
    content_type: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: Generator[Buffers] | None = None
    length: int | None = None
