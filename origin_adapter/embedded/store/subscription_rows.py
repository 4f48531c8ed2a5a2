"""Subscriptions and their links as rows. SQL only; decides nothing."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from origin_adapter.embedded.rules import control
from origin_adapter.embedded.rules.subscriptions import (
    StreamLink,
    Subscription,
    SubscriptionConfig,
)

_ALL = (
    "SELECT id, config, created_at, base_url, generation, wake_id, holder, "
    "lease_until, retries, next_attempt, snapshot FROM subscription"
)
_INSERT = (
    "INSERT INTO subscription (id, config, created_at, base_url, generation, "
    "wake_id, holder, lease_until, retries, next_attempt, snapshot) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE subscription SET generation = ?, wake_id = ?, holder = ?, "
    "lease_until = ?, retries = ?, next_attempt = ?, snapshot = ? WHERE id = ?"
)
_PROGRESS = (
    "SELECT l.path, l.explicit, l.acked, coalesce(s.tail, 0) FROM link l "
    "LEFT JOIN stream s ON s.path = ? || l.path AND s.soft_deleted = 0 "
    "WHERE l.subscription = ? ORDER BY l.path"
)
_LINK = (
    "INSERT INTO link (subscription, path, explicit, glob, acked) "
    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (subscription, path) DO UPDATE "
    "SET explicit = max(explicit, excluded.explicit), glob = max(glob, excluded.glob)"
)


@dataclass(frozen=True, slots=True)
class LinkProgress:
    """The state of a subscription at one stream."""

    path: str
    explicit: bool
    acked: int
    tail: int

    @property
    def pending(self) -> bool:
        return self.tail > self.acked

    def as_json(self, with_tail: bool) -> dict[str, Any]:
        """The stream's entry in answers and webhooks."""
        said: dict[str, Any] = {
            "path": self.path,
            "link_type": "explicit" if self.explicit else "glob",
            "acked_offset": control.offset_text(self.acked),
        }
        if with_tail:
            said["tail_offset"] = control.offset_text(self.tail)
            said["has_pending"] = self.pending
        return said


def load(db: sqlite3.Connection) -> dict[str, Subscription]:
    """All subscriptions, by id."""
    found = (_to_subscription(row) for row in db.execute(_ALL))
    return {sub.id: sub for sub in found}


def insert(db: sqlite3.Connection, sub: Subscription) -> None:
    config = json.dumps(asdict(sub.config))
    cells = (sub.id, config, sub.created_at, sub.base_url)
    db.execute(_INSERT, (*cells, *_moving(sub)))


def update(db: sqlite3.Connection, sub: Subscription) -> None:
    db.execute(_UPDATE, (*_moving(sub), sub.id))


def remove(db: sqlite3.Connection, id: str) -> None:
    db.execute("DELETE FROM link WHERE subscription = ?", (id,))
    db.execute("DELETE FROM subscription WHERE id = ?", (id,))


def progress(db: sqlite3.Connection, root: str, id: str) -> list[LinkProgress]:
    """The state of a subscription at each of its streams, by path."""
    rows = db.execute(_PROGRESS, (root, id)).fetchall()
    return [
        LinkProgress(path, bool(exp), acked, tail) for path, exp, acked, tail in rows
    ]


def link(
    db: sqlite3.Connection, id: str, path: str, acked: int, *, explicit: bool
) -> None:
    """Link a stream. An existing link keeps its cursor and gains the kind."""
    db.execute(_LINK, (id, path, explicit, not explicit, acked))


def unlink(db: sqlite3.Connection, id: str, path: str) -> None:
    """Remove the explicit kind of a link. A link of neither kind is deleted."""
    key = (id, path)
    db.execute("UPDATE link SET explicit = 0 WHERE subscription = ? AND path = ?", key)
    db.execute("DELETE FROM link WHERE subscription = ? AND path = ? AND glob = 0", key)


def forget_stream(db: sqlite3.Connection, path: str) -> None:
    """The stream has ended: explicit links wait for the next one at its path."""
    db.execute("DELETE FROM link WHERE path = ? AND explicit = 0", (path,))
    db.execute("UPDATE link SET glob = 0, acked = 0 WHERE path = ?", (path,))


def find(db: sqlite3.Connection, id: str, path: str) -> StreamLink | None:
    row = db.execute(
        "SELECT explicit, glob, acked FROM link WHERE subscription = ? AND path = ?",
        (id, path),
    ).fetchone()
    return None if row is None else StreamLink(path, bool(row[0]), bool(row[1]), row[2])


def without(snapshot: str, path: str) -> str:
    """A wake's snapshot without one of its streams."""
    if json.dumps(path) not in snapshot:
        return snapshot
    return json.dumps([said for said in json.loads(snapshot) if said["path"] != path])


def set_acked(db: sqlite3.Connection, id: str, path: str, acked: int) -> None:
    db.execute(
        "UPDATE link SET acked = max(acked, ?) WHERE subscription = ? AND path = ?",
        (acked, id, path),
    )


def linked_to(db: sqlite3.Connection, path: str) -> list[str]:
    """The ids of subscriptions with a link to a path."""
    rows = db.execute("SELECT subscription FROM link WHERE path = ?", (path,))
    return [id for (id,) in rows.fetchall()]


def _moving(sub: Subscription) -> tuple[Any, ...]:
    return (
        sub.generation,
        sub.wake_id,
        sub.holder,
        sub.lease_until,
        sub.retries,
        sub.next_attempt,
        sub.snapshot,
    )


def _to_subscription(row: tuple[Any, ...]) -> Subscription:
    said = json.loads(row[1])
    said["streams"] = tuple(said["streams"])
    return Subscription(row[0], SubscriptionConfig(**said), *row[2:])
