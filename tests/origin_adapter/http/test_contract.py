"""The http origin, before the Node reference server, keeps the port's contract."""

from collections.abc import Iterator

import pytest

from edge.core.ports import Exchange, Origin
from edge.core.values import OriginRequest, Purpose
from origin_adapter.http import HttpOrigin
from tests.support.options import http_options
from tests.support.origin_contract import (
    HOLD,
    TEXT,
    AwayContract,
    OriginContract,
    StreamedBodyContract,
)
from tests.support.processes import free_port, node_origin


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with node_origin(long_poll_ms=int(HOLD * 1000)) as server:
        yield server.url


class TestHttpOrigin(OriginContract, StreamedBodyContract, AwayContract):
    @pytest.fixture
    def origin(self, url: str) -> Iterator[Origin]:
        pool = HttpOrigin(http_options(url))
        yield pool
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
        yield pool
        pool.close()
