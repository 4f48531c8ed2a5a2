"""The fields of the link: what is told is read back, and nobody else's word is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import (
    ClientFault,
    LendersRefused,
    NotAsked,
    NotHeld,
    OriginFault,
)
from edge.core.lent_refusals import LentRefusals
from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    FaultWord,
    LentCredential,
    Lineage,
    LinkTerms,
    Partition,
    PartitionKind,
    Provenance,
    RowWord,
)
from edge.policy.http import forwarding, link_fields

BOARD, OTHER = "b0a4d", "c4fe"
NOW = 5000.0

texts = st.text(max_size=30)
names = st.text(string.ascii_lowercase + "-", min_size=1, max_size=12)
values = st.text(string.printable.strip() + " ", max_size=20).map(str.strip)
fields = st.lists(
    st.tuples(names, values), max_size=4, unique_by=lambda one: one[0]
).map(tuple)
moments = st.integers(0, 10**9).map(lambda ms: ms / 1000)
credentials = st.builds(
    LentCredential,
    digest=texts,
    headers=fields,
    parameters=st.lists(texts, max_size=3).map(tuple),
    fresh_until=moments,
    heard=st.none() | st.integers(0, 10**12),
)
partitions = st.builds(
    Partition, kind=st.sampled_from(PartitionKind), digest=texts, headers=fields
)
terms = st.builds(
    LinkTerms,
    route=texts,
    partition=partitions,
    lent=st.none() | credentials,
    hops=st.lists(st.text("0123456789abcdef", min_size=1), max_size=3).map(tuple),
    until=moments | st.just(float("inf")),
    only_held=st.text(max_size=5),
    opens=st.booleans(),
)


@given(terms)
def test_a_keeper_reads_what_a_front_has_told(told: LinkTerms) -> None:
    """W10: the partition is the told one, with the fields that came beside it."""
    sent = dict(told.partition.headers)
    sent |= dict(link_fields.told_terms(BOARD, told))

    read = link_fields.terms_of(BOARD, sent.get)

    assert read is not None
    assert (read.route, read.partition, read.hops) == (
        *(told.route, told.partition, told.hops),
    )
    assert (read.only_held, read.opens) == (told.only_held, told.opens)
    # The kind is told apart, though hashes leave it out.
    assert read.partition.kind is told.partition.kind
    assert read.partition.headers == told.partition.headers
    assert read.until == pytest.approx(told.until, abs=0.0011)
    if told.lent is None:
        assert read.lent is None
    else:
        assert read.lent is not None
        assert read.lent.digest == told.lent.digest
        assert read.lent.heard == told.lent.heard
        assert read.lent.headers == told.lent.headers
        assert read.lent.parameters == told.lent.parameters
        # Never fresh for longer than it was told.
        assert 0 <= told.lent.fresh_until - read.lent.fresh_until <= 0.0011


@given(terms)
def test_all_that_is_told_fits_into_a_field(told: LinkTerms) -> None:
    for name, value in link_fields.told_terms(BOARD, told):
        assert link_fields.is_internal(name)
        assert value.isascii() and value.isprintable()


@given(terms)
def test_another_boards_word_is_no_word(told: LinkTerms) -> None:
    sent = dict(link_fields.told_terms(OTHER, told))

    assert link_fields.terms_of(BOARD, sent.get) is None


def test_a_credential_of_another_board_is_not_lent() -> None:
    """Nor is the request answered as if none had been."""
    lent = LentCredential("d", (("authorization", "x"),), (), NOW)
    sent = dict(link_fields.told_terms(BOARD, LinkTerms("/**")))
    sent[link_fields.LENT] = dict(
        link_fields.told_terms(OTHER, LinkTerms("/**", lent=lent))
    )[link_fields.LENT]

    assert link_fields.terms_of(BOARD, sent.get) is None


@pytest.mark.parametrize(
    "field",
    [
        *("", ";", BOARD, f"{BOARD};r", f'{BOARD};r="/";k=nobody', f'{BOARD};r="/"'),
        *(f'{BOARD};r="/";k=public;u=soon', f' {BOARD};r="/";k=public', f"{BOARD}x"),
    ],
)
def test_what_is_no_word_is_none(field: str) -> None:
    assert link_fields.terms_of(BOARD, {link_fields.FIELD: field}.get) is None


@given(texts)
def test_no_field_makes_a_reader_raise(field: str) -> None:
    for text in (field, f"{BOARD};{field}", f'{BOARD};r="/";k=public;{field}'):
        sent = {link_fields.FIELD: text, link_fields.LENT: text}
        link_fields.terms_of(BOARD, sent.get)
        link_fields.answer_of(BOARD, text, NOW)


rows = st.builds(
    RowWord,
    lineage=st.builds(
        Lineage,
        boot=st.integers(1, 99),
        incarnation=st.none() | st.integers(0, 99),
        row=st.integers(0, 99),
    ),
    confirmed_at=st.none() | moments,
    armed=st.booleans(),
    read_at=st.none() | moments,
)


@given(rows)
def test_a_front_reads_what_a_keeper_tells_of_a_row(told: RowWord) -> None:
    """W8: times are as of now; what is armed is confirmed as of now."""
    field = link_fields.told_answer(BOARD, 3, told)

    heard = link_fields.answer_of(BOARD, field, NOW)

    assert heard is not None and heard.fault is None
    provenance = heard.provenance
    assert provenance.lineage == told.lineage
    if told.armed:
        assert provenance.since_confirmed == 0.0
    elif told.confirmed_at is not None:
        ago = max(0.0, NOW - told.confirmed_at)
        assert provenance.since_confirmed == pytest.approx(ago, abs=0.0011)
        assert provenance.since_confirmed >= ago - 1e-6
    assert (provenance.read_ago is None) is (told.read_at is None)
    assert link_fields.answer_of(OTHER, field, NOW) is None


def test_an_answer_of_no_row_tells_who_answered_all_the_same() -> None:
    """W4: so a front knows of a write that its keeper has stored it."""
    heard = link_fields.answer_of(BOARD, link_fields.told_answer(BOARD, 3, None), NOW)

    assert heard is not None
    assert heard.provenance == Provenance(lineage=Lineage(3))


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (FaultWord(Reason.ORIGIN_TIMEOUT, 504, "too; slow", 1, False), OriginFault),
        (FaultWord(Reason.ORIGIN_DOWN, 503, "", 7, True), NotAsked),
        (
            FaultWord(Reason.ORIGIN_STATUS, 429, "the origin answered 429", 3, False),
            OriginFault,
        ),
        (FaultWord(Reason.ORIGIN_UNREACHABLE, 502, "a=b", None, True), OriginFault),
        (FaultWord(Reason.LINK_MISFIT, 421, 'so "it" is', None, True), ClientFault),
        (FaultWord(Reason.INTERNAL, 500, "ümlaut", None, False), OriginFault),
    ],
)
def test_a_fault_is_told_as_it_was_raised(told: FaultWord, kind: type) -> None:
    heard = link_fields.answer_of(BOARD, link_fields.told_answer(BOARD, 3, told), NOW)

    assert heard is not None
    fault = heard.fault
    assert type(fault) is kind and fault is not None
    said = fault.reason, fault.status, fault.detail, fault.retry_after
    assert said == told[:4]
    if isinstance(fault, OriginFault):
        assert fault.unsent is told.unsent


@pytest.mark.parametrize("lineage", [None, Lineage(2, None, 4), Lineage(2, 9, 4)])
def test_what_is_handed_is_told_with_the_life_that_was_held(
    lineage: Lineage | None,
) -> None:
    """W8. None: nothing was, or it was in doubt; who answers is no life then."""
    told = FaultWord(Reason.HANDED, 421, "not held", None, True, lineage)
    heard = link_fields.answer_of(BOARD, link_fields.told_answer(BOARD, 3, told), NOW)

    assert heard is not None and isinstance(heard.fault, NotHeld)
    assert heard.fault.lineage == lineage
    assert heard.fault.detail == "not held" and heard.fault.unsent


digests = st.text("0123456789abcdef", min_size=1, max_size=64)


@given(st.lists(digests, max_size=64).map(tuple), *[st.integers(0, 10**12)] * 2)
def test_refusals_come_to_a_front_as_they_were_told(
    refused: tuple[str, ...], up_to: int, lost: int
) -> None:
    """W16."""
    refusals = LentRefusals(refused, up_to, lost)
    told = FaultWord(Reason.LENT_REFUSED, 503, "", None, True, refusals=refusals)
    field = link_fields.told_answer(BOARD, 3, told)
    heard = link_fields.answer_of(BOARD, field, NOW)

    assert len(field) < 8192 and field.isascii()
    assert heard is not None and isinstance(heard.fault, LendersRefused)
    assert heard.fault.refusals == refusals and heard.fault.unsent


@pytest.mark.parametrize(
    "name", ["ds-link", "ds-link-lent", "ds-link-anything", "ds_link", "ds-link_lent"]
)
def test_no_field_of_the_link_passes(name: str) -> None:
    """Section by section: neither to an origin, nor back to a client, nor by a route
    that names it among its own."""
    node = "here"
    from tests.support.options import NODE

    sent = ((name, "x"), ("content-type", "text/plain"))
    assert node == NODE.name
    assert name not in dict(forwarding.request_headers(sent, node=NODE))
    assert name not in dict(forwarding.response_headers(sent))
    assert name not in dict(forwarding.link_request(sent))
    assert name not in dict(forwarding.link_response(sent))
    assert link_fields.without_internal(sent) == (("content-type", "text/plain"),)


def test_fields_that_may_stay_are_the_same_object() -> None:
    kept = (("content-type", "text/plain"), ("ds-lint", "1"))

    assert link_fields.without_internal(kept) is kept


def test_an_anonymous_partition_is_told_by_its_kind_alone() -> None:
    [(_, value)] = link_fields.told_terms(BOARD, LinkTerms("/v1/**", ANONYMOUS))

    assert value == f'{BOARD};r="/v1/**";k=anonymous'
