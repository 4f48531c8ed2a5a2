"""Listeners without descriptors rest, each time, and go on by themselves (E49).

Each is run in a process of its own that has none left, while a client waits.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import gevent.event
import pytest

from edge.core import accepting
from edge.core.accepting import AcceptPause

_COMMON = """
import edge.cli.serve
import logging, os, resource, sys
import gevent
import gevent.threadpool  # As the edge does: later there is no descriptor for it.
from gevent import socket
from edge.core import accepting
from edge.core.counters import Counters

accepting.PAUSE_SECONDS = 0.01
logging.basicConfig(format="%(message)s")
bound = socket.socket()
bound.bind(("127.0.0.1", 0))
bound.listen(8)
"""

_ADMIN = """
from edge.admin.routes import AdminRoute, text_page
from edge.admin.server import AdminServer

counters = Counters()
routes = [AdminRoute("/", lambda _: text_page("well"))]
AdminServer(routes, None, ("a",), counters).start(bound)
pauses = lambda: counters.accept_pauses
"""

_GREENLETS = """
from gunicorn.config import Config
from edge.front.http1.context import ServerContext
from edge.front.http1.server import GreenletServer
from edge.front.log import AccessLog
from edge.wiring import SystemClock
from tests.support.options import front_options, log_options

def answer(environ, start):
    start("200 OK", [("Content-Length", "4")])
    return [b"well"]

counters, clock = Counters(), SystemClock()
log = AccessLog(log_options(access=0), lambda *_: None, clock)
context = ServerContext(answer, Config(), front_options(), counters, clock, log)
GreenletServer(context, bound, set(), 8).start()
pauses = lambda: counters.accept_pauses
"""

_EMBEDDED = """
from origin_adapter.embedded.http.exchange import ServerResponse
from origin_adapter.embedded.http.server import OriginServer

def answer(request):
    return ServerResponse(body=b"well")

server = OriginServer(bound, answer, 8, 5.0)
begun = [0]
begin = server._pause.begin
def counted(now):
    begun[0] += 1
    return begin(now)
server._pause.begin = counted
server.start()
pauses = lambda: begun[0]
"""

_STORY = """
print(bound.getsockname()[1], flush=True)
held = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
while pauses() < 3:
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        gevent.sleep(0.001)
print("rested", flush=True)
for file in held:
    os.close(file)
gevent.get_hub().threadpool.apply(sys.stdin.readline)
os._exit(0)
"""


@contextmanager
def listening(what: str) -> "Iterator[subprocess.Popen[str]]":
    """A process without descriptors that listens."""
    command = [sys.executable, "-c", _COMMON + what + _STORY]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(_ADMIN, id="operators"),
        pytest.param(_GREENLETS, id="the whole way"),
        pytest.param(_EMBEDDED, id="embedded origin"),
    ],
)
def test_a_listener_without_descriptors_rests_and_goes_on(what: str) -> None:
    """One line in the log, however often it rests, and no traceback."""
    with listening(what) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert process.stdout.readline() == "rested\n"
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        _, log = process.communicate("end\n", timeout=60)

    assert answer.startswith(b"HTTP/1.1 200 ") and b"well" in answer
    assert log.count("\n") == 1 and "accept" in log, log


def test_the_log_is_told_of_a_pause_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    went_on = gevent.event.Event()
    pause = AcceptPause(gevent.get_hub().loop, went_on.set)
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.001)
    told = []
    for now in (5.0, 6.0, 64.9, 65.0, 66.0):
        went_on.clear()
        told.append(pause.begin(now))
        assert went_on.wait(30)
    went_on.clear()
    pause.begin(67.0)
    pause.end()

    assert told == [True, False, False, True, False]
    assert not went_on.is_set()
