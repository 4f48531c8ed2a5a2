"""What tables are counted for is what they take in memory, within a factor (U15).

Each table that clients can fill is filled with what is worst for it, once for nothing
and then under ``tracemalloc``. The estimates are in ``edge.core.costs``.
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from edge.core import costs
from edge.core.errors import OriginAway, OriginBodyCut
from edge.core.reasons import Reason
from edge.core.values import (
    LentCredential,
    Mode,
    OriginAnswer,
    Partition,
    PartitionKind,
    Read,
)
from edge.front.fast.request_memo import MAX_LINES, RequestMemo
from edge.live.answer_cache import MAX_ANSWERS
from edge.live.control import HubControl
from edge.live.hub import Hub
from edge.live.lenders import MAX_NOTED, Lenders
from edge.live.rows import MAX_LARGE_STARTS, Reader, Stream
from edge.policy.streams.contact import Contact
from edge.policy.streams.pipeline import RequestPipeline
from edge.policy.streams.routes import Route
from edge.streamlog.foreign_writes import MAX_FOREIGN, MAX_LENGTH, ForeignWrites
from edge.wiring import SystemClock
from origin_adapter.scripted import LivingOrigin, data
from tests.live.support import House, RecordingSink, scripted, settle, warm, watch
from tests.support.options import front_options
from tests.support.patience import PATIENCE

COUNT = 150
PLENTY = 1 << 30


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


def memory() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def counted(hub: Hub) -> int:
    """All that the hub says it holds."""
    gauges = HubControl(hub).gauges()
    return int(gauges["bytes_held"] + gauges["bytes_prepared"])


def check(held: int, cost: int) -> None:
    """Never half as much again as is counted; and not a third of it either, for then
    the memory would lie idle."""
    assert cost / 3 < held < 1.5 * cost, f"{held} B held, {cost} B counted"


def fill(house: House, ask: Callable[[int], object]) -> None:
    """Ask a few times for nothing, then see what as many as COUNT cost.

    Three times, of which the middle one counts: what earlier tests left behind may run
    and allocate meanwhile.
    """
    for number in range(20):
        ask(number)
    found = []
    for first in (20, 20 + COUNT, 20 + 2 * COUNT):
        before = memory(), counted(house.hub)
        for number in range(first, first + COUNT):
            ask(number)
        found.append((memory() - before[0], counted(house.hub) - before[1]))
    check(*sorted(found, key=lambda pair: pair[0] / pair[1])[1])


def ask_of(
    house: House, offset: str = "-1", extension: str = ""
) -> Callable[[int], object]:
    def ask(number: int) -> None:
        key = house.key(f"/v1/stream/{number}", extension=extension)
        house.ask(offset, key=key).done()

    return ask


def test_names_that_do_not_exist() -> None:
    house = House(LivingOrigin(), memory=PLENTY)
    fill(house, ask_of(house))
    assert len(house.hub.streams) == 3 * COUNT + 20


def test_names_that_a_client_made_long() -> None:
    """The key is all that such a row costs."""
    house = House(LivingOrigin(), memory=PLENTY)

    def ask(number: int) -> None:
        # A text of its own, as it comes from the wire.
        ask_of(house, extension=f"{number}=" + "x" * 4000)(number)

    fill(house, ask)


def test_credentials_that_a_client_made_up() -> None:
    """A row keeps the fields that go upstream with each of its reads."""
    house = House(LivingOrigin(), memory=PLENTY)

    def ask(number: int) -> None:
        given = f"Bearer {number}".ljust(4000, "x")
        partition = Partition(
            PartitionKind.CREDENTIAL, f"{number:064d}", (("authorization", given),)
        )
        key = house.key(f"/v1/stream/{number}", partition)
        house.ask(key=key).done()

    fill(house, ask)


def test_names_that_are_only_asked_for_their_tail() -> None:
    origin = LivingOrigin()
    for number in range(3 * COUNT + 20):
        origin.create(f"/v1/stream/{number}")
    house = House(origin, memory=PLENTY)
    fill(house, ask_of(house, "now"))


@pytest.mark.parametrize("size", [1, 2000])
def test_streams_that_are_read_once(size: int) -> None:
    house, origin = scripted(memory=PLENTY)

    def ask(number: int) -> None:
        asked = house.ask(key=house.key(f"/v1/stream/{number}"))
        origin.expect().reply(data(b"x" * size, f"{size:016d}"))
        asked.done()
        origin.calls.clear()

    fill(house, ask)


def test_credentials_that_were_refused() -> None:
    """A row remembers them: they lend no more by the same verdict (B7)."""
    digests = [f"{number:064d}" for number in range(2 * MAX_NOTED)]
    before, lenders = memory(), Lenders[Reader]()
    for digest in digests[:MAX_NOTED]:
        lenders.refuse(LentCredential(digest, (), (), float(digest)), 401)
    for digest in digests[MAX_NOTED:]:
        lenders.rest(LentCredential(digest, (), (), 0.0), float(digest))
    check(memory() - before + sum(map(sys.getsizeof, digests)), lenders.cost)


def test_a_refusal_of_a_large_page_of_words() -> None:
    """What an origin that is away answered is kept for who asks next (U2)."""
    house, origin = scripted(memory=PLENTY, breaker=False)

    def ask(number: int) -> None:
        asked = house.ask("now", key=house.key(f"/v1/stream/{number}"))
        origin.expect().reply(OriginAnswer(503, (), bytes([number % 256]) * 9000))
        assert asked.done().status == 503
        origin.calls.clear()

    fill(house, ask)


def test_what_is_noted_of_a_stream() -> None:
    """Each note is bounded in number, and counts."""
    house, origin = scripted(memory=PLENTY)
    warm(house, origin)
    [held] = house.hub.streams
    rows = [Stream(held.key, held.route, held.log) for _ in range(50)]
    before = memory(), sum(row.cost for row in rows)
    for row in rows:
        for number in range(MAX_LARGE_STARTS + 10):
            row.mark_large(f"{number:016d}", 0.5 + number, Reason.TOO_LARGE)
        fields = tuple((f"name-{n}", f"value {n}" * 3) for n in range(20))
        row.contact = Contact()
        row.contact.read_failed(OriginAway("", OriginAnswer(503, fields)), 1.0, 1.0)
    check(memory() - before[0], sum(row.cost for row in rows) - before[1])


def test_what_is_noted_of_foreign_writes() -> None:
    before, notes = memory(), [ForeignWrites() for _ in range(50)]
    for foreign in notes:
        for number in range(MAX_FOREIGN + 10):
            name = f"{number}=".ljust(MAX_LENGTH, "x")
            foreign.note(name, f"{number:016d}", number, 1.0)

    check(memory() - before, sum(foreign.cost for foreign in notes))


def test_a_write_elsewhere_is_counted_at_once() -> None:
    house, origin = scripted()
    _, poll = watch(house, origin)
    poll.reply(data(b"de", "0005"))
    origin.expect()
    house.clock.move(1)
    before = house.hub.streams.cost
    house.wrote("POST", 204, "awareness=me", stream_next_offset="0900")

    noted = costs.FOREIGN + len("awareness=me")
    assert house.hub.streams.cost == before + noted


def test_events_of_a_few_bytes() -> None:
    """A stream of tokens makes as many of them as its followers see, if they are more
    than one."""
    house, origin = scripted(memory=PLENTY)
    viewer, call = watch(house, origin, "0000", Mode.SSE)
    other = house.ask("0000", Mode.SSE)
    settle()

    def ask(number: int) -> None:
        nonlocal call
        call.reply(data(b"x", f"{number + 1:04d}"))
        call = origin.expect()
        settle()
        viewer.sink.written.clear()
        other.sink.written.clear()
        origin.calls.clear()

    fill(house, ask)


def test_answers_that_are_kept_to_be_given_again() -> None:
    """At worst their rows are gone, and live on by them alone."""
    origin = LivingOrigin()
    house = House(origin, memory=PLENTY)

    def ask(number: int) -> None:
        path = f"/v1/stream/{number}"
        origin.create(path)
        origin.append(path, b"x" * 20)
        origin.finish(path)
        read = Read(house.key(path), if_none_match=f'"{number}"'.ljust(200, "x"))
        for _ in range(2):
            sink = RecordingSink()
            house.hub.ask(read, sink, house.clock.monotonic())
            assert sink.ended.wait(PATIENCE)
        origin.remove(path)
        assert house.hub.streams._forget_one()

    fill(house, ask)
    assert len(house.hub.answer_cache) >= COUNT
    assert len(house.hub.streams) == 0


def test_places_where_readers_wait() -> None:
    """The same: each stands for one that its reader has left."""
    origin = LivingOrigin()
    house = House(origin, memory=PLENTY, linger=0.0)
    waited: list[str] = []

    def ask(number: int) -> None:
        path = f"/v1/stream/{number}"
        tail = origin.create(path)
        read = Read(house.key(path), tail, Mode.LONG_POLL)
        for _ in range(2):
            pending = house.hub.ask(read, RecordingSink(), house.clock.monotonic())
            settle()
            assert pending is not None
            pending.gone()
        waited.append(path)
        origin.remove(path)
        settle()
        house.pass_time(1)
        assert house.hub.streams._forget_one()

    fill(house, ask)
    assert len(house.hub.answer_cache._park_hints) >= COUNT
    assert len(house.hub.streams) == 0


def test_kept_answers_and_places_have_one_share_of_the_memory() -> None:
    house, origin = scripted(memory=100 * 8 * costs.PARK_HINT)
    watch(house, origin)
    settle()
    for number in range(1000):
        pending = house.poll("0003", number).pending
        assert pending is not None
        pending.gone()
        cache = house.hub.answer_cache
        assert cache.cost <= 100 * costs.PARK_HINT
    assert 0 < len(cache._park_hints) <= 100 < MAX_ANSWERS


def test_a_fault_that_is_kept_holds_nothing_of_the_call_that_met_it() -> None:
    """Its frames have the pieces of the body that had come."""
    house, origin = scripted()
    warm(house, origin)
    house.clock.move(61)
    asked = house.ask()
    call = origin.expect()
    call.head(200)
    call.piece(b"x" * 1000)
    call.cut()
    asked.done()
    [row] = house.hub.streams
    assert row.contact is not None
    fault = row.contact.fault

    assert isinstance(fault, OriginBodyCut)
    assert [fault.__traceback__, fault.__context__, fault.__cause__] == [None] * 3


def test_memos_of_heads_are_bounded_beside_the_cache() -> None:
    """They are not in ``cache.memory``: full of the longest that they remember, they
    take less than half of what a worker is allowed beside it."""
    pipeline = RequestPipeline((Route(),))
    memo = RequestMemo(pipeline, front_options(), SystemClock())
    before, last = memory(), None
    for number in range(MAX_LINES - 1):
        name = f"{number}".ljust(400, "x")
        head = f"GET /v1/stream/{name}?offset=-1 HTTP/1.1\r\nHost: a\r\nX: {'y' * 400}"
        raw = f"{head}\r\n\r\n".encode()
        for _ in range(2):
            last, plain = memo.head(raw, len(raw) - 4, last)
            assert plain is not None

    assert len(memo.heads) > MAX_LINES - 2
    assert memory() - before < 64 * 1024 * 1024
