"""Webhooks over TLS: certificates are checked, and nobody else waits meanwhile."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent import ssl as gevent_ssl
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from origin_adapter.embedded.engine import webhooks
from origin_adapter.embedded.rules.targets import WebhookTarget
from tests.support.certificates import self_signed
from tests.support.hub_errors import HubError

NAME = "worker.test"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and its own certificate, for one name."""
    return self_signed(tmp_path, NAME)


@pytest.fixture
def worker(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, hub_errors: list[HubError]
) -> Iterator[WSGIServer]:
    """A target at the second address of its host; nothing listens at the first.

    A client that refuses its certificate ends a greenlet of the server, which the
    hub reports; so the end waits for all of them.
    """

    def answer(env: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [("X-Host", env["HTTP_HOST"])])
        return [env["wsgi.input"].read()]

    context = gevent_ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = WSGIServer(
        ("127.0.0.1", 0), answer, log=None, spawn=Pool(), ssl_context=context
    )
    server.start()

    def addresses(target: WebhookTarget) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    monkeypatch.setattr(webhooks, "_addresses", addresses)
    webhooks._trust.cache_clear()
    yield server
    webhooks._trust.cache_clear()
    server.stop(timeout=5)


def post(server: WSGIServer, host: str = NAME) -> webhooks.WebhookReply:
    url = f"https://{host}:{server.server_port}/hook"
    return webhooks.post(url, b"said", {}, local_webhooks=False)


def test_a_trusted_target_is_reached(worker: WSGIServer, certificate: Path) -> None:
    """At whichever of its addresses answers."""
    webhooks._trust().load_verify_locations(certificate)
    with gevent.Timeout(60):
        assert post(worker) == webhooks.WebhookReply(200, b"said")


def test_a_target_that_cannot_prove_its_name(
    worker: WSGIServer, certificate: Path
) -> None:
    """Unknown issuer, or another name: nothing is sent."""
    with gevent.Timeout(60), pytest.raises(webhooks.DeliveryFailed, match="verify"):
        post(worker)
    webhooks._trust().load_verify_locations(certificate)
    with gevent.Timeout(60), pytest.raises(webhooks.DeliveryFailed, match="verify"):
        post(worker, "other.test")


def test_a_target_that_never_shakes_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time-out holds, because the event loop goes on: so does everybody else."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    monkeypatch.setattr(webhooks, "_addresses", lambda target: ["127.0.0.1"])
    monkeypatch.setattr(webhooks, "TIMEOUT", 0.1)
    url = f"https://{NAME}:{silent.getsockname()[1]}/"

    with silent, pytest.raises(webhooks.DeliveryFailed, match="no answer"):
        webhooks.post(url, b"", {}, local_webhooks=False)

    assert isinstance(webhooks._trust(), ssl.SSLContext)
