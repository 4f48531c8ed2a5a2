"""Staleness: how long held bytes may be shown while the origin is away (U4)."""

import pytest

from edge.core.values import OriginAnswer
from edge.policy.streams.admission import stale_limit
from edge.policy.streams.decide import may_go_stale, stale_seconds
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import OriginWay
from edge.streamlog.stream_log import StreamLog

WALL = 1_800_000_000.0


def a_log(confirmed_at: float = 0.0) -> StreamLog:
    log = StreamLog(1, hold=60.0)
    log.tail.confirm(confirmed_at)
    log.last_read_sent = confirmed_at
    return log


@pytest.mark.parametrize(
    ("cache_control", "limit"),
    [
        (None, None),
        ("public, max-age=60", None),
        ("stale-if-error=600", 600.0),
        ('max-age=1, stale-if-error="600"', 600.0),
        ("stale-if-error=0", 0.0),
        ("stale-if-error=soon", None),
        ("stale-if-error=" + "9" * 13, None),
        ("must-revalidate", 0.0),
        ("Proxy-Revalidate, stale-if-error=600", 0.0),
        ("no-cache", 0.0),
        ("no-store", None),
    ],
)
def test_the_origins_own_word_on_stale_answers(
    cache_control: str | None, limit: float | None
) -> None:
    """RFC 5861 section 4, RFC 9111 section 5.2.2."""
    fields = () if cache_control is None else (("cache-control", cache_control),)

    assert stale_limit(OriginAnswer(200, fields, b"x")) == limit


@pytest.mark.parametrize(
    ("caches", "limit"), [("ds-edge/shield; hit", None), ("other; hit", 0.0)]
)
def test_an_edges_own_cache_control_forbids_nothing(
    caches: str, limit: float | None
) -> None:
    """U4: at the tail each edge says ``must-revalidate`` by itself (L16)."""
    fields = (
        ("cache-control", "public, max-age=0, must-revalidate"),
        ("cache-status", caches),
    )

    assert stale_limit(OriginAnswer(200, fields, b"x")) == limit


@pytest.mark.parametrize(
    ("stale_for", "told", "after", "may"),
    [
        (3600.0, None, 3600.0, True),
        (3600.0, None, 3601.0, False),
        (3600.0, 600.0, 600.0, True),
        (3600.0, 600.0, 601.0, False),
        (60.0, 600.0, 61.0, False),
        (3600.0, 0.0, 0.0, False),
        (0.0, None, 0.0, False),
    ],
)
def test_the_lesser_of_the_routes_limit_and_the_origins_counts(
    stale_for: float, told: float | None, after: float, may: bool
) -> None:
    """U4: from the last confirmation on."""
    log, route = a_log(), Route(stale_for=stale_for)
    log.stale_limit = told

    assert may_go_stale(log, route, after, WALL) is may


def test_what_was_never_confirmed_is_never_shown() -> None:
    log = StreamLog(1, hold=60.0)

    assert not may_go_stale(log, Route(), 0.0, WALL)


def test_no_stale_answer_outlives_its_stream() -> None:
    """U4, L23: neither an expiry nor a TTL that no read has renewed."""
    expiring, sliding = a_log(), a_log()
    expiring.expires_at = WALL + 10
    sliding.ttl = 30

    assert may_go_stale(expiring, Route(), 9.0, WALL + 9)
    assert not may_go_stale(expiring, Route(), 10.0, WALL + 10)
    assert may_go_stale(sliding, Route(), 29.0, WALL)
    assert not may_go_stale(sliding, Route(), 30.0, WALL)


@pytest.mark.parametrize(("stale_for", "limit"), [(3600.0, 60.0), (10.0, 10.0)])
def test_where_the_origin_judges_stale_answers_go_out_for_twice_its_word(
    stale_for: float, limit: float
) -> None:
    """U4, A17: whoever was let in stays so as long."""
    route = Route(stale_for=stale_for, ways=(OriginWay(30.0),))

    assert stale_seconds(route) == limit
    assert may_go_stale(a_log(), route, limit, WALL)
    assert not may_go_stale(a_log(), route, limit + 1, WALL)
    assert stale_seconds(Route(stale_for=stale_for)) == stale_for
