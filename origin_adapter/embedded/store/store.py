"""The keep: batches of commands in, one durable transaction each.

``commit`` is called by one thread at a time. It answers every command with an
outcome or with the refusal it earned; when the disk refuses, nothing of the
batch happened and it raises Refused for all of them. What the event loop is to
do afterwards (wake readers, send webhooks) comes back beside the outcomes.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from origin_adapter.embedded.options import Options
from origin_adapter.embedded.rules import subscription_commands
from origin_adapter.embedded.rules.refusals import Refused, Why
from origin_adapter.embedded.rules.subscriptions import Denied
from origin_adapter.embedded.rules.values import (
    Append,
    Appended,
    Create,
    Created,
    Delete,
    Stream,
)
from origin_adapter.embedded.store import maintenance, operations, schema, stream_rows
from origin_adapter.embedded.store.stream_cache import Known
from origin_adapter.embedded.store.subscribers import Json, Subscribers
from origin_adapter.embedded.store.transaction import News, Transaction


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: let upkeep do a little of everything that is due."""


Command = Create | Append | Delete | Tick | subscription_commands.Order
Outcome = (
    Created
    | Appended
    | Stream
    | bool
    | Json
    | tuple[Json, bool]
    | None
    | Refused
    | Denied
)


@dataclass(frozen=True, slots=True)
class Committed:
    """One batch on disk: an outcome per command, news, webhooks to send."""

    outcomes: list[Outcome]
    news: News
    deliveries: list[subscription_commands.Delivery]


class Store:
    """The file, as its writer sees it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.known = Known()
        self.db = schema.open_writer(options.data, options.durability)
        self.subscribers = Subscribers(self.db, options.root)
        self._trim_after = 0

    def close(self) -> None:
        """Leave a file without a log behind. Nothing may be called afterwards."""
        self.db.close()

    def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """A value made once and kept; for keys. Only before the first commit."""
        query = "SELECT value FROM secret WHERE name = ?"
        found = self.db.execute(query, (name,)).fetchone()
        if found is None:
            self.db.execute("INSERT INTO secret VALUES (?, ?)", (name, make()))
            found = self.db.execute(query, (name,)).fetchone()
        return bytes(found[0])

    def commit(self, commands: Sequence[Command], now: float) -> Committed:
        """Do a batch. Raises Refused (disk-...) when the disk refuses all of it."""
        unit = Transaction(self.db, self.known, now, self.subscribers.ended)
        try:
            self.db.execute("BEGIN IMMEDIATE")
            outcomes = [self._do(unit, command) for command in commands]
            unit.flush()
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise disk_refusal(error) from error
        except BaseException:
            # Not the disk: a mistake of ours. Undo, and let it be seen.
            self._roll_back()
            raise
        unit.publish()
        deliveries, self.subscribers.due = self.subscribers.due, []
        return Committed(outcomes, unit.news, deliveries)

    def _do(self, unit: Transaction, command: Command) -> Outcome:
        try:
            match command:
                case Append():
                    return operations.append(unit, command, self.subscribers.grew)
                case Create():
                    return self._create(unit, command)
                case Delete():
                    return operations.delete(unit, command)
                case Tick():
                    return self._tick(unit)
                case _:
                    return self._order(unit, command)
        except (Refused, Denied) as refusal:
            return refusal

    def _create(self, unit: Transaction, ask: Create) -> Created:
        done = operations.create(unit, ask, self.subscribers.grew)
        if done.new:
            self.subscribers.created(unit, done.stream)
        return done

    def _order(self, unit: Transaction, order: subscription_commands.Order) -> Outcome:
        subs = self.subscribers
        match order:
            case subscription_commands.Subscribe():
                return subs.subscribe(unit, order)
            case subscription_commands.Inspect():
                return subs.inspect(unit, order)
            case subscription_commands.Unsubscribe():
                subs.unsubscribe(order)
            case subscription_commands.LinkStreams():
                subs.link(unit, order)
            case subscription_commands.UnlinkStream():
                subs.unlink(order)
            case subscription_commands.ClaimWake():
                return subs.claim(unit, order)
            case subscription_commands.Acknowledge():
                return subs.acknowledge(unit, order)
            case subscription_commands.ReleaseWake():
                subs.release(unit, order)
            case _:
                subs.delivered(unit, order)
        return None

    def _tick(self, unit: Transaction) -> bool:
        """Some upkeep; whether more is waiting."""
        maintenance.touch(unit)
        more = maintenance.expire(unit)
        more = maintenance.sweep(unit) or more
        self._trim_after = maintenance.retain(unit, self.options, self._trim_after)
        self.subscribers.leases(unit)
        return more

    def shrink(self) -> bool:
        """Give free pages of the file back; whether there may be more."""
        try:
            return maintenance.shrink(self.db)
        except sqlite3.Error as error:
            raise disk_refusal(error) from error

    def _roll_back(self) -> None:
        try:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            self.subscribers.reload()
        except sqlite3.Error as error:
            raise disk_refusal(error) from error


def look_up(db: sqlite3.Connection, path: str) -> Stream | None:
    """The stream at a path, as a reader's connection sees it."""
    row = db.execute(stream_rows.SELECT_BY_PATH, (path,)).fetchone()
    return None if row is None else stream_rows.to_stream(row)


def disk_refusal(error: sqlite3.Error) -> Refused:
    """What a writer is told when the disk refuses."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return Refused(507, Why.DISK_FULL, "the disk is full; nothing was written")
    if name.startswith("SQLITE_READONLY"):
        return Refused(
            503, Why.DISK_READ_ONLY, "the disk is read-only; nothing was written"
        )
    return Refused(503, Why.DISK_FAILED, f"the disk failed ({name or error})")
