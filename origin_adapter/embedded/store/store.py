"""The store: batches of commands in, one durable transaction each.

``commit`` is called by one thread at a time. It answers every command with an outcome
or with its refusal. If the disk refuses, nothing of the batch happened, and ``commit``
raises Refused for the whole batch. The event loop's work afterwards (wake readers, send
webhooks) is returned beside the outcomes.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from origin_adapter.embedded.options import Options
from origin_adapter.embedded.rules import subscription_commands
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
from origin_adapter.embedded.rules.subscriptions import ControlRefused
from origin_adapter.embedded.rules.values import (
    AppendToStream,
    CreateStream,
    DeleteStream,
    StoredStream,
    StreamAppended,
    StreamCreated,
)
from origin_adapter.embedded.store import maintenance, operations, schema, stream_rows
from origin_adapter.embedded.store.stream_cache import StreamCache
from origin_adapter.embedded.store.subscribers import Json, Subscribers
from origin_adapter.embedded.store.transaction import Changes, Transaction


@dataclass(frozen=True, slots=True)
class Maintain:
    """Time has passed: do a little of all maintenance that is due."""


Command = (
    CreateStream
    | AppendToStream
    | DeleteStream
    | Maintain
    | subscription_commands.SubscriptionCommand
)
Outcome = (
    StreamCreated
    | StreamAppended
    | StoredStream
    | bool
    | Json
    | tuple[Json, bool]
    | None
    | Refused
    | ControlRefused
)


@dataclass(frozen=True, slots=True)
class Committed:
    """One batch on disk: an outcome per command, changes, webhooks to send."""

    outcomes: list[Outcome]
    changes: Changes
    deliveries: list[subscription_commands.WebhookDelivery]


class Store:
    """The file, as its writer sees it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.cache = StreamCache()
        self.db = schema.open_writer(options.data, options.durability)
        self.subscribers = Subscribers(self.db, options.root)
        self._trim_after = 0

    def close(self) -> None:
        """Close the file without leaving a WAL. Nothing may be called afterwards."""
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
        transaction = Transaction(self.db, self.cache, now, self.subscribers.ended)
        try:
            self.db.execute("BEGIN IMMEDIATE")
            outcomes = [self._do(transaction, command) for command in commands]
            transaction.flush()
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise disk_refusal(error) from error
        except BaseException:
            # Not the disk but a defect: roll back, and let it surface.
            self._roll_back()
            raise
        transaction.publish()
        deliveries, self.subscribers.due = self.subscribers.due, []
        return Committed(outcomes, transaction.changes, deliveries)

    def _do(self, transaction: Transaction, command: Command) -> Outcome:
        try:
            match command:
                case AppendToStream():
                    return operations.append(
                        transaction, command, self.subscribers.grew
                    )
                case CreateStream():
                    return self._create(transaction, command)
                case DeleteStream():
                    return operations.delete(transaction, command)
                case Maintain():
                    return self._tick(transaction)
                case _:
                    return self._subscription(transaction, command)
        except (Refused, ControlRefused) as refusal:
            return refusal

    def _create(self, transaction: Transaction, command: CreateStream) -> StreamCreated:
        done = operations.create(transaction, command, self.subscribers.grew)
        if done.new:
            self.subscribers.created(transaction, done.stream)
        return done

    def _subscription(
        self,
        transaction: Transaction,
        command: subscription_commands.SubscriptionCommand,
    ) -> Outcome:
        subs = self.subscribers
        match command:
            case subscription_commands.Subscribe():
                return subs.subscribe(transaction, command)
            case subscription_commands.Inspect():
                return subs.inspect(transaction, command)
            case subscription_commands.Unsubscribe():
                subs.unsubscribe(command)
            case subscription_commands.LinkStreams():
                subs.link(transaction, command)
            case subscription_commands.UnlinkStream():
                subs.unlink(command)
            case subscription_commands.ClaimWake():
                return subs.claim(transaction, command)
            case subscription_commands.Acknowledge():
                return subs.acknowledge(transaction, command)
            case subscription_commands.ReleaseWake():
                subs.release(transaction, command)
            case _:
                subs.delivered(transaction, command)
        return None

    def _tick(self, transaction: Transaction) -> bool:
        """Do some maintenance. True: more is waiting."""
        maintenance.touch(transaction)
        more = maintenance.expire(transaction)
        more = maintenance.sweep(transaction) or more
        self._trim_after = maintenance.retain(
            transaction, self.options, self._trim_after
        )
        self.subscribers.leases(transaction)
        return more

    def shrink(self) -> bool:
        """Give free pages of the file back. True: there may be more."""
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


def look_up(db: sqlite3.Connection, path: str) -> StoredStream | None:
    """The stream at a path, as a reader's connection sees it."""
    row = db.execute(stream_rows.SELECT_BY_PATH, (path,)).fetchone()
    return None if row is None else stream_rows.to_stream(row)


def disk_refusal(error: sqlite3.Error) -> Refused:
    """The refusal that a writer gets when the disk refuses."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return Refused(
            507, RefusalReason.DISK_FULL, "the disk is full; nothing was written"
        )
    if name.startswith("SQLITE_READONLY"):
        return Refused(
            503,
            RefusalReason.DISK_READ_ONLY,
            "the disk is read-only; nothing was written",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        detail = f"the file is damaged ({name}); restore a copy"
        return Refused(503, RefusalReason.DISK_FAILED, detail)
    return Refused(503, RefusalReason.DISK_FAILED, f"the disk failed ({name or error})")
