"""Pages of a long answer: one ahead, within a bound, and none that is mixed."""

import gc
import weakref
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from origin_adapter.embedded.engine.engine import MAX_AHEAD, Engine
from origin_adapter.embedded.engine.read_ahead import ReadAhead
from origin_adapter.embedded.options import Durability
from origin_adapter.embedded.rules import messages
from origin_adapter.embedded.rules.messages import MAX_UNJOINED
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
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

S = "/v1/stream/s"
TEXT = "text/plain"
STREAM = StoredStream(1, "tag", S, TEXT, ENDLESS, 0.0, tail=10)


class Disk:
    """Pages of two bytes, each of which is there when it is let."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.let = Event()
        self.let.set()

    def read(self, stream: StoredStream, start: int, most: int) -> StoredPage:
        self.asked.append(start)
        self.let.wait(10)
        if start == 8:
            raise Refused(410, RefusalReason.BELOW_RETENTION, "gone")
        return StoredPage(start, start + min(2, most), [b"%02d" % start])


FIRST = StoredPage(0, 2, [b"00"])


def asked_for(disk: Disk, *starts: int) -> None:
    with gevent.Timeout(10):
        while disk.asked != list(starts):
            gevent.sleep(0)


def test_one_page_is_read_while_another_one_is_used() -> None:
    """And no more than one, however long its reader takes."""
    disk = Disk()
    pages = ReadAhead(disk.read, 9).pages(STREAM, FIRST, 6)

    assert not disk.asked
    assert next(pages) is FIRST
    asked_for(disk, 2)
    gevent.idle()
    assert disk.asked == [2]
    assert next(pages).start == 2
    asked_for(disk, 2, 4)
    assert [page.start for page in pages] == [4]
    assert disk.asked == [2, 4]


def test_who_finds_no_slot_has_its_page_read_when_it_comes_for_it() -> None:
    disk = Disk()
    ahead = ReadAhead(disk.read, 1)
    one, other = ahead.pages(STREAM, FIRST, 4), ahead.pages(STREAM, FIRST, 4)

    assert next(one) is next(other) is FIRST
    asked_for(disk, 2)
    gevent.idle()
    assert disk.asked == [2]
    assert [page.end for page in other] == [4]
    assert disk.asked == [2, 2]
    assert [page.end for page in one] == [4]
    assert ahead.free == 1


def test_a_reader_that_leaves_gives_its_slot_back_at_once() -> None:
    """Its page is still read: nobody may stop a thread."""
    disk = Disk()
    disk.let.clear()
    ahead = ReadAhead(disk.read, 1)
    pages = ahead.pages(STREAM, FIRST, 6)

    next(pages)
    asked_for(disk, 2)
    assert ahead.free == 0
    pages.close()

    assert ahead.free == 1
    disk.let.set()
    gevent.idle()
    assert disk.asked == [2]


def test_a_refusal_comes_when_its_page_would(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every page before it is whole. gevent prints nothing of it."""
    disk = Disk()
    ahead = ReadAhead(disk.read, 1)
    got: list[int] = []

    with pytest.raises(Refused):
        got.extend(page.start for page in ahead.pages(STREAM, FIRST, 10))

    assert got == [0, 2, 4, 6]
    assert ahead.free == 1
    assert disk.asked == [2, 4, 6, 8]
    assert capsys.readouterr().err == ""


class Parts(list[bytes]):
    """Bytes of a page, of which a test can see whether anybody still holds them."""


def test_what_a_slow_reader_takes_is_all_that_is_held_beside_the_page_ahead() -> None:
    """Not the first page, nor the rows that were joined: small ones take several times
    their bytes."""
    born: list[weakref.ref[Parts]] = []

    def read(stream: StoredStream, start: int, most: int) -> StoredPage:
        parts = Parts([b"x"] * (MAX_UNJOINED + 1))
        born.append(weakref.ref(parts))
        return StoredPage(start, start + len(parts), parts)

    first = read(STREAM, 0, 0)
    end = 4 * len(first.parts)
    pages = ReadAhead(read, 9).pages(STREAM, first, end)
    del first
    body = messages.pieces(map(attrgetter("parts"), pages), TEXT)

    for taken in range(1, 5):
        buffers = next(body)
        gevent.idle()
        gc.collect()
        alive = [ref() is not None for ref in born]
        assert alive == [False] * taken + [True] * (taken < 4)
        assert b"".join(buffers) == b"x" * (MAX_UNJOINED + 1)


# With a real store.

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
    with gevent.Timeout(10):
        while rows_left(engine) > 1:
            gevent.sleep(0.01)


def trim_it(engine: Engine) -> None:
    """Retention drops all but the last message."""
    object.__setattr__(engine.options, "retention_bytes", 8)
    with gevent.Timeout(10):
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
    pages = engine.read_ahead.pages(stream, first, extent.end)
    got = [next(pages), next(pages)]

    befalls(engine)
    with pytest.raises(Refused) as refused:
        got += pages

    assert refused.value.status == status
    parts = [part for page in got for part in page.parts]
    assert parts == BODIES[: len(parts)]
    assert engine.read_ahead.free == MAX_AHEAD


def test_a_page_holds_a_bounded_number_of_rows(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From disk, as from memory. The answer goes as far as it would."""
    monkeypatch.setattr(pages, "MAX_ROWS", 3)
    stream = fill(engine, [b"a", b"b", b"c", b"d", b"e", b"f", b"g"])
    first, extent = engine.opening(stream, 0)
    assert (len(first.parts), extent.end) == (3, stream.tail)
    found = list(engine.read_ahead.pages(stream, first, extent.end))
    assert [len(page.parts) for page in found] == [3, 3, 1]

    engine.tail_cache.budget = 10_000
    engine.submit(DeleteStream(S))
    stream = fill(engine, [b"a", b"b", b"c", b"d"])
    assert len(engine.page(stream, 0).parts) == 3


def test_an_answer_ends_whole_where_it_was_to_end(engine: Engine) -> None:
    """What is appended meanwhile is for the next one."""
    stream = fill(engine, BODIES)
    first, extent = engine.opening(stream, 0)
    pages = engine.read_ahead.pages(stream, first, extent.end)
    got = [next(pages)]

    engine.submit(AppendToStream(S, TEXT, MessageBatch(b"later")))
    got += pages

    assert [part for page in got for part in page.parts] == BODIES
