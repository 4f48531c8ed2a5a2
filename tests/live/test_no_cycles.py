"""What is over is freed at once, and leaves nothing to a full collection.

One that has much to free stops the loop for longer than one that has only to look: what
polls left behind took a tenth of a second each time, in the middle of serving.
"""

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edge.core.counters import Counters
from edge.core.errors import OriginUnreachable
from edge.core.ports import UpstreamCall
from edge.core.values import Mode, OriginRequest
from edge.live.context import HubContext
from edge.live.upstream import Outcome, Upstream
from origin_adapter.scripted import data, head_answer, no_content
from tests.live.on_the_loop import HeldCall, LoopOrigin
from tests.live.support import House, TestClock, settle
from tests.support.options import hub_options

GET = OriginRequest("GET", "/v1/stream/a")


@contextmanager
def no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Done:
    """Hears how a fetch ended; the fetch alone holds it."""

    def __init__(self, told: list[Outcome]) -> None:
        self._told = told

    def __call__(self, outcome: Outcome) -> None:
        self._told.append(outcome)


def reply(held: HeldCall, call: UpstreamCall) -> None:
    held.reply(data(b"de", "0005"))


def reply_with_too_much(held: HeldCall, call: UpstreamCall) -> None:
    held.reply(data(b"x" * 11, "0005"))


def fail(held: HeldCall, call: UpstreamCall) -> None:
    held.fail(OriginUnreachable("it is away"))


def cancel(held: HeldCall, call: UpstreamCall) -> None:
    call.cancel()


@pytest.mark.parametrize("end", [reply, reply_with_too_much, fail, cancel])
def test_a_fetch_that_is_over_is_held_by_nobody(
    end: Callable[[HeldCall, UpstreamCall], None],
) -> None:
    """Neither by its call, nor by itself: the origin may keep its part of the call."""
    origin, told = LoopOrigin(), list[Outcome]()
    context = HubContext(hub_options(max_object=10), Counters(), TestClock())
    upstream = Upstream(origin, context, lambda headers: False)
    with no_collections():
        done = Done(told)
        gone = weakref.ref(done)
        call = upstream.begin(GET, done)
        del done
        assert gone() is not None
        end(origin.expect(), call)
        settle()

        assert gone() is None
    assert len(told) == (end is not cancel)


ROUNDS = 10


def unreachable() -> Counter[str]:
    """The product's objects that only a full collection frees, by their types."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        kinds = [type(one) for one in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    names = (f"{kind.__module__}.{kind.__name__}" for kind in kinds)
    return Counter(name for name in names if name.startswith("edge."))


def one_of_each(mode: Mode) -> None:
    """Cold reads, polls that bring something or nothing, a failure, and viewers."""
    origin = LoopOrigin()
    house = House(origin, backoff_first=0.001, backoff_max=0.001)
    house.ask("0003", mode)
    origin.expect().reply(head_answer("0003"))
    origin.expect().reply(data(b"de", "0005"))
    settle()
    late = house.ask("0005", mode)
    house.clock.move(20)
    origin.expect().reply(no_content("0005"))
    origin.expect().fail(OriginUnreachable("it is away"))
    origin.expect().reply(data(b"de", "0005"))
    origin.expect().reply(data(b"f", "0006", closed=True))
    assert b"f" in late.done().whole
    cold = house.ask("-1", key=house.key("/v1/stream/b"))
    origin.expect().reply(data(b"ab", "0002"))
    assert cold.done().body == b"ab"
    origin.calls.clear()
    settle()


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_reads_polls_and_viewers_leave_no_cycle(mode: Mode) -> None:
    """Nothing that comes with each of them; the hubs are still there."""
    with no_collections():
        for _ in range(ROUNDS):
            one_of_each(mode)
        left = unreachable()

    # What ends meanwhile of the tests before is not theirs.
    assert {kind: n for kind, n in left.items() if n >= ROUNDS} == {}
