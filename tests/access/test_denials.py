"""Denials: how many bad credentials a client may show, and what costs nothing (B18).

With one worker, and with fronts of a node to which a client comes in turn (W17).
"""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.denials import OF_STREAMS, Denials
from edge.core.reasons import Reason
from tests.access.denying import BAD, Place, is_within, refused

HERE, THERE = "192.0.2.1", "192.0.2.2"
ALONE = 1

either = pytest.mark.parametrize("fronts", [ALONE, 3], ids=["worker", "node"])


@either
def test_so_many_are_judged_at_once_and_so_many_again_in_a_time(fronts: int) -> None:
    place = Place(fronts, 100, 10.0)

    assert place.shown(HERE, 1000) == 100
    place.now += 1.0
    assert place.shown(HERE, 1000) == 10
    place.now += 60.0
    assert place.shown(HERE, 1000) == 100


@either
def test_it_is_told_when_to_come_back_and_that_is_true(fronts: int) -> None:
    place = Place(fronts, 2, 60.0)
    place.shown(HERE, 2)

    assert place.refused(HERE, "new") == 30
    place.now += 29.75
    assert place.refused(HERE, "new") == 1
    place.now += 0.25
    assert place.refused(HERE, "new") is None


@pytest.mark.parametrize("count", [1, 3, 7, 1000])
@either
def test_an_allowance_is_whole_whatever_part_of_a_unit_a_step_is(
    count: int, fronts: int
) -> None:
    """And comes back whole, at the latest a unit for each after its time."""
    place = Place(fronts, count, 1.0)
    place.now += 0.000_321

    assert place.shown(HERE, 2 * count + 1) == count
    place.now += 1.0 + count / 1000
    assert place.shown(HERE, 2 * count + 1) == count


@either
def test_no_part_of_a_unit_is_given_away(fronts: int) -> None:
    """A seventh of a second is not over after 142 ms."""
    place = Place(fronts, 7, 1.0)
    place.shown(HERE, 7)
    place.now += 0.142
    assert place.refused(HERE, "new") is not None
    place.now += 0.001
    assert place.refused(HERE, "new") is None


@either
def test_good_credentials_cost_nothing(fronts: int) -> None:
    """However many a client has: a crowd behind one address."""
    place = Place(fronts, 2, 60.0)
    for number in range(1000):
        assert place.refused(HERE, f"good {number}") is None
        place.let_in(f"good {number}")

    assert place.shown(HERE, 10) == 2


@either
def test_who_was_let_in_is_judged_whatever_others_show_at_its_address(
    fronts: int,
) -> None:
    place = Place(fronts, 2, 60.0)
    place.let_in("good")
    place.shown(HERE, 10)

    for _ in range(fronts):
        assert place.refused(HERE, "new") is not None
        assert place.refused(HERE, "good") is None


@either
def test_the_end_of_a_good_credential_is_told_and_costs_nothing(fronts: int) -> None:
    """A thousand tokens that end at once behind one address: each hears 401, and the
    new ones are let in. A second *no* to the same one counts, wherever it is said."""
    place = Place(fronts, 2, 60.0)
    for number in range(1000):
        place.let_in(f"good {number}")
    for number in range(1000):
        assert place.refused(HERE, f"good {number}") is None
        place.denied(HERE, f"good {number}")

    assert place.refused(HERE, "newer") is None
    for number in range(2):
        assert not place.knows(f"good {number}")
        place.denied(HERE, f"good {number}")
    assert place.refused(HERE, "good 2") is not None


@pytest.mark.parametrize("reason", OF_STREAMS)
@either
def test_what_is_about_a_stream_says_nothing_against_a_good_credential(
    reason: Reason, fronts: int
) -> None:
    """Of one that nobody knows it counts: it may have been made up to ask so."""
    place = Place(fronts, 1, 60.0)
    place.let_in("good")
    for _ in range(10):
        place.denied(HERE, "good", reason)
    assert place.knows("good")
    assert place.refused(HERE, "new") is None

    place.denied(HERE, "new", reason)
    assert place.refused(HERE, "newer") is not None


@either
def test_no_credential_is_never_a_good_one(fronts: int) -> None:
    """An endpoint may let in by the address alone: that says nothing of others who
    have none."""
    place = Place(fronts, 1, 60.0)
    place.let_in("")
    place.denied(HERE, "")

    assert place.refused(HERE, "") is not None


@either
def test_one_client_is_not_refused_for_another(fronts: int) -> None:
    place = Place(fronts, 1, 60.0)
    place.shown(HERE, 10)

    assert place.refused(THERE, "new") is None


@either
def test_who_has_no_address_has_no_bound(fronts: int) -> None:
    """Clients by a unix socket are not told apart, and so are not counted."""
    assert Place(fronts, 1, 60.0).shown("", 1000) == 1000


def test_without_a_bound_nothing_is_counted() -> None:
    place = Place(ALONE, inf)

    assert place.shown(HERE, 1000) == 1000
    assert len(place.each[0]) == 0


def test_100_000_bad_ones_in_a_minute_from_one_address() -> None:
    """The burst, and ten in each second after it."""
    place, judged = Place(ALONE), 0
    for _ in range(1000):
        judged += place.shown(HERE, 100)
        place.now += 0.06

    assert 690 <= judged <= 700
    assert len(place.each[0]) == 1


def test_100_000_bad_ones_in_a_minute_from_1_000_addresses() -> None:
    """Each is within its bound. What is kept of them is one entry for each address, and
    goes with the next *no* once they have stopped."""
    place, judged = Place(ALONE), 0
    addresses = [f"198.51.{n // 250}.{n % 250}" for n in range(1000)]
    for _ in range(100):
        judged += sum(place.shown(address, 1) for address in addresses)
        place.now += 0.6

    assert judged == 100_000
    assert len(place.each[0]) <= 1000
    place.now += 120.0
    place.denied(HERE, "bad")
    assert len(place.each[0]) == 1


def test_both_tables_are_bounded_and_the_oldest_client_is_forgiven() -> None:
    denials = Denials(lambda: 1000.0, 1, 60.0, max_clients=10, max_known=10)
    for number in range(1000):
        denials.denied(f"client {number}", "bad", BAD)
        denials.let_in(f"good {number}")

    assert len(denials) == 20
    assert refused(denials, "client 989", "new") is None
    assert refused(denials, "client 990", "new") is not None
    assert denials.knows("good 999") and not denials.knows("good 989")


# Of a node alone.


def test_what_a_client_has_used_up_outlives_the_front_that_counted_it() -> None:
    """It is the node's: neither who is killed nor who is replaced takes it along."""
    place = Place(2, 2, 60.0)
    place.let_in("good")
    place.shown(HERE, 10)
    place.replaced(0)
    place.replaced(1)

    for _ in range(2):
        assert place.refused(HERE, "new") == 30
        assert place.refused(HERE, "good") is None


def test_where_a_reload_changes_the_allowance_clients_begin_anew() -> None:
    """What is left of the one says nothing of the other."""
    place = Place(2, 2, 60.0)
    place.let_in("good")
    place.shown(HERE, 10)
    place.with_allowance(5, 600.0)

    assert place.shown(HERE, 10) == 5
    assert place.refused(HERE, "good") is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from((HERE, THERE)),
        st.sampled_from(("good", "ended", "bad")),
        st.integers(0, 5),
        st.sampled_from((0.0, 0.0, 0.25, 1.0, 7.0)),
        st.integers(0, 2),
    ),
    max_size=80,
)


def test_a_front_that_has_forgotten_a_client_is_told_by_the_board() -> None:
    """Its own table is full; the node's has more room."""
    place = Place(2, 2, 60.0)
    one, other = place.each
    one._max_clients = 1
    for _ in range(2):
        one.denied(HERE, "bad", BAD)
    one.denied(THERE, "bad", BAD)

    assert len(one) == 1
    assert refused(one, HERE, "new") == refused(other, HERE, "new") == 30


@pytest.mark.parametrize("max_clients", [1, 100])
@either
@given(count=st.integers(1, 5), steps=STEPS)
@settings(max_examples=100)
def test_whatever_happens_no_client_gets_more_and_nobody_good_is_refused(
    max_clients: int,
    fronts: int,
    count: int,
    steps: list[tuple[str, str, int, float, int]],
) -> None:
    """B18, W17 as a law. ``good`` is always good; ``ended`` was good until it is first
    shown here; ``bad`` never was. In no span of time is a client told more *no*s than
    its allowance and what came back, those to good credentials apart, whichever fronts
    it goes to."""
    place, period = Place(fronts, count, 4.0), 4.0
    for denials in place.each:
        denials._max_clients = max_clients
    charged: dict[str, list[float]] = {HERE: [], THERE: []}
    for number in range(6):
        place.let_in(f"good {number}")
        place.let_in(f"ended {number}")
    for client, kind, number, pause, turn in steps:
        place.now += pause
        name = f"{kind} {number}"
        denials = place.each[turn % fronts]
        knew = denials.knows(name)
        wait = refused(denials, client, name)
        if kind == "good":
            assert wait is None
            denials.let_in(name)
            continue
        assert not knew or wait is None
        if wait is not None:
            assert wait >= 1
            continue
        denials.denied(client, name, BAD)
        if not knew:
            charged[client].append(place.now)
    if max_clients == 1 and fronts == ALONE:
        # The older one was forgiven: that is all that can be said of it.
        return
    assert all(is_within(told, count, period) for told in charged.values())
