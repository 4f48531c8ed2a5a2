"""What an operator sets about the front. Settings fill these fields and hold their
defaults. What no setting names has its value here.

Durations are seconds, sizes are bytes.
"""

from dataclasses import dataclass
from typing import Literal

from edge.core.values import Node
from edge.policy.http.client_address import TrustedProxies
from edge.policy.http.link_fields import KeeperEnd
from edge.policy.streams.routes import CREDENTIAL_PARAMETERS

KIB = 1024

LEAST_FIELDS = 1000
FIELD_BYTES = 32
"""A head may have a field for each so many bytes of ``limits.head``, and so many at
least. Fields of real clients are longer."""

MOST_FIELDS = 32 * KIB
"""gunicorn reads no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits beyond which the front refuses, and how long it waits for a client.

    ``max_connections`` are served at once, in all processes of a node together and
    ``max_connections_each`` in one of them; the rest get a 503. ``head`` bounds
    request line and fields together; there is no other bound for one of them, but for
    the number of fields (``fields``). ``idle_timeout`` is for the next request
    of a kept connection, ``head_timeout`` for a whole head from its first byte
    on, ``body_timeout`` and ``send_timeout`` for each step without progress.
    """

    max_connections: int
    max_connections_each: int
    head: int
    max_body: int | None
    idle_timeout: float
    head_timeout: float
    body_timeout: float
    send_timeout: float
    linger_timeout: float = 2.0
    linger_bytes: int = 1024 * KIB
    """What is still read after an early refusal, and for how long."""

    @property
    def fields(self) -> int:
        """How many fields a head may have. Each costs more than its bytes: a head of
        nothing but ``a:`` would take the worker for a tenth of a second."""
        return min(MOST_FIELDS, max(LEAST_FIELDS, self.head // FIELD_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontOptions:
    """How this node presents itself.

    ``name`` is the product's, in Server. ``node`` stands in Via, Cache-Status and
    CDN-Loop (U10). ``public_url`` is the base URL that clients call (no trailing
    slash); None takes each request's own Host.
    ``origin_bases`` are the addresses by which the origin calls itself in Location and
    in ``__ds`` documents. ``trusted_proxies``
    may speak for clients. ``fast`` False serves everything the whole way, with the same
    bytes.

    Where a node has keepers: ``asks_keepers`` in its fronts, whose writes may go by
    one. ``link`` in a keeper, which answers fronts alone: it judges nobody, and its
    answers are lean (W8).
    """

    name: str
    node: Node
    public_url: str | None
    origin_bases: tuple[str, ...]
    limits: Limits
    trusted_proxies: TrustedProxies
    fast: bool = True
    asks_keepers: bool = False
    link: KeeperEnd | None = None


BLANKED = frozenset(CREDENTIAL_PARAMETERS)
"""Parameters that often hold a credential, whatever a route says of them (A8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What is written to the log, and how.

    ``access`` is N: one in N answered requests gets a line; 1 all, 0 none. Requests
    that ended badly (500 and above, or cut short) always get one. ``blanked`` are the
    parameters, in lower case, whose values are never written (B8). ``process`` is who
    speaks, where there are several processes; "" says nothing.
    """

    format: Literal["json", "text"]
    level: Literal["debug", "info", "warning", "error"]
    access: int
    blanked: frozenset[str] = BLANKED
    process: str = ""
