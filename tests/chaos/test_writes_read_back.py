"""Many writers and readers at once, through one edge: what was acknowledged is seen.

Real processes. A read that begins after an acknowledgement shows that write in its
first answer, in every mode, from wherever it starts (L4, L20; E10, E22). What
others append meanwhile leaves holes in the log, and they must not hide it.
"""

import itertools
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.chaos.reader import TIMEOUT, call
from tests.support.processes import edge, node_origin

PATHS = ("/v1/stream/one", "/v1/stream/two")
MODES = ("", "", "long-poll", "sse")
WRITERS = 6
WRITES = 40


def first_answer(base: str, path: str, offset: str, mode: str) -> bytes:
    """What a read is told before it is told that this is all."""
    live = f"&live={mode}" if mode else ""
    target = f"{path}?offset={offset}{live}"
    if mode != "sse":
        return call("GET", base, target)[2]
    connection = HTTPConnection(urlsplit(base).netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", target)
        answer, seen = connection.getresponse(), b""
        while line := answer.readline():
            seen += line
            if line.startswith(b"data:{") and json.loads(line[5:]).get("upToDate"):
                break
        return seen
    finally:
        connection.close()


def write_and_read(base: str, path: str, writer: int) -> list[str]:
    """Append, and read each append back at once, twice; what was not seen."""
    dice, before, missed = random.Random(f"{path}{writer}"), "-1", []
    with ThreadPoolExecutor(2) as pool:
        for number in range(WRITES):
            mark = b"<%d:%d>" % (writer, number)
            status, offset, _ = call("POST", base, path, mark)
            assert status == 204
            every = [*itertools.product((before, "-1"), MODES)]
            asked = [(base, path, *how) for how in dice.sample(every, 2)]
            answers = pool.map(first_answer, *zip(*asked, strict=True))
            for how, seen in zip(asked, answers, strict=True):
                if mark not in seen:
                    missed.append(f"{mark!r} by {how}")
            before = offset
    return missed


def test_a_read_that_begins_after_an_acknowledgement_shows_the_write() -> None:
    with node_origin() as origin, edge(origin.url) as running:
        for path in PATHS:
            assert call("PUT", running.url, path)[0] == 201
        ready = threading.Barrier(len(PATHS) * WRITERS)

        def work(path: str, writer: int) -> list[str]:
            ready.wait()
            return write_and_read(running.url, path, writer)

        with ThreadPoolExecutor(len(PATHS) * WRITERS) as pool:
            jobs = [pool.submit(work, p, w) for p in PATHS for w in range(WRITERS)]
            missed = [job.result() for job in jobs]

    assert missed == [[]] * len(jobs)
