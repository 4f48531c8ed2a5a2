"""JwksClient: keys at a URL, fetched now and then (B15)."""

from dataclasses import dataclass, field

import gevent
import pytest
from gevent.event import Event

from edge.access.jwks_client import (
    FETCH_AGAIN_SECONDS,
    PATIENCE_SECONDS,
    STALE_SECONDS,
    JwksClient,
)
from edge.access.keys import KeySet
from edge.core.counters import Counters
from edge.core.errors import OriginTimeout
from edge.policy.streams.ways import JwksUrl
from tests.access.issuer import jwk, jwks
from tests.live.support import TestClock, settle
from tests.support.patience import PATIENCE

SOURCE = JwksUrl("https://issuer.example/keys", 600.0)
OLD = jwks(jwk("p256", kid="old"))
NEW = jwks(jwk("p256", kid="old"), jwk("rsa", kid="new"))


@dataclass(eq=False)
class Issuer:
    """Gives the document that the test sets, when the test lets it."""

    document: bytes | Exception = OLD
    asked: int = 0
    may: Event = field(default_factory=Event)

    def fetch(self, url: str) -> bytes:
        assert url == SOURCE.url
        self.asked += 1
        self.may.wait()
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


@dataclass(eq=False)
class Stage:
    """A client, its issuer and its clock."""

    issuer: Issuer = field(default_factory=Issuer)
    clock: TestClock = field(default_factory=TestClock)
    counters: Counters = field(default_factory=Counters)
    changes: int = 0

    def __post_init__(self) -> None:
        self.issuer.may.set()
        self.client = JwksClient(
            SOURCE, self.issuer.fetch, self.clock, self.counters, self._changed
        )

    def _changed(self) -> None:
        self.changes += 1

    def kids(self) -> list[str | None] | None:
        keys = self.client.keys()
        return None if keys is None else [key.kid for key in keys.keys]

    def wait(self) -> bool:
        return self.client.wait(self.clock.monotonic() + PATIENCE_SECONDS)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def warm(stage: Stage) -> None:
    """The keys are there."""
    assert stage.wait() and stage.kids() == ["old"]


def waiting(stage: Stage, count: int) -> list["gevent.Greenlet[[], bool]"]:
    """Requests that wait for keys while the issuer thinks."""
    stage.issuer.may.clear()
    greenlets = [gevent.spawn(stage.wait) for _ in range(count)]
    settle()
    return greenlets


def test_the_first_keys_are_waited_for_by_all_at_once(stage: Stage) -> None:
    """One fetch, however many ask."""
    assert stage.kids() is None
    crowd = waiting(stage, 20)
    stage.issuer.may.set()
    gevent.joinall(crowd, timeout=PATIENCE)

    assert stage.issuer.asked == 1
    assert stage.kids() == ["old"]


def test_old_keys_are_fetched_anew_beside_what_goes_on(stage: Stage) -> None:
    """Nobody waits for that."""
    warm(stage)
    stage.issuer.document = NEW
    stage.clock.move(SOURCE.refresh - 0.1)
    assert stage.kids() == ["old"]
    settle()
    assert stage.issuer.asked == 1
    stage.clock.move(0.1)

    assert stage.kids() == ["old"]
    settle()
    assert stage.kids() == ["old", "new"]
    assert stage.issuer.asked == 2


@pytest.mark.parametrize(
    "failure",
    [OriginTimeout("slow"), OSError("no route"), b"<html>", b"{}", b'{"keys": 1}'],
    ids=["slow", "away", "html", "object", "number"],
)
def test_a_fetch_that_fails_changes_nothing(
    stage: Stage, failure: bytes | Exception
) -> None:
    """The old keys go on: an hour beyond their time, and then not at all."""
    warm(stage)
    stage.issuer.document = failure
    stage.clock.move(SOURCE.refresh)
    assert stage.kids() == ["old"]
    settle()
    assert stage.kids() == ["old"]
    stage.clock.move(STALE_SECONDS - 0.1)
    assert stage.kids() == ["old"]
    stage.clock.move(0.1)

    assert stage.kids() is None
    assert stage.counters.key_fetches["failed"] >= 1
    assert stage.changes == 1


def test_two_fetches_begin_no_closer_together_than_ten_seconds(stage: Stage) -> None:
    """Whatever unknown keys are asked for."""
    warm(stage)
    for _ in range(5):
        assert not stage.wait()
    assert stage.issuer.asked == 1
    stage.clock.move(FETCH_AGAIN_SECONDS)

    assert stage.wait()
    assert stage.issuer.asked == 2


def test_an_issuer_that_is_away_is_asked_once_in_ten_seconds_too(stage: Stage) -> None:
    stage.issuer.document = OSError("no route")
    for _ in range(5):
        assert not stage.wait() and stage.kids() is None
        settle()

    assert stage.issuer.asked == 1


def test_keys_that_were_asked_for_before_are_not_the_newest(stage: Stage) -> None:
    """They are waited for all the same: most often they are those that are missed."""
    warm(stage)
    stage.issuer.document = NEW
    stage.clock.move(FETCH_AGAIN_SECONDS)
    [first] = waiting(stage, 1)
    crowd = waiting(stage, 5)
    stage.issuer.may.set()
    gevent.joinall([first, *crowd], timeout=PATIENCE)

    assert first.value is True
    assert [one.value for one in crowd] == [False] * 5
    assert stage.kids() == ["old", "new"]
    assert stage.issuer.asked == 2


def test_nobody_waits_longer_than_that(stage: Stage) -> None:
    """The fetch goes on, and serves who comes later."""
    stage.issuer.may.clear()
    until = stage.clock.monotonic() + 0.01

    assert stage.client.wait(until) is False
    stage.issuer.may.set()
    settle()
    assert stage.kids() == ["old"]


def test_only_other_keys_are_a_change(stage: Stage) -> None:
    """What was judged by the same keys still holds."""
    warm(stage)
    assert stage.changes == 1
    stage.clock.move(SOURCE.refresh)
    stage.kids()
    settle()
    assert stage.issuer.asked == 2 and stage.changes == 1
    stage.issuer.document = NEW
    stage.clock.move(SOURCE.refresh)
    stage.kids()
    settle()

    assert stage.changes == 2


def test_keys_of_no_use_are_counted_and_left_out(stage: Stage) -> None:
    """A private key in public: its issuer should hear of it."""
    stage.issuer.document = jwks(jwk("p256", kid="a"), {"kty": "oct", "k": "c2VjcmV0"})
    assert stage.wait()

    keys = stage.client.keys()
    assert isinstance(keys, KeySet) and keys.skipped == 1
    assert stage.kids() == ["a"]


def test_a_client_tells_of_itself_without_keys(stage: Stage) -> None:
    warm(stage)

    assert repr(stage.client) == f"<JwksClient {SOURCE.url} 1 keys>"
