"""The origin's settings, as ``wiring``, the command line and tests fill them."""

import enum
from dataclasses import dataclass
from pathlib import Path


class Durability(enum.Enum):
    """What an acknowledged write survives.

    FULL: a power cut (an fsync per group commit). OS: the death of this
    process, but not that of the machine. The file is consistent either way.
    """

    FULL = "full"
    OS = "os"


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that can be set. Times in seconds, sizes in bytes.

    ``root`` is the path under which streams live, with both slashes.
    ``public_url`` (scheme and authority) is used in ``Location`` and in URLs
    given to webhooks; None: as the request's Host says. ``rate`` is requests
    per second and client address, ``burst`` what may come at once; None: no
    limit. ``send_timeout`` is how long a client may take nothing of an answer,
    ``body_timeout`` how long it may take to send 64 KiB of a body; ``max_bodies``
    bounds the bodies of all requests together. ``retention_age`` and
    ``retention_bytes`` bound what is kept of each stream; None: everything.
    ``local_webhooks`` allows ``http://localhost`` and ``http://127.0.0.x``
    targets, for development only.
    """

    data: Path
    durability: Durability = Durability.FULL
    root: str = "/v1/stream/"
    public_url: str | None = None
    shared: bool = True
    long_poll_timeout: float = 30.0
    sse_lifetime: float = 60.0
    keep_alive: float = 15.0
    body_timeout: float = 30.0
    send_timeout: float = 30.0
    max_body: int = 16 * 1024 * 1024
    max_bodies: int = 256 * 1024 * 1024
    max_connections: int = 50_000
    max_page: int = 1024 * 1024
    max_path: int = 1024
    recent_memory: int = 32 * 1024 * 1024
    rate: float | None = None
    burst: int = 100
    retention_age: float | None = None
    retention_bytes: int | None = None
    tick: float = 0.25
    local_webhooks: bool = False
