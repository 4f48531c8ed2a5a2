"""Workers replaced under load, with real processes on both sides: no request fails.

Viewers who wait, readers, writers and the operator go on while one worker follows the
other (E54). What is seen through the last one is what was written.
"""

import http.client
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from urllib.parse import urlsplit

import pytest
import yaml

from tests.chaos.reader import call
from tests.support.processes import Edge, edge, node_origin, service
from tests.whole.following import Connect, Following, Reading

PATH = "/v1/stream/turns"
END = b"<end>"
EACH_MODE = 25
READERS = 3
TURNS = 3
PATIENCE = 60.0
SETTINGS = {"shutdown": {"grace": "2s"}, "log": {"access": "off"}}


class Writing(threading.Thread):
    """Appends numbers, idempotently; each must be acknowledged at once."""

    def __init__(self, base: str) -> None:
        super().__init__(daemon=True)
        self._base = base
        self.stop = threading.Event()
        self.odd: list[str] = []
        self.written = 0

    def run(self) -> None:
        for number in count():
            if self.stop.wait(0.03) or self.odd:
                return
            self._append(number)

    def _append(self, number: int) -> None:
        names = {"producer_id": "w", "producer_epoch": "0", "producer_seq": str(number)}
        try:
            status, _, _ = call("POST", self._base, PATH, b"<%d>" % number, **names)
        except (OSError, http.client.HTTPException) as error:
            self.odd.append(repr(error))
            return
        self.written += 1
        if status not in (200, 204):
            self.odd.append(f"status {status}")


class Operator:
    """Looks at the admin address, which must be there and ready all the time."""

    def __init__(self, running: Edge) -> None:
        self._running = running

    def replaced(self, reason: str) -> int:
        """How many workers were replaced for that reason so far."""
        assert self._get("/ready") == "ready\n"
        pattern = rf'replacements_total\{{reason="{reason}"\}} (\S+)'
        found = re.search(pattern, self._get("/metrics"))
        return int(float(found[1])) if found else 0

    def await_turn(self, reason: str, number: int) -> None:
        """Wait until so many workers were replaced, and as many have gone."""
        log = self._running.process.log
        self.until(lambda: self.replaced(reason) >= number)
        self.until(lambda: log.read_text("utf-8").count("Worker exiting") >= number)

    def until(self, happened: Callable[[], bool]) -> None:
        """Look again and again until it has happened."""
        for _ in range(int(PATIENCE / 0.05)):
            if happened():
                return
            assert not self._running.process.ended(within=0.05), "the edge ended"
        raise AssertionError("it never happened")

    def _get(self, page: str) -> str:
        address = urlsplit(self._running.admin).netloc
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        try:
            connection.request("GET", page)
            answer = connection.getresponse()
            assert answer.status == 200, f"{page}: {answer.status}"
            return answer.read().decode()
        finally:
            connection.close()


class Load:
    """Everybody who asks something of an edge, from the first to the last. ``connect``
    is how readers and viewers come, if not to ``base``."""

    def __init__(
        self, base: str, connect: Connect | None = None, each_mode: int = EACH_MODE
    ) -> None:
        assert call("PUT", base, PATH)[0] == 201
        offset = call("POST", base, PATH, b"<begin>")[1]
        self.base = base
        self.writer = Writing(base)
        self.readers = [Reading(base, PATH, connect) for _ in range(READERS)]
        self.viewers = [
            Following(base, PATH, mode, offset, END, connect)
            for mode in ("long-poll", "sse")
            for _ in range(each_mode)
        ]

    def begin(self) -> None:
        """Start them; all viewers have seen something when it returns."""
        for thread in (self.writer, *self.readers, *self.viewers):
            thread.start()
        for viewer in self.viewers:
            assert viewer.begun.wait(PATIENCE)

    def end(self) -> None:
        """Write the last word, and wait until everybody has heard it."""
        self.writer.stop.set()
        self.writer.join(PATIENCE)
        call("POST", self.base, PATH, END)
        for reader in self.readers:
            reader.stop.set()
        for thread in (*self.readers, *self.viewers):
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def judge(self) -> None:
        """Nobody met anything odd, and everybody saw the same."""
        asking = (*self.readers, *self.viewers)
        assert [odd for one in asking for odd in one.odd] == []
        assert self.writer.odd == []
        every = b"".join(b"<%d>" % number for number in range(self.writer.written))
        assert {viewer.seen for viewer in self.viewers} == {every + END}


@contextmanager
def before_the_reference_server(**settings: object) -> Iterator[Edge]:
    with node_origin(long_poll_ms=30_000) as origin, edge(origin.url, **settings) as up:
        yield up


@pytest.mark.parametrize("served", [before_the_reference_server, service])
def test_no_request_fails_while_the_edge_reloads(
    served: Callable[..., AbstractContextManager[Edge]],
) -> None:
    """With its own origin the supervisor passes the signal on to the edge alone."""
    with served(**SETTINGS) as running:
        load, operator = Load(running.url), Operator(running)
        load.begin()
        for turn in range(1, TURNS + 1):
            os.kill(running.process.pid, signal.SIGHUP)
            operator.await_turn("reload", turn)
        load.end()

    load.judge()
    # Everybody came to every worker; an event stream because it was told to.
    assert all(viewer.connections > TURNS for viewer in load.viewers)
    assert all(view.dismissed >= TURNS for view in load.viewers[EACH_MODE:])


def test_no_request_fails_while_workers_are_recycled() -> None:
    """They ask for it themselves; one may still drain when the next one asks."""
    recycle = {"after_requests": 500, "least_age": "1s"}
    with before_the_reference_server(recycle=recycle, **SETTINGS) as running:
        load, operator = Load(running.url), Operator(running)
        load.begin()
        operator.await_turn("after-requests", TURNS)
        load.end()

    load.judge()


def test_a_reload_takes_what_the_file_says_now_or_nothing() -> None:
    """A long-poll time-out is seen by whoever polls; a file that is wrong changes
    nothing, and says so."""
    quick = {"live": {"long_poll_timeout": "50ms"}}
    with before_the_reference_server(**SETTINGS) as running:
        operator = Operator(running)
        assert call("PUT", running.url, PATH)[0] == 201
        offset = call("POST", running.url, PATH, b"x")[1]
        settings = yaml.safe_load(running.config.read_text())
        running.config.write_text(yaml.safe_dump(settings | {"listen": ":1"} | quick))
        os.kill(running.process.pid, signal.SIGHUP)
        refused = "reload refused: listen: only a restart can change it"
        operator.until(lambda: refused in running.process.log.read_text("utf-8"))
        assert operator.replaced("reload") == 0
        running.config.write_text(yaml.safe_dump(settings | quick))
        os.kill(running.process.pid, signal.SIGHUP)
        operator.await_turn("reload", 1)

        # By the time-out of the start, it would not be answered within ours.
        status, _, _ = call(
            "GET", running.url, f"{PATH}?offset={offset}&live=long-poll"
        )
        assert status == 204
