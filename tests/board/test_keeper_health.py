"""When a front goes round a keeper, and when no more (W6, W7)."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.board.keeper_health import HEALTH_TABLE, BeatSign, Health, KeeperHealth
from edge.board.keeper_pulse import NEVER


class Looking:
    """A front that looks every quarter of a second at a keeper that beats or not."""

    def __init__(self) -> None:
        self.health = KeeperHealth()
        self.now = 100.0
        self.beat = NEVER

    def looks(self, seconds: float, beats: bool = True) -> list[Health]:
        """For so long; what it thought, without repetitions."""
        thought = []
        for _ in range(round(seconds * 4)):
            self.now += 0.25
            if beats:
                self.beat = self.now
            thought.append(self.health.look(self.beat, self.now))
        return [health for health, _ in itertools.groupby(thought)]


@pytest.fixture
def front() -> Looking:
    looking = Looking()
    assert looking.looks(1.0) == [Health.FRESH]
    return looking


def test_the_table_has_an_answer_to_each_look() -> None:
    assert set(HEALTH_TABLE) == set(itertools.product(Health, BeatSign))
    assert set(HEALTH_TABLE.values()) == set(Health)
    assert {health for health in Health if health.goes_round} == {
        Health.ROUND,
        Health.BACK,
    }


def test_a_keeper_is_silent_after_a_second_and_a_half_and_gone_round_after_two(
    front: Looking,
) -> None:
    """The second look at its old beat comes half a second after the first."""
    assert front.looks(1.25, beats=False) == [Health.FRESH]
    assert front.looks(0.5, beats=False) == [Health.SILENT]
    assert not front.health.health.goes_round
    assert front.looks(0.25, beats=False) == [Health.ROUND]
    assert front.looks(9, beats=False) == [Health.ROUND]


def test_a_keeper_that_was_only_late_is_not_gone_round(front: Looking) -> None:
    front.looks(1.75, beats=False)

    assert front.looks(0.25) == [Health.FRESH]


def test_it_is_gone_round_until_it_has_beaten_for_three_seconds(front: Looking) -> None:
    front.looks(5, beats=False)

    assert front.looks(3.0) == [Health.BACK]
    assert front.looks(0.25) == [Health.FRESH]


def test_one_that_comes_and_goes_is_gone_round_all_the_time(front: Looking) -> None:
    front.looks(5, beats=False)
    for _ in range(3):
        assert Health.FRESH not in front.looks(2.75)
        assert Health.FRESH not in front.looks(2, beats=False)


def test_before_its_first_beat_it_is_asked_and_at_its_first_beat_it_is_believed() -> (
    None
):
    """A front may be up before its keeper is: nobody was gone yet."""
    early = Looking()
    assert early.looks(0.5, beats=False) == [Health.SILENT]
    assert early.looks(5, beats=False) == [Health.ROUND]
    assert early.looks(0.25) == [Health.FRESH]


def test_a_machine_that_stood_still_is_no_keeper_that_does(front: Looking) -> None:
    """The front did not look either: its first look afterwards begins anew."""
    front.looks(1.75, beats=False)
    front.now += 60

    assert front.health.look(front.beat, front.now) is Health.SILENT
    assert front.looks(0.25, beats=False) == [Health.SILENT]
    assert front.looks(0.25) == [Health.FRESH]


def test_looks_in_between_bring_it_about_no_sooner(front: Looking) -> None:
    """Each write looks, too."""
    front.looks(1.25, beats=False)
    thought = set()
    for _ in range(99):
        front.now += 0.005
        thought.add(front.health.look(front.beat, front.now + 0.25))

    assert thought == {Health.SILENT}


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 13)), max_size=12))
@settings(deadline=None, max_examples=60)
def test_going_round_begins_and_ends_only_as_it_should(
    spans: list[tuple[bool, int]],
) -> None:
    """Whatever beats and silences come one after the other."""
    front = Looking()
    front.looks(0.25)
    silent, beats_since = 0.0, front.now
    for beats, quarters in spans:
        for _ in range(quarters):
            before = front.health.health
            (now,) = front.looks(0.25, beats)
            if beats and silent >= 1.5:
                beats_since = front.now
            silent = 0.0 if beats else silent + 0.25
            if now.goes_round and not before.goes_round:
                assert silent >= 2.0
            if before.goes_round and not now.goes_round:
                assert beats and front.now - beats_since >= 3.0
            assert (now in (Health.SILENT, Health.ROUND)) == (silent >= 1.5)
