"""The keep: batches, refusals of the disk, upkeep and restarts."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from origin_adapter.embedded.options import Durability, Options
from origin_adapter.embedded.rules.refusals import Refused, Why
from origin_adapter.embedded.rules.subscription_commands import Inspect, Subscribe
from origin_adapter.embedded.rules.subscriptions import Config, Denied
from origin_adapter.embedded.rules.values import (
    Append,
    Appended,
    Batch,
    Claim,
    Create,
    Created,
    Delete,
    ForkAsk,
    Lifetime,
    Stream,
)
from origin_adapter.embedded.store import maintenance, pages, schema
from origin_adapter.embedded.store.backup import backup
from origin_adapter.embedded.store.store import Store, Tick, look_up

TEXT = "text/plain"
PATH = "/v1/stream/s"
NOW = 1_000_000.0

Open = Callable[..., Store]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens keeps on one folder; the last one is closed at the end."""
    keeps: list[Store] = []

    def open_keep(**options: object) -> Store:
        if keeps:
            keeps.pop().close()
        keeps.append(Store(Options(data=tmp_path, **options)))  # type: ignore[arg-type]  # any option, by name
        return keeps[-1]

    yield open_keep
    for keep in keeps:
        keep.close()


def put(path: str = PATH, **more: object) -> Create:
    return Create(path, TEXT, **more)  # type: ignore[arg-type]  # any field, by name


def post(body: str, path: str = PATH, **more: object) -> Append:
    return Append(path, TEXT, Batch(body.encode()), **more)  # type: ignore[arg-type]  # any field, by name


def do(keep: Store, *commands: object, now: float = NOW) -> list[object]:
    return list(keep.commit(commands, now).outcomes)  # type: ignore[arg-type]  # commands of any kind


def text(keep: Store, path: str = PATH) -> str:
    stream = look_up(keep.db, path)
    assert stream is not None
    page = pages.page(keep.db, stream, stream.floor, 1 << 30)
    return b"".join(page.parts).decode()


def refusal(outcome: object) -> Why:
    assert isinstance(outcome, Refused)
    return outcome.why


def test_commands_of_one_batch_see_each_other(opened: Open) -> None:
    """A stream made, written, closed and refused to in one transaction."""
    keep = opened()

    outcomes = do(keep, put(), post("a"), post("b", close=True), post("c"))

    assert isinstance(outcomes[0], Created) and outcomes[0].new
    assert isinstance(outcomes[2], Appended) and outcomes[2].stream.closed
    assert refusal(outcomes[3]) is Why.CLOSED
    assert text(keep) == "ab"


def test_one_batch_is_one_transaction(opened: Open) -> None:
    """Group commit: many writers share one commit."""
    keep = opened()
    do(keep, put())
    said: list[str] = []
    keep.db.set_trace_callback(said.append)

    do(keep, *(post(f"{n};") for n in range(200)))

    keep.db.set_trace_callback(None)
    assert said.count("COMMIT") == 1
    assert text(keep) == "".join(f"{n};" for n in range(200))


@pytest.mark.parametrize(
    ("durability", "level"), [(Durability.FULL, 2), (Durability.OS, 1)]
)
def test_durability_is_what_sqlite_was_told(
    opened: Open, durability: Durability, level: int
) -> None:
    """``full`` syncs the log at every commit, ``os`` at checkpoints."""
    keep = opened(durability=durability)

    assert keep.db.execute("PRAGMA synchronous").fetchone() == (level,)
    assert keep.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


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
        Store(Options(data=tmp_path))


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
    claim = Claim("p", 2, 0)
    keep = opened()
    do(keep, put(lifetime=Lifetime(ttl=60)), post("a", claim=claim, close=True))
    before = look_up(keep.db, PATH)

    keep = opened()
    again, other = do(
        keep,
        post("a", claim=claim, close=True),
        post("b", claim=Claim("p", 2, 1)),
    )

    assert look_up(keep.db, PATH) == before
    assert isinstance(again, Appended) and again.duplicate
    assert refusal(other) is Why.CLOSED
    assert text(keep) == "a"


def test_a_full_disk_refuses_the_batch_and_reads_go_on(opened: Open) -> None:
    """507, nothing of the batch happened, and space makes it work again."""
    keep = opened()
    do(keep, put(), post("kept"))
    pages_now = keep.db.execute("PRAGMA page_count").fetchone()[0]
    keep.db.execute(f"PRAGMA max_page_count = {pages_now + 2}")

    with pytest.raises(Refused) as refused:
        do(keep, post("small"), post("x" * 1_000_000))

    assert (refused.value.status, refused.value.why) == (507, Why.DISK_FULL)
    assert text(keep) == "kept"
    keep.db.execute("PRAGMA max_page_count = 1000000")
    do(keep, post("!"))
    assert text(keep) == "kept!"


def test_a_read_only_disk_refuses_the_batch_and_reads_go_on(opened: Open) -> None:
    """503 with its own word."""
    keep = opened()
    do(keep, put(), post("kept"))
    keep.db.execute("PRAGMA query_only = ON")

    with pytest.raises(Refused) as refused:
        do(keep, post("lost"))

    assert (refused.value.status, refused.value.why) == (503, Why.DISK_READ_ONLY)
    assert text(keep) == "kept"
    keep.db.execute("PRAGMA query_only = OFF")
    do(keep, post("!"))
    assert text(keep) == "kept!"


def test_a_refused_command_leaves_nothing_behind(opened: Open) -> None:
    """A fork that is refused takes no reference on its source (section 4.2)."""
    keep = opened()
    do(keep, put(), post("abc"))

    beyond = ForkAsk(PATH, "0000000000000000_0000000000000009")
    outcome, deleted = do(keep, put("/v1/stream/f", fork=beyond), Delete(PATH))

    assert refusal(outcome) is Why.BAD_FORK
    assert isinstance(deleted, Stream)
    assert look_up(keep.db, PATH) is None
    assert look_up(keep.db, "/v1/stream/f") is None


def test_space_of_deleted_streams_is_given_back(opened: Open, tmp_path: Path) -> None:
    """The sweep drops messages, the shrink gives pages back."""
    keep = opened(durability=Durability.OS)
    do(keep, put(), *(post("x" * 100_000) for _ in range(200)), Delete(PATH))
    keep.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (tmp_path / schema.FILE).stat().st_size

    while do(keep, Tick()) == [True]:
        pass
    while keep.shrink():
        pass
    keep.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert keep.db.execute("SELECT count(*) FROM message").fetchone() == (0,)
    assert keep.db.execute("SELECT count(*) FROM stream").fetchone() == (0,)
    assert (tmp_path / schema.FILE).stat().st_size < size / 3


def test_expired_streams_end_and_their_forks_live(opened: Open) -> None:
    """Soft deletion by time, and the cascade when the fork goes too."""
    fork = "/v1/stream/f"
    keep = opened()
    do(keep, put(lifetime=Lifetime(ttl=10)), post("abc"))
    do(keep, put(fork, lifetime=Lifetime(ttl=100), fork=ForkAsk(PATH)))

    do(keep, Tick(), now=NOW + 11)

    source = look_up(keep.db, PATH)
    assert source is not None and source.soft_deleted
    assert text(keep, fork) == "abc"
    do(keep, Tick(), now=NOW + 101)
    assert look_up(keep.db, PATH) is None
    assert look_up(keep.db, fork) is None


def test_a_read_keeps_a_stream_alive_and_is_written_down(opened: Open) -> None:
    """Touches come to disk with the next tick, so they hold over a restart."""
    keep = opened()
    created = do(keep, put(lifetime=Lifetime(ttl=10)))[0]
    assert isinstance(created, Created)
    keep.known.touch(created.stream, NOW + 9)

    do(keep, Tick(), now=NOW + 9)

    assert not keep.known.touches
    keep = opened()
    do(keep, Tick(), now=NOW + 15)
    assert look_up(keep.db, PATH) is not None
    do(keep, Tick(), now=NOW + 20)
    assert look_up(keep.db, PATH) is None


@pytest.mark.parametrize("again", [False, True])
def test_a_touch_does_not_bring_a_deleted_stream_back(
    opened: Open, again: bool
) -> None:
    """Deleted (perhaps made anew) and ticked in one batch, with a read pending."""
    keep = opened()
    made = do(keep, put(lifetime=Lifetime(ttl=10)), post("old"))[0]
    assert isinstance(made, Created)
    keep.known.touch(made.stream, NOW + 1)

    do(keep, Delete(PATH), *([put()] if again else []), Tick(), now=NOW + 1)

    found = keep.known.at(PATH)
    assert (found is not None) is again
    assert found == look_up(keep.db, PATH)
    [outcome] = do(keep, post("new"))
    assert isinstance(outcome, Appended) is again
    assert not keep.known.touches


def test_a_touch_that_comes_after_the_deletion_is_forgotten(opened: Open) -> None:
    """A read that was under way when its stream went."""
    keep = opened()
    made = do(keep, put(lifetime=Lifetime(ttl=10)), post("old"))[0]
    assert isinstance(made, Created)
    do(keep, Delete(PATH))
    keep.known.touch(made.stream, NOW + 1)

    do(keep, Tick(), now=NOW + 1)

    assert not keep.known.touches
    assert keep.known.by_id(made.stream.id) is None


def test_touches_are_written_down_a_bounded_number_at_a_time(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that are read all the time do not keep the others waiting."""
    monkeypatch.setattr(maintenance, "STEP_TOUCHES", 2)
    keep = opened()
    paths = [f"/v1/stream/{n}" for n in range(3)]
    made = do(keep, *(put(path, lifetime=Lifetime(ttl=10)) for path in paths))
    streams = [one.stream for one in made if isinstance(one, Created)]
    for stream in (*streams, streams[0], streams[1]):
        keep.known.touch(stream, NOW + 1)

    do(keep, Tick(), now=NOW + 1)

    assert list(keep.known.touches) == [streams[1].id]


def test_retention_by_size_and_by_age(opened: Open) -> None:
    """Old rows go, the floor says so, and offsets stay what they were."""
    keep = opened(retention_bytes=4)
    do(keep, put(), post("aa"), post("bb"), post("cc"), Tick())
    trimmed = look_up(keep.db, PATH)
    assert trimmed is not None
    assert (trimmed.floor, trimmed.tail) == (2, 6)
    assert text(keep) == "bbcc"

    keep = opened(retention_age=10)
    do(keep, post("dd"), now=NOW + 9)
    do(keep, Tick(), now=NOW + 11)
    trimmed = look_up(keep.db, PATH)
    assert trimmed is not None
    assert (trimmed.floor, trimmed.tail) == (6, 8)
    assert text(keep) == "dd"


def test_retention_leaves_what_forks_read(opened: Open) -> None:
    """A source with forks is kept whole."""
    keep = opened(retention_bytes=1)
    do(keep, put(), post("aa"), post("bb"))
    do(keep, put("/v1/stream/f", fork=ForkAsk(PATH)), Tick())

    assert text(keep) == "aabb"
    assert text(keep, "/v1/stream/f") == "aabb"


def test_a_backup_is_of_one_moment_while_writers_go_on(
    opened: Open, tmp_path: Path
) -> None:
    """Writes between its steps are not in it, and do not make it begin anew."""
    keep = opened()
    do(keep, put(), *(post("x" * 50_000) for _ in range(400)))
    lengths = []

    def busy(left: int, total: int) -> None:
        do(keep, post("late"))
        lengths.append(left)

    target = tmp_path / "copy" / schema.FILE
    target.parent.mkdir()
    backup(tmp_path, target, busy)

    assert lengths == sorted(lengths, reverse=True) and len(lengths) > 1
    assert target.stat().st_mode & 0o077 == 0
    copy = Store(Options(data=target.parent))
    assert text(copy) == "x" * 50_000 * 400
    copy.close()


def test_another_programs_file_is_not_touched(tmp_path: Path) -> None:
    """Better to refuse to start than to write into it."""
    with sqlite3.connect(tmp_path / schema.FILE) as other:
        other.execute("CREATE TABLE precious (x)")
    other.close()

    with pytest.raises(schema.StoreError):
        Store(Options(data=tmp_path))


def test_a_broken_file_is_said_to_be_broken(tmp_path: Path) -> None:
    """Not a database at all."""
    (tmp_path / schema.FILE).write_bytes(b"not a database, " * 1000)

    with pytest.raises(schema.StoreError):
        Store(Options(data=tmp_path))


def test_subscriptions_of_a_batch_that_failed_are_forgotten(opened: Open) -> None:
    """What is known of them is what is on disk."""
    keep = opened()
    do(keep, put())
    size = keep.db.execute("PRAGMA page_count").fetchone()[0]
    keep.db.execute(f"PRAGMA max_page_count = {size}")
    config = Config("pull-wake", "*", (), None, "wake", 1000, None)

    with pytest.raises(Refused):
        do(keep, Subscribe("lost", config, ""), post("x" * 1_000_000))

    keep.db.execute("PRAGMA max_page_count = 1000000")
    [outcome] = do(keep, Inspect("lost"))
    assert isinstance(outcome, Denied) and outcome.status == 404
