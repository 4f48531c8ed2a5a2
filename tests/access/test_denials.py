"""Denials: how many bad credentials a client may show, and what costs nothing (B18)."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.denials import OF_STREAMS, Denials
from edge.core.errors import TooManyDenied
from edge.core.reasons import Reason

NOW = 1_800_000_000.0
BAD = Reason.TOKEN_SIGNATURE
HERE, THERE = "192.0.2.1", "192.0.2.2"


def refused(denials: Denials, client: str, credential: str, now: float) -> int | None:
    """After how many seconds to come back; None: it may be judged."""
    try:
        denials.check(client, credential, now)
    except TooManyDenied as error:
        assert (error.status, error.reason) == (429, Reason.LIMIT_DENIED)
        return error.retry_after
    return None


def shown(denials: Denials, client: str, count: int, now: float = NOW) -> int:
    """How many of so many made up credentials were judged; all of them are bad."""
    judged = 0
    for number in range(count):
        if refused(denials, client, f"bad {now} {number}", now) is None:
            denials.denied(client, f"bad {now} {number}", now, BAD)
            judged += 1
    return judged


def test_so_many_are_judged_at_once_and_so_many_again_in_a_time() -> None:
    denials = Denials(100, 10.0)

    assert shown(denials, HERE, 1000) == 100
    assert shown(denials, HERE, 1000, NOW + 1.0) == 10
    assert shown(denials, HERE, 1000, NOW + 60.0) == 100


def test_it_is_told_when_to_come_back_and_that_is_true() -> None:
    denials = Denials(2, 60.0)
    shown(denials, HERE, 2)

    assert refused(denials, HERE, "new", NOW) == 30
    assert refused(denials, HERE, "new", NOW + 29.9) == 1
    assert refused(denials, HERE, "new", NOW + 30.0) is None


def test_good_credentials_cost_nothing() -> None:
    """However many a client has: a crowd behind one address."""
    denials = Denials(2, 60.0)
    for number in range(1000):
        assert refused(denials, HERE, f"good {number}", NOW) is None
        denials.let_in(f"good {number}")

    assert shown(denials, HERE, 10) == 2


def test_who_was_let_in_is_judged_whatever_others_show_at_its_address() -> None:
    denials = Denials(2, 60.0)
    denials.let_in("good")
    shown(denials, HERE, 10)

    assert refused(denials, HERE, "new", NOW) is not None
    assert refused(denials, HERE, "good", NOW) is None


def test_the_end_of_a_good_credential_is_told_and_costs_nothing() -> None:
    """A thousand tokens that end at once behind one address: each hears 401, and the
    new ones are let in. A second *no* to the same one counts."""
    denials = Denials(2, 60.0)
    for number in range(1000):
        denials.let_in(f"good {number}")
    for number in range(1000):
        assert refused(denials, HERE, f"good {number}", NOW) is None
        denials.denied(HERE, f"good {number}", NOW, BAD)

    assert refused(denials, HERE, "newer", NOW) is None
    assert not denials.knows("good 0")
    for number in range(2):
        denials.denied(HERE, f"good {number}", NOW, BAD)
    assert refused(denials, HERE, "good 2", NOW) is not None


@pytest.mark.parametrize("reason", OF_STREAMS)
def test_what_is_about_a_stream_says_nothing_against_a_good_credential(
    reason: Reason,
) -> None:
    """Of one that nobody knows it counts: it may have been made up to ask so."""
    denials = Denials(1, 60.0)
    denials.let_in("good")
    for _ in range(10):
        denials.denied(HERE, "good", NOW, reason)
    assert denials.knows("good")
    assert refused(denials, HERE, "new", NOW) is None

    denials.denied(HERE, "new", NOW, reason)
    assert refused(denials, HERE, "newer", NOW) is not None


def test_no_credential_is_never_a_good_one() -> None:
    """An endpoint may let in by the address alone: that says nothing of others who
    have none."""
    denials = Denials(1, 60.0)
    denials.let_in("")
    denials.denied(HERE, "", NOW, BAD)

    assert refused(denials, HERE, "", NOW) is not None


def test_one_client_is_not_refused_for_another() -> None:
    denials = Denials(1, 60.0)
    shown(denials, HERE, 10)

    assert refused(denials, THERE, "new", NOW) is None


def test_who_has_no_address_has_no_bound() -> None:
    """Clients by a unix socket are not told apart, and so are not counted."""
    assert shown(Denials(1, 60.0), "", 1000) == 1000


def test_without_a_bound_nothing_is_counted() -> None:
    denials = Denials(inf)

    assert shown(denials, HERE, 1000) == 1000
    assert len(denials) == 0


def test_a_clock_that_is_put_back_locks_nobody_out() -> None:
    denials = Denials(1, 10.0)
    shown(denials, HERE, 10)

    assert refused(denials, HERE, "new", NOW - 3600.0) is None


def test_100_000_bad_ones_in_a_minute_from_one_address() -> None:
    """The burst, and ten in each second after it."""
    denials = Denials()
    judged = sum(shown(denials, HERE, 100, NOW + n * 0.06) for n in range(1000))

    assert 690 <= judged <= 700
    assert len(denials) == 1


def test_100_000_bad_ones_in_a_minute_from_1_000_addresses() -> None:
    """Each is within its bound. What is kept of them is one entry for each address, and
    goes with the next *no* once they have stopped."""
    denials = Denials()
    addresses = [f"198.51.{n // 250}.{n % 250}" for n in range(1000)]
    judged = sum(
        shown(denials, address, 1, NOW + turn * 0.6)
        for turn in range(100)
        for address in addresses
    )

    assert judged == 100_000
    assert len(denials) <= 1000
    denials.denied(HERE, "bad", NOW + 120.0, BAD)
    assert len(denials) == 1


def test_both_tables_are_bounded_and_the_oldest_client_is_forgiven() -> None:
    denials = Denials(1, 60.0, max_clients=10, max_known=10)
    for number in range(1000):
        denials.denied(f"client {number}", "bad", NOW, BAD)
        denials.let_in(f"good {number}")

    assert len(denials) == 20
    assert refused(denials, "client 989", "new", NOW) is None
    assert refused(denials, "client 990", "new", NOW) is not None
    assert denials.knows("good 999") and not denials.knows("good 989")


STEPS = st.lists(
    st.tuples(
        st.sampled_from((HERE, THERE)),
        st.sampled_from(("good", "ended", "bad")),
        st.integers(0, 5),
        st.sampled_from((0.0, 0.0, 0.25, 1.0, 7.0)),
    ),
    max_size=80,
)


@pytest.mark.parametrize("max_clients", [1, 100])
@given(count=st.integers(1, 5), steps=STEPS)
@settings(max_examples=100)
def test_whatever_happens_no_client_gets_more_and_nobody_good_is_refused(
    max_clients: int, count: int, steps: list[tuple[str, str, int, float]]
) -> None:
    """B18 as a law. ``good`` is always good; ``ended`` was good until it is first shown
    here; ``bad`` never was. In no span of time is a client told more *no*s than
    its allowance and what came back, those to good credentials apart."""
    denials, now, period = Denials(count, 4.0, max_clients=max_clients), NOW, 4.0
    charged: dict[str, list[float]] = {HERE: [], THERE: []}
    for number in range(6):
        denials.let_in(f"good {number}")
        denials.let_in(f"ended {number}")
    for client, kind, number, pause in steps:
        now += pause
        name = f"{kind} {number}"
        knew = denials.knows(name)
        wait = refused(denials, client, name, now)
        if kind == "good":
            assert wait is None
            denials.let_in(name)
            continue
        assert not knew or wait is None
        if wait is not None:
            assert wait >= 1
            continue
        denials.denied(client, name, now, BAD)
        if not knew:
            charged[client].append(now)
    if max_clients == 1:
        # The older one was forgiven: that is all that can be said of it.
        return
    for told in charged.values():
        for first, began in enumerate(told):
            for last in range(first, len(told)):
                back = (told[last] - began) * count / period
                assert last - first + 1 <= count + back + 1e-4
