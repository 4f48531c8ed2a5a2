"""Fixtures: a raw origin, and a pool that must be left without a lost slot."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from origin_adapter.http import HttpOrigin
from tests.origin_adapter.http.raw_origin import Origins, Play, RawOrigin, listening
from tests.support.options import http_options


@pytest.fixture
def origins() -> Iterator[Origins]:
    """``origins(*plays, **options)`` is a raw origin and the pool that calls it.

    Afterwards no slot may be held and nobody may wait: whatever a test did to
    its calls, each must have given back what it had.
    """
    with ExitStack() as stack:
        pools: list[HttpOrigin] = []

        def make(
            *plays: Play, unix: Path | None = None, **options: Any
        ) -> tuple[RawOrigin, HttpOrigin]:
            raw = stack.enter_context(listening(*plays, unix=unix))
            pool = HttpOrigin(http_options(raw.url, **options))
            pools.append(pool)
            stack.callback(pool.close)
            return raw, pool

        yield make
        for pool in pools:
            assert repr(pool).count("0 active") == 4, repr(pool)
            assert repr(pool).count("0 waiting") == 4, repr(pool)
