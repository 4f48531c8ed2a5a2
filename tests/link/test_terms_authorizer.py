"""The authorizer of a keeper: what a front has judged holds, where it fits."""

from dataclasses import replace

import pytest

from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    GRANTED,
    NO_END,
    PUBLIC,
    UNLIMITED,
    LentCredential,
    LinkTerms,
    Partition,
    PartitionKind,
    Read,
)
from edge.link.terms_authorizer import authorizer_of
from edge.policy.http import link_fields
from edge.policy.streams.authorize import Denied, Grant, RequestHead
from edge.policy.streams.pipeline import RequestPipeline, Resolved
from edge.policy.streams.routes import Access, Route, UpstreamCredential

BOARD = "b0a4d"
OPEN = Route().made_lean()
SHARED = replace(OPEN, access=Access.PUBLIC)
JUDGED = replace(OPEN, access=Access.GRANTED)
LENDING = replace(JUDGED, upstream=UpstreamCredential.LENT)
ONE = Partition(PartitionKind.CREDENTIAL, "d1", (("authorization", "ann"),))
LENT = LentCredential("d2", (("authorization", "bob"),), ("token=t",), 9.0)

authorize = authorizer_of(BOARD)


def asked(
    terms: LinkTerms | None,
    method: str = "GET",
    target: str = "/v1/stream/a",
    **more: str,
) -> RequestHead:
    fields = dict(more)
    if terms is not None:
        fields |= dict(terms.partition.headers)
        fields |= dict(link_fields.told_terms(BOARD, terms))
    return RequestHead.of(method, target, fields.get)


def told(partition: Partition = ANONYMOUS, **more: object) -> LinkTerms:
    return replace(LinkTerms(OPEN.match, partition), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("route", "partition"),
    [(OPEN, ANONYMOUS), (OPEN, ONE), (SHARED, PUBLIC), (JUDGED, GRANTED)],
)
def test_the_partition_is_the_one_that_a_front_tells(
    route: Route, partition: Partition
) -> None:
    """W10: whatever other fields the request has."""
    head = asked(told(partition), cookie="a=1", authorization="ann")

    verdict = authorize(route, head, 0.0)

    assert isinstance(verdict, Grant)
    assert verdict.partition == partition
    assert verdict.partition.headers == partition.headers
    assert verdict.lease is UNLIMITED and verdict.expires_at == NO_END


def test_a_lent_credential_is_what_its_lease_lends_and_ends_with_the_grant() -> None:
    """W10: the credential travels beside the request, and is in no key."""
    verdict = authorize(LENDING, asked(told(GRANTED, lent=LENT, until=77.0)), 0.0)

    assert isinstance(verdict, Grant)
    assert verdict.partition == GRANTED
    assert verdict.lease.ends_at == 77.0
    assert verdict.lease.lends == LENT


def test_a_read_is_as_its_front_asked_it_and_knows_its_hops() -> None:
    pipeline = RequestPipeline((OPEN,), authorize)
    head = asked(told(hops=("aa", "bb")), target="/v1/stream/a?offset=7&x=1")

    resolved = pipeline.resolve(head, OPEN, 0.0)

    assert isinstance(resolved, Resolved) and isinstance(resolved.request, Read)
    assert resolved.request.hops == ("aa", "bb")
    assert (resolved.request.offset, resolved.request.key.extension) == ("7", "x=1")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_without_terms_of_this_node_nobody_is_answered(method: str) -> None:
    foreign = dict(link_fields.told_terms("0ther", told()))
    for fields in ({}, foreign, {link_fields.FIELD: BOARD}):
        head = RequestHead.of(method, "/v1/stream/a", fields.get)
        verdict = authorize(OPEN, head, 0.0)

        assert isinstance(verdict, Denied)
        assert (verdict.reason, verdict.status) == (Reason.NOT_LINKED, 403)


@pytest.mark.parametrize(
    ("route", "terms"),
    [
        (JUDGED, told(ANONYMOUS)),
        (JUDGED, told(ONE)),
        (SHARED, told(ANONYMOUS)),
        (OPEN, told(GRANTED)),
        (OPEN, told(PUBLIC)),
        (OPEN, told(ANONYMOUS, route="/v1/other/**")),
        (JUDGED, told(GRANTED, lent=LENT)),
    ],
)
def test_a_read_by_other_settings_than_the_keepers_is_a_misfit(
    route: Route, terms: LinkTerms
) -> None:
    """A reload replaces one process after the other: what is asked for in the name of a
    new route never meets a reader whom an old one let in."""
    verdict = authorize(route, asked(terms), 0.0)

    assert isinstance(verdict, Denied)
    assert (verdict.reason, verdict.status) == (Reason.LINK_MISFIT, 421)


def test_a_write_is_carried_whatever_the_settings() -> None:
    """W3: it brings all that the origin needs to know."""
    head = asked(told(GRANTED, route="/old/**"), "POST")

    verdict = authorize(OPEN, head, 0.0)

    assert isinstance(verdict, Grant) and verdict.lease is UNLIMITED


def test_a_keeper_has_no_door() -> None:
    """B1: its fronts have."""
    assert not RequestPipeline((OPEN, JUDGED), authorize).has_door
    assert RequestPipeline((replace(JUDGED, lean=False),)).has_door


@pytest.mark.parametrize("opens", [True, False])
def test_a_read_is_told_whether_a_client_asked_by_head(opens: bool) -> None:
    """U12, W9."""
    verdict = authorize(OPEN, asked(told(opens=opens)), 0.0)

    assert isinstance(verdict, Grant) and verdict.opens is opens


@pytest.mark.parametrize(("asks_by", "is_let_in"), [("a", True), ("b", False)])
def test_a_successor_with_other_settings_is_given_nothing(
    asks_by: str, is_let_in: bool
) -> None:
    """W2: what is held here may be another stream to it."""
    terms = told(only_held=asks_by)
    verdict = authorizer_of(BOARD, "a")(OPEN, asked(terms), 0.0)

    if is_let_in:
        assert isinstance(verdict, Grant) and verdict.only_held
    else:
        assert isinstance(verdict, Denied) and verdict.status == 421
