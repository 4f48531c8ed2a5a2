"""RequestContext: what is known of one request while it is served.

A front makes one per request. The application and what serves it write into it what
they find out; the access log reads it at the end. It also keeps the promise that
everything a request holds is let go of: what takes a pending read or an exchange says
so with ``defer``, and ``release`` runs on every exit.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.core.reasons import Reason
from edge.core.values import CacheStatus
from edge.policy.streams.routes import Route

PASS = "pass"
"""The mode of what goes to the origin one to one."""

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def is_safe_id(offered: str) -> bool:
    """Whether a client's own id is safe to log and to send back."""
    return _SAFE_ID.fullmatch(offered) is not None


def request_id(offered: str | None) -> str:
    """The client's own id where it is safe, or a new one."""
    if offered is not None and is_safe_id(offered):
        return offered
    return os.urandom(12).hex()


@dataclass(slots=True, eq=False)
class RequestContext:
    """One request. ``started`` is monotonic seconds; ``target`` is as received.

    ``reason`` is the word for an answer that is not simply a success, ``mode``
    how a stream is read (or ``pass``). ``lost`` says that the answer did not reach
    the client whole.
    """

    method: str
    target: str
    request_id: str
    started: float = 0.0
    route: Route | None = None
    mode: str = ""
    cache: CacheStatus | None = None
    reason: Reason | None = None
    lost: bool = False
    _held: list[Callable[[], None]] = field(default_factory=list)

    def defer(self, let_go: Callable[[], None]) -> None:
        """Run ``let_go`` when this request is over, however it ends."""
        self._held.append(let_go)

    def release(self) -> None:
        """Let go of everything held, last taken first. May be called twice."""
        while self._held:
            self._held.pop()()
