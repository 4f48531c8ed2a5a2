"""When streams end by themselves (PROTOCOL.md sections 4.2 and 5.1)."""

import pytest

from origin_adapter.embedded.rules import lifetimes
from origin_adapter.embedded.rules.refusals import Refused
from origin_adapter.embedded.rules.stream_rules import draft
from origin_adapter.embedded.rules.values import ENDLESS, CreateStream, Lifetime

TTL = Lifetime(ttl=60)
OTHER_TTL = Lifetime(ttl=5)
AT = lifetimes.parse(None, "2030-01-01T00:00:00Z")
OTHER_AT = lifetimes.parse(None, "2040-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("source", "asked", "gets"),
    [
        (ENDLESS, ENDLESS, ENDLESS),
        (ENDLESS, TTL, TTL),
        (ENDLESS, AT, AT),
        (TTL, ENDLESS, TTL),
        (TTL, OTHER_TTL, OTHER_TTL),
        (TTL, AT, AT),
        (AT, ENDLESS, AT),
        (AT, TTL, TTL),
        (AT, OTHER_AT, OTHER_AT),
    ],
)
def test_what_a_fork_gets(source: Lifetime, asked: Lifetime, gets: Lifetime) -> None:
    """The table of section 4.2, row by row."""
    assert lifetimes.for_fork(asked, source) == gets


@pytest.mark.parametrize(
    "ttl", ["+1", "01", "1.0", "1e3", "-1", "", " 1", "1 ", "\u0661"]
)
def test_odd_ttls_are_refused(ttl: str) -> None:
    """Section 5.1: plain decimal, nothing else."""
    with pytest.raises(Refused):
        lifetimes.parse(ttl, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01t00:00:10.5z", 10.5),
        ("1970-01-01T01:00:10+01:00", 10.0),
    ],
)
def test_moments(text: str, moment: float) -> None:
    """RFC 3339, in any of its spellings."""
    assert lifetimes.parse(None, text).deadline == moment


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2030-01-01", "2030-13-01T00:00:00Z", "2030-01-01T00:00:00"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """A date without a zone is not a moment."""
    with pytest.raises(Refused):
        lifetimes.parse(None, text)


def test_both_at_once_are_refused() -> None:
    """Section 5.1 lets a server choose; this one refuses."""
    with pytest.raises(Refused):
        lifetimes.parse("1", "2030-01-01T00:00:00Z")


def test_a_ttl_slides_and_a_moment_does_not() -> None:
    """Reads that are not on disk yet count too."""
    sliding = draft(CreateStream("/s", lifetime=Lifetime(ttl=10)), "tag", now=100.0)
    fixed = draft(
        CreateStream("/s", lifetime=Lifetime(deadline=110.0)), "tag", now=100.0
    )

    assert not lifetimes.expired(sliding, 0.0, now=109.9)
    assert lifetimes.expired(sliding, 0.0, now=110.0)
    assert not lifetimes.expired(sliding, 105.0, now=114.9)
    assert lifetimes.expired(fixed, 109.0, now=110.0)
