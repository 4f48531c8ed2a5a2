"""Revocations: which tokens an order refuses, and for how long it is kept.

A10, B13. Pure: times are given.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.access.revocations import (
    MAX_REVOCATIONS,
    Revocation,
    Revocations,
    RevokedBy,
    TokenFacts,
    token_digest,
)
from edge.core.errors import Refusal
from edge.core.reasons import Reason

AT = 1_800_000_000
DAY = 86_400.0
FACTS = TokenFacts(("d1",), "alice", "id-1", "https://issuer.example", AT - 10.0)


def ordered(*orders: Revocation) -> Revocations:
    made = Revocations(DAY)
    for order in orders:
        made.add(order, AT)
    return made


def subject(
    value: str = "alice", issuer: str | None = None, at: int = AT
) -> Revocation:
    return Revocation(RevokedBy.SUBJECT, value, at, issuer)


@pytest.mark.parametrize(
    ("issued_at", "refused"),
    [
        (None, True),
        (AT - 86_400.0, True),
        (AT - 1.0, True),
        (float(AT), True),
        (AT + 0.999, True),
        (AT + 1.0, False),
        (AT + 30.0, False),
    ],
)
def test_a_subjects_order_is_about_tokens_up_to_its_second(
    issued_at: float | None, refused: bool
) -> None:
    """B13: and about those that do not say when they were issued."""
    facts = FACTS._replace(issued_at=issued_at)

    assert ordered(subject()).refuses(facts) is refused


@pytest.mark.parametrize(
    ("order", "refused"),
    [
        (subject(), True),
        (subject(issuer="https://issuer.example"), True),
        (subject(issuer="https://other.example"), False),
        (subject("alic"), False),
        (subject("Alice"), False),
        (Revocation(RevokedBy.JTI, "id-1", AT), True),
        (Revocation(RevokedBy.JTI, "id-1", AT, "https://issuer.example"), True),
        (Revocation(RevokedBy.JTI, "id-1", AT, "https://other.example"), False),
        (Revocation(RevokedBy.JTI, "id-2", AT), False),
        (Revocation(RevokedBy.JTI, "alice", AT), False),
        (Revocation(RevokedBy.TOKEN, "d1", AT), True),
        (Revocation(RevokedBy.TOKEN, "d2", AT), False),
        (Revocation(RevokedBy.TOKEN, "alice", AT), False),
    ],
)
def test_an_order_is_about_what_it_names_and_nothing_else(
    order: Revocation, refused: bool
) -> None:
    assert ordered(order).refuses(FACTS) is refused


@pytest.mark.parametrize("by", RevokedBy)
def test_what_a_token_does_not_say_is_named_by_no_order(by: RevokedBy) -> None:
    made = ordered(Revocation(by, "", AT), Revocation(by, "None", AT))

    assert not made.refuses(TokenFacts(("d1",)))


def test_an_id_is_revoked_whenever_its_token_was_issued() -> None:
    """It is one token."""
    later = FACTS._replace(issued_at=AT + 100.0)

    assert ordered(Revocation(RevokedBy.JTI, "id-1", AT)).refuses(later)


def test_a_later_order_about_the_same_counts() -> None:
    made = ordered(subject(at=AT + 5), subject())

    assert len(made) == 1
    assert made.refuses(FACTS._replace(issued_at=AT + 5.0))


def test_an_order_is_kept_until_the_last_token_of_its_kind_has_ended() -> None:
    made = ordered(subject())
    made.drop_ended(AT + DAY - 1)
    assert made.refuses(FACTS)
    made.drop_ended(AT + DAY)
    assert not made.refuses(FACTS) and len(made) == 0


def test_an_order_about_a_token_is_kept_until_that_has_ended() -> None:
    """However long it lives; and its leeway is part of its life."""
    made = Revocations(DAY, leeway=30.0)
    until = AT + 10 * DAY
    made.add(Revocation(RevokedBy.TOKEN, "d1", AT, until=until), AT)
    made.drop_ended(until + 29.0)
    assert made.names_token(["d1"])
    made.drop_ended(until + 30.0)
    assert not made.names_token(["d1"])


def test_when_no_more_can_be_kept_an_order_is_refused_and_none_is_forgotten() -> None:
    made = Revocations(DAY, most=2)
    made.add(subject("a"), AT)
    made.add(subject("b"), AT)
    with pytest.raises(Refusal) as raised:
        made.add(subject("c"), AT)
    assert raised.value.reason is Reason.LIMIT_REVOCATIONS
    assert {order.value for order in made} == {"a", "b"}

    made.add(subject("a", at=AT + 9), AT + 9)
    made.add(subject("c", at=int(AT + DAY)), AT + DAY)
    assert {order.value for order in made} == {"a", "c"}


def test_orders_given_elsewhere_are_taken_in_above_the_bound_too() -> None:
    """The other worker had room for them; and what has ended is no news."""
    made = Revocations(DAY, most=1)
    made.add(subject("a"), AT)
    others = [subject("a"), subject("b"), subject("c", at=int(AT - DAY))]

    assert made.merge(others, AT)
    assert {order.value for order in made} == {"a", "b"}
    assert not made.merge(others, AT)
    assert MAX_REVOCATIONS > 1000


def test_a_token_is_the_same_however_its_signature_is_spelt() -> None:
    """What its issuer signed is the token."""
    text = "eyJhIjoxfQ.eyJiIjoyfQ.c2lnbmF0dXJl"

    assert token_digest(text) == token_digest(text[:-1] + "A")
    assert token_digest(text) != token_digest("eyJhIjoxfQ.eyJiIjozfQ.c2lnbmF0dXJl")


@given(st.text(), st.text())
def test_two_texts_have_two_digests(one: str, other: str) -> None:
    """Whatever is no JSON Web Token counts as a whole."""
    assert (token_digest(one) == token_digest(other)) is (one == other)


_ORDERS = st.builds(
    Revocation,
    st.sampled_from([RevokedBy.SUBJECT, RevokedBy.JTI]),
    st.sampled_from(["a", "b"]),
    st.integers(AT, AT + 20),
    st.sampled_from([None, "i"]),
    st.sampled_from([0.0, AT + 2 * DAY]),
)


@given(
    st.lists(_ORDERS, max_size=8).flatmap(
        lambda o: st.tuples(st.just(o), st.permutations(o))
    )
)
def test_the_order_of_orders_does_not_matter(
    told: tuple[list[Revocation], list[Revocation]],
) -> None:
    """Workers hear of them in any order, and come to one end; nothing is taken back."""
    orders, shuffled = told
    one, other = Revocations(DAY), Revocations(DAY)
    one.merge(orders, AT)
    for order in shuffled:
        other.merge([order], AT)

    assert set(one) == set(other)
    for order in orders:
        facts = TokenFacts(("x",), issuer=order.issuer, issued_at=float(order.at))
        if order.by is RevokedBy.SUBJECT:
            assert one.refuses(facts._replace(subject=order.value))
        else:
            assert one.refuses(facts._replace(token_id=order.value))
