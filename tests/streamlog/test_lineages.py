"""Of which life of a stream an answer is (W8)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.values import Lineage
from edge.streamlog.lineages import Descent, compare

IN_ORDER = (
    Lineage(1, None, 1),
    Lineage(1, 1, 1),
    Lineage(1, 4, 1),
    Lineage(1, None, 2),
    Lineage(1, 5, 2),
    Lineage(2, None, 1),
    Lineage(2, 1, 1),
)
"""Of one stream, as a keeper, and then its successor, would tell them."""

lineages = st.builds(
    Lineage, st.integers(1, 3), st.none() | st.integers(1, 3), st.integers(1, 3)
)


@pytest.mark.parametrize(("before", "after"), list(pairwise(IN_ORDER)))
def test_lineages_only_ever_grow(before: Lineage, after: Lineage) -> None:
    assert compare(after, before, is_empty=False) is Descent.OLDER
    numbered = after.incarnation is not None
    expected = Descent.NEWER if numbered else Descent.UNPROVEN
    assert compare(before, after, is_empty=False) is expected


def test_a_row_that_was_made_anew_must_be_proven() -> None:
    """Nobody knows whether the stream was another one in between."""
    held = Lineage(7, 3, row=1)

    assert compare(held, Lineage(7, None, row=2), False) is Descent.UNPROVEN
    assert compare(held, Lineage(8, None, row=1), False) is Descent.UNPROVEN


def test_the_first_word_is_believed_only_where_nothing_is_held() -> None:
    """What is held may have come from the origin itself, while no keeper was asked."""
    told = Lineage(1, 2, 3)

    assert compare(None, told, is_empty=True) is Descent.SAME
    assert compare(None, told, is_empty=False) is Descent.UNPROVEN


@given(held=st.none() | lineages, is_empty=st.booleans())
def test_an_answer_without_a_lineage_is_judged_by_its_bytes_alone(
    held: Lineage | None, is_empty: bool
) -> None:
    """W1: so answers the origin itself."""
    assert compare(held, None, is_empty) is Descent.SAME


@given(held=lineages, told=lineages, is_empty=st.booleans())
def test_of_two_lives_one_is_older(
    held: Lineage, told: Lineage, is_empty: bool
) -> None:
    one, other = compare(held, told, is_empty), compare(told, held, is_empty)

    assert (one is Descent.SAME) == (other is Descent.SAME) == (held == told)
    assert (one is Descent.OLDER) == (other in (Descent.NEWER, Descent.UNPROVEN))


def test_every_outcome_is_reached() -> None:
    """The set is closed: the hub acts on each of them."""
    held = [None, *IN_ORDER]
    found = {compare(a, b, False) for a in held for b in held}

    assert found == set(Descent)
