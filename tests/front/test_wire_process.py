"""The process on the wire: its limit of connections, its end, its log, its operator."""

import json
import signal
import socket

import pytest

from tests.front.edge_process import EdgeProcess

HIT = "/v1/stream/hit"
PARK = "/v1/stream/park?offset=7&live=long-poll"


def test_a_connection_past_the_limit_is_refused_with_an_answer() -> None:
    """E48: what cannot be evicted is refused, never left waiting."""
    with EdgeProcess({"limits": {"max_connections": 2}}) as edge:
        with edge.connect() as first, edge.connect() as second:
            for client in (first, second):
                client.get(HIT)
                assert client.read().status == 200
            with edge.connect() as third:
                third.get(HIT)
                answered = third.read()
            assert answered.status == 503
            assert answered["retry-after"] == "1"
            assert answered.problem()["reason"] == "limit-connections"
            first.get(HIT)
            assert first.read().status == 200
        with edge.admin() as operator:
            operator.get("/metrics")
            assert b'refusals_total{reason="limit-connections"} 1.0' in (
                operator.read().body
            )


def test_a_connection_that_ended_makes_room() -> None:
    """The table of connections forgets them."""
    with EdgeProcess({"limits": {"max_connections": 1}}) as edge:
        for _ in range(3):
            with edge.connect() as client:
                client.get(HIT, "Connection: close")
                assert client.read().status == 200
                assert client.ended()


def test_a_kept_connection_that_stays_silent_is_closed() -> None:
    """Without a word: nothing was asked."""
    with EdgeProcess({"limits": {"idle_timeout": 0.1}}) as edge:
        with edge.connect() as silent:
            assert silent.ended()
        with edge.connect() as client:
            client.get(HIT)
            client.read()
            assert client.ended()


def test_the_end_releases_parked_readers_and_waits_for_nobody_else() -> None:
    """E54: the hub drains, polls are answered, the process ends with 0."""
    with EdgeProcess() as edge, edge.connect() as parked, edge.connect() as idle:
        idle.get(HIT)
        idle.read()
        parked.get(PARK)
        edge.expect("parked")
        edge.terminate()
        edge.expect("draining")
        answered = parked.read()

        assert (answered.status, answered["connection"]) == (204, "close")
        assert parked.ended()
        assert idle.ended()
        edge.expect("stopped")
        assert edge.ended() == 0


def test_an_idle_connection_may_ask_once_more_while_the_edge_drains() -> None:
    """E54: no failed request; the answer says that the connection ends."""
    with EdgeProcess({"idle_grace": 20.0}) as edge, edge.connect() as client:
        client.get(HIT)
        client.read()
        edge.terminate()
        edge.expect("draining")
        client.get(HIT)
        answered = client.read()

        assert (answered.body, answered["connection"]) == (b"hello\n", "close")
        assert client.ended()


def test_a_body_that_is_being_sent_may_end_while_the_edge_drains() -> None:
    """E54: bodies are finished."""
    with EdgeProcess() as edge, edge.connect() as client:
        client.request("POST", "/v1/stream/swallow", "Content-Length: 6")
        client.send(b"abc")
        with edge.connect() as other:
            other.get(HIT)
            other.read()
        edge.terminate()
        edge.expect("draining")
        client.send(b"def")

        assert client.read().body == b"6 bytes, 6 at most"


def test_the_end_cuts_who_does_not_end_within_the_grace() -> None:
    """And the process still ends by itself, its parts stopped."""
    with EdgeProcess({"grace": 0.2}) as edge, edge.connect() as client:
        client.get("/v1/stream/endless?offset=-1&live=sse")
        client.head()
        edge.terminate()

        edge.expect("stopped")
        assert edge.ended() == 0


@pytest.mark.parametrize("fast", [True, False])
def test_an_event_stream_that_is_left_after_the_grace_ends_whole(fast: bool) -> None:
    """E54: it used to be cut before the hub was told to let it go. What its client has
    asked meanwhile is answered."""
    given = {"grace": 0.5, "idle_grace": 5.0, "front": {"fast": fast}}
    with EdgeProcess(given) as edge, edge.connect() as client:
        client.get("/v1/stream/lasting?offset=-1&live=sse")
        client.head()
        assert client.chunk() == b"data:0\n\n"
        client.get(HIT)
        edge.terminate()
        assert client.chunk() == b""
        answered = client.read()

        assert (answered.body, answered["connection"]) == (b"hello\n", "close")
        edge.expect("stopped")
        assert edge.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_an_end_at_once_still_stops_what_was_started(number: signal.Signals) -> None:
    """Nobody is waited for; connections are cut, the parts stopped, the log written."""
    with EdgeProcess() as edge, edge.connect() as parked:
        parked.get(PARK)
        edge.expect("parked")
        edge.process.send_signal(number)
        edge.expect("stopped")

        assert edge.ended() == 0
        assert parked.rest() == b""


def test_a_reload_serves_on_with_new_parts() -> None:
    """HUP: a new worker begins, the old one drains; the port never closes."""
    with EdgeProcess() as edge, edge.connect() as parked:
        parked.get(PARK)
        edge.expect("parked")
        edge.reload()
        edge.expect("draining")
        assert parked.read().status == 204
        with edge.connect() as client:
            client.get(HIT)
            assert client.read().status == 200
        edge.expect("stopped")


def test_each_request_is_one_line_in_the_log() -> None:
    """With the words of the metrics, and credentials blanked."""
    with EdgeProcess() as edge:
        with edge.connect() as client:
            client.get(f"{HIT}?%74oken=s3cret&x=1", "X-Request-Id: logged-1")
            client.read()
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            client.read()
        edge.stop()
        lines = [json.loads(line) for line in edge.log().splitlines()]

    requests = [line for line in lines if line["logger"] == "edge.access"]
    assert requests[0] == {
        "time": requests[0]["time"],
        "level": "info",
        "logger": "edge.access",
        "message": "request",
        "method": "GET",
        "path": f"{HIT}?%74oken=***&x=1",
        "status": 200,
        "bytes": 6,
        "ms": requests[0]["ms"],
        "mode": "catch-up",
        "cache": "hit; ttl=60",
        "lost": 0,
        "id": "logged-1",
        "client": "127.0.0.1",
        "host": "edge.test",
    }
    assert requests[1]["reason"] == "bad-host"
    assert any("Booting worker" in line.get("message", "") for line in lines)


def test_the_operator_sees_health_readiness_and_metrics(edge: EdgeProcess) -> None:
    """On an address of its own."""
    with edge.admin() as operator:
        for page in ("/health", "/ready"):
            operator.get(page)
            assert operator.read().status == 200
        operator.get("/metrics")
        body = operator.read().body
        assert b"ds_edge_origin_requests_per_delivery" in body
        assert b"ds_edge_viewers " in body
        operator.get("/other")
        assert operator.read().problem()["reason"] == "not-found"


def test_a_draining_edge_is_not_ready() -> None:
    """While it still answers those whom it has."""
    with EdgeProcess({"grace": 20.0}) as edge, edge.connect() as client:
        client.get("/v1/stream/forever?live=odd")
        client.head()
        edge.terminate()
        edge.expect("draining")
        with edge.admin() as operator:
            operator.get("/ready")
            answered = operator.read()
            operator.get("/health")
            assert operator.read().status == 200
        client.close()

        assert answered.status == 503
        assert answered.problem()["reason"] == "draining"


def test_an_admin_address_that_is_taken_is_an_error_at_the_start() -> None:
    """Not a surprise in a scrape."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        admin = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AssertionError, match="cannot listen on"):
            EdgeProcess(admin_address=admin).__enter__()
