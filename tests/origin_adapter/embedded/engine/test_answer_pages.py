"""Pages of a long answer: one at a time, and none that is mixed."""

import gc
import weakref
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

import gevent
import pytest

from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.options import Durability
from origin_adapter.embedded.rules import messages
from origin_adapter.embedded.rules.messages import MAX_UNJOINED
from origin_adapter.embedded.rules.refusals import Refused
from origin_adapter.embedded.rules.values import (
    ENDLESS,
    AppendToStream,
    CreateStream,
    DeleteStream,
    MessageBatch,
    StoredStream,
)
from origin_adapter.embedded.store import pages
from origin_adapter.embedded.store.pages import StoredPage
from tests.support.options import embedded_options
from tests.support.patience import PATIENCE

S = "/v1/stream/s"
TEXT = "text/plain"
STREAM = StoredStream(1, "tag", S, TEXT, ENDLESS, 0.0, tail=10)


class Parts(list[bytes]):
    """Bytes of a page, of which a test can see whether anybody still holds them."""


BODIES = [b"%d" % number * 8 for number in range(8)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    options = embedded_options(
        tmp_path,
        durability=Durability.OS,
        max_page=8,
        max_answer=64,
        recent_memory=0,
        retention_bytes=None,
        tick=0.01,
    )
    running = Engine(options)
    yield running
    running.stop()


def fill(engine: Engine, bodies: list[bytes]) -> StoredStream:
    engine.submit(CreateStream(S, TEXT))
    for body in bodies:
        engine.submit(AppendToStream(S, TEXT, MessageBatch(body)))
    return engine.living(S)


def rows_left(engine: Engine) -> int:
    found = engine.store.db.execute("SELECT count(*) FROM message").fetchone()
    return int(found[0])


def replace_it(engine: Engine) -> None:
    """Delete the stream and make another one, until nothing of the first is left."""
    engine.submit(DeleteStream(S))
    fill(engine, [b"other bytes" * 10])
    with gevent.Timeout(PATIENCE):
        while rows_left(engine) > 1:
            gevent.sleep(0.01)


def trim_it(engine: Engine) -> None:
    """Retention drops all but the last message."""
    object.__setattr__(engine.options, "retention_bytes", 8)
    with gevent.Timeout(PATIENCE):
        while rows_left(engine) > 1:
            gevent.sleep(0.01)


@pytest.mark.parametrize(
    ("befalls", "status"),
    [(replace_it, 404), (trim_it, 410)],
    ids=["deleted", "trimmed"],
)
def test_what_goes_away_in_the_middle_cuts_the_answer(
    engine: Engine, befalls: Callable[[Engine], None], status: int
) -> None:
    """What came is of one incarnation, and a prefix of what was announced (E5)."""
    stream = fill(engine, BODIES)
    first, extent = engine.opening(stream, 0)
    assert extent.end == stream.tail
    pages = engine.answer_pages(stream, first, extent.end)
    got = [next(pages), next(pages)]

    befalls(engine)
    with pytest.raises(Refused) as refused:
        got += pages

    assert refused.value.status == status
    parts = [part for page in got for part in page.parts]
    assert parts == BODIES[: len(parts)]


def test_of_a_slow_readers_answer_one_page_is_held(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the first one, nor the rows that were joined: small ones take several times
    their bytes."""
    born: list[weakref.ref[Parts]] = []

    def read(stream: StoredStream, start: int, most: int) -> StoredPage:
        parts = Parts([b"x"] * (MAX_UNJOINED + 1))
        born.append(weakref.ref(parts))
        return StoredPage(start, start + len(parts), parts)

    monkeypatch.setattr(engine, "page", read)
    first = read(STREAM, 0, 0)
    found = engine.answer_pages(STREAM, first, 4 * len(first.parts))
    del first
    body = messages.pieces(map(attrgetter("parts"), found), TEXT)

    for taken in range(1, 5):
        buffers = next(body)
        gc.collect()
        assert [ref() for ref in born] == [None] * taken
        assert b"".join(buffers) == b"x" * (MAX_UNJOINED + 1)
    assert list(body) == []


def test_a_page_holds_a_bounded_number_of_rows(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From disk, as from memory. The answer goes as far as it would."""
    monkeypatch.setattr(pages, "MAX_ROWS", 3)
    stream = fill(engine, [b"a", b"b", b"c", b"d", b"e", b"f", b"g"])
    first, extent = engine.opening(stream, 0)
    assert (len(first.parts), extent.end) == (3, stream.tail)
    found = list(engine.answer_pages(stream, first, extent.end))
    assert [len(page.parts) for page in found] == [3, 3, 1]

    engine.tail_cache.budget = 10_000
    engine.submit(DeleteStream(S))
    stream = fill(engine, [b"a", b"b", b"c", b"d"])
    assert len(engine.page(stream, 0).parts) == 3


def test_an_answer_ends_whole_where_it_was_to_end(engine: Engine) -> None:
    """What is appended meanwhile is for the next one."""
    stream = fill(engine, BODIES)
    first, extent = engine.opening(stream, 0)
    pages = engine.answer_pages(stream, first, extent.end)
    got = [next(pages)]

    engine.submit(AppendToStream(S, TEXT, MessageBatch(b"later")))
    got += pages

    assert [part for page in got for part in page.parts] == BODIES
