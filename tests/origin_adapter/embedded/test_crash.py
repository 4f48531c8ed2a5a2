"""The process is killed at any moment, again and again; nothing acknowledged is lost.

Real processes and SIGKILL. Writers are idempotent producers: they repeat what
was not acknowledged, as clients do, so in the end every message is there exactly
once and in each producer's order.
"""

import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from tests.origin_adapter.embedded.wire import Reply, Wire
from tests.support.patience import PATIENCE
from tests.support.processes import ds_edge

STREAMS = ["/v1/stream/one", "/v1/stream/two"]
WRITERS = 8
MESSAGES = 60
KILLS = 6


def origin_on(data: Path) -> list[str]:
    """The command line of an origin on a folder, at a port that the system chooses."""
    return ds_edge("origin", "--listen", "127.0.0.1:0", "--data", str(data))


class Process:
    """An origin in a process of its own, killed and started on one folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.up = Event()
        self.wires: list[Wire] = []
        self.start()

    def connect(self) -> Wire:
        """A connection to the process as it runs now; closed at the end."""
        self.wires.append(Wire(self.address))
        return self.wires[-1]

    def start(self) -> None:
        self.process = subprocess.Popen(
            origin_on(self.data), stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"listening at (\S+),", line)
        assert found, f"the origin did not start: {line}"
        self.address = found[1]
        self.up.set()

    def kill(self) -> None:
        self.up.clear()
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        os.kill(self.process.pid, number)
        code = self.process.wait(timeout=PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    running = Process(tmp_path / "data")
    yield running
    for wire in running.wires:
        wire.close()
    if running.process.poll() is None:
        running.kill()


class Writer:
    """An idempotent producer that repeats a request until it is acknowledged."""

    def __init__(self, process: Process, name: str, acked: Event) -> None:
        self.process = process
        self.name = name
        self.path = STREAMS[hash(name) % len(STREAMS)]
        self.acked = 0
        self.repeats = 0
        self.heard = acked
        self.wire: Wire | None = None

    def run(self) -> None:
        while self.acked < MESSAGES:
            try:
                reply = self.send()
            except (OSError, AssertionError, ValueError):
                # Killed in between: nobody knows what happened. Say it again.
                self.wire = None
                self.repeats += 1
                continue
            assert reply.status in (200, 204), reply
            self.acked += 1
            self.heard.set()

    def send(self) -> Reply:
        if self.wire is None:
            self.process.up.wait()
            self.wire = self.process.connect()
        body = json.dumps([{"w": self.name, "n": self.acked}]).encode()
        return self.wire.ask(
            "POST",
            self.path,
            body,
            content_type="application/json",
            producer_id=self.name,
            producer_epoch="0",
            producer_seq=str(self.acked),
        )


def test_every_acknowledged_message_is_there_once_and_in_order(
    process: Process,
) -> None:
    """Kills under load, at random numbers of acknowledgements."""
    wire = process.connect()
    for path in STREAMS:
        assert wire.ask("PUT", path, content_type="application/json").status == 201
    acked = Event()
    writers = [Writer(process, f"w{n}", acked) for n in range(WRITERS)]
    greenlets = [gevent.spawn(writer.run) for writer in writers]
    moments = sorted(random.sample(range(10, WRITERS * MESSAGES - 50), KILLS))

    for moment in moments:
        while sum(writer.acked for writer in writers) < moment:
            acked.clear()
            acked.wait(timeout=PATIENCE)
        process.kill()
        process.start()
    gevent.joinall(greenlets, timeout=90, raise_error=True)

    assert [writer.acked for writer in writers] == [MESSAGES] * WRITERS
    assert sum(writer.repeats for writer in writers) >= KILLS
    wire = process.connect()
    found = {path: wire.ask("GET", path).json for path in STREAMS}
    for writer in writers:
        mine = [m["n"] for m in found[writer.path] if m["w"] == writer.name]
        assert mine == list(range(MESSAGES))
    assert process.stop() == 0


def test_closure_and_its_producer_survive_a_kill(process: Process) -> None:
    """The closing request is a duplicate afterwards, any other one is refused."""
    closing = {
        "content_type": "text/plain",
        "stream_closed": "true",
        "producer_id": "p",
        "producer_epoch": "1",
        "producer_seq": "0",
    }
    wire = process.connect()
    wire.ask("PUT", STREAMS[0], content_type="text/plain", stream_ttl="3600")
    assert wire.ask("POST", STREAMS[0], b"end", **closing).status == 200

    process.kill()
    process.start()

    wire = process.connect()
    again = wire.ask("POST", STREAMS[0], b"end", **closing)
    other = wire.ask("POST", STREAMS[0], b"x", **{**closing, "producer_seq": "1"})
    head = wire.ask("HEAD", STREAMS[0])
    assert (again.status, again.headers["stream-closed"]) == (204, "true")
    assert (other.status, other.reason) == (409, "closed")
    assert (head.headers["stream-ttl"], head.offset) == ("3600", again.offset)
    assert wire.ask("GET", STREAMS[0]).body == b"end"


def test_keys_and_subscriptions_survive_a_kill(process: Process) -> None:
    """The same signing key, the same cursors, and a wake that is still claimed."""
    target = "/v1/stream/__ds/subscriptions/s"
    asked = {"type": "pull-wake", "pattern": "jobs/*", "wake_stream": "wake"}
    wire = process.connect()
    wire.ask("PUT", "/v1/stream/wake", content_type="application/json")
    assert wire.ask("PUT", target, json.dumps(asked).encode()).status == 201
    wire.ask("PUT", "/v1/stream/jobs/1", b"x", content_type="text/plain")
    claim = wire.ask("POST", f"{target}/claim", b'{"worker": "w"}').json
    jwks = wire.ask("GET", "/v1/stream/__ds/jwks.json").json

    process.kill()
    process.start()

    wire = process.connect()
    assert wire.ask("GET", "/v1/stream/__ds/jwks.json").json == jwks
    rival = wire.ask("POST", f"{target}/claim", b'{"worker": "rival"}')
    assert (rival.status, rival.json["error"]["current_holder"]) == (409, "w")
    [stream] = claim["streams"]
    done = {
        "wake_id": claim["wake_id"],
        "generation": claim["generation"],
        "acks": [{"stream": stream["path"], "offset": stream["tail_offset"]}],
        "done": True,
    }
    reply = wire.ask(
        "POST",
        f"{target}/ack",
        json.dumps(done).encode(),
        authorization=f"Bearer {claim['token']}",
    )
    assert reply.json == {"ok": True, "next_wake": False}


def test_one_folder_belongs_to_one_process(process: Process) -> None:
    """A second origin says so and leaves the file alone."""
    second = subprocess.run(origin_on(process.data), capture_output=True, text=True)
    assert second.returncode == 1
    assert "another process" in second.stderr
    assert "Traceback" not in second.stderr
