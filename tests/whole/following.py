"""Strict followers: real connections that forgive nothing.

They keep what a careful client keeps (``Connection: close``, ``Stream-Next-Offset``),
and write down as odd whatever no client may ever meet: a refused connection, an answer
that is missing, cut or blames anybody, an event stream that ends elsewhere than behind
a control event. Each is a thread of its own.
"""

import json
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.front.edge_process import Answered, Client

PAUSE = 0.005
"""Seconds between two plain reads of one thread, which would take a core else."""


Connect = Callable[[], Client]
"""Makes a connection, where it is no plain one to the base."""


class Asking(threading.Thread):
    """Asks again and again, on one connection for as long as the edge keeps it."""

    def __init__(self, base: str, path: str, connect: Connect | None = None) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(base)
        address = (parts.hostname, parts.port)
        self._connect = connect or (lambda: Client(address))
        self._path = path
        self._client: Client | None = None
        self.odd: list[str] = []
        self.connections = 0

    def run(self) -> None:
        try:
            while not self.over():
                self.ask()
        except (OSError, ValueError, AssertionError) as error:
            self.odd.append(f"{self}: {error!r}")
        self.part()

    def over(self) -> bool:
        """Whether it has what it wants."""
        raise NotImplementedError

    def ask(self) -> None:
        """Ask once. AssertionError: what came may not be."""
        raise NotImplementedError

    def get(self, query: str) -> Client:
        """Send a read; the connection on which its answer will be."""
        if self._client is None:
            self._client = self._connect()
            self.connections += 1
        self._client.get(f"{self._path}?{query}")
        return self._client

    def heed(self, answered: Answered) -> bool:
        """Part if the answer says so; whether it does."""
        closes = answered.all("connection") == ["close"]
        if closes:
            self.part()
        return closes

    def part(self) -> None:
        """Leave the connection, if there is one."""
        if self._client is not None:
            self._client.close()
            self._client = None


class Reading(Asking):
    """Reads the whole stream; it never gets shorter. Until it is told to stop."""

    def __init__(self, base: str, path: str, connect: Connect | None = None) -> None:
        super().__init__(base, path, connect)
        self.stop = threading.Event()
        self._longest = 0

    def over(self) -> bool:
        return self.stop.wait(PAUSE)

    def ask(self) -> None:
        answered = self.get("offset=-1").read()
        assert answered.status == 200 and answered.complete, answered
        assert len(answered.body) >= self._longest, "bytes are gone"
        self._longest = len(answered.body)
        self.heed(answered)


class Following(Asking):
    """Follows until it has seen ``end``; ``seen`` are the bytes in their order.

    ``dismissed``: how often it was told to come back elsewhere, with nothing new.
    """

    def __init__(
        self,
        base: str,
        path: str,
        mode: str,
        offset: str,
        end: bytes,
        connect: Connect | None = None,
    ) -> None:
        super().__init__(base, path, connect)
        self._mode = mode
        self._offset = offset
        self._end = end
        self.seen = b""
        self.begun = threading.Event()
        self._data: bytes | None = None
        self.dismissed = 0

    def over(self) -> bool:
        return self.seen.endswith(self._end)

    def ask(self) -> None:
        client = self.get(f"offset={self._offset}&live={self._mode}")
        if self._mode == "sse":
            self._take_events(client)
        else:
            self._take_answer(client.read())

    def _take_answer(self, answered: Answered) -> None:
        assert answered.status in (200, 204) and answered.complete, answered
        self._go_on(answered["stream-next-offset"], answered.body)
        if self.heed(answered) and answered.status == 204:
            self.dismissed += 1

    def _take_events(self, client: Client) -> None:
        head = client.head()
        assert head.status == 200, head
        text = b""
        while (chunk := client.chunk()) != b"":
            assert chunk is not None, "the event stream was cut"
            text = self._take_frames(text + chunk)
            if self.over():
                self.part()
                return
        assert text == b"", f"ended in the middle of {text!r}"
        assert self._data is None, "ended without a control event"
        self.dismissed += self.heed(head)

    def _take_frames(self, text: bytes) -> bytes:
        """Take all whole frames; what is left."""
        *frames, rest = text.split(b"\n\n")
        for frame in frames:
            name, _, lines = frame.partition(b"\n")
            data = b"\n".join(one[5:] for one in lines.split(b"\n"))
            if name == b"event: data":
                assert self._data is None, "two data events in a row"
                self._data = data
            elif name == b"event: control":
                self._go_on(json.loads(data)["streamNextOffset"], self._data or b"")
                self._data = None
        return rest

    def _go_on(self, offset: str, data: bytes) -> None:
        assert offset > self._offset if data else offset >= self._offset, offset
        self._offset = offset
        self.seen += data
        if data:
            self.begun.set()
