"""The status once a second: made once for all who watch, and only while somebody does.

Watchers read in greenlets of their own, as the admin server has them read.
"""

import json
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from edge.admin.status_feed import MAX_WATCHERS, StatusFeed
from edge.core.errors import Refusal
from edge.core.reasons import Reason

SOON = 0.01
PATIENCE = 20.0


class Document:
    """Counts how often it was made. ``made`` is set at each."""

    def __init__(self) -> None:
        self.number = 0
        self.made = Event()

    def __call__(self) -> object:
        self.number += 1
        self.made.set()
        return {"number": self.number}

    def again(self) -> None:
        """Return when it has been made once more."""
        self.made.clear()
        assert self.made.wait(PATIENCE)


@pytest.fixture
def document() -> Document:
    return Document()


@pytest.fixture
def feed(document: Document) -> Iterator[StatusFeed]:
    feed = StatusFeed(document, interval=SOON)
    yield feed
    feed.end()


def number_in(event: bytes) -> int:
    head, _, data = event.decode().partition("data: ")
    assert head == "event: status\n" and data.endswith("\n\n")
    found: int = json.loads(data)["number"]
    return found


def test_the_first_event_comes_at_once_and_others_follow(feed: StatusFeed) -> None:
    events = feed.watch()

    numbers = [number_in(next(events)) for _ in range(3)]

    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


def test_one_document_is_made_for_all(feed: StatusFeed, document: Document) -> None:
    """Beside the first one of each, who does not wait for the next second."""
    watching = [feed.watch() for _ in range(MAX_WATCHERS)]
    for events in watching:
        next(events)
    made = document.number

    seen = {next(events) for events in watching}

    assert document.number - made <= 2
    assert len(seen) <= 2


def test_nothing_is_made_while_nobody_watches(
    feed: StatusFeed, document: Document
) -> None:
    events = feed.watch()
    next(events)
    events.close()
    while feed.ticks:
        gevent.sleep(SOON)
    made = document.number

    gevent.sleep(3 * SOON)

    assert (feed.watchers, document.number) == (0, made)


def test_a_watcher_who_comes_later_has_it_begin_again(feed: StatusFeed) -> None:
    feed.watch().close()
    events = feed.watch()

    assert number_in(next(events)) < number_in(next(events))


def test_who_is_slow_misses_some_and_gets_the_newest(
    feed: StatusFeed, document: Document
) -> None:
    events = feed.watch()
    next(events)
    for _ in range(3):
        document.again()
    gevent.sleep(0)

    assert number_in(next(events)) >= 4


def test_there_are_only_so_many(feed: StatusFeed) -> None:
    watching = [feed.watch() for _ in range(MAX_WATCHERS)]
    for events in watching:
        next(events)

    with pytest.raises(Refusal) as refused:
        feed.watch()
    watching[0].close()

    assert refused.value.reason is Reason.LIMIT_WATCHERS
    assert next(feed.watch())


def test_at_the_end_all_streams_end_and_none_begins(feed: StatusFeed) -> None:
    events = feed.watch()
    next(events)
    reader = gevent.spawn(list, events)
    gevent.sleep(0)

    feed.end()

    assert reader.get(timeout=PATIENCE) is not None
    with pytest.raises(Refusal) as refused:
        feed.watch()
    assert refused.value.reason is Reason.DRAINING


def test_who_takes_nothing_is_cut(document: Document) -> None:
    """Its connection would be held for ever. Those who read are not."""
    feed = StatusFeed(document, interval=SOON, stalled=5 * SOON)
    begun, never = Event(), Event()
    read: list[bytes] = []

    def stall() -> None:
        events = feed.watch()
        next(events)
        begun.set()
        never.wait()

    def take() -> None:
        for event in feed.watch():
            read.append(event)

    stalled, taking = gevent.spawn(stall), gevent.spawn(take)
    assert begun.wait(PATIENCE)
    stalled.join(PATIENCE)

    assert stalled.ready() and not taking.ready()
    assert (feed.watchers, len(read) > 1) == (1, True)
    feed.end()
    taking.join(PATIENCE)
    assert taking.ready()


def test_a_defect_ends_the_streams_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = iter([{"number": 1}])
    feed = StatusFeed(lambda: next(told), interval=SOON)

    events = gevent.spawn(list, feed.watch()).get(timeout=PATIENCE)

    assert list(map(number_in, events)) == [1]
    assert "unexpected error telling the status" in caplog.text
