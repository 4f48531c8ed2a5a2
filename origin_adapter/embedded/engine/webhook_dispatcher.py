"""WebhookDispatcher: sends due webhooks, by a greenlet per subscription.

At most one delivery per subscription is under way. A newer one replaces the older one,
whose wake is over. The outcome of an attempt goes to the store as a command, and the
next attempt comes from the store as a new delivery. The schedule is thus always the one
on disk, and a restart continues it.
"""

import json
import logging
import random
import time
from urllib.parse import quote

import gevent
from gevent.lock import BoundedSemaphore

from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.engine.signing import SigningKeys
from origin_adapter.embedded.engine.webhooks import DeliveryFailed, post
from origin_adapter.embedded.rules import subscription_commands
from origin_adapter.embedded.rules.refusals import Refused

MAX_AT_ONCE = 64

_log = logging.getLogger(__name__)


class WebhookDispatcher:
    """Sends the deliveries that commits bring."""

    def __init__(self, engine: Engine, keys: SigningKeys) -> None:
        self.engine = engine
        self.keys = keys
        self._slots = BoundedSemaphore(MAX_AT_ONCE)
        self._under_way: dict[str, gevent.Greenlet[..., None]] = {}

    def dispatch(self, delivery: subscription_commands.WebhookDelivery) -> None:
        """Send a delivery when it is due. Never switches greenlets."""
        older = self._under_way.pop(delivery.id, None)
        if older is not None:
            older.kill(block=False)
        greenlet = gevent.spawn(self._deliver, delivery)
        self._under_way[delivery.id] = greenlet

    def stop(self) -> None:
        """Send nothing more. Due webhooks are sent after the next start."""
        gevent.killall(list(self._under_way.values()))

    def _deliver(self, delivery: subscription_commands.WebhookDelivery) -> None:
        gevent.sleep(max(0.0, delivery.due - time.time()))
        with self._slots:
            if not self.engine.awaits(delivery):
                self._forget_me(delivery)
                return
            taken, done = self._attempt(delivery)
        # From here on a newer delivery must not kill this greenlet.
        self._forget_me(delivery)
        chance = random.random()
        told = subscription_commands.ReportDelivery(
            delivery.id, delivery.wake_id, taken, done, chance
        )
        try:
            self.engine.submit(told)
        except Refused as refusal:
            # The disk refuses: the lease will end this wake and begin another one.
            _log.warning("webhook of %s: %s", delivery.id, refusal.reason.value)

    def _forget_me(self, delivery: subscription_commands.WebhookDelivery) -> None:
        if self._under_way.get(delivery.id) is gevent.getcurrent():
            del self._under_way[delivery.id]

    def _attempt(
        self, delivery: subscription_commands.WebhookDelivery
    ) -> tuple[bool, bool]:
        """One POST: whether the target took it, and said that it is done."""
        now = time.time()
        body = json.dumps(self._said(delivery, now)).encode()
        headers = {
            "Content-Type": "application/json",
            "Webhook-Signature": self.keys.sign(body, now),
        }
        local = self.engine.options.local_webhooks
        try:
            reply = post(delivery.url, body, headers, local)
        except DeliveryFailed as failure:
            _log.warning("webhook of %s: %s", delivery.id, failure)
            return False, False
        if not 200 <= reply.status < 300:
            _log.warning("webhook of %s: status %d", delivery.id, reply.status)
            return False, False
        return True, _says_done(reply.body)

    def _said(
        self, delivery: subscription_commands.WebhookDelivery, now: float
    ) -> dict[str, object]:
        root = self.engine.options.root
        return {
            "subscription_id": delivery.id,
            "wake_id": delivery.wake_id,
            "generation": delivery.generation,
            "streams": json.loads(delivery.snapshot),
            "callback_url": (
                f"{delivery.base_url}{root}__ds/subscriptions/"
                f"{quote(delivery.id, safe='')}/callback"
            ),
            "callback_token": self.keys.token(delivery.id, delivery.generation, now),
        }


def _says_done(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("done") is True
