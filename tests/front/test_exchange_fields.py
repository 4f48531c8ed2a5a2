"""What every answer carries: Cache-Status as text (RFC 9211), and CORS."""

import re

import pytest

from edge.core.reasons import Reason
from edge.core.values import CacheStatus, Node
from edge.front.exchange import (
    RequestContext,
    cache_status,
    cache_status_field,
    common_fields,
)
from edge.policy.streams.routes import Route


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (CacheStatus(hit=True), "e; hit"),
        (CacheStatus(hit=True, ttl=-3), "e; hit; ttl=-3"),
        (CacheStatus(fwd="miss", stored=True), "e; fwd=miss; stored"),
        (
            CacheStatus(fwd="stale", fwd_status=200, stored=True, collapsed=True),
            "e; fwd=stale; fwd-status=200; stored; collapsed",
        ),
        (
            CacheStatus(fwd="bypass", detail=Reason.NO_STORE),
            "e; fwd=bypass; detail=no-store",
        ),
        (CacheStatus(detail=Reason.ORIGIN_TIMEOUT), "e; detail=origin-timeout"),
        (CacheStatus(), "e"),
    ],
)
def test_hit_miss_collapsed_and_stored_are_told_apart(
    status: CacheStatus, text: str
) -> None:
    """E55, and the eighth lesson from the public edge: a shared answer is no hit."""
    assert cache_status("e", status) == text


def test_a_hit_is_never_forwarded_too() -> None:
    """RFC 9211 section 2.1: the two exclude each other."""
    assert "fwd" not in cache_status(
        "e", CacheStatus(hit=True, fwd="miss", collapsed=True)
    )


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_word_is_a_token(reason: Reason) -> None:
    """RFC 9211 section 2.8: detail is a token or a string; ours need no quotes."""
    assert re.fullmatch(r"[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*", reason.value)


def test_the_members_of_the_caches_above_come_first() -> None:
    """RFC 9211 section 2. The log has this cache's own member alone."""
    status = CacheStatus(fwd="miss", upstream="o; hit, ds-edge/shield; hit")

    assert cache_status_field("e", status) == "o; hit, ds-edge/shield; hit, e; fwd=miss"
    assert cache_status("e", status) == "e; fwd=miss"
    assert cache_status_field("e", CacheStatus(hit=True)) == "e; hit"


@pytest.mark.parametrize("origin", ["https://app.test", "https://evil.test", None])
def test_a_problem_that_no_application_wrote_is_for_the_pages_of_the_list_too(
    origin: str | None,
) -> None:
    """A19, B23: a defect, behind which the connection closes."""
    route = Route(cors_origins=("https://app.test",))
    ctx = RequestContext("GET", "/", "id", route=route, origin=origin)
    fields = common_fields(ctx, Node("e", "1"))
    allowed = [value for name, value in fields if name.endswith("Allow-Origin")]

    assert allowed == ([origin] if origin == "https://app.test" else [])
    assert ("Vary", "Origin") in fields
