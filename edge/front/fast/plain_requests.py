"""What the fast way makes of the bytes of a request: values, and nothing that acts.

``request_memo`` judges reads, ``plain_writes`` writes; both make what stands here, and
the connection and its sinks use it. Like header blocks these are not frozen: that makes
them three times as fast to create.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from edge.core.values import Headers, Read
from edge.policy.http.cors import CorsPolicy
from edge.policy.http.request_target import Parameter
from edge.policy.streams.authorize import Grant
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.routes import Route

WRITES = frozenset({"POST", "PUT", "DELETE"})
"""The methods of plain writes."""


@dataclass(frozen=True, slots=True, eq=False)
class RequestLine:
    """A plain request line. ``selected_by``: the fields that decide the Read.

    ``path`` and ``parameters`` are the target's parts. ``aim`` is what of it an
    authorizer judges: all but the protocol's parameters (B2). ``cors_list``: by it some
    fields of the answer depend on who asks (B23). ``by_caller``: who calls decides too.
    """

    method: str
    target: str
    route: Route
    path: str
    parameters: tuple[Parameter, ...]
    aim: str
    selected_by: tuple[str, ...]
    cors_list: CorsPolicy | None
    by_caller: bool


@dataclass(slots=True, eq=False)
class HeaderFacts:
    """The fields of a header block that decide anything: values by lower-case name.

    ``shared``: it is remembered for other clients that send the same.
    """

    fields: dict[str, str]
    close: bool
    request_id: bytes | None
    shared: bool


@dataclass(slots=True, eq=False)
class PlainRead:
    """A plain read. ``request_id`` is the client's own, where it is safe. It holds
    before ``until`` (monotonic seconds), and is judged anew then, or when the lease of
    the ``grant`` that let it in has ended before. ``host`` is what the client calls
    this edge. ``by_origin``: what the answer carries for the page that asks, as it
    stands on the wire behind the request's id; b"" where there is no list."""

    read: Read
    line: RequestLine
    close: bool
    request_id: bytes | None
    until: float
    grant: Grant
    host: str
    by_origin: bytes = b""


@dataclass(slots=True, eq=False)
class WriteBlock:
    """The fields of a plain write, as they were sent: ``raw``, and ``lines`` of it.

    ``fields`` has the values by lower-case name, but for Content-Length, which is
    ``length``: None where none was announced. ``forwarded`` goes to the origin with
    each write on ``route`` that a way has let in or not (``granted``) as ``subject``.
    """

    raw: bytes
    lines: list[bytes]
    fields: dict[str, str]
    close: bool
    request_id: bytes | None
    length: int | None
    route: Route | None = None
    granted: bool = False
    subject: str = ""
    forwarded: Headers = ()


@dataclass(slots=True, eq=False)
class PlainWrite:
    """A plain write; what it has in common with a read means the same. ``passed`` says
    what is asked of the origin."""

    passed: PassRequest
    line: RequestLine
    close: bool
    request_id: bytes | None
    until: float
    grant: Grant
    host: str
    by_origin: bytes
    block: WriteBlock


KnownHead: TypeAlias = tuple[bytes, PlainRead]
"""A whole head as it is sent, and the read that it asks for."""


@dataclass(slots=True, eq=False)
class Later:
    """A request that is to be judged in another turn of the event loop: ``call`` calls
    back then."""

    call: Callable[[Callable[[], None]], None]
