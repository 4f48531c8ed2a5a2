"""Webhooks that are really sent, to a receiver in this process."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from gevent.pywsgi import WSGIServer
from gevent.queue import Queue

from origin_adapter.embedded.engine.webhook_dispatcher import WebhookDispatcher
from origin_adapter.embedded.serve import RunningOrigin
from tests.origin_adapter.embedded.wire import Reply, Wire
from tests.support.patience import PATIENCE

SUB = "/v1/stream/__ds/subscriptions/s"
Start = Callable[..., RunningOrigin]
Connect = Callable[[RunningOrigin], Wire]


class Receiver:
    """Takes webhooks, and answers with what the test put into ``answers``.

    Each answer names another place too, which only a redirect makes a client go to;
    ``astray`` counts who came there.
    """

    dispatcher: WebhookDispatcher

    def __init__(self) -> None:
        self.got: Queue[tuple[dict[str, Any], bytes, str]] = Queue()
        self.answers: list[tuple[str, bytes]] = []
        self.astray = 0
        self.server = WSGIServer(("127.0.0.1", 0), self.answer, log=None)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def answer(self, env: dict[str, Any], start: Any) -> list[bytes]:
        body = env["wsgi.input"].read()
        fields = [("Content-Type", "application/json"), ("Location", "/elsewhere")]
        if env["PATH_INFO"] == "/elsewhere":
            self.astray += 1
            start("200 OK", fields)
            return [b"{}"]
        self.got.put((json.loads(body), body, env["HTTP_WEBHOOK_SIGNATURE"]))
        status, said = self.answers.pop(0) if self.answers else ("200 OK", b"{}")
        start(status, fields)
        return [said]

    def next(self) -> dict[str, Any]:
        said, _, _ = self.got.get(timeout=PATIENCE)
        return said


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.server.stop()


@pytest.fixture
def origin(start: Start, receiver: Receiver) -> RunningOrigin:
    serving = start(local_webhooks=True, tick=0.02)
    receiver.dispatcher = serving.dispatcher
    return serving


def subscribe(wire: Wire, receiver: Receiver, **more: object) -> Reply:
    asked = {"type": "webhook", "pattern": "jobs/*", "webhook": {"url": receiver.url}}
    return wire.ask("PUT", SUB, json.dumps({**asked, **more}).encode())


def work(wire: Wire, path: str = "jobs/1") -> str:
    target = f"/v1/stream/{path}"
    wire.ask("PUT", target, content_type="text/plain")
    return wire.ask("POST", target, b"work", content_type="text/plain").offset


def cursor(wire: Wire, path: str = "jobs/1") -> str:
    [offset] = [
        stream["acked_offset"]
        for stream in wire.ask("GET", SUB).json["streams"]
        if stream["path"] == path
    ]
    return str(offset)


def until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(60):
        while not condition():
            gevent.sleep(0.01)


def test_a_webhook_is_signed_by_the_published_key(
    wire: Wire, receiver: Receiver
) -> None:
    """Section 7.1: Ed25519 over the timestamp and the exact body."""
    subscribe(wire, receiver)
    work(wire)
    said, body, signature = receiver.got.get(timeout=PATIENCE)
    parts = dict(part.split("=", 1) for part in signature.split(","))
    [key] = wire.ask("GET", "/v1/stream/__ds/jwks.json").json["keys"]

    def unpadded(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    assert parts["kid"] == key["kid"]
    public = Ed25519PublicKey.from_public_bytes(unpadded(key["x"]))
    public.verify(unpadded(parts["ed25519"]), parts["t"].encode() + b"." + body)
    assert said["callback_url"].startswith("http://test.example/v1/stream/__ds/")


def test_done_acks_what_the_wake_showed_and_no_more(
    wire: Wire, receiver: Receiver
) -> None:
    """New work after the snapshot wakes again, in a new generation."""
    receiver.answers = [("200 OK", b"{}")]
    subscribe(wire, receiver)
    first = work(wire)
    wake = receiver.next()
    second = work(wire)
    receiver.answers = [("200 OK", b'{"done": true}')]

    reply = callback(wire, wake, acks=[{"stream": "jobs/1", "offset": first}])

    assert reply.json == {"ok": True, "next_wake": True}
    again = receiver.next()
    assert again["generation"] == wake["generation"] + 1
    assert again["streams"][0]["acked_offset"] == first
    until(lambda: cursor(wire) == second)


def callback(wire: Wire, wake: dict[str, Any], **said: object) -> Reply:
    body = {"wake_id": wake["wake_id"], "generation": wake["generation"], "done": True}
    return wire.ask(
        "POST",
        f"{SUB}/callback",
        json.dumps({**body, **said}).encode(),
        authorization=f"Bearer {wake['callback_token']}",
    )


def test_a_failed_delivery_is_repeated_and_shown(
    wire: Wire, receiver: Receiver
) -> None:
    """The same wake, after its back-off; the status says so meanwhile."""
    receiver.answers = [("500 Oops", b""), ("200 OK", b'{"done": true}')]
    subscribe(wire, receiver)
    tail = work(wire)
    first = receiver.next()
    until(lambda: wire.ask("GET", SUB).json["status"] == "failed")

    second = receiver.next()

    assert second["wake_id"] == first["wake_id"]
    until(lambda: cursor(wire) == tail)
    assert wire.ask("GET", SUB).json["status"] == "active"


def test_a_restart_goes_on_with_what_was_due(
    start: Start, connect: Connect, receiver: Receiver
) -> None:
    """The schedule is on disk (section 7.1)."""
    receiver.answers = [("500 Oops", b"")]
    wire = connect(start(local_webhooks=True))
    subscribe(wire, receiver)
    work(wire)
    first = receiver.next()
    until(lambda: wire.ask("GET", SUB).json["status"] == "failed")

    wire = connect(start(local_webhooks=True))

    assert receiver.next()["wake_id"] == first["wake_id"]
    assert callback(wire, first, acks=[]).status == 200


def test_a_lease_that_runs_out_wakes_again(wire: Wire, receiver: Receiver) -> None:
    """Taken, but never done: another wake, and the old one is fenced off."""
    subscribe(wire, receiver, lease_ttl_ms=1000)
    work(wire)
    first, second = receiver.next(), receiver.next()
    assert second["generation"] == first["generation"] + 1
    assert callback(wire, first).json["error"]["code"] == "FENCED"
    assert callback(wire, second, acks=[]).status == 200


def test_redirects_are_not_followed(wire: Wire, receiver: Receiver) -> None:
    """A target may not lead this server elsewhere (section 12.8)."""
    receiver.answers = [("302 Found", b"")]
    subscribe(wire, receiver)
    work(wire)
    receiver.next()
    until(lambda: wire.ask("GET", SUB).json["status"] == "failed")
    assert receiver.astray == 0


def test_a_deleted_subscription_hears_nothing(wire: Wire, receiver: Receiver) -> None:
    """In-flight callbacks fail and move nothing (section 6.3)."""
    subscribe(wire, receiver)
    work(wire)
    wake = receiver.next()
    assert wire.ask("DELETE", SUB).status == 204
    reply = callback(wire, wake)
    assert (reply.status, reply.json["error"]["code"]) == (
        404,
        "SUBSCRIPTION_NOT_FOUND",
    )
    assert wire.ask("GET", SUB).status == 404


@pytest.mark.parametrize("end", ["deleted", "done"])
def test_a_wake_that_is_over_is_not_sent_again(
    wire: Wire, receiver: Receiver, end: str
) -> None:
    """A retry was due when the subscription went, or its handler called back."""
    receiver.answers = [("500 Oops", b"")]
    subscribe(wire, receiver)
    work(wire)
    wake = receiver.next()
    until(lambda: wire.ask("GET", SUB).json["status"] == "failed")

    if end == "deleted":
        wire.ask("DELETE", SUB)
    else:
        tail = wake["streams"][0]["tail_offset"]
        ack = {"stream": "jobs/1", "offset": tail}
        assert callback(wire, wake, acks=[ack]).status == 200

    with gevent.Timeout(60):
        while receiver.dispatcher._under_way:
            gevent.sleep(0.01)
    assert receiver.got.empty()


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer x.y.z", "Basic abc"])
def test_tokens_that_were_never_given(
    wire: Wire, receiver: Receiver, token: str
) -> None:
    """401 before anything is looked at (section 12.9)."""
    subscribe(wire, receiver)
    fields = {"authorization": token} if token else {}
    reply = wire.ask("POST", f"{SUB}/callback", b"{}", **fields)
    assert (reply.status, reply.json["error"]["code"]) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "carrier-pigeon"},
        {"pattern": None},
        {"pattern": 5},
        {"webhook": None},
        {"webhook": {"url": 7}},
        {"lease_ttl_ms": 999},
        {"lease_ttl_ms": 600_001},
        {"lease_ttl_ms": True},
        {"lease_ttl_ms": 1500.0},
        {"streams": "jobs/1"},
        {"streams": [1]},
        {"description": ["a"]},
    ],
)
def test_configurations_that_make_no_sense(
    wire: Wire, receiver: Receiver, change: dict[str, object]
) -> None:
    """400, and nothing is made."""
    reply = subscribe(wire, receiver, **change)
    assert (reply.status, reply.json["error"]["code"]) == (400, "INVALID_REQUEST")
    assert wire.ask("GET", SUB).status == 404


def test_the_same_configuration_confirms_and_another_conflicts(
    wire: Wire, receiver: Receiver
) -> None:
    """Section 6.2, by the hash of what was normalised."""
    assert subscribe(wire, receiver, streams=["b", "a"]).status == 201
    assert subscribe(wire, receiver, streams=["/a/", "b", "a"]).status == 200
    assert subscribe(wire, receiver, streams=["a"]).status == 409
