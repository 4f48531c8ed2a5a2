"""Whether a stream was confirmed lately (L6, L16), and where ``now`` is (L20)."""

from tests.streamlog.told import VERIFY, Told

# L6 and L16: confirmed, and how long ago


def test_a_confirmation_lasts_for_its_time() -> None:
    told = Told("4")
    told.now += VERIFY
    assert told.trusts(told.tail.read_barrier())

    told.now += 0.1
    reader = told.tail.read_barrier()
    assert not told.trusts(reader)
    told.hears(told.sends(), "4")
    assert told.trusts(reader)


def test_a_2xx_since_the_arrival_confirms_however_slow_the_reader_is() -> None:
    """Or a time of 0 s, which asks for every reader, would ask for ever."""
    told = Told()
    reader = told.tail.read_barrier()
    told.hears(told.sends(), "4")
    told.now += 2 * VERIFY

    assert told.trusts(reader)
    assert not told.trusts(told.tail.read_barrier())


def test_nothing_is_confirmed_before_the_first_2xx() -> None:
    told = Told()

    assert not told.trusts(told.tail.read_barrier())
    assert told.tail.age(told.now) == 0.0


def test_a_doubt_ends_the_trust_of_everybody_until_the_next_2xx() -> None:
    """L5, L7: another key's PUT, or a lost connection; also for who is waiting."""
    told = Told()
    waiting = told.tail.read_barrier()
    told.hears(told.sends(), "4")
    assert told.trusts(waiting)

    told.tail.mark_unverified(told.now)
    assert not told.trusts(waiting) and not told.trusts(told.tail.read_barrier())
    assert "suspect" in repr(told.tail)
    told.hears(told.sends(), "4")
    assert told.trusts(waiting)


def test_an_answer_sent_before_a_doubt_does_not_settle_it() -> None:
    """L5: it may be of the incarnation that was doubted."""
    told = Told("4")
    before = told.sends()
    told.tail.mark_unverified(told.now)
    told.tail.confirm(told.now, before)
    assert not told.trusts(told.tail.read_barrier())

    told.tail.confirm(told.now)
    assert told.trusts(told.tail.read_barrier())


def test_a_statement_from_before_a_doubt_does_not_settle_it() -> None:
    """U9: a tier repeats what it heard then. Who waited for it is served by it, and not
    sent to ask again; whoever comes asks."""
    told = Told("4")
    waits = told.tail.read_barrier()
    told.now += 10
    told.tail.mark_unverified(told.now)
    told.now += 1
    asks = told.sends()
    told.tail.confirm(told.now - 5, asks)

    assert told.trusts(waits) and told.tail.unverified
    assert not told.trusts(told.tail.read_barrier())
    assert told.tail.age(told.now) == 5.0
    told.tail.mark_unverified(told.now)
    assert not told.trusts(waits), "another doubt"
    told.now += 5
    told.tail.confirm(told.now - 5, told.sends())
    assert told.trusts(told.tail.read_barrier()) and not told.tail.unverified


def test_a_statement_older_than_the_trust_serves_who_asked_for_it_alone() -> None:
    """U9: at an Age of ``verify`` or more."""
    told = Told()
    asker = told.tail.read_barrier()
    told.tail.confirm(told.now - VERIFY - 1, told.sends())

    assert told.trusts(asker)
    assert not told.trusts(told.tail.read_barrier())
    assert told.tail.age(told.now) == VERIFY + 1


def test_age_counts_from_the_confirmation_and_is_0_while_followed() -> None:
    """L16."""
    told = Told("4")
    told.now += 7
    assert told.tail.age(told.now) == 7.0
    told.polls()
    assert told.tail.age(told.now) == 0.0
    assert repr(told.tail) == "<Tail 4 open armed>"


def test_age_stays_a_number_of_seconds_in_doubt() -> None:
    """L6: what is served as stale, with the origin away, tells its real age."""
    told = Told("4")
    told.now += 7
    told.tail.mark_unverified(told.now)

    assert told.tail.age(told.now) == 7.0


def test_a_clock_that_stands_still_or_steps_back_gives_no_negative_age() -> None:
    told = Told("4")

    assert told.tail.age(told.now - 1) == 0.0


# L20: where ``now`` is


def test_now_is_a_tail_told_since_the_reader_arrived() -> None:
    """L20, E11: never one from before, for an append may lie between."""
    told = Told("4")
    reader = told.tail.read_barrier()
    assert not told.tail.is_heard_by(reader)

    told.hears(told.sends(), "4", up_to_date=False)
    assert told.tail.is_heard_by(reader)
    assert not told.tail.is_heard_by(told.tail.read_barrier())


def test_now_is_not_before_a_write_that_was_acknowledged_already() -> None:
    told = Told("4")
    before = told.sends()
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.read_barrier()
    told.hears(before, "4")
    assert not told.tail.is_heard_by(reader)

    told.hears(told.sends(), "5")
    assert told.tail.is_heard_by(reader)


def test_now_is_nowhere_before_anything_was_heard() -> None:
    told = Told()

    assert not told.tail.is_heard_by(told.tail.read_barrier())
