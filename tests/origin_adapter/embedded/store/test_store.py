"""The store: batches, refusals of the disk, maintenance and restarts."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from origin_adapter.embedded.options import Durability
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
from origin_adapter.embedded.rules.subscription_commands import Inspect, Subscribe
from origin_adapter.embedded.rules.subscriptions import (
    ControlRefused,
    SubscriptionConfig,
)
from origin_adapter.embedded.rules.values import (
    AppendToStream,
    CreateStream,
    DeleteStream,
    ForkRequest,
    Lifetime,
    MessageBatch,
    ProducerClaim,
    StoredStream,
    StreamAppended,
    StreamCreated,
)
from origin_adapter.embedded.store import maintenance, pages, schema
from origin_adapter.embedded.store.backup import backup
from origin_adapter.embedded.store.store import Maintain, Store, look_up
from tests.support.options import embedded_options

TEXT = "text/plain"
PATH = "/v1/stream/s"
NOW = 1_000_000.0

Open = Callable[..., Store]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens keeps on one folder; the last one is closed at the end."""
    stores: list[Store] = []

    def open_store(**options: Any) -> Store:
        if stores:
            stores.pop().close()
        stores.append(Store(embedded_options(tmp_path, **options)))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


def put(path: str = PATH, **more: object) -> CreateStream:
    return CreateStream(path, TEXT, **more)  # type: ignore[arg-type]  # any field, by name


def post(body: str, path: str = PATH, **more: object) -> AppendToStream:
    return AppendToStream(path, TEXT, MessageBatch(body.encode()), **more)  # type: ignore[arg-type]  # any field, by name


def do(store: Store, *commands: object, now: float = NOW) -> list[object]:
    return list(store.commit(commands, now).outcomes)  # type: ignore[arg-type]  # commands of any kind


def text(store: Store, path: str = PATH) -> str:
    stream = look_up(store.db, path)
    assert stream is not None
    page = pages.page(store.db, stream, stream.floor, 1 << 30)
    return b"".join(page.parts).decode()


def refusal(outcome: object) -> RefusalReason:
    assert isinstance(outcome, Refused)
    return outcome.reason


def test_commands_of_one_batch_see_each_other(opened: Open) -> None:
    """A stream made, written, closed and refused to in one transaction."""
    store = opened()

    outcomes = do(store, put(), post("a"), post("b", close=True), post("c"))

    assert isinstance(outcomes[0], StreamCreated) and outcomes[0].new
    assert isinstance(outcomes[2], StreamAppended) and outcomes[2].stream.closed
    assert refusal(outcomes[3]) is RefusalReason.CLOSED
    assert text(store) == "ab"


def test_one_batch_is_one_transaction(opened: Open) -> None:
    """Group commit: many writers share one commit."""
    store = opened()
    do(store, put())
    said: list[str] = []
    store.db.set_trace_callback(said.append)

    do(store, *(post(f"{n};") for n in range(200)))

    store.db.set_trace_callback(None)
    assert said.count("COMMIT") == 1
    assert text(store) == "".join(f"{n};" for n in range(200))


@pytest.mark.parametrize(
    ("durability", "level"), [(Durability.FULL, 2), (Durability.OS, 1)]
)
def test_durability_is_what_sqlite_was_told(
    opened: Open, durability: Durability, level: int
) -> None:
    """``full`` syncs the log at every commit, ``os`` at checkpoints."""
    store = opened(durability=durability)

    assert store.db.execute("PRAGMA synchronous").fetchone() == (level,)
    assert store.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_system_without_a_shared_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite goes on in another mode without a word; readers would block writers."""
    real = schema._connect

    class Elsewhere(sqlite3.Connection):
        def execute(self, said: str, *rest: object) -> sqlite3.Cursor:
            if said == "PRAGMA journal_mode = WAL":
                said = "PRAGMA journal_mode = DELETE"
            return super().execute(said, *rest)  # type: ignore[arg-type]  # as it came

    def connect(data: Path) -> sqlite3.Connection:
        real(data).close()
        return sqlite3.connect(data / schema.FILE, factory=Elsewhere)

    monkeypatch.setattr(schema, "_connect", connect)
    with pytest.raises(schema.StoreError, match="WAL"):
        Store(embedded_options(tmp_path))


def test_a_new_folder_is_on_disk_before_anything_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is in its parent, which nothing else would sync."""
    synced: list[str] = []
    monkeypatch.setattr(schema, "sync_folder", lambda at: synced.append(at.name))

    schema.make_folder(tmp_path / "a" / "b")

    assert synced == [tmp_path.name, "a"]
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


def test_everything_of_a_write_is_there_after_a_restart(opened: Open) -> None:
    """Data, closure, producer and lifetime are one transaction."""
    claim = ProducerClaim("p", 2, 0)
    store = opened()
    do(store, put(lifetime=Lifetime(ttl=60)), post("a", claim=claim, close=True))
    before = look_up(store.db, PATH)

    store = opened()
    again, other = do(
        store,
        post("a", claim=claim, close=True),
        post("b", claim=ProducerClaim("p", 2, 1)),
    )

    assert look_up(store.db, PATH) == before
    assert isinstance(again, StreamAppended) and again.duplicate
    assert refusal(other) is RefusalReason.CLOSED
    assert text(store) == "a"


def test_a_full_disk_refuses_the_batch_and_reads_go_on(opened: Open) -> None:
    """507, nothing of the batch happened, and space makes it work again."""
    store = opened()
    do(store, put(), post("kept"))
    pages_now = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {pages_now + 2}")

    with pytest.raises(Refused) as refused:
        do(store, post("small"), post("x" * 1_000_000))

    assert (refused.value.status, refused.value.reason) == (
        507,
        RefusalReason.DISK_FULL,
    )
    assert text(store) == "kept"
    store.db.execute("PRAGMA max_page_count = 1000000")
    do(store, post("!"))
    assert text(store) == "kept!"


def test_a_read_only_disk_refuses_the_batch_and_reads_go_on(opened: Open) -> None:
    """503 with its own word."""
    store = opened()
    do(store, put(), post("kept"))
    store.db.execute("PRAGMA query_only = ON")

    with pytest.raises(Refused) as refused:
        do(store, post("lost"))

    assert (refused.value.status, refused.value.reason) == (
        503,
        RefusalReason.DISK_READ_ONLY,
    )
    assert text(store) == "kept"
    store.db.execute("PRAGMA query_only = OFF")
    do(store, post("!"))
    assert text(store) == "kept!"


def test_a_refused_command_leaves_nothing_behind(opened: Open) -> None:
    """A fork that is refused takes no reference on its source (section 4.2)."""
    store = opened()
    do(store, put(), post("abc"))

    beyond = ForkRequest(PATH, "0000000000000000_0000000000000009")
    outcome, deleted = do(store, put("/v1/stream/f", fork=beyond), DeleteStream(PATH))

    assert refusal(outcome) is RefusalReason.BAD_FORK
    assert isinstance(deleted, StoredStream)
    assert look_up(store.db, PATH) is None
    assert look_up(store.db, "/v1/stream/f") is None


def test_space_of_deleted_streams_is_given_back(opened: Open, tmp_path: Path) -> None:
    """The sweep drops messages, the shrink gives pages back."""
    store = opened(durability=Durability.OS)
    do(store, put(), *(post("x" * 100_000) for _ in range(200)), DeleteStream(PATH))
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (tmp_path / schema.FILE).stat().st_size

    while do(store, Maintain()) == [True]:
        pass
    while store.shrink():
        pass
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert store.db.execute("SELECT count(*) FROM message").fetchone() == (0,)
    assert store.db.execute("SELECT count(*) FROM stream").fetchone() == (0,)
    assert (tmp_path / schema.FILE).stat().st_size < size / 3


def test_expired_streams_end_and_their_forks_live(opened: Open) -> None:
    """Soft deletion by time, and the cascade when the fork goes too."""
    fork = "/v1/stream/f"
    store = opened()
    do(store, put(lifetime=Lifetime(ttl=10)), post("abc"))
    do(store, put(fork, lifetime=Lifetime(ttl=100), fork=ForkRequest(PATH)))

    do(store, Maintain(), now=NOW + 11)

    source = look_up(store.db, PATH)
    assert source is not None and source.soft_deleted
    assert text(store, fork) == "abc"
    do(store, Maintain(), now=NOW + 101)
    assert look_up(store.db, PATH) is None
    assert look_up(store.db, fork) is None


def test_a_read_keeps_a_stream_alive_and_is_written_down(opened: Open) -> None:
    """Touches come to disk with the next tick, so they hold over a restart."""
    store = opened()
    created = do(store, put(lifetime=Lifetime(ttl=10)))[0]
    assert isinstance(created, StreamCreated)
    store.cache.touch(created.stream, NOW + 9)

    do(store, Maintain(), now=NOW + 9)

    assert not store.cache.touches
    store = opened()
    do(store, Maintain(), now=NOW + 15)
    assert look_up(store.db, PATH) is not None
    do(store, Maintain(), now=NOW + 20)
    assert look_up(store.db, PATH) is None


@pytest.mark.parametrize("again", [False, True])
def test_a_touch_does_not_bring_a_deleted_stream_back(
    opened: Open, again: bool
) -> None:
    """Deleted (perhaps made anew) and ticked in one batch, with a read pending."""
    store = opened()
    made = do(store, put(lifetime=Lifetime(ttl=10)), post("old"))[0]
    assert isinstance(made, StreamCreated)
    store.cache.touch(made.stream, NOW + 1)

    do(store, DeleteStream(PATH), *([put()] if again else []), Maintain(), now=NOW + 1)

    found = store.cache.at(PATH)
    assert (found is not None) is again
    assert found == look_up(store.db, PATH)
    [outcome] = do(store, post("new"))
    assert isinstance(outcome, StreamAppended) is again
    assert not store.cache.touches


def test_a_touch_that_comes_after_the_deletion_is_forgotten(opened: Open) -> None:
    """A read that was under way when its stream went."""
    store = opened()
    made = do(store, put(lifetime=Lifetime(ttl=10)), post("old"))[0]
    assert isinstance(made, StreamCreated)
    do(store, DeleteStream(PATH))
    store.cache.touch(made.stream, NOW + 1)

    do(store, Maintain(), now=NOW + 1)

    assert not store.cache.touches
    assert store.cache.by_id(made.stream.id) is None


def test_touches_are_written_down_a_bounded_number_at_a_time(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that are read all the time do not keep the others waiting."""
    monkeypatch.setattr(maintenance, "STEP_TOUCHES", 2)
    store = opened()
    paths = [f"/v1/stream/{n}" for n in range(3)]
    made = do(store, *(put(path, lifetime=Lifetime(ttl=10)) for path in paths))
    streams = [one.stream for one in made if isinstance(one, StreamCreated)]
    for stream in (*streams, streams[0], streams[1]):
        store.cache.touch(stream, NOW + 1)

    do(store, Maintain(), now=NOW + 1)

    assert list(store.cache.touches) == [streams[1].id]


def test_retention_by_size_and_by_age(opened: Open) -> None:
    """Old rows go, the floor says so, and offsets stay what they were."""
    store = opened(retention_bytes=4)
    do(store, put(), post("aa"), post("bb"), post("cc"), Maintain())
    trimmed = look_up(store.db, PATH)
    assert trimmed is not None
    assert (trimmed.floor, trimmed.tail) == (2, 6)
    assert text(store) == "bbcc"

    store = opened(retention_age=10)
    do(store, post("dd"), now=NOW + 9)
    do(store, Maintain(), now=NOW + 11)
    trimmed = look_up(store.db, PATH)
    assert trimmed is not None
    assert (trimmed.floor, trimmed.tail) == (6, 8)
    assert text(store) == "dd"


def test_retention_leaves_what_forks_read(opened: Open) -> None:
    """A source with forks is kept whole."""
    store = opened(retention_bytes=1)
    do(store, put(), post("aa"), post("bb"))
    do(store, put("/v1/stream/f", fork=ForkRequest(PATH)), Maintain())

    assert text(store) == "aabb"
    assert text(store, "/v1/stream/f") == "aabb"


def test_a_backup_is_of_one_moment_while_writers_go_on(
    opened: Open, tmp_path: Path
) -> None:
    """Writes between its steps are not in it, and do not make it begin anew."""
    store = opened()
    do(store, put(), *(post("x" * 50_000) for _ in range(400)))
    lengths = []

    def busy(left: int, total: int) -> None:
        do(store, post("late"))
        lengths.append(left)

    target = tmp_path / "copy" / schema.FILE
    target.parent.mkdir()
    backup(tmp_path, target, busy)

    assert lengths == sorted(lengths, reverse=True) and len(lengths) > 1
    assert target.stat().st_mode & 0o077 == 0
    copy = Store(embedded_options(target.parent))
    assert text(copy) == "x" * 50_000 * 400
    copy.close()


def test_another_programs_file_is_not_touched(tmp_path: Path) -> None:
    """Better to refuse to start than to write into it."""
    with sqlite3.connect(tmp_path / schema.FILE) as other:
        other.execute("CREATE TABLE precious (x)")
    other.close()

    with pytest.raises(schema.StoreError):
        Store(embedded_options(tmp_path))


def test_a_broken_file_is_said_to_be_broken(tmp_path: Path) -> None:
    """Not a database at all."""
    (tmp_path / schema.FILE).write_bytes(b"not a database, " * 1000)

    with pytest.raises(schema.StoreError):
        Store(embedded_options(tmp_path))


def test_subscriptions_of_a_batch_that_failed_are_forgotten(opened: Open) -> None:
    """What is known of them is what is on disk."""
    store = opened()
    do(store, put())
    size = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {size}")
    config = SubscriptionConfig("pull-wake", "*", (), None, "wake", 1000, None)

    with pytest.raises(Refused):
        do(store, Subscribe("lost", config, ""), post("x" * 1_000_000))

    store.db.execute("PRAGMA max_page_count = 1000000")
    [outcome] = do(store, Inspect("lost"))
    assert isinstance(outcome, ControlRefused) and outcome.status == 404


def test_an_emptied_file_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    """Nor is its log dropped, in which the last commits still are."""
    store = Store(embedded_options(tmp_path))
    do(store, put())
    log = tmp_path / f"{schema.FILE}-wal"
    kept = log.read_bytes()
    os.truncate(tmp_path / schema.FILE, 0)

    with pytest.raises(schema.StoreError, match="emptied"):
        Store(embedded_options(tmp_path))
    assert kept and log.read_bytes() == kept
    store.close()


def test_a_file_that_lost_its_tables_is_not_taken_for_a_new_one(
    tmp_path: Path,
) -> None:
    sqlite3.connect(tmp_path / schema.FILE).execute("VACUUM").close()

    with pytest.raises(schema.StoreError, match="emptied"):
        Store(embedded_options(tmp_path))


def test_a_log_without_its_file_is_not_dropped(tmp_path: Path) -> None:
    (tmp_path / f"{schema.FILE}-wal").write_bytes(b"commits")

    with pytest.raises(schema.StoreError, match="there is no file, but its log"):
        Store(embedded_options(tmp_path))
    assert (tmp_path / f"{schema.FILE}-wal").read_bytes() == b"commits"


def test_a_start_that_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    """A file gets its name once all of it is on disk."""
    (tmp_path / f"{schema.FILE}.new").write_bytes(b"half")
    store = Store(embedded_options(tmp_path))
    do(store, put())
    store.close()

    assert not (tmp_path / f"{schema.FILE}.new").exists()
    assert (tmp_path / schema.FILE).stat().st_mode & 0o077 == 0
