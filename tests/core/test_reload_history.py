"""What is told of reloads: how each ends, and whose result counts for whom."""

import json

from hypothesis import given
from hypothesis import strategies as st

from edge.core.reasons import Reason
from edge.core.reload_history import (
    KEPT,
    MAX_TEXT,
    MAX_TEXTS,
    ReloadHistory,
    ReloadRecord,
    ReloadResult,
)

NEW = ReloadHistory(started=100.0, succeeded=100.0)


def last(history: ReloadHistory) -> ReloadRecord:
    assert history.last is not None
    return history.last


def results(history: ReloadHistory) -> list[str]:
    return [record.result.value for record in history.records]


def refuse(history: ReloadHistory, now: float = 9.0) -> ReloadHistory:
    return history.refused(now, Reason.SETTINGS_REFUSED, ["live.linger: wrong"])


def test_before_any_reload_the_settings_of_the_start_are_in_force() -> None:
    assert (NEW.last, NEW.number, NEW.successful) == (None, 0, True)
    assert NEW.succeeded == NEW.started


def test_a_reload_is_under_way_until_its_result_stands() -> None:
    under_way = NEW.begun(101.0).taken(["live.linger"])
    done = under_way.accepted(103.0)

    assert last(under_way).under_way and last(under_way).ended is None
    assert last(done) == ReloadRecord(
        1, 101.0, 103.0, ReloadResult.ACCEPTED, changed=("live.linger",)
    )
    assert (done.succeeded, done.successful) == (103.0, True)
    assert done.counts == {"accepted": 1}


def test_one_that_is_refused_changes_nothing_and_says_why() -> None:
    done = refuse(NEW.begun(101.0))

    assert last(done).problems == ("live.linger: wrong",)
    assert last(done).reason is Reason.SETTINGS_REFUSED
    assert (done.succeeded, done.successful) == (100.0, False)


def test_one_that_failed_is_no_success_and_the_next_one_may_be() -> None:
    failed = NEW.begun(101.0).failed(102.0, Reason.NOT_STARTED, ["it did not start"])
    healed = failed.begun(103.0).accepted(104.0)

    assert (failed.successful, healed.successful) == (False, True)
    assert healed.counts == {"failed": 1, "accepted": 1}


def test_an_end_where_nothing_is_under_way_changes_nothing() -> None:
    """The master says so at the end of a reload that was refused, too."""
    refused = refuse(NEW.begun(101.0))

    assert refused.accepted(200.0) is refused
    assert refused.failed(200.0, Reason.NOT_STARTED, ()) is refused


def test_one_that_is_refused_ends_no_other_that_is_under_way() -> None:
    """A worker that is alone is replaced by the first one, while the second is read."""
    both = refuse(NEW.begun(101.0).begun(102.0))
    done = both.accepted(104.0)

    assert results(both) == ["under-way", "refused"]
    assert results(done) == ["accepted", "refused"]
    assert not done.successful and done.succeeded == 104.0


def test_one_that_overtakes_another_ends_with_it() -> None:
    """What the second one read is in force, and newer than the order for the first."""
    both = NEW.begun(101.0).taken(["a"]).begun(102.0).taken(["b"])

    assert results(both.accepted(104.0)) == ["accepted", "accepted"]
    assert results(both.failed(104.0, Reason.NOT_STARTED, ())) == ["failed", "failed"]
    assert both.accepted(104.0).counts == {"accepted": 2}


def test_the_last_ones_are_remembered_and_all_are_counted() -> None:
    history = NEW
    for number in range(KEPT + 5):
        history = history.begun(101.0 + number).accepted(101.5 + number)

    assert [one.number for one in history.records] == list(range(6, KEPT + 6))
    assert history.counts == {"accepted": KEPT + 5}


def test_what_is_told_is_bounded_and_says_that_there_is_more() -> None:
    long = ["x" * 2 * MAX_TEXT] * (MAX_TEXTS + 4)
    told = last(NEW.begun(1.0).refused(2.0, Reason.SETTINGS_REFUSED, long)).problems

    assert len(told) == MAX_TEXTS and len(told[0]) == MAX_TEXT
    assert told[-1] == "and 5 more"


steps = st.lists(st.sampled_from(["begun", "taken", "refused", "accepted", "failed"]))


@given(steps)
def test_it_is_the_same_after_it_was_json(steps: list[str]) -> None:
    """Whatever the master has noted, whoever reads it has it."""
    history, now = NEW, 100.0
    for step in steps:
        now += 1.0
        if step == "begun" or not history.records:
            history = history.begun(now)
        elif step == "taken":
            history = history.taken(["cache.memory"])
        elif step == "refused":
            history = refuse(history, now)
        elif step == "accepted":
            history = history.accepted(now)
        else:
            history = history.failed(now, Reason.NOT_STARTED, ["why"])
    read = ReloadHistory.of_data(json.loads(json.dumps(history.as_data())))

    assert read.records == history.records
    assert (read.started, read.succeeded) == (history.started, history.succeeded)
    assert {word: n for word, n in read.counts.items() if n} == history.counts
    # Each that has ended was counted once.
    ended = sum(not one.under_way for one in history.records)
    assert sum(history.counts.values()) >= ended
