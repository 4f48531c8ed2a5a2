"""Results are steps: each kind is reached, in order, and nobody is left behind.

E42, E43: whoever waits is released, also when a step or its judge has a defect.
"""

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from edge.core.reasons import Reason
from edge.core.values import Framing, Mode, Purpose
from edge.live import steps
from edge.live.rows import Flight
from edge.live.steps import Again, Step, Steps
from origin_adapter.scripted import ScriptedOrigin, data, head_answer
from tests.live.memory_files import MemoryFiles
from tests.live.support import (
    House,
    RecordingSink,
    scripted,
    settle,
    warm,
    watch,
)

Story = Callable[[House, ScriptedOrigin], None]


class Broken(Exception):
    """A defect, as far as the hub can tell."""


@pytest.fixture(autouse=True)
def reported(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """What gevent's hub is told of: kept here instead of printed."""
    seen: list[type[BaseException]] = []

    def handle_error(context: Any, kind: Any, value: Any, trace: Any) -> None:
        seen.append(kind)

    monkeypatch.setattr(gevent.get_hub(), "handle_error", handle_error)
    return seen


def executed(house: House) -> list[Step]:
    """The steps that this hub executes from now on."""
    seen: list[Step] = []
    do = house.hub._do

    def noted(step: Step) -> None:
        seen.append(step)
        do(step)

    house.hub._do = noted  # type: ignore[method-assign]
    house.hub._results._do = noted
    return seen


# Each kind


def a_read_waits_for_its_bytes(house: House, origin: ScriptedOrigin) -> None:
    warm(house, origin)


def an_origin_fails(house: House, origin: ScriptedOrigin) -> None:
    house.ask()
    origin.expect().cut()


def a_guessed_offset_is_answered(house: House, origin: ScriptedOrigin) -> None:
    house.ask("0003")
    origin.expect().reply(data(b"de", "0005"))


def a_guess_is_echoed(house: House, origin: ScriptedOrigin) -> None:
    house.poll("0009")
    origin.expect().reply(head_answer("0003"))
    origin.expect().reply(data(b"", "0003"))
    settle()
    house.pass_time(1)
    origin.expect().reply(data(b"", "0009"))


def a_head_is_answered(house: House, origin: ScriptedOrigin) -> None:
    house.ask(mode=Mode.HEAD)
    origin.expect().reply(head_answer("0003"))


def a_stream_is_not_there(house: House, origin: ScriptedOrigin) -> None:
    house.ask()
    origin.expect().answer(404, (), b"no such stream")


def an_answer_is_for_one_alone(house: House, origin: ScriptedOrigin) -> None:
    for _ in range(2):
        house.ask()
    origin.expect().reply(data(b"abc", "0003", vary="*"))


def the_tail_went_back(house: House, origin: ScriptedOrigin) -> None:
    warm(house, origin)
    house.ask("0003")
    origin.expect().reply(data(b"", "0002"))


def an_answer_is_too_large(house: House, origin: ScriptedOrigin) -> None:
    house.ask()
    fields = (("content-type", "text/plain"), ("stream-next-offset", "9000"))
    size = house.options.max_object + 1
    origin.expect().head(200, fields, framing=Framing.LENGTH, content_length=size)


def a_write_replaces(house: House, origin: ScriptedOrigin) -> None:
    warm(house, origin)
    house.wrote("DELETE", 204)


def a_write_appends(house: House, origin: ScriptedOrigin) -> None:
    watch(house, origin)
    house.wrote("POST", 204, stream_next_offset="0005")


def a_write_closes(house: House, origin: ScriptedOrigin) -> None:
    watch(house, origin)
    house.wrote("POST", 204, stream_next_offset="0003", stream_closed="true")


@pytest.mark.parametrize(
    ("story", "kind"),
    [
        (a_read_waits_for_its_bytes, steps.Again),
        (an_origin_fails, steps.Fail),
        (a_guessed_offset_is_answered, steps.Give),
        (a_guess_is_echoed, steps.Hold),
        (a_head_is_answered, steps.GiveHead),
        (a_stream_is_not_there, steps.Status),
        (an_answer_is_for_one_alone, steps.Bypass),
        (an_answer_is_too_large, steps.Spooled),
        (the_tail_went_back, steps.AskHead),
        (a_read_waits_for_its_bytes, steps.LogChanged),
        (a_write_replaces, steps.Replace),
        (a_write_closes, steps.Wake),
        (a_write_appends, steps.Kick),
    ],
)
def test_each_kind_of_step_is_reached(story: Story, kind: type[Step]) -> None:
    origin = ScriptedOrigin()
    house = House(origin, MemoryFiles())
    seen = executed(house)
    story(house, origin)
    settle()

    assert kind in {type(step) for step in seen}


def test_these_are_all_kinds_of_steps() -> None:
    """The table above misses none."""
    named = {"Again", "Fail", "Give", "Hold", "GiveHead", "Status", "Bypass", "AskHead"}
    named |= {"Spooled", "LogChanged", "Replace", "Wake", "Kick"}

    assert {kind.__name__ for kind in Step.__args__} == named
    for name in named:
        assert f"\n{name} " in (steps.__doc__ or "")


# In order


def test_a_step_is_executed_before_the_next_is_computed() -> None:
    """The first reader's answer makes the second one's client leave."""
    house, origin = scripted()
    sink = RecordingSink()
    first, second, third = house.ask(sink=sink), house.ask(), house.ask()
    finish = sink.finish

    def leave() -> None:
        finish()
        assert second.pending is not None
        second.pending.gone()

    sink.finish = leave  # type: ignore[method-assign]
    seen = executed(house)
    origin.expect().reply(data(b"abc", "0003"))
    settle()

    assert first.done().body == third.done().body == b"abc"
    assert second.waits and second.sink.answer is None
    told = [step.reader for step in seen if isinstance(step, Again)]
    assert told == [first.pending, third.pending]


def test_the_log_has_grown_before_the_first_reader_is_released() -> None:
    """The range is counted and weighed once, whatever the number of readers."""
    house, origin = scripted()
    seen = executed(house)
    for _ in range(3):
        house.ask()
    origin.expect().reply(data(b"abc", "0003"))
    settle()

    assert [type(step).__name__ for step in seen] == ["LogChanged"] + ["Again"] * 3
    assert house.counters.stores == 1


# With a defect


def break_after(number: int, landed: Callable[[Flight, Any], Steps]) -> Any:
    """A judge that raises in the middle of its steps."""

    def broken(flight: Flight, outcome: Any) -> Steps:
        for count, step in enumerate(landed(flight, outcome)):
            if count == number:
                raise Broken
            yield step

    return broken


@pytest.mark.parametrize("number", range(4))
def test_a_judge_that_raises_midway_leaves_nobody_waiting(
    number: int, reported: list[type[BaseException]]
) -> None:
    """Readers released before are served; the others are refused, each once."""
    house, origin = scripted()
    judge = house.hub._results._fetches
    judge.landed = break_after(number, judge.landed)  # type: ignore[method-assign]
    crowd = [house.ask("now") for _ in range(3)]
    call = origin.expect()
    late = house.ask("now")
    call.reply(data(b"", "0003"))
    settle()

    served = [asked.done().error is None for asked in crowd]
    assert served == [n < number for n in range(3)]
    if number < 3:
        error = late.done().error
        assert error is not None and error.reason is Reason.INTERNAL
    assert reported == [Broken]
    assert len(house.hub.flights) == 0


def test_a_step_to_a_stream_that_raises_leaves_nobody_waiting(
    reported: list[type[BaseException]],
) -> None:
    house, origin = scripted()
    crowd = [house.ask() for _ in range(2)]

    def weigh(stream: Any, grew: bool = False) -> None:
        raise Broken

    call = origin.expect()
    house.hub.streams.weigh = weigh  # type: ignore[method-assign]
    call.reply(data(b"abc", "0003"))
    settle()

    for asked in crowd:
        error = asked.done().error
        assert error is not None and error.reason is Reason.INTERNAL
    assert reported == [Broken]


@pytest.mark.parametrize(
    ("answer", "act"),
    [(data(b"de", "0005"), "serve"), (head_answer("0003"), "head")],
)
def test_a_step_that_raises_ends_its_reader_alone(
    answer: Any,
    act: str,
    reported: list[type[BaseException]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first one's answer cannot be made; the others' can."""
    house, origin = scripted()
    mode = Mode.HEAD if act == "head" else Mode.CATCH_UP
    crowd = [house.ask("0003", mode) for _ in range(3)]
    delivery, right = house.hub.delivery, getattr(house.hub.delivery, act)

    def broken(reader: Any, *args: Any) -> Any:
        if reader is crowd[0].pending:
            raise Broken
        return right(reader, *args)

    monkeypatch.setattr(delivery, act, broken)
    origin.expect().reply(answer)
    settle()

    error = crowd[0].done().error
    assert error is not None and error.status == 500
    assert [asked.done().status for asked in crowd[1:]] == [200, 200]
    assert reported == [Broken] and house.counters.internal_errors == 1


def test_a_sink_that_fails_at_the_refusal_leaves_nobody_waiting(
    reported: list[type[BaseException]],
) -> None:
    """A defect of the judge and one of a front at once."""
    house, origin = scripted()
    judge = house.hub._results._fetches
    judge.landed = break_after(0, judge.landed)  # type: ignore[method-assign]
    sink = RecordingSink()

    def abort(error: Any) -> None:
        raise ZeroDivisionError

    sink.abort = abort  # type: ignore[method-assign]
    house.ask(sink=sink)
    other = house.ask()
    origin.expect().reply(data(b"abc", "0003"))
    settle()

    assert other.done().error is not None
    assert sorted(kind.__name__ for kind in reported) == [
        "Broken",
        "ZeroDivisionError",
    ]


def test_a_poll_whose_judge_raises_midway_starves_nobody(
    reported: list[type[BaseException]],
) -> None:
    """The follower ends; the next tick has the stream followed again."""
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    judge = house.hub._results._polls
    polled = judge.polled

    def broken(stream: Any, answered: Any) -> Any:
        judge.polled = polled  # type: ignore[method-assign]
        yield steps.Wake(stream)
        raise Broken

    judge.polled = broken  # type: ignore[method-assign, assignment]
    poll.reply(data(b"de", "0005"))
    settle()
    house.pass_time(0.25)
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    assert reported == [Broken]
