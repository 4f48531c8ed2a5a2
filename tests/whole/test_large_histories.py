"""A history too large to hold crosses the origin's wire once (S1), with real processes.

The Node reference server never cuts an answer into pages: a history is one answer.
"""

import hashlib
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.disks import make_read_only, small_disk
from tests.support.patience import until
from tests.support.processes import Edge, ProcessFault, edge, node_origin
from tests.support.talk import Talk, ask, ask_json
from tests.whole.counting_proxy import CountingProxy, counting_proxy
from tests.whole.large_history import (
    BYTES,
    MIB,
    PATH,
    answering,
    at_once,
    head_of,
    piece_of,
    read,
    read_all,
    write,
)

HISTORY = 64
"""MiB."""
CACHE = {"memory": "32MiB", "max_object": "1MiB"}


@pytest.fixture
def wire() -> Iterator[CountingProxy]:
    """A way to the reference server on which everything is counted."""
    with node_origin(long_poll_ms=30_000) as origin, counting_proxy() as proxy:
        proxy.lead_to(origin.url)
        yield proxy


def spooled(tmp_path: Path, size: str = "512MiB") -> dict[str, object]:
    return {**CACHE, "spool": {"path": str(tmp_path), "size": size}}


def counted(running: Edge, name: str) -> dict[str, float]:
    """The lines of a metric, by what stands in its braces; with them those alone of
    which something was counted."""
    found = {}
    for line in ask(f"{running.admin}/metrics")[2].decode().splitlines():
        label, _, value = line.rpartition(" ")
        counts = "{" not in label or float(value)
        if label.partition("{")[0] == f"ds_edge_{name}" and counts:
            found[label.removeprefix(f"ds_edge_{name}")] = float(value)
    return found


def resident(running: Edge) -> int:
    """The most bytes that any process of the edge has held in memory."""
    pid = running.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    most = 0
    for child in children:
        for line in Path(f"/proc/{child}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                most = max(most, int(line.split()[1]) * 1024)
    return most


def test_many_cold_readers_cost_the_origin_one_answer(
    wire: CountingProxy, tmp_path: Path
) -> None:
    """And the edge no more memory than if the history were small."""
    digest = write(wire.url, HISTORY)
    with edge(wire.url, cache=spooled(tmp_path)) as running:
        before, memory = wire.brought, resident(running)
        took = at_once(20, lambda: read(running.url))

        assert {(one.digest, one.size, one.whole) for one in took} == {
            (digest, HISTORY * MIB, True)
        }
        assert wire.brought - before < HISTORY * MIB + MIB
        assert resident(running) - memory < HISTORY * MIB
        assert counted(running, "spooled_total") == {"": 1}
        assert read(running.url).digest == digest
        assert wire.brought - before < HISTORY * MIB + MIB

        # What follows is read from where it ends, once.
        after = {ask(f"{running.url}{PATH}?offset={one.next}")[0] for one in took}
        assert after == {200}
        assert list(tmp_path.iterdir()) == []


def test_readers_are_let_go_who_leave_in_the_middle(
    wire: CountingProxy, tmp_path: Path
) -> None:
    """Nobody notices, and with the last one the answer goes."""
    digest = write(wire.url, HISTORY)
    with edge(wire.url, cache=spooled(tmp_path)) as running:
        with ExitStack() as leavers:
            for _ in range(5):
                leaver = leavers.enter_context(Talk(f"{running.url}{PATH}?offset=-1"))
                assert leaver.head()[0] == 200
            took = at_once(3, lambda: read(running.url))

        assert {(one.digest, one.whole) for one in took} == {(digest, True)}
        assert wire.asked["GET"] == 1


def test_a_history_larger_than_the_room_is_read_by_all(
    wire: CountingProxy, tmp_path: Path
) -> None:
    """The reference server does not say how long its answer is: it goes through what
    room there is, at the pace of its readers."""
    digest = write(wire.url, HISTORY)
    with edge(wire.url, cache=spooled(tmp_path, "8MiB")) as running:
        took = at_once(3, lambda: read(running.url))

        assert {(one.digest, one.whole) for one in took} == {(digest, True)}
        assert wire.asked["GET"] <= 3


def test_what_is_known_not_to_fit_passes_one_by_one(tmp_path: Path) -> None:
    def say(sock: socket.socket) -> None:
        sock.sendall(head_of(12 * MIB) + b"x" * (12 * MIB))

    cache = spooled(tmp_path, "8MiB")
    with answering(say) as origin, edge(origin.url, cache=cache) as running:
        took = at_once(3, lambda: read(running.url))

        assert {(one.size, one.whole) for one in took} == {(12 * MIB, True)}
        passes = counted(running, "passes_total")
        assert passes == {'{reason="spool-full"}': 3}


@pytest.mark.parametrize(
    ("length", "sent", "end"),
    [
        (8 * MIB, 4 * MIB, "hangs up"),
        (None, 4 * MIB, "hangs up"),
        (8 * MIB, 4 * MIB, "stalls"),
        (None, 4 * MIB, "stalls"),
    ],
)
def test_an_answer_that_breaks_is_whole_for_nobody(
    length: int | None, sent: int, end: str, tmp_path: Path
) -> None:
    """The origin hangs up, or says nothing more: all readers are cut."""

    def say(sock: socket.socket) -> None:
        sock.sendall(head_of(length))
        body = b"x" * sent
        sock.sendall(body if length else b"%x\r\n%b\r\n" % (sent, body))
        if end == "stalls":
            sock.recv(1)

    origin = {"idle_timeout": "1s"}
    with answering(say) as hostile:
        cache = spooled(tmp_path)
        with edge(hostile.url, origin=origin, cache=cache) as running:
            took = at_once(4, lambda: read(running.url))

            assert [one.whole for one in took] == [False] * 4
            assert hostile.asked == 1
            cuts = counted(running, "spool_cuts_total")
            assert sum(cuts.values()) == 4
            assert counted(running, "spool_bytes") == {"": 0}


def test_what_comes_behind_the_length_is_nobodys(tmp_path: Path) -> None:
    def say(sock: socket.socket) -> None:
        sock.sendall(head_of(4 * MIB) + b"x" * (4 * MIB) + b"HTTP/1.1 200 OK\r\n\r\n")

    cache = spooled(tmp_path)
    with answering(say) as hostile, edge(hostile.url, cache=cache) as running:
        took = at_once(4, lambda: read(running.url))

        assert {(one.size, one.whole) for one in took} == {(4 * MIB, True)}


def test_an_endless_answer_takes_no_more_than_the_room(tmp_path: Path) -> None:
    """Its reader has it all, and the disk never holds more than it may."""
    size = 64 * MIB

    def say(sock: socket.socket) -> None:
        sock.sendall(head_of(None))
        for _ in range(size // MIB):
            sock.sendall(b"%x\r\n%b\r\n" % (MIB, b"x" * MIB))
        sock.sendall(b"0\r\n\r\n")

    cache = spooled(tmp_path, "8MiB")
    with answering(say) as hostile, edge(hostile.url, cache=cache) as running:
        with Talk(f"{running.url}{PATH}?offset=-1") as talk:
            talk.head()
            got = 0
            while data := talk.chunk():
                got += len(data)
                if got % (8 * MIB) < len(data):
                    assert counted(running, "spool_bytes")[""] <= 8 * MIB

        assert got == size
        assert hostile.asked == 1


def test_a_client_that_stops_reading_holds_nobody_up(
    wire: CountingProxy, tmp_path: Path
) -> None:
    digest = write(wire.url, HISTORY)
    with edge(wire.url, cache=spooled(tmp_path)) as running:
        with Talk(f"{running.url}{PATH}?offset=-1") as sleeper:
            assert sleeper.head()[0] == 200
            assert read(running.url).digest == digest
            gauges = counted(running, "spool_readers")
            assert gauges == {"": 1}
        until(lambda: counted(running, "spool_readers") == {"": 0})
        assert wire.asked["GET"] == 1


def test_a_folder_that_cannot_be_a_spool_is_one_clear_line(tmp_path: Path) -> None:
    place = {**CACHE, "spool": {"path": str(tmp_path / "none")}}
    with (
        pytest.raises(ProcessFault) as caught,
        edge("http://127.0.0.1:9", cache=place),
    ):
        pass

    notes = "\n".join(getattr(caught.value, "__notes__", [])) + str(caught.value)
    assert "cache.spool.path" in notes and "cannot be written" in notes


def test_admin_tells_what_is_kept(wire: CountingProxy, tmp_path: Path) -> None:
    write(wire.url, 4)
    with edge(wire.url, cache=spooled(tmp_path)) as running:
        read(running.url)
        assert counted(running, "spool_bytes") == {"": 4 * MIB}
        shown = ask_json(f"{running.admin}/streams?limit=1")
        assert shown["streams"][0]["path"] == PATH


def kept(tmp_path: Path) -> dict[str, object]:
    """A spool, and a disk beside it."""
    (tmp_path / "spool").mkdir(exist_ok=True)
    spool = {"path": str(tmp_path / "spool"), "size": "512MiB"}
    return {**CACHE, "spool": spool, "disk": {"path": str(tmp_path / "disk")}}


def until_kept(running: Edge, number: int) -> None:
    """Wait until so many ranges were written to the disk."""
    until(lambda: counted(running, "disk_stores_total").get("", 0) >= number)


def test_a_history_read_one_after_the_other_crosses_once(
    wire: CountingProxy, tmp_path: Path
) -> None:
    """S2: long after the spool has gone, from the disk. A piece that decays costs one
    answer, and one request more."""
    digest = write(wire.url, HISTORY)
    cache = {**kept(tmp_path), "verify": "1s", "trust": "1s", "closed_max_age": "0s"}
    with edge(wire.url, cache=cache) as running:
        before = wire.brought
        assert read(running.url).digest == digest
        until_kept(running, 1)
        until(lambda: counted(running, "spools") == {"": 0})
        for _ in range(3):
            took = read(running.url)
            assert (took.digest, took.whole) == (digest, True)
        assert wire.brought - before < HISTORY * MIB + MIB
        assert counted(running, "disk_hits_total") == {"": 3}

        [piece] = (tmp_path / "disk").glob("??/*.0")
        with piece.open("r+b") as file:
            file.seek(-MIB, 2)
            file.write(b"decayed")
        until(lambda: counted(running, "spools") == {"": 0})
        assert not read(running.url).whole
        took = read(running.url)
        assert (took.digest, took.whole) == (digest, True)
        assert wire.brought - before < 2 * (HISTORY * MIB + MIB)


def test_a_restart_is_warm(wire: CountingProxy, tmp_path: Path) -> None:
    """S2: what was held is read again from the disk; the origin is asked for what
    proves it (L7)."""
    paths = [f"{PATH}-{number}" for number in range(20)]
    digests = {}
    for path in paths:
        write(wire.url, 0, path)
        digest = hashlib.sha256()
        for number in range(64):
            body = piece_of(number, 8 * 1024)
            digest.update(body)
            assert ask(wire.url + path, "POST", body, **BYTES)[0] in (200, 204)
        digests[path] = digest.hexdigest()
    cache = {**kept(tmp_path), "max_object": "2MiB"}
    with edge(wire.url, cache=cache) as running:
        for path in paths:
            assert read_all(running.url, path).digest == digests[path]
            # One append more, so that the end lies close behind a boundary.
            body = piece_of(99, 1024)
            assert ask(running.url + path, "POST", body, **BYTES)[0] in (200, 204)
            read_all(running.url, path)
    before = wire.brought
    with edge(wire.url, cache=cache) as running:
        for path in paths:
            assert read_all(running.url, path).size == 64 * 8 * 1024 + 1024
        assert counted(running, "disk_loads_total") == {"": len(paths)}
    assert wire.brought - before < len(paths) * 8 * 1024


def test_a_restart_is_warm_though_all_was_killed(
    wire: CountingProxy, tmp_path: Path
) -> None:
    """S2: what has not changed for a while lies on the disk, and needs no good-bye."""
    paths = [f"{PATH}-{number}" for number in range(5)]
    cache = {**kept(tmp_path), "max_object": "2MiB"}
    for path in paths:
        write(wire.url, 1, path)
    with edge(wire.url, cache=cache) as running:
        for path in paths:
            read_all(running.url, path)
            body = piece_of(99, 1024)
            assert ask(running.url + path, "POST", body, **BYTES)[0] in (200, 204)
            read_all(running.url, path)
        until_kept(running, len(paths))
        os.killpg(running.process.pid, signal.SIGKILL)
    before = wire.brought
    with edge(wire.url, cache=cache) as running:
        for path in paths:
            assert read_all(running.url, path).size == MIB + 1024
        assert counted(running, "disk_loads_total") == {"": len(paths)}
    assert wire.brought - before < len(paths) * 8 * 1024


def test_a_disk_that_is_removed_while_it_runs_costs_nobody_anything(
    wire: CountingProxy, tmp_path: Path
) -> None:
    digest = write(wire.url, 8)
    with edge(wire.url, cache=kept(tmp_path)) as running:
        (tmp_path / "disk").rename(tmp_path / "away")
        for _ in range(3):
            took = read(running.url)
            assert (took.digest, took.whole) == (digest, True)


def test_a_disk_that_becomes_read_only_costs_an_answer_at_most(
    wire: CountingProxy, tmp_path: Path
) -> None:
    """As the kernel makes it, after an error. S1, S2: what is there already is read on;
    what cannot be written ends one answer, and then passes for a minute."""
    other = f"{PATH}-other"
    first, second = write(wire.url, 4), write(wire.url, 4, other)
    with ExitStack() as stack:
        place = stack.enter_context(small_disk(tmp_path, 64 * MIB))
        cache = {**kept(place), "verify": "1s", "trust": "1s", "closed_max_age": "0s"}
        running = stack.enter_context(edge(wire.url, cache=cache))
        assert read(running.url).digest == first
        until_kept(running, 1)
        until(lambda: counted(running, "spools") == {"": 0})
        make_read_only(place)

        took = [read(running.url) for _ in range(2)]
        others = [read(running.url, "-1", other) for _ in range(3)]
        # A look at a busy disk may come too late, and then the first one is cut.
        assert sum(not one.whole for one in took + others) == 1
        assert {one.digest for one in took if one.whole} == {first}
        assert {one.digest for one in others if one.whole} == {second}
        assert counted(running, "passes_total")['{reason="spool-failed"}'] >= 2
        status, _, _ = ask(running.url + other, "POST", b"more", **BYTES)
        assert status in (200, 204)
        assert ask(f"{running.admin}/ready")[0] == 200
