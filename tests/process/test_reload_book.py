"""What the master writes of reloads, all its children read. They order them by HUP."""

import os
import signal

import pytest

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.process.reload_book import ReloadBook, ReloadDesk


def book() -> ReloadBook:
    times = iter(range(100, 10_000))
    return ReloadBook(lambda: float(next(times)))


def test_a_process_that_was_forked_reads_what_the_master_writes_later() -> None:
    """And keeps no copy of its own."""
    shared = book()
    ready, told = os.pipe()
    answered, answer = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(ready, 1)
        last = shared.read().last
        os.write(answer, b"none" if last is None else last.result.value.encode())
        os._exit(0)
    shared.begin()
    shared.taken(["live.linger"])
    shared.accept()
    os.write(told, b"x")
    said = os.read(answered, 100)
    os.waitpid(pid, 0)
    for descriptor in (ready, told, answered, answer):
        os.close(descriptor)

    assert said == b"accepted"


def test_problems_that_are_too_long_push_out_older_reloads_and_are_told() -> None:
    shared = book()
    wrong = ["\N{SNOWMAN}" * 400] * 20
    for _ in range(8):
        shared.begin()
        shared.refuse(Reason.SETTINGS_REFUSED, wrong)
    history = shared.read()

    assert history.number == 8 and len(history.records) < 8
    assert history.records[-1].problems == tuple(wrong)
    assert history.counts["refused"] == 8


def test_a_path_that_is_no_text_is_told_as_well_as_can_be() -> None:
    shared = book()
    shared.begin()
    shared.refuse(Reason.SETTINGS_REFUSED, ["/etc/\udce4dge.yaml: is not there"])
    last = shared.read().last

    assert last is not None and last.problems == ("/etc/?dge.yaml: is not there",)


def test_an_order_is_for_the_reload_after_the_last_one() -> None:
    """Also while that one is under way: it may have read the file already."""
    shared, heard = book(), []
    before = signal.signal(signal.SIGHUP, lambda *_: heard.append(1))
    try:
        pid = os.fork()
        if not pid:
            os._exit(shared.order(os.getppid()))
        _, status = os.waitpid(pid, 0)
        shared.begin()
        other = os.fork()
        if not other:
            os._exit(shared.order(os.getppid()))
        _, later = os.waitpid(other, 0)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert (os.waitstatus_to_exitcode(status), os.waitstatus_to_exitcode(later)) == (
        1,
        2,
    )
    assert len(heard) == 2


def test_orders_that_come_before_it_has_begun_are_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever orders in a loop has no hundreds of processes started."""
    shared, sent = book(), []
    monkeypatch.setattr(os, "kill", lambda *signal: sent.append(signal))
    parent = os.getppid()
    numbers = [shared.order(parent) for _ in range(3)]
    shared.begin()
    later = [shared.order(parent) for _ in range(3)]

    assert (numbers, later) == ([1, 1, 1], [2, 2, 2])
    assert sent == [(parent, signal.SIGHUP)] * 2


def test_while_two_are_under_way_no_third_one_is_ordered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a worker is alone each begins at once. HUP by hand is as it was."""
    shared = book()
    monkeypatch.setattr(os, "kill", lambda *_: None)
    shared.begin()
    shared.begin()
    with pytest.raises(Refusal) as refused:
        shared.order(os.getppid())
    shared.accept()

    assert refused.value.reason is Reason.LIMIT_RELOADS
    assert shared.order(os.getppid()) == 3


def test_nobody_else_is_sent_the_signal_where_the_master_has_died() -> None:
    """Its pid may be somebody else's by now."""
    with pytest.raises(Refusal) as refused:
        book().order(os.getpid())

    assert refused.value.reason is Reason.MASTER_GONE


def test_an_edge_that_is_about_to_end_takes_no_order() -> None:
    desk = ReloadDesk(book(), os.getpid(), lambda: Reason.DRAINING)
    with pytest.raises(Refusal) as refused:
        desk.order()

    assert refused.value.reason is Reason.DRAINING
    assert desk.history().number == 0
