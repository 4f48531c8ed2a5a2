"""Tokens are taken back from a running edge, with real processes on both sides.

A10, B12, B13. Viewers wait, each with a token of its own, when an operator's order
comes: over the admin address, or by the command. It holds through reloads, new workers
and restarts.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.front.edge_process import Answered, Client
from tests.support.processes import Edge, NodeOrigin, ds_edge, edge, node_origin
from tests.support.talk import ask
from tests.whole.crowd import PATH, call
from tests.whole.test_access import (
    BOTH,
    THROUGH,
    append,
    bearer,
    client,
    created,
    get,
    token,
)

PATIENCE = 60.0
ADMIN_TOKEN = "s3cret-token"
ROUTES = [{"match": "/v1/stream/**", "access": BOTH}]


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


def before(origin: NodeOrigin, orders: Path, workers: int, **settings: Any) -> Any:
    """An edge that keeps its orders in this file."""
    own = {
        "access": {"revocations": str(orders)},
        "admin": {"token": ADMIN_TOKEN},
        "shutdown": {"grace": "1s"},
    }
    return edge(origin.url, routes=ROUTES, workers=workers, **own, **settings)


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    return tmp_path / "state" / "revocations"


def revoke(running: Edge, **order: str) -> tuple[int, Any]:
    """Give an order: the status, and what is told."""
    fields = {
        "authorization": f"Bearer {ADMIN_TOKEN}",
        "content_type": "application/json",
    }
    body = json.dumps(order).encode()
    status, _, told = ask(running.admin + "/access/revoke", "POST", body, **fields)
    return status, json.loads(told)


def by_command(running: Edge, *arguments: str, given: str = "") -> str:
    """Give an order as a person does; what the person reads."""
    done = subprocess.run(
        ds_edge("revoke", *arguments, "--config", str(running.config)),
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def why(answered: Answered) -> tuple[int, object]:
    return answered.status, answered.problem()["reason"]


REVOKED = (401, "token-revoked")


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    time_out = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < time_out
        threading.Event().wait(0.05)


def watching(running: Edge, text: str, mode: str, offset: str, *fields: str) -> Client:
    """A viewer that waits, or has its event stream."""
    one = client(running)
    one.get(f"{PATH}?offset={offset}&live={mode}", bearer(text), *fields)
    return one


def of(sub: str) -> str:
    return token(sub, iat=int(time.time()) - 5, jti=f"id-{sub}")


ORDERS: dict[str, Callable[[Edge, str, str], object]] = {
    "subject": lambda edge, sub, _: revoke(edge, subject=sub),
    "id": lambda edge, sub, _: revoke(edge, jti=f"id-{sub}"),
    "token": lambda edge, _, text: revoke(edge, token=text),
    "command": lambda edge, sub, _: by_command(edge, "--subject", sub),
    "command, token": lambda edge, _, text: by_command(
        edge, "--token-file", "-", given=text + "\n"
    ),
}


@pytest.fixture(scope="module")
def shared_edge(
    origin: NodeOrigin, workers: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """For orders that each name somebody else's token."""
    folder = tmp_path_factory.mktemp("orders")
    with before(origin, folder / "revocations", workers) as running:
        yield running


@pytest.mark.parametrize("named", ORDERS)
@THROUGH
def test_of_three_viewers_one_ends_and_hears_why(
    shared_edge: Edge, named: str, whole: tuple[str, ...]
) -> None:
    """A10: the others go on with the same one poll; after the order not a byte."""
    offset = created(shared_edge)
    gone, *others = (f"{name}-{named}-{len(whole)}" for name in ("a", "b", "c"))
    text = of(gone)
    with contextlib.ExitStack() as leaving:

        def waiting(sub: str) -> tuple[Client, Client]:
            poll, stream = (
                leaving.enter_context(watching(shared_edge, text, mode, offset, *whole))
                for text in [text if sub == gone else of(sub)]
                for mode in ("long-poll", "sse")
            )
            stream.until(b"upToDate")
            return poll, stream

        poll, stream = waiting(gone)
        crowd = [waiting(sub) for sub in others]
        asked = polls(shared_edge)
        ORDERS[named](shared_edge, gone, text)

        ended = poll.read()
        assert (ended.status, ended["stream-next-offset"]) == (204, offset)
        assert not ended.all("stream-up-to-date")
        rest = stream.until(b"0\r\n\r\n")
        append(shared_edge, 1)
        for their_poll, their_stream in crowd:
            assert their_poll.read().body == b"<1>"
            assert b"<1>" in their_stream.until(b"<1>")
        assert polls(shared_edge) - asked <= 2
        assert b"<1>" not in rest
        for one in (poll, stream):
            one.get(f"{PATH}?offset={offset}", bearer(text), *whole)
            assert why(one.read()) == REVOKED


@THROUGH
def test_who_signs_in_again_is_let_in_again(
    shared_edge: Edge, whole: tuple[str, ...]
) -> None:
    """B13: a token that was issued after the order's second."""
    created(shared_edge)
    sub = f"grace-{len(whole)}"
    assert get(shared_edge, PATH, bearer(of(sub)), *whole).status == 200
    revoke(shared_edge, subject=sub)
    later = token(sub, iat=int(time.time()) + 1)

    assert why(get(shared_edge, PATH, bearer(of(sub)), *whole)) == REVOKED
    assert get(shared_edge, PATH, bearer(later), *whole).status == 200


def test_it_is_told_in_the_log_and_in_the_metrics(shared_edge: Edge) -> None:
    """The order itself, by whom it was about; and no token anywhere."""
    offset, text = created(shared_edge), of("erin")
    with watching(shared_edge, text, "sse", offset) as one:
        one.until(b"upToDate")
        assert revoke(shared_edge, subject="erin")[1]["grants_ended"] == 1
        one.until(b"0\r\n\r\n")
    said = "revoked by order: subject erin, issuer any: 1 grants ended"
    log = shared_edge.process.log
    until(lambda: said in log.read_text())
    told = metrics(shared_edge)

    mine = 'viewers_ended_total{reason="revoked"}', 'revocations_total{by="subject"}'
    for counted in mine:
        [times] = re.findall(rf"^ds_edge_{re.escape(counted)} (\S+)$", told, re.M)
        assert float(times) >= 1
    assert text not in log.read_text() and "erin" not in told


def metrics(running: Edge) -> str:
    fields = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    return ask(running.admin + "/metrics", "GET", b"", **fields)[2].decode()


def polls(running: Edge) -> int:
    """Polls that were sent to the origin for all viewers."""
    found = re.search(r"ds_edge_follower_polls_total (\d+)", metrics(running))
    assert found is not None
    return int(found[1])


def test_an_order_holds_after_a_reload_and_after_a_restart(
    origin: NodeOrigin, orders: Path, workers: int
) -> None:
    """B13: it lies in a file that the next process reads before it accepts."""
    text = of("alice")
    with before(origin, orders, workers) as running:
        created(running)
        assert get(running, PATH, bearer(text)).status == 200
        assert revoke(running, subject="alice")[0] == 200
        pids = _workers(running)
        os.kill(running.process.pid, signal.SIGHUP)
        until(lambda: not pids & _workers(running))
        for _ in range(3):
            assert why(get(running, PATH, bearer(text))) == REVOKED
    assert (orders.stat().st_mode & 0o777, orders.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    with before(origin, orders, workers) as running:
        assert why(get(running, PATH, bearer(text))) == REVOKED
        assert get(running, PATH, bearer(of("bob"))).status == 200


def _workers(running: Edge) -> set[int]:
    children = f"/proc/{running.process.pid}/task/{running.process.pid}/children"
    return {int(pid) for pid in Path(children).read_text().split()}


def test_orders_that_come_while_workers_are_replaced_are_known_to_all(
    origin: NodeOrigin, orders: Path, workers: int
) -> None:
    """1: a new worker has read the file; 2: the old one is given an order; 3: the new
    one accepts. Whichever of them answered the operator, no token lets in by any of
    them once a tick has come; and none is forgotten."""
    texts = [of(f"user-{number}") for number in range(12)]
    with before(origin, orders, workers) as running:
        created(running)
        for number, text in enumerate(texts):
            if number % 4 == 0:
                os.kill(running.process.pid, signal.SIGHUP)
            assert get(running, PATH, bearer(text)).status == 200
            assert revoke(running, subject=f"user-{number}")[0] == 200
        for text in texts:
            until(
                lambda text=text: why_now(running, text) == {REVOKED}  # type: ignore[misc]
            )
        # With two there is a keeper besides.
        until(lambda: len(_workers(running)) == 2 * workers - 1)
        assert {why(get(running, PATH, bearer(text))) for text in texts} == {REVOKED}
    written = json.loads(orders.read_text())["revocations"]
    assert {one["subject"] for one in written} == {f"user-{n}" for n in range(12)}


def why_now(running: Edge, text: str) -> set[tuple[int, object]]:
    told = [get(running, PATH, bearer(text)) for _ in range(4)]
    return {(t.status, t.problem()["reason"] if t.status != 200 else "") for t in told}


def test_an_order_holds_in_a_worker_that_took_over(
    origin: NodeOrigin, orders: Path
) -> None:
    """Recycled after some requests."""
    recycle = {"after_requests": 20, "least_age": "0s"}
    with before(origin, orders, 1, recycle=recycle) as running:
        created(running)
        text = of("alice")
        assert revoke(running, subject="alice")[0] == 200
        pids = _workers(running)
        while pids & _workers(running):
            assert why(get(running, PATH, bearer(text))) == REVOKED
            get(running, PATH, bearer(of("bob")))
        assert why(get(running, PATH, bearer(text))) == REVOKED


def test_an_order_that_cannot_be_written_is_in_force_and_is_written_later(
    origin: NodeOrigin, orders: Path, workers: int
) -> None:
    with before(origin, orders, workers) as running:
        created(running)
        text = of("alice")
        orders.parent.rename(orders.parent.with_name("away"))
        status, told = revoke(running, subject="alice")
        assert (status, told["reason"]) == (503, "not-written")
        assert why(get(running, PATH, bearer(text))) == REVOKED
        orders.parent.with_name("away").rename(orders.parent)
        until(orders.exists)
    with before(origin, orders, workers) as running:
        assert why(get(running, PATH, bearer(text))) == REVOKED


@pytest.mark.parametrize("octets", [b"", b'{"version": 1, "revoc'])
def test_with_a_damaged_file_the_edge_does_not_start(
    origin: NodeOrigin, orders: Path, octets: bytes, tmp_path: Path
) -> None:
    """And says which file that is; it is not taken for an empty one."""
    orders.parent.mkdir()
    orders.write_bytes(octets)
    config = tmp_path / "edge.yaml"
    settings = {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "origin": {"url": origin.url},
        "routes": ROUTES,
        "access": {"revocations": str(orders)},
    }
    config.write_text(json.dumps(settings))
    done = subprocess.run(
        ds_edge("serve", "-c", str(config)), capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert f"access.revocations: {orders} is damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert orders.read_bytes() == octets


def test_a_write_needs_a_token_that_is_not_revoked(shared_edge: Edge) -> None:
    created(shared_edge)
    text = of("frank")
    url = shared_edge.url + PATH
    fields = {"Authorization": f"Bearer {text}"}
    call("POST", url, b"<1>", **fields)
    revoke(shared_edge, jti="id-frank")
    status, _, told = ask(url, "POST", b"<2>", authorization=f"Bearer {text}")

    assert (status, json.loads(told)["reason"]) == REVOKED
