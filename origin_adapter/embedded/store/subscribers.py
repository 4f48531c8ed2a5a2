"""Subscribers: subscriptions inside the transactions that concern them.

An append, the link it makes, the wake it causes and the event in the wake stream are
one transaction: a crash leaves nothing to repair. The rules are in
``rules.subscriptions``; this module applies them to rows. Used by the writer's thread
only. After a rollback, ``reload`` takes the rows as the truth.
"""

import json
import secrets
import sqlite3
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from origin_adapter.embedded.rules import subscription_commands, subscriptions
from origin_adapter.embedded.rules.paths import literal_prefix, matches
from origin_adapter.embedded.rules.subscriptions import (
    BEFORE_FIRST,
    ControlRefused,
    Subscription,
    SubscriptionConfig,
    SubscriptionEvent,
    SubscriptionKind,
    SubscriptionPhase,
)
from origin_adapter.embedded.rules.values import StoredStream
from origin_adapter.embedded.store import subscription_rows
from origin_adapter.embedded.store.transaction import Transaction

MAX_MEMO = 50_000
Json = dict[str, Any]


class Subscribers:
    """All subscriptions, and the deliveries that they cause."""

    def __init__(self, db: sqlite3.Connection, root: str) -> None:
        self.db = db
        self.root = root
        self.due: list[subscription_commands.WebhookDelivery] = []
        self._grown: deque[StoredStream] = deque()
        self._waking = False
        self.reload()

    def reload(self) -> None:
        """Take the rows as the truth, and order the due deliveries again."""
        self._all = subscription_rows.load(self.db)
        self._followers: dict[str, tuple[str, ...]] = {}
        self._linked: set[tuple[str, str]] = set()
        self.due = [
            _delivery(sub, sub.wake_id)
            for sub in self._all.values()
            if sub.wake_id is not None and sub.next_attempt is not None
        ]

    # --- What streams do.

    def grew(self, transaction: Transaction, stream: StoredStream) -> None:
        """A stream got new bytes: link it, and wake idle subscriptions.

        A wake may write to a stream that others follow. Those streams are handled
        after it, in a queue: a long chain of wake streams is no deep recursion.
        """
        if not self._all:
            return
        self._grown.append(stream)
        if self._waking:
            return
        self._waking = True
        try:
            while self._grown:
                self._wake_followers(transaction, self._grown.popleft())
        finally:
            self._waking = False
            self._grown.clear()

    def created(self, transaction: Transaction, stream: StoredStream) -> None:
        """A stream was made: subscriptions with it as wake stream can be woken now."""
        path = self._relative(stream.path)
        for sub in list(self._all.values()):
            if sub.config.wake_stream == path and sub.phase is SubscriptionPhase.IDLE:
                self._wake_if_pending(transaction, sub, None)

    def awaits(self, id: str, wake_id: str) -> bool:
        """Whether a wake is still the current one. The event loop may ask, too."""
        sub = self._all.get(id)
        return sub is not None and sub.wake_id == wake_id

    def _wake_followers(self, transaction: Transaction, stream: StoredStream) -> None:
        path = self._relative(stream.path)
        if path is None:
            return
        for id in self._who_follows(path):
            sub = self._all[id]
            if sub.config.wake_stream == path:
                continue
            self._link_by_glob(sub, path)
            if sub.phase is SubscriptionPhase.IDLE:
                self._wake_if_pending(transaction, sub, path)

    def ended(self, stream: StoredStream) -> None:
        """A stream was deleted or its time is over."""
        path = self._relative(stream.path)
        if self._all and path is not None:
            subscription_rows.forget_stream(self.db, path)
            self._forget_memo()
            self._forget_snapshots(path)

    def leases(self, transaction: Transaction) -> None:
        """Give up the wakes whose lease has run out."""
        for sub in list(self._all.values()):
            if sub.lease_until is not None and sub.lease_until <= transaction.now:
                self._finish(transaction, sub, SubscriptionEvent.LEASE_OVER)

    # --- What requests do. Each raises ControlRefused.

    def subscribe(
        self, transaction: Transaction, command: subscription_commands.Subscribe
    ) -> tuple[Json, bool]:
        """Make a subscription or confirm it; what it is, and whether it is new."""
        there = self._all.get(command.id)
        if there is not None:
            if there.config.hash != command.config.hash:
                raise ControlRefused(
                    409, "SUBSCRIPTION_ALREADY_EXISTS", "configured otherwise"
                )
            return self._describe(transaction, there), False
        created = datetime.fromtimestamp(transaction.now, UTC)
        stamp = created.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sub = Subscription(command.id, command.config, stamp, command.base_url)
        transaction.flush()
        subscription_rows.insert(self.db, sub)
        self._all[sub.id] = sub
        self._link_explicitly(transaction, sub, command.config.streams)
        self._backfill(sub.id, command.config)
        self._forget_memo()
        return self._describe(transaction, sub), True

    def inspect(
        self, transaction: Transaction, command: subscription_commands.Inspect
    ) -> Json:
        return self._describe(transaction, self._get(command.id))

    def unsubscribe(self, command: subscription_commands.Unsubscribe) -> None:
        if self._all.pop(command.id, None) is not None:
            subscription_rows.remove(self.db, command.id)
            self._forget_memo()

    def link(
        self, transaction: Transaction, command: subscription_commands.LinkStreams
    ) -> None:
        sub = self._get(command.id)
        self._link_explicitly(transaction, sub, command.paths)
        self._forget_memo()

    def unlink(self, command: subscription_commands.UnlinkStream) -> None:
        sub = self._get(command.id)
        subscription_rows.unlink(self.db, sub.id, command.path)
        self._forget_memo()

    def claim(
        self, transaction: Transaction, command: subscription_commands.ClaimWake
    ) -> Json:
        """A worker takes the wake; its work, still without the token."""
        sub = self._get(command.id)
        self._expect(sub, SubscriptionKind.PULL_WAKE)
        progress = self._progress(transaction, sub)
        if sub.phase is not SubscriptionPhase.HELD and not any(
            s.pending for s in progress
        ):
            if sub.phase is SubscriptionPhase.WOKEN:
                # Deleted or unlinked since: the next append has to wake anew.
                self._put(subscriptions.finish(sub, SubscriptionEvent.LAPSE))
            raise ControlRefused(409, "NO_PENDING_WORK", "nothing to do")
        if sub.phase is SubscriptionPhase.IDLE:
            sub = self._wake(
                transaction, sub, next(s.path for s in progress if s.pending)
            )
        sub = self._put(subscriptions.claim(sub, command.worker, transaction.now))
        return {
            "wake_id": sub.wake_id,
            "generation": sub.generation,
            "streams": [stand.as_json(with_tail=True) for stand in progress],
            "lease_ttl_ms": sub.config.lease_ttl_ms,
        }

    def acknowledge(
        self, transaction: Transaction, command: subscription_commands.Acknowledge
    ) -> Json:
        """Move cursors; extend the lease, or finish the wake."""
        sub = self._get(command.id)
        self._expect(
            sub,
            SubscriptionKind.WEBHOOK if command.webhook else SubscriptionKind.PULL_WAKE,
        )
        subscriptions.check_fence(sub, command.fence)
        tails = {stand.path: stand.tail for stand in self._progress(transaction, sub)}
        moved = [
            subscriptions.check_ack(
                subscription_rows.find(self.db, sub.id, ack.path),
                ack.position,
                tails.get(ack.path, 0),
            )
            for ack in command.report.acks
        ]
        for link in moved:
            subscription_rows.set_acked(self.db, sub.id, link.path, link.acked)
        again = False
        if command.report.done:
            again = self._finish(transaction, sub, SubscriptionEvent.DONE)
        else:
            self._put(subscriptions.heartbeat(sub, transaction.now))
        return {"ok": True, "next_wake": again}

    def release(
        self, transaction: Transaction, command: subscription_commands.ReleaseWake
    ) -> None:
        sub = self._get(command.id)
        self._expect(sub, SubscriptionKind.PULL_WAKE)
        subscriptions.check_fence(sub, command.fence)
        self._finish(transaction, sub, SubscriptionEvent.RELEASE)

    def delivered(
        self, transaction: Transaction, command: subscription_commands.ReportDelivery
    ) -> None:
        """Note the outcome of a webhook; no effect when its wake is over by now."""
        sub = self._all.get(command.id)
        if sub is None or sub.wake_id != command.wake_id:
            return
        if not command.taken:
            sub = self._put(subscriptions.failed(sub, transaction.now, command.chance))
            self.due.append(_delivery(sub, command.wake_id))
            return
        sub = self._put(subscriptions.delivered(sub))
        if command.done:
            self._ack_snapshot(sub)
            self._finish(transaction, sub, SubscriptionEvent.DONE)

    # --- Inside.

    def _finish(
        self, transaction: Transaction, sub: Subscription, event: SubscriptionEvent
    ) -> bool:
        """The wake is over; whether the next one followed at once."""
        sub = self._put(subscriptions.finish(sub, event))
        return self._wake_if_pending(transaction, sub, None)

    def _wake_if_pending(
        self, transaction: Transaction, sub: Subscription, because: str | None
    ) -> bool:
        if (
            sub.config.kind is SubscriptionKind.PULL_WAKE
            and self._wake_stream(transaction, sub) is None
        ):
            # Without a wake stream no worker is told. It can still be claimed.
            return False
        pending = [s.path for s in self._progress(transaction, sub) if s.pending]
        if not pending:
            return False
        self._wake(transaction, sub, because if because in pending else pending[0])
        return True

    def _wake(
        self, transaction: Transaction, sub: Subscription, because: str
    ) -> Subscription:
        wake_id = f"w_{secrets.token_hex(12)}"
        sub = subscriptions.wake(sub, wake_id, transaction.now)
        if sub.config.kind is SubscriptionKind.WEBHOOK:
            progress = self._progress(transaction, sub)
            said = [stand.as_json(with_tail=True) for stand in progress]
            sub = self._put(replace(sub, snapshot=json.dumps(said)))
            self.due.append(_delivery(sub, wake_id))
        else:
            self._put(sub)
            self._write_wake(transaction, sub, because)
        return sub

    def _write_wake(
        self, transaction: Transaction, sub: Subscription, because: str
    ) -> None:
        """Append the wake event, if there is a stream for it."""
        stream = self._wake_stream(transaction, sub)
        if stream is None:
            return
        event = {
            "type": "wake",
            "subscription_id": sub.id,
            "stream": because,
            "generation": sub.generation,
            "ts": int(transaction.now * 1000),
        }
        body = json.dumps(event, separators=(",", ":")).encode()
        stream = replace(stream, tail=stream.tail + len(body), touched=transaction.now)
        transaction.put(stream)
        transaction.append_row(stream, body)
        self.grew(transaction, stream)

    def _wake_stream(
        self, transaction: Transaction, sub: Subscription
    ) -> StoredStream | None:
        stream = transaction.current(f"{self.root}{sub.config.wake_stream}")
        open_ = stream is not None and not (stream.soft_deleted or stream.closed)
        return stream if open_ else None

    def _forget_snapshots(self, path: str) -> None:
        """Drop a stream from all snapshots: the next one at its path is another."""
        for sub in list(self._all.values()):
            if sub.snapshot is not None:
                left = subscription_rows.without(sub.snapshot, path)
                if left != sub.snapshot:
                    self._put(replace(sub, snapshot=left))

    def _ack_snapshot(self, sub: Subscription) -> None:
        for said in json.loads(sub.snapshot or "[]"):
            link = subscription_rows.find(self.db, sub.id, said["path"])
            tail = int(said["tail_offset"].rpartition("_")[2])
            if link is not None and link.acked < tail:
                subscription_rows.set_acked(self.db, sub.id, link.path, tail)

    def _link_explicitly(
        self, transaction: Transaction, sub: Subscription, paths: tuple[str, ...]
    ) -> None:
        for path in paths:
            stream = transaction.current(self.root + path)
            alive = stream is not None and not stream.soft_deleted
            tail = stream.tail if stream is not None and alive else 0
            subscription_rows.link(self.db, sub.id, path, tail, explicit=True)

    def _link_by_glob(self, sub: Subscription, path: str) -> None:
        pattern = sub.config.pattern
        if pattern is None or (sub.id, path) in self._linked:
            return
        if matches(pattern, path):
            subscription_rows.link(self.db, sub.id, path, BEFORE_FIRST, explicit=False)
            self._linked.add((sub.id, path))

    def _backfill(self, id: str, config: SubscriptionConfig) -> None:
        """Link the streams that match now, at their tails: history is not replayed."""
        if config.pattern is None:
            return
        low = self.root + literal_prefix(config.pattern)
        rows = self.db.execute(
            "SELECT path, tail FROM stream WHERE path >= ? AND path < ? "
            "AND soft_deleted = 0",
            (low, low + "\U0010ffff"),
        ).fetchall()
        for absolute, tail in rows:
            path = self._relative(absolute)
            own = path == config.wake_stream
            if path is not None and not own and matches(config.pattern, path):
                subscription_rows.link(self.db, id, path, tail, explicit=False)

    def _who_follows(self, path: str) -> tuple[str, ...]:
        """The ids of subscriptions that have a link to a path, or have to get one."""
        found = self._followers.get(path)
        if found is None:
            by_glob = {
                sub.id
                for sub in self._all.values()
                if sub.config.pattern and matches(sub.config.pattern, path)
            }
            found = tuple(
                sorted(by_glob | set(subscription_rows.linked_to(self.db, path)))
            )
            if len(self._followers) > MAX_MEMO or len(self._linked) > MAX_MEMO:
                self._forget_memo()
            self._followers[path] = found
        return found

    def _forget_memo(self) -> None:
        self._followers.clear()
        self._linked.clear()

    def _progress(
        self, transaction: Transaction, sub: Subscription
    ) -> list[subscription_rows.LinkProgress]:
        transaction.flush()
        return subscription_rows.progress(self.db, self.root, sub.id)

    def _describe(self, transaction: Transaction, sub: Subscription) -> Json:
        """The answer to GET and PUT, without the signing key (section 6.3)."""
        progress = self._progress(transaction, sub)
        config = sub.config
        return {
            "id": sub.id,
            "subscription_id": sub.id,
            "type": config.type,
            "pattern": config.pattern,
            "streams": [stand.as_json(with_tail=False) for stand in progress],
            "webhook": None if config.webhook is None else {"url": config.webhook},
            "wake_stream": config.wake_stream,
            "lease_ttl_ms": config.lease_ttl_ms,
            "created_at": sub.created_at,
            "status": "failed" if sub.retries else "active",
            "description": config.description,
        }

    def _put(self, sub: Subscription) -> Subscription:
        subscription_rows.update(self.db, sub)
        self._all[sub.id] = sub
        return sub

    def _get(self, id: str) -> Subscription:
        sub = self._all.get(id)
        if sub is None:
            raise ControlRefused(404, "SUBSCRIPTION_NOT_FOUND", "no such subscription")
        return sub

    def _expect(self, sub: Subscription, kind: SubscriptionKind) -> None:
        if sub.config.kind is not kind:
            raise ControlRefused(
                400, "INVALID_REQUEST", f"not a {kind.value} subscription"
            )

    def _relative(self, path: str) -> str | None:
        """A stream's path below the root; None for a path outside it."""
        if not path.startswith(self.root):
            return None
        return path[len(self.root) :]


def _delivery(sub: Subscription, wake_id: str) -> subscription_commands.WebhookDelivery:
    return subscription_commands.WebhookDelivery(
        id=sub.id,
        wake_id=wake_id,
        generation=sub.generation,
        url=sub.config.webhook or "",
        base_url=sub.base_url,
        snapshot=sub.snapshot or "[]",
        due=sub.next_attempt or 0.0,
    )
