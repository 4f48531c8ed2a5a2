"""The origin stands still again and again while a crowd follows and writers write.

Real processes on both sides. Whatever the readers' mode, each must have seen every
byte once and in order: what the origin holds at the end is the truth (L7,
L8, L21; E42, E46).
"""

import os
import random
import signal
import threading

import pytest

from tests.chaos.reader import BROKEN, Follower, call
from tests.support.processes import Process, edge, node_origin

PATH = "/v1/stream/chaos"
WRITES = 25
WRITERS = 3
EACH_MODE = 8
END = b";end"


def write(base: str, writer: int) -> None:
    """Idempotent appends, each sent until it is acknowledged."""
    for number in range(WRITES):
        while not acknowledged(base, writer, number):
            pass


def acknowledged(base: str, writer: int, number: int) -> bool:
    data = b";%d-%d" % (writer, number)
    names = {"producer_id": f"w{writer}", "producer_epoch": "0"}
    try:
        status, _, _ = call("POST", base, PATH, data, producer_seq=f"{number}", **names)
    except BROKEN:
        return False
    assert status in (200, 204) or status >= 500
    return status < 300


def disturb(origin: Process, seed: int, over: threading.Event) -> None:
    """Stop the origin for a while, let it go on for a while, until it is over."""
    dice = random.Random(seed)
    while not over.wait(dice.uniform(0.05, 0.3)):
        os.kill(origin.pid, signal.SIGSTOP)
        over.wait(dice.choice([0.05, 0.3, 0.8]))
        os.kill(origin.pid, signal.SIGCONT)


@pytest.mark.parametrize("seed", [7])
def test_every_reader_sees_every_byte_once_though_the_origin_stops(seed: int) -> None:
    live = {"long_poll_timeout": "2s", "sse_lifetime": "1s"}
    limits = {"head_timeout": "500ms", "read_timeout": "3s", "idle_timeout": "500ms"}
    with node_origin() as origin, edge(origin.url, live=live, origin=limits) as running:
        assert call("PUT", running.url, PATH)[0] == 201
        readers = [
            Follower(running.url, PATH, mode, lambda seen: seen.endswith(END))
            for mode in ("", "long-poll", "sse")
            for _ in range(EACH_MODE)
        ]
        over = threading.Event()
        args = (origin.process, seed, over)
        chaos = threading.Thread(target=disturb, args=args)
        writers = [
            threading.Thread(target=write, args=(running.url, n))
            for n in range(WRITERS)
        ]
        for thread in (*readers, chaos, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        over.set()
        chaos.join()
        call("POST", origin.url, PATH, END)
        for reader in readers:
            reader.join()

    truth = readers[0].seen
    numbers = sorted(truth.removesuffix(END).split(b";")[1:])
    every = [b"%d-%d" % (w, n) for w in range(WRITERS) for n in range(WRITES)]
    assert numbers == sorted(every)
    assert [reader.odd for reader in readers] == [[]] * len(readers)
    assert {reader.seen for reader in readers} == {truth}
