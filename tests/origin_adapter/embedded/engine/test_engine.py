"""The engine under bad luck: what happens exactly between two steps of a reader."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.options import Durability
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
from origin_adapter.embedded.rules.values import (
    AppendToStream,
    CreateStream,
    DeleteStream,
    Lifetime,
    MessageBatch,
    StoredStream,
)
from origin_adapter.embedded.store.store import look_up
from tests.support.options import embedded_options
from tests.support.patience import PATIENCE

S = "/v1/stream/s"
TEXT = "text/plain"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    running = Engine(embedded_options(tmp_path, durability=Durability.OS))
    yield running
    running.stop()


def post(engine: Engine, body: bytes) -> None:
    engine.submit(AppendToStream(S, TEXT, MessageBatch(body)))


def forget(engine: Engine) -> None:
    """As if so many other streams were known that this one had to go."""
    engine.cache.forget(engine.living(S))
    engine.tail_cache.forget(1)


def test_what_is_not_known_is_read_from_the_disk(engine: Engine) -> None:
    """A stream that nobody used for long."""
    engine.submit(CreateStream(S, TEXT))
    post(engine, b"cold")
    forget(engine)
    stream = engine.living(S)
    assert engine.cache.at(S) is None
    assert b"".join(engine.page(stream, 0).parts) == b"cold"


def test_a_commit_during_a_look_up_is_seen(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk answers with what was; the reader must get what is (L4)."""
    engine.submit(CreateStream(S, TEXT))
    forget(engine)
    read = engine.reader.read

    def late(act: Callable[..., object], *args: object) -> object:
        found = read(act, *args)
        post(engine, b"in between")
        return found

    monkeypatch.setattr(engine.reader, "read", late)
    assert engine.living(S).tail == len(b"in between")


def test_a_stream_that_is_deleted_while_it_is_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """404, never bytes that are missing in the middle, never another life's (E5)."""
    engine.submit(CreateStream(S, TEXT))
    post(engine, b"one")
    stream = engine.living(S)
    engine.submit(DeleteStream(S))
    engine.submit(CreateStream(S, TEXT))
    post(engine, b"other")
    with gevent.Timeout(60):
        while engine.store.db.execute("SELECT count(*) FROM message").fetchone()[0] > 1:
            gevent.sleep(0.01)

    with pytest.raises(Refused) as refused:
        engine.page(stream, 0)

    assert (refused.value.status, refused.value.reason) == (
        404,
        RefusalReason.NOT_FOUND,
    )


def test_what_comes_after_the_look_sets_the_event_taken_before_it(
    engine: Engine,
) -> None:
    """The order that ``reads`` keeps, and why."""
    engine.submit(CreateStream(S, TEXT))
    stream = engine.living(S)
    with engine.change_events.waiting(stream.id):
        change = engine.change_events.next_change(stream.id)
        post(engine, b"before the wait")
        assert change.wait(0)
        assert not engine.change_events.next_change(stream.id).wait(0)
    assert engine.change_events.count() == 0


def test_writers_who_come_together_share_a_commit(engine: Engine) -> None:
    """Group commit, counted where it happens."""
    engine.submit(CreateStream(S, TEXT))
    said: list[str] = []
    engine.store.db.set_trace_callback(said.append)

    writers = [gevent.spawn(post, engine, b"x") for _ in range(300)]
    gevent.joinall(writers, timeout=PATIENCE, raise_error=True)

    engine.store.db.set_trace_callback(None)
    assert said.count("COMMIT") < 10
    assert engine.living(S).tail == 300


def test_a_full_disk_is_told_to_every_writer_of_the_batch(engine: Engine) -> None:
    """And to nobody afterwards; readers go on all the time."""
    engine.submit(CreateStream(S, TEXT))
    post(engine, b"kept")
    pages = engine.store.db.execute("PRAGMA page_count").fetchone()[0]
    engine.store.db.execute(f"PRAGMA max_page_count = {pages}")

    def write() -> RefusalReason | None:
        try:
            post(engine, b"x" * 100_000)
        except Refused as refused:
            return refused.reason
        return None

    writers = [gevent.spawn(write) for _ in range(5)]
    gevent.joinall(writers, timeout=PATIENCE, raise_error=True)

    assert [writer.get() for writer in writers] == [RefusalReason.DISK_FULL] * 5
    forget(engine)
    assert b"".join(engine.page(engine.living(S), 0).parts) == b"kept"
    engine.store.db.execute("PRAGMA max_page_count = 1000000")
    post(engine, b"!")
    assert engine.living(S).tail == 5


def test_refusals_of_the_disk_are_answers_and_leave_no_trace(
    engine: Engine,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reads, too: 503 with its word, and one line with the cause, however many come."""
    engine.submit(CreateStream(S, TEXT))
    post(engine, b"hello")
    stream = engine.living(S)
    forget(engine)

    with pytest.raises(Refused) as inside:
        engine.page(stream, 2)

    def broken(*args: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("origin_adapter.embedded.store.pages.page", broken)
    with pytest.raises(Refused) as failed:
        engine.page(stream, 0)
    monkeypatch.setattr(engine.store.subscribers, "grew", broken)
    with pytest.raises(Refused) as unwritten:
        post(engine, b"!")

    reasons = [refused.value.reason for refused in (inside, failed, unwritten)]
    assert reasons == [
        RefusalReason.BAD_OFFSET,
        RefusalReason.DISK_FAILED,
        RefusalReason.DISK_FAILED,
    ]
    assert capfd.readouterr().err == ""
    assert caplog.messages == [
        "streams.db: the disk failed (disk I/O error): disk I/O error"
    ]


def test_a_damaged_file_is_told_with_what_to_look_for(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages are read as they are needed: a start finds only some of the damage."""
    engine.submit(CreateStream(S, TEXT))
    post(engine, b"x" * 200_000)
    forget(engine)
    stream = engine.living(S)
    file = engine.options.data / "streams.db"
    # By a connection of its own: a statement of the engine's may be under way.
    with closing(sqlite3.connect(file, timeout=10.0)) as other:
        [(busy, *_)] = other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not busy
    octets = file.read_bytes()
    file.write_bytes(octets[:8192] + b"\xff" * (len(octets) - 8192))
    engine.reader.read(lambda db: db.execute("PRAGMA shrink_memory").fetchall())

    with pytest.raises(Refused) as refused:
        engine.page(stream, 0)
    assert refused.value.reason is RefusalReason.DISK_FAILED
    assert caplog.messages[0].startswith("streams.db: the file is damaged (SQLITE_")


def test_a_mistake_in_its_batch_does_not_end_maintenance(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases and lifetimes go on to end afterwards."""
    failed = Event()

    def broken(*args: object) -> bool:
        failed.set()
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("origin_adapter.embedded.store.maintenance.expire", broken)
        assert failed.wait(PATIENCE)

    engine.submit(CreateStream(S, TEXT, Lifetime(ttl=0)))
    with gevent.Timeout(60):
        while look_up(engine.store.db, S) is not None:
            gevent.sleep(0.01)


def test_a_mistake_in_publishing_leaves_nobody_waiting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are on disk: their writer is told so, and so is the next one."""
    engine.submit(CreateStream(S, TEXT))

    def broken(*args: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched, gevent.Timeout(60):
        patched.setattr(engine.tail_cache, "add", broken)
        post(engine, b"x")
        post(engine, b"y")
    assert engine.living(S).tail == 2


def test_a_mistake_of_ours_ends_one_batch_and_not_the_writer(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's outermost guard: whoever asked hears of it, the next one works."""
    engine.submit(CreateStream(S, TEXT))

    def broken(*args: object) -> StoredStream:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("origin_adapter.embedded.store.operations.append", broken)
        with pytest.raises(ZeroDivisionError):
            post(engine, b"x")

    post(engine, b"y")
    stored = look_up(engine.store.db, S)
    assert stored is not None and stored.tail == 1
