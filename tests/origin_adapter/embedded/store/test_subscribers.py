"""Subscriptions where streams come, go and come back under them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from origin_adapter.embedded.options import Options
from origin_adapter.embedded.rules import subscription_commands
from origin_adapter.embedded.rules.control import Ack, Report
from origin_adapter.embedded.rules.subscriptions import Config, Denied, Fence
from origin_adapter.embedded.rules.values import Append, Batch, Create, Delete
from origin_adapter.embedded.store.store import Store, Tick

ROOT = "/v1/stream/"
TEXT = "text/plain"
NOW = 1_000_000.0


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Store]:
    opened = Store(Options(data=tmp_path))
    yield opened
    opened.close()


def do(keep: Store, *commands: object, now: float = NOW) -> list[Any]:
    return list(keep.commit(commands, now).outcomes)  # type: ignore[arg-type]  # commands of any kind


def put(path: str) -> Create:
    return Create(ROOT + path, TEXT)


def post(path: str, body: bytes = b"12345") -> Append:
    return Append(ROOT + path, TEXT, Batch(body))


def pull(id: str, pattern: str, wake: str = "wake") -> subscription_commands.Subscribe:
    config = Config("pull-wake", pattern, (), None, wake, 1000, None)
    return subscription_commands.Subscribe(id, config, "")


def hook(id: str, *streams: str) -> subscription_commands.Subscribe:
    url = "https://worker.example/"
    return subscription_commands.Subscribe(
        id, Config("webhook", None, streams, url, None, 1000, None), ""
    )


def tail(keep: Store, path: str) -> int:
    stream = keep.known.at(ROOT + path)
    assert stream is not None
    return stream.tail


def acked(keep: Store, id: str) -> list[str]:
    [said] = do(keep, subscription_commands.Inspect(id))
    return [stream["acked_offset"][-4:] for stream in said["streams"]]


def test_a_wake_whose_work_went_away_is_no_dead_end(keep: Store) -> None:
    """Woken, then the stream is deleted, then a worker asks: the next append wakes."""
    do(keep, put("wake"), put("jobs/1"), pull("s", "jobs/*"), post("jobs/1"))
    events = tail(keep, "wake")
    assert events > 0

    do(keep, Delete(ROOT + "jobs/1"))
    [denied] = do(keep, subscription_commands.ClaimWake("s", "worker"))
    assert isinstance(denied, Denied) and denied.code == "NO_PENDING_WORK"

    do(keep, put("jobs/2"), post("jobs/2"))
    assert tail(keep, "wake") > events


def test_a_wake_stream_may_be_made_later(keep: Store) -> None:
    """What was pending meanwhile is told when there is a stream to tell it in."""
    do(keep, put("jobs/1"), pull("s", "jobs/*"), post("jobs/1"), post("jobs/1"))
    do(keep, put("wake"))
    assert tail(keep, "wake") > 0


def test_a_claim_needs_no_wake_stream(keep: Store) -> None:
    """A worker that comes by itself gets what is pending."""
    do(keep, put("jobs/1"), pull("s", "jobs/*"), post("jobs/1"))
    [claimed] = do(keep, subscription_commands.ClaimWake("s", "worker"))
    assert [stream["path"] for stream in claimed["streams"]] == ["jobs/1"]


def test_acks_of_one_request_do_not_undo_each_other(keep: Store) -> None:
    """The cursor never goes back (section 7), in whatever order they are said."""
    do(keep, put("wake"), put("jobs/1"), pull("s", "jobs/*"), post("jobs/1"))
    do(keep, post("jobs/1"))
    [claimed] = do(keep, subscription_commands.ClaimWake("s", "worker"))
    generation, wake = claimed["generation"], claimed["wake_id"]
    acks = (Ack("jobs/1", 10), Ack("jobs/1", 5))

    fence = Fence(generation, generation, wake)
    report = Report(wake, generation, acks, True)
    do(keep, subscription_commands.Acknowledge("s", fence, report, webhook=False))

    assert acked(keep, "s") == ["0010"]


def test_a_snapshot_acks_nothing_of_the_streams_next_life(keep: Store) -> None:
    """Shown, deleted, made anew and written to; then the old wake is done."""
    do(keep, put("a"), put("b"), hook("s", "a", "b"), post("a", b"x" * 100))
    [said] = do(keep, post("b"), now=NOW)
    assert said is not None
    [order] = keep.subscribers._all.values()
    assert order.wake_id is not None
    do(keep, Delete(ROOT + "a"), put("a"), post("a"))

    do(keep, subscription_commands.Delivered("s", order.wake_id, True, True, 0.5))

    assert acked(keep, "s") == ["0000", "0000"]


def test_a_long_chain_of_wake_streams_is_no_deep_stack(keep: Store) -> None:
    """Each wake is written to a stream that all the others follow."""
    chain = range(400)
    do(keep, *(put(f"w/{n}") for n in chain))
    do(keep, *(pull(f"s{n}", "**", f"w/{n}") for n in chain))

    do(keep, put("jobs/1"), post("jobs/1"))

    assert all(tail(keep, f"w/{n}") > 0 for n in chain)
    assert isinstance(do(keep, Tick())[0], bool)
