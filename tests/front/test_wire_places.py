"""Several processes in their places: started, replaced and ended, for real.

Real gunicorn and a real board, fake parts: fronts do not ask keepers here. A process
says on the pipe its pid and its place when it has started, and its place when it drains
and stops; the master says when it is open for clients.
"""

import os
import resource
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.process.run_folder import PREFIX
from tests.front.edge_process import PATIENCE, Client, EdgeProcess
from tests.support.patience import until

HIT = "/v1/stream/hit"
PARK = "/v1/stream/park?offset=7&live=long-poll"
FOREVER = "/v1/stream/forever?live=odd"
PLACES = ("keeper-0", "keeper-1", "front-0", "front-1")


class Node:
    """A running node of two keepers and two fronts, and who sits in which place."""

    def __init__(self, edge: EdgeProcess) -> None:
        self.edge = edge
        self.pids: dict[str, int] = {}
        self.told: list[str] = []

    def until(self, *wanted: str) -> None:
        """Read what is told until all of this was told since the last call."""
        begun, left = len(self.told), list(wanted)
        while left:
            self.hear(self.edge.expect(""))
            left = [one for one in wanted if one not in self.told[begun:]]

    def until_stopped(self, times: int = 1) -> None:
        """Wait until processes of all places have stopped so often, since the start."""
        while any(self.told.count(f"stopped {place}") < times for place in PLACES):
            self.hear(self.edge.expect(""))

    def started(self, *places: str) -> None:
        """Wait for a new process in each of these places."""
        self.until(*(f"started {place}" for place in places))

    def hear(self, line: str) -> None:
        """Take note of one line."""
        word, *more = line.split()
        if word == "started":
            pid, place = more
            self.pids[place] = int(pid)
            more = [place]
        self.told.append(" ".join([word, *more]))

    def hit(self) -> None:
        """Somebody is served."""
        with self.edge.connect() as client:
            client.get(HIT)
            assert client.read().status == 200

    @property
    def folder(self) -> Path:
        """Its run folder."""
        [found] = Path(self.edge.given["run_folder"]).glob(f"{PREFIX}*")
        return found


@pytest.fixture
def base() -> Iterator[str]:
    """A folder for run folders."""
    with tempfile.TemporaryDirectory(prefix="run-") as path:
        yield path


@contextmanager
def running(base: str, **given: Any) -> Iterator[Node]:
    """A node, all of whose processes have started and accept."""
    options = {"workers": 2, "keepers": 2, "run_folder": base, **given}
    with EdgeProcess(options) as edge:
        node = Node(edge)
        node.hear(edge.first)
        while set(node.pids) != set(PLACES) or "open" not in node.told:
            node.hear(edge.expect(""))
        yield node


def ended(pid: int) -> bool:
    """Whether a process, not a child of ours, has ended within our patience."""
    for _ in range(int(PATIENCE / 0.02)):
        if not Path(f"/proc/{pid}").exists():
            return True
        threading.Event().wait(0.02)
    return False


def test_whoever_is_killed_its_place_is_filled_again(base: str) -> None:
    """And no other process is touched. The socket at which a keeper waited for its
    successor is not left behind."""
    with running(base) as node:
        for place in PLACES:
            before, sockets = dict(node.pids), [*node.folder.glob(f"{place}.*.sock")]
            os.kill(before[place], signal.SIGKILL)
            node.started(place)
            node.hit()

            assert {p for p in PLACES if node.pids[p] != before[p]} == {place}
            assert len(sockets) == ("keeper" in place)
            assert not any(one.exists() for one in sockets)


def test_a_reload_replaces_keepers_one_by_one_and_then_the_fronts(base: str) -> None:
    """The next one begins when the one before it serves."""
    with running(base) as node:
        before = dict(node.pids)
        node.edge.reload()
        node.until_stopped()
        node.hit()
        order = [line.split()[1] for line in node.told if line.startswith("started")]

        assert order[4:6] == ["keeper-0", "keeper-1"]
        assert sorted(order[6:]) == ["front-0", "front-1"]
        assert not set(before.values()) & set(node.pids.values())


def test_a_second_reload_waits_for_the_first_one(base: str) -> None:
    with running(base) as node:
        node.edge.reload()
        node.started("keeper-0")
        node.edge.reload()
        node.edge.expect_log("the next one begins when it is over")
        node.until_stopped(times=2)

        assert [node.told.count(f"started {p}") for p in PLACES] == [3, 3, 3, 3]


def test_a_reload_that_a_keeper_cannot_take_leaves_all_as_it_was(
    base: str, tmp_path: Path
) -> None:
    """Keeper 0 had taken it already: it goes back."""
    broken = tmp_path / "broken"
    with running(base, broken_by=str(broken)) as node:
        before = dict(node.pids)
        broken.write_text("keeper-1")
        node.edge.reload()
        node.edge.expect_log("the new worker did not start: the old one stays")
        node.until("stopped keeper-0")
        node.until("stopped keeper-0")
        node.hit()
        until(lambda: node.edge.reloads() == ["failed"])
        same = {place for place in PLACES if node.pids[place] == before[place]}
        assert same == {"keeper-1", "front-0", "front-1"}

        broken.unlink()
        node.edge.reload()
        node.until(*(f"stopped {place}" for place in PLACES))


def test_a_reload_whose_keeper_hangs_fails_and_leaves_all_as_it_was(
    base: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    with running(base, broken_by=str(broken), heartbeat=6) as node:
        before = dict(node.pids)
        broken.write_text("hang keeper-1")
        node.edge.reload()
        node.edge.expect_log("keeper-1 (process ")
        node.edge.expect_log("did not start: it gave no sign of life, and was ended")
        node.until("stopped keeper-0")
        node.until("stopped keeper-0")
        node.hit()
        until(lambda: node.edge.reloads() == ["failed"])
        assert node.pids["keeper-1"] == before["keeper-1"]


def test_a_keeper_that_cannot_start_again_is_tried_again(
    base: str, tmp_path: Path
) -> None:
    """Fronts go on meanwhile."""
    broken = tmp_path / "broken"
    with running(base, broken_by=str(broken)) as node:
        broken.write_text("keeper-0")
        os.kill(node.pids["keeper-0"], signal.SIGKILL)
        node.edge.expect_log("the new worker did not start")
        node.hit()
        broken.unlink()
        node.started("keeper-0")


def test_a_node_without_one_of_its_keepers_does_not_start(
    base: str, tmp_path: Path
) -> None:
    """Its streams would have nobody: whoever starts it must hear that."""
    broken = tmp_path / "broken"
    broken.write_text("keeper-1")
    options = {"workers": 2, "keepers": 2, "run_folder": base}
    with EdgeProcess({**options, "broken_by": str(broken)}) as edge:
        assert edge.ended() == 3
    assert list(Path(base).iterdir()) == []


def test_who_fails_before_it_accepts_could_not_start(base: str) -> None:
    """Its parts were made, and then it could not read what was ordered. That ends a
    reload, too, which would never be over."""
    with running(base) as node:
        in_the_way = node.folder / "orders"
        in_the_way.mkdir()
        node.edge.reload()
        node.edge.expect_log("the new worker did not start: the old one stays")
        node.hit()
        until(lambda: node.edge.reloads() == ["failed"])

        in_the_way.rmdir()
        node.edge.reload()
        node.until(*(f"stopped {place}" for place in PLACES))


def test_a_process_that_cannot_be_forked_is_tried_again(base: str) -> None:
    """W7. The master may open no file more, as where /dev/shm is full, or has no
    process left to it. It ends nobody for that."""
    with running(base) as node:
        master = node.edge.process.pid
        files = resource.prlimit(master, resource.RLIMIT_NOFILE)
        resource.prlimit(master, resource.RLIMIT_NOFILE, (3, files[1]))
        os.kill(node.pids["keeper-0"], signal.SIGKILL)
        node.edge.expect_log("keeper-0 cannot be started: Too many open files")
        node.hit()
        resource.prlimit(master, resource.RLIMIT_NOFILE, files)
        node.started("keeper-0")
        name = Path(f"/proc/{node.pids['keeper-0']}/comm").read_text()

        assert name == "keeper-0\n"


def test_a_keeper_starts_though_no_socket_can_be_made(base: str) -> None:
    """W7. As where the run folder has no room, or was made read-only: its successor
    will ask the origin."""
    with running(base) as node:
        later = len(PLACES) + 1
        (node.folder / f"keeper-0.{later}.sock").mkdir()
        os.kill(node.pids["keeper-0"], signal.SIGKILL)
        node.started("keeper-0")
        node.edge.expect_log("no successor can ask what is held here")
        before = dict(node.pids)
        node.edge.reload()
        node.until(*(f"stopped {place}" for place in PLACES))
        node.hit()

        assert not {*node.pids.values()} & {*before.values()}


def test_an_edge_whose_run_folder_is_removed_says_so_and_ends(base: str) -> None:
    """Its fronts reach no keeper any more, and nobody can listen there again: whoever
    started it starts another one. With 3 it could not start, with 1 it ended."""
    with running(base) as node:
        shutil.rmtree(node.folder)
        node.edge.expect_log("was removed: fronts reach no keeper, so this edge ends")

        assert node.edge.ended() == 1


def test_told_to_stop_keepers_outlive_the_fronts(base: str) -> None:
    """Who still waits at a front must be answered; and nothing is left behind."""
    with running(base) as node:
        with node.edge.connect() as client:
            client.get(FOREVER)
            client.head()
            node.edge.terminate()
            node.until("draining front-0", "draining front-1")
        node.until_stopped()
        drained = [line for line in node.told if not line.startswith("started")]
        first_keeper = min(drained.index(f"draining keeper-{n}") for n in (0, 1))
        last_front = max(drained.index(f"stopped front-{n}") for n in (0, 1))

        assert last_front < first_keeper
        assert node.edge.ended() == 0
    assert list(Path(base).iterdir()) == []


def test_the_processes_of_a_killed_master_end_by_themselves(base: str) -> None:
    """What it leaves stands in nobody's way."""
    with running(base) as node:
        left = node.folder
        node.edge.process.kill()
        assert all(ended(pid) for pid in node.pids.values())
        assert left.exists()
    with running(base) as node:
        assert not left.exists()
        node.hit()


def test_two_edges_in_one_folder_never_meet(base: str) -> None:
    """Nor does one that starts take anything from the other."""
    with running(base) as first:
        held = first.folder
        with running(base) as second:
            assert len(list(Path(base).iterdir())) == 2
            first.hit()
            second.hit()
        os.kill(first.pids["keeper-0"], signal.SIGKILL)
        first.started("keeper-0")

        assert first.folder == held


def test_a_keeper_is_called_by_its_link_alone(base: str) -> None:
    """And by its successor. It listens nowhere else: with all fronts stopped nobody
    takes a connection."""
    with running(base) as node:
        for number in (0, 1):
            with Client.to_unix(node.folder / f"keeper-{number}.sock") as front:
                front.get(HIT)
                assert front.read().status == 200
        inodes = {place: listening(node.pids[place]) for place in PLACES}

        assert len(inodes["keeper-0"]) == len(inodes["keeper-1"]) == 2
        assert not inodes["keeper-0"] & inodes["keeper-1"]
        assert inodes["front-0"] == inodes["front-1"]
        assert not inodes["keeper-0"] & inodes["front-0"]


def listening(pid: int) -> set[str]:
    """The sockets that a process has open and that are listened at."""
    tables = ("/proc/net/tcp", "/proc/net/unix")
    listened = set()
    for table in tables:
        for line in Path(table).read_text().splitlines()[1:]:
            words = line.split()
            if table.endswith("tcp") and words[3] == "0A":
                listened.add(words[9])
            elif table.endswith("unix") and words[3] == "00010000":
                listened.add(words[6])
    held = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(link)
        if target.startswith("socket:"):
            held.add(target.removeprefix("socket:[").removesuffix("]"))
    return held & listened


def test_a_keeper_that_stands_still_is_ended_and_replaced(base: str) -> None:
    """W7: its streams are unwatched as long as it does."""
    with running(base, keeper_heartbeat=2) as node:
        os.kill(node.pids["keeper-1"], signal.SIGSTOP)
        node.started("keeper-1")
        node.edge.expect_log("no sign of life of keeper-1 (")
        node.hit()


def test_a_keeper_that_hangs_before_it_serves_is_ended_too(base: str) -> None:
    """It may take as long as any process, no longer: it would never be replaced."""
    with running(base, heartbeat=2, keeper_heartbeat=2) as node:
        os.kill(node.pids["keeper-1"], signal.SIGKILL)
        node.started("keeper-1")
        os.kill(node.pids["keeper-1"], signal.SIGSTOP)
        node.started("keeper-1")
        node.edge.expect_log("no sign of life of keeper-1 (")
        node.hit()


def test_the_limit_on_connections_is_the_node_s(base: str) -> None:
    """W13: not each front's. Which of them takes one is the system's choice."""
    with running(base, limits={"max_connections": 8}) as node:
        held = [node.edge.connect() for _ in range(8)]
        for client in held:
            client.get(HIT)
            assert client.read().status == 200
        refused = 0
        for _ in range(int(PATIENCE / 0.1)):
            # The others are told of within a beat.
            with node.edge.connect() as client:
                client.get(HIT)
                refused = client.read().status
            if refused == 503:
                break
            threading.Event().wait(0.1)
        assert refused == 503
        for client in held:
            client.close()


def test_each_line_of_the_log_says_who_speaks(base: str) -> None:
    """As soon as there are several."""
    with running(base) as node:
        node.hit()
        node.edge.expect_log('"message": "request"')
        lines = node.edge.log().splitlines()

        assert all('"process": "' in line for line in lines)
        assert any('"process": "master"' in line for line in lines)
        booting = [line for line in lines if "Booting worker" in line]
        assert len(booting) == len(PLACES)
        assert not any('"process": "master"' in line for line in booting)
