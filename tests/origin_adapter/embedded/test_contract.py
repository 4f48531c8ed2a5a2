"""The embedded origin, reached as the edge does, keeps the port's contract.

Over its socket file, by the http origin: that is what stands behind the port when an
edge runs with its own origin.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.ports import Exchange, Origin
from edge.core.values import OriginRequest, Purpose
from origin_adapter.embedded.options import Durability
from origin_adapter.embedded.serve import RunningOrigin
from origin_adapter.http import HttpOrigin
from tests.support.options import embedded_options, http_options
from tests.support.origin_contract import (
    HOLD,
    TEXT,
    AwayContract,
    OriginContract,
    StreamedBodyContract,
)


class TestEmbeddedOrigin(OriginContract, StreamedBodyContract, AwayContract):
    @pytest.fixture
    def origin(self, tmp_path: Path) -> Iterator[Origin]:
        address = f"unix:{tmp_path}/socket"
        options = embedded_options(
            tmp_path / "data", durability=Durability.OS, long_poll_timeout=HOLD
        )
        with RunningOrigin(options, address):
            pool = HttpOrigin(http_options(address))
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
    def away(self, tmp_path: Path) -> Iterator[Origin]:
        pool = HttpOrigin(http_options(f"unix:{tmp_path}/nobody"))
        yield pool
        pool.close()
