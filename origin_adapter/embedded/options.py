"""The embedded origin's options. ``edge.origin`` fills them from settings."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that can be set. Times in seconds, sizes in bytes.

    Settings fill the fields without a default, and hold their defaults. What no setting
    names has its value here.

    ``root`` is the path under which streams live, with both slashes. ``public_url``
    (scheme and authority) is used in ``Location`` and in URLs given to webhooks; None:
    as the request's Host says. ``rate`` is requests per second and client address,
    ``burst`` how many may come at once; None: no limit. ``send_timeout`` is how long a
    client may take no byte of an answer, ``body_timeout`` how long it may take to send
    64 KiB of a body. ``max_bodies`` bounds the bodies of all requests together.
    ``retention_age`` and ``retention_bytes`` bound what is kept of each stream; None:
    everything. ``max_page`` bounds what is read at a time, and what
    a poll or an event is given, ``max_answer`` the stored bytes of a catch-up answer.
    ``local_webhooks`` allows ``http://localhost`` and ``http://127.0.0.x``
    targets, for development only.
    """

    data: Path
    durability: Durability
    public_url: str | None
    long_poll_timeout: float
    sse_lifetime: float
    keep_alive: float
    body_timeout: float
    send_timeout: float
    max_body: int
    rate: float | None
    burst: int
    retention_age: float | None
    retention_bytes: int | None
    local_webhooks: bool
    max_answer: int
    root: str = "/v1/stream/"
    shared: bool = True
    max_bodies: int = 256 * 1024 * 1024
    max_connections: int = 50_000
    max_page: int = 1024 * 1024
    max_path: int = 1024
    recent_memory: int = 32 * 1024 * 1024
    tick: float = 0.25
