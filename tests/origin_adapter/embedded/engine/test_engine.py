"""The desk under bad luck: what happens exactly between two steps of a reader."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.options import Durability, Options
from origin_adapter.embedded.rules.refusals import Refused, Why
from origin_adapter.embedded.rules.values import (
    Append,
    Batch,
    Create,
    Delete,
    Lifetime,
    Stream,
)
from origin_adapter.embedded.store.store import look_up

S = "/v1/stream/s"
TEXT = "text/plain"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Engine]:
    running = Engine(Options(data=tmp_path, durability=Durability.OS))
    yield running
    running.stop()


def post(desk: Engine, body: bytes) -> None:
    desk.submit(Append(S, TEXT, Batch(body)))


def forget(desk: Engine) -> None:
    """As if so many other streams were known that this one had to go."""
    desk.known.forget(desk.living(S))
    desk.recent.forget(1)


def test_what_is_not_known_is_read_from_the_disk(desk: Engine) -> None:
    """A stream that nobody used for long."""
    desk.submit(Create(S, TEXT))
    post(desk, b"cold")
    forget(desk)
    stream = desk.living(S)
    assert desk.known.at(S) is None
    assert b"".join(desk.page(stream, 0).parts) == b"cold"


def test_a_commit_during_a_look_up_is_seen(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk answers with what was; the reader must get what is (L4)."""
    desk.submit(Create(S, TEXT))
    forget(desk)
    read = desk._read

    def late(act: Callable[..., object], *args: object) -> object:
        found = read(act, *args)
        post(desk, b"in between")
        return found

    monkeypatch.setattr(desk, "_read", late)
    assert desk.living(S).tail == len(b"in between")


def test_a_stream_that_is_deleted_while_it_is_read(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """404, never bytes that are missing in the middle, never another life's (E5)."""
    desk.submit(Create(S, TEXT))
    post(desk, b"one")
    stream = desk.living(S)
    desk.submit(Delete(S))
    desk.submit(Create(S, TEXT))
    post(desk, b"other")
    with gevent.Timeout(10):
        while desk.keep.db.execute("SELECT count(*) FROM message").fetchone()[0] > 1:
            gevent.sleep(0.01)

    with pytest.raises(Refused) as refused:
        desk.page(stream, 0)

    assert (refused.value.status, refused.value.why) == (404, Why.NOT_FOUND)


def test_a_bell_taken_before_the_look_hears_what_comes_after_it(desk: Engine) -> None:
    """The order that ``reads`` keeps, and why."""
    desk.submit(Create(S, TEXT))
    stream = desk.living(S)
    with desk.bells.waiting(stream.id):
        bell = desk.bells.take(stream.id)
        post(desk, b"before the wait")
        assert bell.wait(0)
        assert not desk.bells.take(stream.id).wait(0)
    assert desk.bells.count() == 0


def test_writers_who_come_together_share_a_commit(desk: Engine) -> None:
    """Group commit, counted where it happens."""
    desk.submit(Create(S, TEXT))
    said: list[str] = []
    desk.keep.db.set_trace_callback(said.append)

    writers = [gevent.spawn(post, desk, b"x") for _ in range(300)]
    gevent.joinall(writers, timeout=10, raise_error=True)

    desk.keep.db.set_trace_callback(None)
    assert said.count("COMMIT") < 10
    assert desk.living(S).tail == 300


def test_a_full_disk_is_told_to_every_writer_of_the_batch(desk: Engine) -> None:
    """And to nobody afterwards; readers go on all the time."""
    desk.submit(Create(S, TEXT))
    post(desk, b"kept")
    pages = desk.keep.db.execute("PRAGMA page_count").fetchone()[0]
    desk.keep.db.execute(f"PRAGMA max_page_count = {pages}")

    def write() -> Why | None:
        try:
            post(desk, b"x" * 100_000)
        except Refused as refused:
            return refused.why
        return None

    writers = [gevent.spawn(write) for _ in range(5)]
    gevent.joinall(writers, timeout=10, raise_error=True)

    assert [writer.get() for writer in writers] == [Why.DISK_FULL] * 5
    forget(desk)
    assert b"".join(desk.page(desk.living(S), 0).parts) == b"kept"
    desk.keep.db.execute("PRAGMA max_page_count = 1000000")
    post(desk, b"!")
    assert desk.living(S).tail == 5


def test_refusals_of_the_disk_are_answers_and_leave_no_trace(
    desk: Engine, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads, too: 503 with its word, and nothing that floods a log."""
    desk.submit(Create(S, TEXT))
    post(desk, b"hello")
    stream = desk.living(S)
    forget(desk)

    with pytest.raises(Refused) as inside:
        desk.page(stream, 2)

    def broken(*args: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("origin_adapter.embedded.store.pages.page", broken)
    with pytest.raises(Refused) as failed:
        desk.page(stream, 0)
    monkeypatch.setattr(desk.keep.subscribers, "grew", broken)
    with pytest.raises(Refused) as unwritten:
        post(desk, b"!")

    whys = [refused.value.why for refused in (inside, failed, unwritten)]
    assert whys == [Why.BAD_OFFSET, Why.DISK_FAILED, Why.DISK_FAILED]
    assert capfd.readouterr().err == ""


def test_a_mistake_in_its_batch_does_not_end_upkeep(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases and lifetimes go on to end afterwards."""
    failed = Event()

    def broken(*args: object) -> bool:
        failed.set()
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("origin_adapter.embedded.store.maintenance.expire", broken)
        assert failed.wait(10)

    desk.submit(Create(S, TEXT, Lifetime(ttl=0)))
    with gevent.Timeout(10):
        while look_up(desk.keep.db, S) is not None:
            gevent.sleep(0.01)


def test_a_mistake_in_publishing_leaves_nobody_waiting(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are on disk: their writer is told so, and so is the next one."""
    desk.submit(Create(S, TEXT))

    def broken(*args: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched, gevent.Timeout(10):
        patched.setattr(desk.recent, "add", broken)
        post(desk, b"x")
        post(desk, b"y")
    assert desk.living(S).tail == 2


def test_a_mistake_of_ours_ends_one_batch_and_not_the_writer(
    desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's outermost guard: whoever asked hears of it, the next one works."""
    desk.submit(Create(S, TEXT))

    def broken(*args: object) -> Stream:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("origin_adapter.embedded.store.operations.append", broken)
        with pytest.raises(ZeroDivisionError):
            post(desk, b"x")

    post(desk, b"y")
    stored = look_up(desk.keep.db, S)
    assert stored is not None and stored.tail == 1
