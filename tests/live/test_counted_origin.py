"""What is counted of the calls to one origin; and that it changes none of them."""

from collections.abc import Iterator

import gevent
import pytest

from edge.core.counters import Counters
from edge.core.errors import NotAsked, OriginFault
from edge.core.ports import Exchange, Origin
from edge.core.values import OriginRequest, Provenance, Purpose
from edge.live.counted_origin import CountedOrigin
from origin_adapter.http import HttpOrigin
from origin_adapter.scripted import ScriptedOrigin
from tests.support.options import http_options
from tests.support.origin_contract import (
    HOLD,
    TEXT,
    AwayContract,
    Client,
    OriginContract,
    Recorder,
    StreamedBodyContract,
    whole,
)
from tests.support.patience import PATIENCE
from tests.support.processes import free_port, node_origin


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with node_origin(long_poll_ms=int(HOLD * 1000)) as server:
        yield server.url


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def origin(url: str, counters: Counters) -> Iterator[Origin]:
    pool = HttpOrigin(http_options(url))
    yield CountedOrigin(pool, counters)
    pool.close()


@pytest.fixture
def away(counters: Counters) -> Iterator[Origin]:
    pool = HttpOrigin(http_options(f"http://127.0.0.1:{free_port()}"))
    yield CountedOrigin(pool, counters)
    pool.close()


class TestCountedOrigin(OriginContract, StreamedBodyContract, AwayContract):
    @pytest.fixture
    def origin(self, url: str) -> Iterator[Origin]:
        pool = HttpOrigin(http_options(url))
        yield CountedOrigin(pool, Counters())
        pool.close()

    @pytest.fixture
    def unfinished(self, origin: Origin) -> Iterator[Exchange]:
        """An event stream."""
        origin.open(OriginRequest("PUT", "/v1/stream/events", TEXT, Purpose.WRITE))
        target = "/v1/stream/events?offset=-1&live=sse"
        exchange = origin.open(OriginRequest("GET", target, (), Purpose.RELAY))
        yield exchange
        exchange.close()

    @pytest.fixture
    def away(self) -> Iterator[Origin]:
        pool = HttpOrigin(http_options(f"http://127.0.0.1:{free_port()}"))
        yield CountedOrigin(pool, Counters())
        pool.close()


def test_requests_are_counted_by_purpose_and_bodies_by_bytes(
    origin: Origin, counters: Counters
) -> None:
    """By whichever way they are asked."""
    client = Client(origin)
    client.create()
    client.append(b"seven b")
    assert whole(client.get("-1")) == b"seven b"
    assert client.begin("GET", "offset=-1").wait().body == b"seven b"

    assert counters.origin_requests == {"write": 2, "catch-up": 2}
    assert counters.bytes_from_origin == 14
    assert counters.origin_faults == counters.origin_statuses == {}


def test_failures_are_counted_by_reason(away: Origin, counters: Counters) -> None:
    client = Client(away)
    with pytest.raises(OriginFault):
        client.get("-1")
    client.begin("GET", "offset=-1").wait()

    assert counters.origin_faults == {"origin-unreachable": 2}


@pytest.mark.parametrize(
    ("status", "purpose", "counted"),
    [
        (200, Purpose.CATCH_UP, {}),
        (404, Purpose.CATCH_UP, {}),
        (429, Purpose.FOLLOW, {"429": 1}),
        (503, Purpose.CATCH_UP, {"503": 1}),
        (503, Purpose.WRITE, {}),
    ],
)
@pytest.mark.parametrize("waits", [True, False])
def test_a_status_that_refuses_a_read_is_counted(
    status: int,
    purpose: Purpose,
    counted: dict[str, int],
    waits: bool,
    counters: Counters,
) -> None:
    scripted = ScriptedOrigin()
    origin = CountedOrigin(scripted, counters)
    request = OriginRequest("GET", "/v1/stream/x", (), purpose)
    recorder = Recorder()
    if waits:
        gevent.spawn(origin.open, request)
    else:
        recorder.call = origin.begin(request, recorder)
    scripted.expect().answer(status)
    gevent.idle()

    assert counters.origin_statuses == counted


def test_what_was_not_asked_is_no_failure(url: str, counters: Counters) -> None:
    """It is refused at a limit of the edge's own, which is counted elsewhere."""
    options = http_options(url, catch_up_connections=1, connect_timeout=0.1)
    pool = HttpOrigin(options)
    origin = CountedOrigin(pool, counters)
    client = Client(origin)
    client.create()
    target = f"{client.path}?offset=-1&live=sse"
    held = origin.open(OriginRequest("GET", target, (), Purpose.CATCH_UP))
    with pytest.raises(NotAsked):
        client.get("-1")
    assert isinstance(client.begin("GET", "offset=-1").wait().fault, NotAsked)
    held.close()
    pool.close()

    assert counters.origin_faults == {}
    assert counters.origin_requests["catch-up"] == 3


def test_provenance_is_handed_on(counters: Counters) -> None:
    scripted = ScriptedOrigin()
    request = OriginRequest("GET", "/v1/stream/x", (), Purpose.CATCH_UP)
    opening = gevent.spawn(CountedOrigin(scripted, counters).open, request)
    told = Provenance(3.0)
    scripted.expect().answer(200, provenance=told)

    assert getattr(opening.get(timeout=PATIENCE), "provenance", None) == told
