"""Two regions lose their origin: short, with real processes, and only counted.

``docs/outage.md`` tells the same at length, with figures.
"""

import pytest

from tests.whole.outage.audience import Part, judge
from tests.whole.outage.story import MODES, REGIONS, Plan, Story, Told, tell

PLAN = Plan(viewers=3, rounds=5, pace=0.2, long_poll="2s", sse="3s")
EACH = PLAN.viewers * len(REGIONS)
OUTAGE = ("killed", "503")
POLLS = 10
"""Requests for reads at the origin in a phase of a few seconds: polls and checks of one
follower, and its back-off. A crowd that asked by itself would make hundreds."""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(PLAN, tmp_path_factory.mktemp("outage"))


def reads(told: Told) -> int:
    """Requests for reads that reached the origin, or what stood before it."""
    return sum(n for what, n in told.origin.items() if not what.startswith("write "))


def test_every_byte_is_the_logs_and_nothing_acknowledged_is_lost(story: Story) -> None:
    """By every viewer and reader, in both lives of the stream; nothing stale claims to
    be all, and no life comes back."""
    assert story.wrong == []


@pytest.mark.parametrize("phase", OUTAGE)
def test_viewers_hear_nothing_of_an_outage(story: Story, phase: str) -> None:
    """U2: their polls time out, and their event streams end, as on a quiet day."""
    met = story.told[phase].phase.met

    assert set(met.get("long-poll", ())) <= {"204"}
    assert set(met.get("sse", ())) <= {"200", "end"}


@pytest.mark.parametrize("phase", OUTAGE)
def test_readers_are_given_all_that_is_held_with_its_age(
    story: Story, phase: str
) -> None:
    told = story.told[phase].phase
    stale, fresh = told.count("catch-up", "200 stale"), told.count("catch-up", "200")

    assert stale + fresh == told.count("catch-up")
    assert stale == len(told.ages) >= PLAN.rounds
    if phase == "503":
        assert fresh == 0
        assert max(told.ages) >= max(story.told["killed"].phase.ages)


def test_writes_are_tried_and_told_the_truth(story: Story) -> None:
    """They pass one to one: nobody is told that a write was taken which was not."""
    met = {name: set(told.phase.met["writer"]) for name, told in story.told.items()}

    assert met["calm"] == {"204"}
    assert met["killed"] <= {"502", "504"}
    assert met["503"] <= {"502", "503"}
    assert "204" in met["back"] and "404" in met["gone"] and "204" in met["made again"]


@pytest.mark.parametrize("phase", OUTAGE)
def test_the_outage_costs_the_origin_no_more_than_a_calm_day(
    story: Story, phase: str
) -> None:
    assert reads(story.told[phase]) <= POLLS
    assert reads(story.told["back"]) <= POLLS + story.told["back"].phase.count(
        "writer", "204"
    )


def test_everybody_goes_on_where_he_was_when_the_origin_is_back(story: Story) -> None:
    """Nothing is read twice, and no log is dropped."""
    told = story.told["back"]

    for mode in MODES:
        assert len(told.phase.first[f"{mode} bytes"]) == EACH
        assert not told.phase.count(mode, "404", "502", "503", "cut", "led back")
    for node, grown in told.counters.items():
        assert not [name for name in grown if name.startswith("drops")], node


def test_everybody_is_told_that_the_stream_is_gone_and_by_nothing_else(
    story: Story,
) -> None:
    """U3: by the first answer of the origin that is back, and not in turns with 502."""
    told = story.told["gone"].phase

    for mode in MODES:
        assert len(told.first[f"{mode} gone"]) == EACH
        assert set(told.met[mode]) <= {"404", "204", "200", "end"}


def test_everybody_has_the_stream_that_was_made_again(story: Story) -> None:
    told = story.told["made again"].phase

    for mode in MODES:
        assert len(told.first[f"{mode} bytes"]) == EACH
        assert not told.count(mode, "502", "503", "cut")


# The judge itself.


LOGS = {"A": b"A000001;A000002;", "B": b"B000003;"}


@pytest.mark.parametrize(
    "parts",
    [
        [Part(8, b"A000001;")],
        [Part(0, b"A000002;")],
        [Part(0, b"A000001;B000003;")],
        [Part(0, b"B000003;"), Part(0, b"A000001;")],
        [Part(0, b"C000001;")],
    ],
    ids=["misplaced", "a gap", "mixed", "came back", "unknown"],
)
def test_the_judge_finds_what_no_log_holds(parts: list[Part]) -> None:
    assert judge(parts, LOGS)


def test_the_judge_takes_what_the_logs_hold() -> None:
    parts = [Part(8, b"A000002;"), Part(0), Part(0, b"B000003;"), Part(0, b"B000003;")]

    assert judge(parts, LOGS) == []
