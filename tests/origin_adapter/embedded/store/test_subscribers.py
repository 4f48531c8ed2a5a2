"""Subscriptions where streams come, go and come back under them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from origin_adapter.embedded.rules import subscription_commands
from origin_adapter.embedded.rules.control import Ack, WorkerReport
from origin_adapter.embedded.rules.subscriptions import (
    ControlRefused,
    Fence,
    SubscriptionConfig,
)
from origin_adapter.embedded.rules.values import (
    AppendToStream,
    CreateStream,
    DeleteStream,
    MessageBatch,
)
from origin_adapter.embedded.store.store import Maintain, Store
from tests.support.options import embedded_options

ROOT = "/v1/stream/"
TEXT = "text/plain"
NOW = 1_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(embedded_options(tmp_path))
    yield opened
    opened.close()


def do(store: Store, *commands: object, now: float = NOW) -> list[Any]:
    return list(store.commit(commands, now).outcomes)  # type: ignore[arg-type]  # commands of any kind


def put(path: str) -> CreateStream:
    return CreateStream(ROOT + path, TEXT)


def post(path: str, body: bytes = b"12345") -> AppendToStream:
    return AppendToStream(ROOT + path, TEXT, MessageBatch(body))


def pull(id: str, pattern: str, wake: str = "wake") -> subscription_commands.Subscribe:
    config = SubscriptionConfig("pull-wake", pattern, (), None, wake, 1000, None)
    return subscription_commands.Subscribe(id, config, "")


def hook(id: str, *streams: str) -> subscription_commands.Subscribe:
    url = "https://worker.example/"
    return subscription_commands.Subscribe(
        id, SubscriptionConfig("webhook", None, streams, url, None, 1000, None), ""
    )


def tail(store: Store, path: str) -> int:
    stream = store.cache.at(ROOT + path)
    assert stream is not None
    return stream.tail


def acked(store: Store, id: str) -> list[str]:
    [said] = do(store, subscription_commands.Inspect(id))
    return [stream["acked_offset"][-4:] for stream in said["streams"]]


def test_a_wake_whose_work_went_away_is_no_dead_end(store: Store) -> None:
    """Woken, then the stream is deleted, then a worker asks: the next append wakes."""
    do(store, put("wake"), put("jobs/1"), pull("s", "jobs/*"), post("jobs/1"))
    events = tail(store, "wake")
    assert events > 0

    do(store, DeleteStream(ROOT + "jobs/1"))
    [denied] = do(store, subscription_commands.ClaimWake("s", "worker"))
    assert isinstance(denied, ControlRefused) and denied.code == "NO_PENDING_WORK"

    do(store, put("jobs/2"), post("jobs/2"))
    assert tail(store, "wake") > events


def test_a_wake_stream_may_be_made_later(store: Store) -> None:
    """What was pending meanwhile is told when there is a stream to tell it in."""
    do(store, put("jobs/1"), pull("s", "jobs/*"), post("jobs/1"), post("jobs/1"))
    do(store, put("wake"))
    assert tail(store, "wake") > 0


def test_a_claim_needs_no_wake_stream(store: Store) -> None:
    """A worker that comes by itself gets what is pending."""
    do(store, put("jobs/1"), pull("s", "jobs/*"), post("jobs/1"))
    [claimed] = do(store, subscription_commands.ClaimWake("s", "worker"))
    assert [stream["path"] for stream in claimed["streams"]] == ["jobs/1"]


def test_acks_of_one_request_do_not_undo_each_other(store: Store) -> None:
    """The cursor never goes back (section 7), in whatever order they are said."""
    do(store, put("wake"), put("jobs/1"), pull("s", "jobs/*"), post("jobs/1"))
    do(store, post("jobs/1"))
    [claimed] = do(store, subscription_commands.ClaimWake("s", "worker"))
    generation, wake = claimed["generation"], claimed["wake_id"]
    acks = (Ack("jobs/1", 10), Ack("jobs/1", 5))

    fence = Fence(generation, generation, wake)
    report = WorkerReport(wake, generation, acks, True)
    do(store, subscription_commands.Acknowledge("s", fence, report, webhook=False))

    assert acked(store, "s") == ["0010"]


def test_a_snapshot_acks_nothing_of_the_streams_next_life(store: Store) -> None:
    """Shown, deleted, made anew and written to; then the old wake is done."""
    do(store, put("a"), put("b"), hook("s", "a", "b"), post("a", b"x" * 100))
    [said] = do(store, post("b"), now=NOW)
    assert said is not None
    [sub] = store.subscribers._all.values()
    assert sub.wake_id is not None
    do(store, DeleteStream(ROOT + "a"), put("a"), post("a"))

    do(
        store,
        subscription_commands.ReportDelivery("s", sub.wake_id, True, True, 0.5),
    )

    assert acked(store, "s") == ["0000", "0000"]


def test_a_long_chain_of_wake_streams_is_no_deep_stack(store: Store) -> None:
    """Each wake is written to a stream that all the others follow."""
    chain = range(400)
    do(store, *(put(f"w/{n}") for n in chain))
    do(store, *(pull(f"s{n}", "**", f"w/{n}") for n in chain))

    do(store, put("jobs/1"), post("jobs/1"))

    assert all(tail(store, f"w/{n}") > 0 for n in chain)
    assert isinstance(do(store, Maintain())[0], bool)
