"""The file: its tables, its settings, and how a connection is opened.

``message`` is clustered by stream and end position: a page is one range scan, and an
append goes to the end of its stream. A removed stream keeps its row, without a path,
until the sweep has dropped its messages.

Durability ``full`` is SQLite's ``synchronous=FULL`` (an fsync of the log per
commit), ``os`` is ``NORMAL`` (an fsync per checkpoint only; after a power cut
the newest commits may be missing, never torn).
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from origin_adapter.embedded.options import Durability

FILE = "streams.db"
VERSION = 1
APPLICATION = 0x44535431
RESTORE = "Restore a copy, or begin anew without what is left of it"
EMPTIED = f"the file holds nothing: it was emptied. {RESTORE}"
"""Why a file without tables is refused. A new one is never seen like that."""

_TABLES = """
CREATE TABLE stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT,
    tag TEXT NOT NULL,
    content_type TEXT NOT NULL,
    ttl INTEGER,
    expires_at TEXT,
    expires REAL,
    inherited INTEGER NOT NULL,
    touched REAL NOT NULL,
    deadline REAL,
    base INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    tail INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    closed_by TEXT,
    last_seq TEXT,
    source INTEGER,
    diverged INTEGER,
    fork_source TEXT,
    fork_offset TEXT,
    fork_sub INTEGER,
    lineage TEXT NOT NULL,
    refs INTEGER NOT NULL,
    soft_deleted INTEGER NOT NULL
);
CREATE UNIQUE INDEX stream_path ON stream (path);
CREATE INDEX stream_deadline ON stream (deadline)
    WHERE deadline IS NOT NULL AND path IS NOT NULL AND soft_deleted = 0;
CREATE TABLE message (
    stream INTEGER NOT NULL,
    end INTEGER NOT NULL,
    at REAL NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (stream, end)
) WITHOUT ROWID;
CREATE TABLE producer (
    stream INTEGER NOT NULL,
    name TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (stream, name)
) WITHOUT ROWID;
CREATE TABLE subscription (
    id TEXT PRIMARY KEY,
    config TEXT NOT NULL,
    created_at TEXT NOT NULL,
    base_url TEXT NOT NULL,
    generation INTEGER NOT NULL,
    wake_id TEXT,
    holder TEXT,
    lease_until REAL,
    retries INTEGER NOT NULL,
    next_attempt REAL,
    snapshot TEXT
);
CREATE TABLE link (
    subscription TEXT NOT NULL,
    path TEXT NOT NULL,
    explicit INTEGER NOT NULL,
    glob INTEGER NOT NULL,
    acked INTEGER NOT NULL,
    PRIMARY KEY (subscription, path)
) WITHOUT ROWID;
CREATE INDEX link_path ON link (path);
CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""


class StoreError(Exception):
    """The file cannot be used: another version, another program's, or broken."""


def make_folder(data: Path) -> None:
    """Make the folder and its missing parents, and sync them all to disk.

    It holds keys: only its owner may read it. Raises OSError.
    """
    above = [data, *data.parents]
    missing = [at for at in above if not at.exists()]
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for at in reversed(missing):
        sync_folder(at.parent)


def sync_folder(at: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    file = os.open(at, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def open_writer(data: Path, durability: Durability) -> sqlite3.Connection:
    """The one connection that writes. Makes the file if there is none.

    May be handed from thread to thread, but used by one at a time. Raises
    StoreError, or sqlite3.Error and OSError when the disk refuses.
    """
    _make_file(data)
    db = _connect(data)
    _check_identity(db)
    # What a sort needs beside the file: in memory, where root is read-only.
    db.execute("PRAGMA temp_store = MEMORY")
    if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise StoreError("this file system cannot hold SQLite's log (WAL)")
    sync = "FULL" if durability is Durability.FULL else "NORMAL"
    db.execute(f"PRAGMA synchronous = {sync}")
    # Where fsync does not reach the disk (macOS), ask for the call that does.
    db.execute("PRAGMA fullfsync = ON")
    db.execute("PRAGMA wal_autocheckpoint = 2000")
    db.execute("PRAGMA journal_size_limit = 67108864")
    db.execute("PRAGMA cache_size = -65536")
    return db


def _make_file(data: Path) -> None:
    """Make the file with its tables if there is none, whole or not at all.

    It gets its name once it is on disk. So a file with that name that holds nothing was
    emptied later, and StoreError says so before SQLite would take it for a new one and
    drop its log.
    """
    file, new = data / FILE, data / f"{FILE}.new"
    if file.exists():
        if file.stat().st_size == 0:
            raise StoreError(EMPTIED)
        return
    log = data / f"{FILE}-wal"
    if log.exists() and log.stat().st_size > 0:
        raise StoreError(f"there is no file, but its log ({log.name}). {RESTORE}")
    new.unlink(missing_ok=True)
    # The file holds keys; its companion files get the same mode.
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA fullfsync = ON")
        db.executescript(
            f"BEGIN IMMEDIATE;{_TABLES}"
            f"PRAGMA application_id = {APPLICATION};"
            f"PRAGMA user_version = {VERSION};COMMIT;"
        )
    new.rename(file)
    sync_folder(data)


def open_reader(data: Path) -> sqlite3.Connection:
    """A connection that reads, for one thread at a time."""
    db = _connect(data)
    db.execute("PRAGMA query_only = ON")
    # Small on purpose: long reads use each page once, and stay in the CPU's cache
    # (0.50 ms/MiB; 0.60 with 8 MiB, 1.3 with 64 MiB). The system has the file cached.
    db.execute("PRAGMA cache_size = -1024")
    return db


def _connect(data: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        data / FILE, timeout=30, isolation_level=None, check_same_thread=False
    )


def _check_identity(db: sqlite3.Connection) -> None:
    try:
        application = _pragma(db, "application_id")
        version = _pragma(db, "user_version")
    except sqlite3.DatabaseError as error:
        why = f"not a database of this origin, or damaged: {error}"
        raise StoreError(f"{why}. {RESTORE}") from error
    if application != APPLICATION:
        empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        raise StoreError(EMPTIED if empty else "the file belongs to another program")
    if version > VERSION:
        raise StoreError(f"the file has version {version}, this program {VERSION}")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    value = db.execute(f"PRAGMA {name}").fetchone()[0]
    if not isinstance(value, int):
        raise StoreError(f"{name} is not a number")
    return value
