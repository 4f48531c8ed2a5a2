"""Origins without sockets. For tests only: no serving code imports them.

They implement the port of a real origin (``edge.core.ports.Origin``).

``ScriptedOrigin`` does what the test says, call by call. ``LivingOrigin`` is a small
conforming origin in memory. Neither sleeps; both release all their callers.
"""

from origin_adapter.scripted.answers import data, head_answer, no_content
from origin_adapter.scripted.living import LivingOrigin
from origin_adapter.scripted.played import PlayedExchange
from origin_adapter.scripted.script import Call, ScriptedOrigin

__all__ = [
    "Call",
    "LivingOrigin",
    "PlayedExchange",
    "ScriptedOrigin",
    "data",
    "head_answer",
    "no_content",
]
