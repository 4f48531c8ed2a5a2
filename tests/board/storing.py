"""Real processes that store into a board and read it: run by test_processes.py.

``python -m tests.board.storing WHAT ROUNDS`` forks once or more, and ends with 0 if all
that was read could be read. Anonymous memory is shared by forking alone, and a test's
own process is no place to fork in.
"""

import functools
import json
import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Callable

from edge.board.bounds import LaneBounds
from edge.board.lane_view import LaneView
from edge.board.node_board import NodeBoard
from edge.core.node_bounds import Bounded
from edge.core.values import Place, Role

PATH = "/session/1"


def forked(run: Callable[[], None]) -> int:
    """The pid of a child that runs this and ends."""
    pid = os.fork()
    if pid:
        return pid
    try:
        run()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)


def reap(pid: int) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def seated(board: NodeBoard, role: Role, boot: int) -> tuple[int, LaneView]:
    lane = board.give(Place(role, 0), boot, restart=True)
    assert isinstance(lane, int), lane
    return lane, board.view(lane, boot)


def words(rounds: int) -> None:
    """One process stores words whose halves are equal, another one reads them: never a
    half of the one and a half of the other, and never one before the last. As a word,
    and in a copy of the slot's bytes, which is compared with what was seen."""
    board = NodeBoard.create(1, 8)
    lane, view = seated(board, Role.KEEPER, 2)
    slot = view.watch(PATH).slot

    def store() -> None:
        for number in range(1, rounds + 1):
            slot[lane] = number << 32 | number

    pid, last, looks, moved = forked(store), 0, 0, 0
    octets = slice(lane * 8, lane * 8 + 8)
    while last < rounds:
        for word in (
            slot[lane],
            int.from_bytes(slot.tobytes()[octets], sys.byteorder),
            slot.tolist()[lane],
        ):
            assert word >> 32 == word & 0xFFFF_FFFF, f"a half-made word: {word:x}"
            assert word >> 32 >= last, f"{word >> 32} after {last}"
            moved += word >> 32 > last
            last = word >> 32
            looks += 1
    reap(pid)
    print(f"{rounds} stored, {looks} read, {moved} of them new")
    assert moved > 1, "the one was over before the other began"


def news(rounds: int) -> None:
    """What was stored before a process was told of it, that process sees: by the view
    of rows, each time. A pipe tells; so do sockets."""
    board = NodeBoard.create(1, 1)
    _, keeper = seated(board, Role.KEEPER, 2)
    _, front = seated(board, Role.FRONT, 3)
    told, tells = os.pipe()
    answered, answers = os.pipe()

    def store() -> None:
        for number in range(rounds):
            keeper.beat(time.monotonic())
            keeper.store_write(PATH, f"{number:010d}")
            os.write(tells, b".")
            assert os.read(answered, 1) == b"."

    row, pid = front.watch(PATH), forked(store)
    for number in range(rounds):
        assert os.read(told, 1) == b"."
        now = time.monotonic()
        front.beat(now)
        found = front.news(row, now)
        assert found is not None and found.writes, f"missed at {number}"
        assert front.covers(row, found, [f"{number:010d}"])
        while front.news(row, now) is not None:
            pass
        os.write(answers, b".")
    reap(pid)
    print(f"{rounds} writes, each seen at once")


def last(rounds: int) -> None:
    """Two processes take the last of what the node may have at the same moment, over
    and over: never both have it."""
    board = NodeBoard.create(1, 2)
    # Both go on to the next step once the other has come there.
    steps = memoryview(mmap.mmap(-1, 4096)).cast("Q")
    took = mmap.mmap(-1, 2 * rounds)

    views = [seated(board, Role.FRONT, 2 + own)[1] for own in (0, 1)]

    def run(own: int) -> None:
        view = views[own]
        bounds, stream = LaneBounds(view), Bounded.STREAM_VIEWERS
        mine, other = own * 64, 64 - own * 64
        for number in range(rounds):
            for step in (3 * number + 1, 3 * number + 2, 3 * number + 3):
                steps[mine] = step
                deadline = time.monotonic() + 60
                while steps[other] < step:
                    assert time.monotonic() < deadline
                    time.sleep(0)
                if step % 3 == 1:
                    of_key = number % 2 == 1
                    if of_key:
                        took[2 * number + own] = bounds.take(stream, PATH, 1)
                    else:
                        took[2 * number + own] = view.has_room(0, 1)
                elif step % 3 == 2 and took[2 * number + own]:
                    if of_key:
                        bounds.give_back(stream, PATH)
                    else:
                        view.store_connections(0)

    pids = [forked(functools.partial(run, own)) for own in (0, 1)]
    for pid in pids:
        reap(pid)
    both = [n for n in range(rounds) if took[2 * n] and took[2 * n + 1]]
    one = sum(took[2 * n] != took[2 * n + 1] for n in range(rounds))
    print(f"{rounds} rounds, one has it in {one}, both in {len(both)}")
    assert one and not both


def count(view: LaneView, endless: bool) -> None:
    """Count, and tell of it each time."""
    number = 0
    while endless or number < 50:
        number += 1
        labels = {f"label-{label}": number for label in range(40)}
        text = {"counters": {"answers": labels, "delivered": number}}
        view.store_text(json.dumps(text).encode())


def read(board: NodeBoard, stop: int) -> None:
    """Read sums until told to stop. None goes back, each is of one moment."""
    last, looks = 0, 0
    os.set_blocking(stop, False)
    while True:
        total = board.totals()
        labels, delivered = total.get("answers", {}), total.get("delivered", 0)
        assert isinstance(labels, dict) and isinstance(delivered, int)
        assert set(labels.values()) <= {delivered}, "of two moments"
        assert delivered >= last, f"{delivered} after {last}"
        last, looks = delivered, looks + 1
        try:
            os.read(stop, 1)
            break
        except BlockingIOError:
            pass
    assert looks > 10


def sums(rounds: int) -> None:
    """Processes count, tell of it, and end: some by themselves, some are killed at any
    moment, in the middle of a text too. A reader finds that no sum goes back, and that
    none is more than was counted. What ended by itself is in the sum to the last."""
    board = NodeBoard.create(1, 2)
    chance = random.Random(7)
    stop, stopped = os.pipe()
    reader = forked(functools.partial(read, board, stop))
    least, boot = 0, 1
    for _ in range(rounds):
        serving = []
        for endless in (chance.random() < 0.5, chance.random() < 0.5):
            boot += 1
            lane, view = seated(board, Role.FRONT, boot)
            pid = forked(functools.partial(count, view, endless))
            serving.append((pid, lane, endless))
        for pid, lane, endless in serving:
            if endless:
                board.totals()
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            before = board.totals()
            board.take_back(lane)
            alone = pid == serving[-1][0]
            assert not alone or board.totals() == before, "taking back changes no sum"
            least += 0 if endless else 50
    total = board.totals()["delivered"]
    os.write(stopped, b".")
    reap(reader)
    assert isinstance(total, int) and total >= least
    print(f"{2 * rounds} processes, {least} counted by those that ended, {total} told")


if __name__ == "__main__":
    {"words": words, "news": news, "sums": sums, "last": last}[sys.argv[1]](
        int(sys.argv[2])
    )
