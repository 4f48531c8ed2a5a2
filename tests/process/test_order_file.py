"""The file of a node's orders: appended to by all, read by those that missed some."""

import fcntl
import json
import multiprocessing
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from edge.process.order_file import KEPT_ORDERS, OrderFile

EACH = 100
WRITERS = 4


def numbers(file: OrderFile, after: int = 0, last: int = 0) -> list[int]:
    return [order.number for order in file.after(after, last).orders]


def test_orders_are_read_in_order_with_their_facts(tmp_path: Path) -> None:
    file = OrderFile(tmp_path)
    assert file.append("forget", {"path": "/a\n\u2028b"}, 0) == 1
    assert file.append("revoke", {}, 1) == 2
    first, second = file.after(0, 2).orders

    assert (first.number, first.kind, first.facts) == (
        *(1, "forget"),
        {"path": "/a\n\u2028b"},
    )
    assert (second.number, second.kind, second.facts) == (2, "revoke", {})
    assert numbers(file, 1, 2) == [2]
    assert not file.after(2, 2).gap


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    OrderFile(tmp_path).append("forget", {}, 0)

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_without_a_file_there_are_no_orders(tmp_path: Path) -> None:
    """And if there should be some, that is a gap."""
    found = OrderFile(tmp_path).after(0, 0)
    assert (found.orders, found.gap) == ((), False)
    assert OrderFile(tmp_path).after(3, 4).gap


def test_while_another_process_writes_nobody_waits(tmp_path: Path) -> None:
    """A process that was stopped as it wrote must not stop all others."""
    file = OrderFile(tmp_path)
    file.append("forget", {}, 0)
    with open(tmp_path / "orders.lock", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            file.append("forget", {}, 1)
        assert numbers(file) == [1]


@pytest.mark.parametrize("left", [b'{"n":2,"ki', b'{"n":2,"kind":"x"}', b"\0\0"])
def test_what_somebody_left_behind_who_died_writing_is_cut_off(
    tmp_path: Path, left: bytes
) -> None:
    file = OrderFile(tmp_path)
    file.append("forget", {}, 0)
    with open(tmp_path / "orders", "ab") as damaged:
        damaged.write(left)

    assert numbers(file) == [1]
    assert file.append("revoke", {"a": 1}, 1) == 2
    assert [order.kind for order in file.after(0, 2).orders] == ["forget", "revoke"]


def test_an_order_of_somebody_who_died_before_he_announced_it_counts(
    tmp_path: Path,
) -> None:
    file = OrderFile(tmp_path)
    file.append("forget", {}, 0)
    file.append("forget", {}, 0)

    assert file.append("revoke", {}, 1) == 3
    assert numbers(file) == [1, 2, 3]


@pytest.mark.parametrize("odd", [b"", b"[]\n", b'{"n":"1","kind":"x"}\n', b"\xff\n"])
def test_a_file_that_was_tampered_with_is_begun_anew_and_is_a_gap(
    tmp_path: Path, odd: bytes
) -> None:
    """The number goes on from the board's."""
    file = OrderFile(tmp_path)
    for least in range(5):
        file.append("forget", {}, least)
    (tmp_path / "orders").write_bytes(odd)

    assert file.after(4, 5).gap
    assert file.append("revoke", {}, 5) == 6
    assert numbers(file) == [6]
    assert file.after(3, 6).gap
    assert not file.after(5, 6).gap


def test_old_orders_are_dropped_when_there_are_many(tmp_path: Path) -> None:
    """The file stays small; who missed so many finds a gap, and nobody else does."""
    file = OrderFile(tmp_path)
    longest = 0
    for least in range(5 * KEPT_ORDERS):
        file.append("forget", {}, least)
        longest = max(longest, len((tmp_path / "orders").read_bytes().splitlines()))
    last = 5 * KEPT_ORDERS

    assert longest == 2 * KEPT_ORDERS
    assert not file.after(last - KEPT_ORDERS, last).gap
    assert file.after(last - 2 * KEPT_ORDERS - 1, last).gap


def append_many(folder: Path, start: "multiprocessing.synchronize.Event") -> None:
    """In a process of its own."""
    file, start_at = OrderFile(folder), 0
    start.wait()
    for n in range(EACH):
        while True:
            try:
                start_at = file.append("forget", {"pid": os.getpid(), "n-th": n}, 0)
                break
            except BlockingIOError:
                pass
    assert start_at >= EACH


def test_processes_that_write_at_once_lose_no_order(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    start = fork.Event()
    writers = [
        fork.Process(target=append_many, args=(tmp_path, start)) for _ in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    start.set()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    lines = [json.loads(one) for one in (tmp_path / "orders").read_text().splitlines()]

    assert [one["n"] for one in lines] == list(range(1, WRITERS * EACH + 1))
    for writer in writers:
        own = [one["n-th"] for one in lines if one["pid"] == writer.pid]
        assert own == list(range(EACH))


@given(
    st.lists(
        st.one_of(
            st.just("append"),
            st.just("unannounced"),
            st.just("read"),
            st.binary(max_size=20).map(lambda octets: octets.replace(b"\n", b"")),
        ),
        max_size=40,
    )
)
@settings(deadline=None)
def test_whoever_reads_on_sees_every_order_once(steps: list[str | bytes]) -> None:
    """However many died while they wrote, before a line end or before the word."""
    with TemporaryDirectory() as folder:
        file, announced, done, given = OrderFile(Path(folder)), 0, 0, 0
        for step in steps:
            if isinstance(step, bytes):
                with open(Path(folder) / "orders", "ab") as damaged:
                    damaged.write(step)
                event("left behind")
            elif step == "read":
                found = file.after(done, announced)
                assert not found.gap
                seen = [order.number for order in found.orders]
                assert seen == list(range(done + 1, done + 1 + len(seen)))
                done = max([done, *seen])
                assert done >= announced
            else:
                given += 1
                number = file.append(step, {}, announced)
                assert number == given
                if step == "append":
                    announced = number
