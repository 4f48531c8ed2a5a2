"""Who may read what, and until when, in a run with access.

Each stream lies on a route with one way: tokens (``jwt``), an endpoint that is asked
(``forward``) or the origin (``origin``). Subjects have rights of their own. Some are
let in nowhere, some to half of the streams, one for seconds, and two lose their rights
in the middle of a run: one also by an order, the other only where others judge.
``Grants`` hands each visit a credential with the truth about it: until when it
is good for sure, and from when on it is good for nothing. The judge compares.

``Endpoint`` is who is asked by ``forward``. It says what ``Grants`` says.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from math import inf
from typing import Any

import jwt

from tests.chaos.history import Span

ROOT = "/v1/stream"
SECRET = "a secret of the tests, which has 32 bytes"
LEEWAY = 1.0
BELIEVED = 2.0
"""``jwt.leeway``; ``forward.cache`` and ``origin.trust``, which are longer than a poll
waits. In seconds."""

PARTS = ("plain", "asked", "lent", "other")
"""Below the root, by the number of a stream; ``plain`` and ``other`` take tokens."""

WRITER = "writer"
ORDERED = "eve"
BARRED = "dora"
BRIEF = "brief"
SUBJECTS = (
    *("alice",) * 6,
    *("bob", "carol") * 3,
    *(ORDERED, BARRED, BRIEF) * 2,
    *("late", "mallory", "nobody"),
)
NEVER = Span(-inf, -inf)
"""The truth about who is let in at no time."""

_PLACES = ("authorization", "query", "cookie")


@dataclass(frozen=True, slots=True)
class Held:
    """The credential of one visit. By itself it is good for ``own``; ``lost`` tells who
    lost what they had."""

    subject: str
    fields: Mapping[str, str]
    query: str
    own: Span
    lost: Mapping[str, Span]

    @property
    def good(self) -> Span:
        """As far as is known now: until ``asked`` it is good, and from ``known`` on for
        nothing (monotonic seconds)."""
        lost = self.lost.get(self.subject, Span(inf))
        return Span(min(self.own.asked, lost.asked), min(self.own.known, lost.known))

    def is_refused_wrongly(self, received: float) -> bool:
        """Whether a refusal that came at that time was one of a good credential."""
        return received < self.good.asked


def part_of(number: int) -> str:
    """Where a stream of this number lies."""
    return PARTS[number % len(PARTS)]


def settings(endpoint: str) -> dict[str, Any]:
    """Settings of the edge: its routes."""
    tokens = {
        "keys": [{"secret": SECRET}],
        "algorithms": ["HS256"],
        "leeway": f"{LEEWAY:g}s",
        "sources": ["authorization", {"query": "access_token"}, {"cookie": "session"}],
        "read_claim": "read",
        "write_claim": "write",
    }
    forward = {"url": endpoint, "cache": f"{BELIEVED:g}s", "identity_header": "x-user"}
    ways: dict[str, Any] = {
        "other": {"jwt": tokens},
        "asked": {"forward": forward},
        "lent": {"origin": {"trust": f"{BELIEVED:g}s"}},
        "plain": {"jwt": deepcopy(tokens)},
    }
    routes = [{"match": f"{ROOT}/{part}/**", "access": ways[part]} for part in PARTS]
    return {"routes": routes}


@dataclass(slots=True)
class Grants:
    """The truth of one run. ``lost``: when a subject was let in last, and from when on
    it is not, wherever it is judged."""

    paths: Mapping[str, int]
    begun: float = field(default_factory=time.time)
    lost: dict[str, Span] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)

    def reads(self, subject: str, path: str) -> bool:
        """Whether who judges lets this subject read this path, now."""
        number = self.paths.get(path, 0)
        if subject in self.barred or subject in ("", "mallory", "nobody"):
            return False
        return {"bob": number % 8 < 4, "carol": number % 8 >= 4}.get(subject, True)

    def writer(self) -> dict[str, str]:
        """The fields of who may write everything, and read what it forks."""
        return {"Authorization": f"Bearer {self._token(WRITER, self.begun + 7200)}"}

    def hold(self, subject: str, path: str, dice: random.Random) -> Held:
        """A credential for a visit to this path."""
        may = subject in self.barred or self.reads(subject, path)
        good = Span(inf) if may else NEVER
        place, text, lost = "authorization", subject, self.lost
        if path.split("/")[3] not in ("asked", "lent"):
            # The edge judges by itself: it hears of an order alone.
            lost = {} if subject == BARRED else lost
            ends = self._ends(subject, dice)
            place, text = dice.choice(_PLACES), self._token(subject, ends)
            over = ends + LEEWAY + time.monotonic() - time.time()
            good = Span(over, over) if may else NEVER
        if subject == "nobody":
            return Held(subject, {}, "", NEVER, {})
        return Held(subject, *_placed(text, place), good, lost)

    def is_refused_by_origin(self, subject: str, path: str) -> bool:
        """What the origin says of a request to it. Where others judge, the edge comes
        with no credential; writers it knows by theirs."""
        if not path.startswith(f"{ROOT}/lent/"):
            return False
        return not (subject.startswith("ey") or self.reads(subject, path))

    def _ends(self, subject: str, dice: random.Random) -> float:
        """``exp`` of a new token: a whole second."""
        if subject == BRIEF:
            return int(time.time()) + dice.choice((0, 0, 1))
        if subject == "late":
            return int(time.time()) - LEEWAY - dice.choice((1, 5, 3600))
        return self.begun + 7200

    def _token(self, subject: str, ends: float) -> str:
        # Who loses its rights must not seem to have signed in after that.
        said: dict[str, Any] = {
            "sub": subject,
            "iat": int(self.begun),
            "exp": int(ends),
        }
        if subject in (BRIEF, "late"):
            said["iat"] = min(said["iat"], said["exp"])
        known = [p for p in self.paths if self.reads(subject, p)]
        said["read"] = known if subject in ("bob", "carol") else [f"{ROOT}/**"]
        if subject == WRITER:
            said["write"] = [f"{ROOT}/**"]
        key = SECRET[::-1] if subject == "mallory" else SECRET
        return jwt.encode(said, key, "HS256")


def _placed(text: str, place: str) -> tuple[dict[str, str], str]:
    """A credential as fields and as a parameter, in one place."""
    if place == "query":
        return {}, f"access_token={text}"
    if place == "cookie":
        return {"Cookie": f"a=b; session={text}"}, ""
    return {"Authorization": f"Bearer {text}"}, ""


# Who is asked.

_HEAD = re.compile(
    r"(?is)(?=.*\r\nx-forwarded-uri: (?P<path>[^\s?]*))"
    r"(?=(?:.*\r\nauthorization: bearer (?P<name>[\w.-]+))?)"
)


class Endpoint:
    """Who is asked by ``forward``: an app on a port of its own."""

    def __init__(self) -> None:
        self.grants: Grants | None = None
        self.url = ""
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the block runs."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/authorize"
        try:
            yield
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            await server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(self._answer(head))
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    def _answer(self, head: str) -> bytes:
        found = _HEAD.match(head)
        assert found is not None and self.grants is not None
        name = found["name"] or ""
        writes = name.startswith("ey")
        if not (writes or self.grants.reads(name, found["path"])):
            return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        user = WRITER if writes else name
        told = f"HTTP/1.1 200 OK\r\nX-User: {user}\r\nContent-Length: 0\r\n\r\n"
        return told.encode()
