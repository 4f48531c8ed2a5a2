"""The producers' table against the validation logic of PROTOCOL.md section 5.2.1."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin_adapter.embedded.rules import producers
from origin_adapter.embedded.rules.producers import Epoch, Seq, Verdict, judge
from origin_adapter.embedded.rules.refusals import Why
from origin_adapter.embedded.rules.values import Claim, Producer

small = st.integers(0, 4)


def said(epoch: int, seq: int) -> Claim:
    return Claim("p", epoch, seq)


def test_the_table_has_a_row_for_every_pair() -> None:
    """No pair of findings is left to chance."""
    assert set(producers.TABLE) == set(itertools.product(Epoch, Seq))


@pytest.mark.parametrize(
    ("known", "claim", "verdict"),
    [
        (None, said(0, 0), Verdict.ACCEPT),
        (None, said(7, 0), Verdict.ACCEPT),
        (None, said(0, 3), Verdict.GAP),
        (Producer(1, 4), said(1, 5), Verdict.ACCEPT),
        (Producer(1, 4), said(1, 4), Verdict.DUPLICATE),
        (Producer(1, 4), said(1, 0), Verdict.DUPLICATE),
        (Producer(1, 4), said(1, 6), Verdict.GAP),
        (Producer(1, 4), said(2, 0), Verdict.ACCEPT),
        (Producer(1, 4), said(2, 1), Verdict.MUST_START),
        (Producer(1, 4), said(0, 5), Verdict.STALE),
        (Producer(1, 4), said(0, 0), Verdict.STALE),
    ],
)
def test_verdicts(known: Producer | None, claim: Claim, verdict: Verdict) -> None:
    """The cases that the protocol's text names."""
    assert judge(claim, known) is verdict


@given(epoch=small, seq=small, known=st.none() | st.builds(Producer, small, small))
def test_the_protocols_own_pseudocode_agrees(
    epoch: int, seq: int, known: Producer | None
) -> None:
    """Section 5.2.1, line by line."""
    if known is None:
        expected = Verdict.ACCEPT if seq == 0 else Verdict.GAP
    elif epoch < known.epoch:
        expected = Verdict.STALE
    elif epoch > known.epoch:
        expected = Verdict.ACCEPT if seq == 0 else Verdict.MUST_START
    elif seq <= known.seq:
        expected = Verdict.DUPLICATE
    else:
        expected = Verdict.ACCEPT if seq == known.seq + 1 else Verdict.GAP

    assert judge(said(epoch, seq), known) is expected


def test_refusals_say_what_was_expected() -> None:
    """A client can recover from what the refusal's fields say."""
    gap = producers.refusal(Verdict.GAP, said(1, 9), Producer(1, 4))
    stale = producers.refusal(Verdict.STALE, said(0, 0), Producer(3, 4))

    assert gap is not None and stale is not None
    assert (gap.status, gap.why) == (409, Why.SEQ_GAP)
    assert gap.headers == (
        ("Producer-Expected-Seq", "5"),
        ("Producer-Received-Seq", "9"),
    )
    assert (stale.status, stale.headers) == (403, (("Producer-Epoch", "3"),))
