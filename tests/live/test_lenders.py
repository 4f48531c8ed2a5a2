"""Whose turn it is to lend: a table that is asked without a walk. A4, B7."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import Lease, LentCredential
from edge.live.lenders import MAX_NOTED, SLACK_SECONDS, Lenders

NOW = 1000.0
TRUST = 30.0


@dataclass(eq=False)
class Viewer:
    """Somebody who waits."""

    lease: Lease


def credential(name: str, fresh_until: float = NOW + TRUST) -> LentCredential:
    return LentCredential(name, (("authorization", name),), (), fresh_until)


def viewer(name: str, fresh_until: float = NOW + TRUST) -> Viewer:
    return Viewer(Lease(NOW + 600.0, credential(name, fresh_until)))


def gathered(*viewers: Viewer) -> Lenders[Viewer]:
    lenders: Lenders[Viewer] = Lenders()
    for one in viewers:
        lenders.moved(one, waits=True)
    return lenders


def turns(lenders: Lenders[Viewer], count: int, now: float = NOW) -> list[str]:
    """Whose turn it is, so many times."""
    found: list[str] = []
    for _ in range(count):
        lease = lenders.next(now)
        if lease is None or lease.lends is None:
            return found
        found.append(lease.lends.digest)
    return found


def test_all_have_their_turn_before_one_has_it_again() -> None:
    lenders = gathered(*map(viewer, ("ann", "ben", "cai")))
    assert turns(lenders, 6) == ["ann", "ben", "cai"] * 2


def test_one_credential_has_one_turn_however_many_bring_it() -> None:
    lenders = gathered(viewer("ann"), viewer("ann"), viewer("ben"))
    assert turns(lenders, 4) == ["ann", "ben"] * 2


def test_it_lends_until_the_last_one_who_brought_it_has_left() -> None:
    first, second = viewer("ann"), viewer("ann")
    lenders = gathered(first, second)
    lenders.moved(first, waits=False)
    lenders.moved(first, waits=False)
    assert turns(lenders, 1) == ["ann"]
    lenders.moved(second, waits=False)
    assert turns(lenders, 1) == []


def test_whoever_holds_no_credential_lends_none() -> None:
    lenders = gathered(Viewer(Lease(NOW + 600.0)), viewer("ann"))
    assert turns(lenders, 2) == ["ann", "ann"]


@pytest.mark.parametrize("over", ["verdict", "lease"])
def test_it_lends_while_its_verdict_is_fresh_and_its_lease_holds(over: str) -> None:
    one = viewer("ann")
    if over == "lease":
        one.lease.ends_at = NOW + TRUST
    lenders = gathered(one)
    assert turns(lenders, 1, NOW + TRUST - 0.001) == ["ann"]
    assert turns(lenders, 1, NOW + TRUST) == []


def test_a_newer_verdict_lets_it_lend_again() -> None:
    lenders = gathered(viewer("ann"))
    later = NOW + TRUST
    assert turns(lenders, 1, later) == []
    lenders.moved(viewer("ann", later + TRUST), waits=True)
    assert turns(lenders, 1, later) == ["ann"]


def test_what_was_refused_lends_by_a_newer_verdict_alone() -> None:
    old = viewer("ann")
    lenders = gathered(old, viewer("ben"))
    assert lenders.refuse(credential("ann"), 401) == (old,)
    lenders.moved(viewer("ann"), waits=True)
    assert turns(lenders, 2) == ["ben", "ben"]
    lenders.moved(viewer("ann", NOW + TRUST + SLACK_SECONDS), waits=True)
    assert turns(lenders, 2) == ["ben", "ben"]
    lenders.moved(viewer("ann", NOW + TRUST + SLACK_SECONDS + 0.1), waits=True)
    assert sorted(turns(lenders, 2)) == ["ann", "ben"]


def test_a_refusal_outlives_those_who_brought_it() -> None:
    old = viewer("ann")
    lenders = gathered(old)
    lenders.refuse(credential("ann"), 401)
    lenders.moved(old, waits=False)
    lenders.moved(viewer("ann"), waits=True)
    assert turns(lenders, 1) == []


def test_who_rests_is_passed_over_until_it_has_rested() -> None:
    lenders = gathered(viewer("ann"), viewer("ben"))
    lenders.rest(credential("ann"), NOW + 5.0)
    assert turns(lenders, 2) == ["ben", "ben"]
    assert sorted(turns(lenders, 2, NOW + 5.0)) == ["ann", "ben"]


def test_who_was_tried_is_passed_over() -> None:
    lenders = gathered(viewer("ann"), viewer("ben"))
    assert lenders.next(NOW, ["ann", "ben"]) is None
    lease = lenders.next(NOW, ["ann"])
    assert lease is not None and lease.lends == credential("ben")


def test_what_is_remembered_is_bounded() -> None:
    """Those that may lend again soonest are forgotten first."""
    lenders = gathered(viewer("v0"))
    for number in range(2 * MAX_NOTED):
        lenders.rest(credential(f"v{number}"), NOW + 10.0 + number)
        lenders.refuse(credential(f"w{number}", NOW + number), 401)
    empty: Lenders[Viewer] = Lenders()

    assert empty.cost == 0 < lenders.cost
    assert lenders.cost == gathered_cost(2 * MAX_NOTED)
    assert turns(lenders, 1) == ["v0"]


def gathered_cost(noted: int) -> int:
    lenders: Lenders[Viewer] = Lenders()
    lenders.refuse(credential("one"), 401)
    return noted * lenders.cost


def test_two_who_read_one_log_may_disagree_and_one_cannot() -> None:
    lenders = gathered()
    lenders.latest = "ann"
    assert not lenders.disagree(7)
    lenders.has_read(7)
    assert not lenders.disagree(7)
    lenders.latest = "ben"
    assert lenders.disagree(7)
    lenders.has_read(7)
    for either in ("ann", "ben"):
        lenders.latest = either
        assert lenders.disagree(7)
    assert not lenders.disagree(8)


_NAMES = st.sampled_from("abcd")
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["come", "leave", "refuse", "rest", "next", "wait"]), _NAMES
    ),
    max_size=60,
)


@given(_STEPS)
def test_whoever_may_lend_has_its_turn_and_nobody_else(
    steps: list[tuple[str, str]],
) -> None:
    """Whatever happened: as many turns as there are lenders find each of them once. The
    newest verdict on a credential counts while anybody is here who brought it."""
    lenders: Lenders[Viewer] = Lenders()
    now, here = NOW, dict[str, list[Viewer]]()
    newest = dict[str, float]()
    refused, rests = dict[str, float](), dict[str, float]()
    for step, name in steps:
        if step == "come":
            here.setdefault(name, []).append(one := viewer(name, now + TRUST))
            lenders.moved(one, waits=True)
            newest[name] = now + TRUST
        elif step == "leave" and here.get(name):
            lenders.moved(here[name].pop(), waits=False)
        elif step == "refuse" and here.get(name):
            lenders.refuse(credential(name, now), 401)
            refused[name] = newest[name]
        elif step == "rest":
            lenders.rest(credential(name), now + 7.0)
            rests[name] = now + 7.0
        elif step == "next":
            lenders.next(now)
        elif step == "wait":
            now += 10.0
    expected = sorted(
        name
        for name, viewers in here.items()
        if viewers
        and now < newest[name]
        and newest[name] > refused.get(name, 0.0) + SLACK_SECONDS
        and now >= rests.get(name, 0.0)
    )

    assert sorted(turns(lenders, len(expected), now)) == expected
    if not expected:
        assert lenders.next(now) is None
