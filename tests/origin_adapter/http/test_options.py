"""Where an origin's url points, and what is refused."""

import pytest

from edge.core.values import Purpose
from origin_adapter.http import HttpOrigin
from origin_adapter.http.options import OriginAddress
from tests.support.options import http_options


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://a:4437", OriginAddress("a:4437", host="a", port=4437)),
        ("http://a", OriginAddress("a", host="a", port=80)),
        ("https://a", OriginAddress("a", host="a", port=443, tls=True)),
        ("http://a/base/", OriginAddress("a", prefix="/base", host="a", port=80)),
        ("http://[::1]:8", OriginAddress("[::1]:8", host="::1", port=8)),
        ("unix:/run/o.sock", OriginAddress("localhost", unix_path="/run/o.sock")),
    ],
)
def test_urls(url: str, address: OriginAddress) -> None:
    assert OriginAddress.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a:1",
        "ftp://a",
        "http://",
        "http://:80",
        "unix:o.sock",
        "http://u:p@a",
        "http://a?x=1",
        "http://a#x",
        "http://a:99999",
        "http://a/b c",
    ],
)
def test_a_url_that_cannot_be_used_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"origin url|[Pp]ort"):
        HttpOrigin(http_options(url))


def test_a_bad_host_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="Host"):
        HttpOrigin(http_options("http://a", host="a\r\nX: 1"))


def test_held_calls_have_their_own_patience() -> None:
    """A relayed long-poll holds its head as long as a follower's does."""
    options = http_options(
        "http://a", head_timeout=1, hold_timeout=2, idle_timeout=1.5, total_timeout=9
    )

    each = {purpose: options.timeouts(purpose) for purpose in Purpose}
    assert {timeouts.send for timeouts in each.values()} == {1.5}
    held = {Purpose.FOLLOW: 2, Purpose.RELAY: 2}
    assert {each[p].head for p in Purpose if p not in held} == {1}
    assert {p: each[p].head for p in held} == held
    assert each.pop(Purpose.RELAY).body == 2
    assert each.pop(Purpose.EVENTS).body is None
    assert {timeouts.body for timeouts in each.values()} == {1.5}
    assert each.pop(Purpose.CATCH_UP).total == 9
    assert {timeouts.total for timeouts in each.values()} == {None}
