"""The authorizer of a keeper: it believes the terms of a front, and judges nobody.

The front has looked at the client's credential (W10). It says in which partition the
request lives, until when it may be answered, and which credential is lent for it. So
the verdict is a Grant; what takes part in the key is what the front told, whatever the
fields of the request look like.

Front and keeper may have different settings for a while: a reload replaces one after
the other. A read whose route is another one here, or is judged otherwise, is denied
with 421, and its front asks the origin itself. That way no answer that is asked for in
the name of a new route meets a reader whom only an old one let in. A write brings all
that the origin needs to know, and is only carried.

The link is a socket in a folder that nobody else can enter, and its peers are looked at
when they are accepted. Without terms of this node a request is denied all the same.
"""

from edge.core.reasons import Reason
from edge.core.values import NO_END, UNLIMITED, Lease, LinkTerms, PartitionKind
from edge.policy.http import link_fields
from edge.policy.streams.authorize import Authorizer, Denied, Grant, RequestHead
from edge.policy.streams.routes import Access, Route, UpstreamCredential

_READS = frozenset({"GET", "HEAD"})

_KINDS = {
    Access.GRANTED: frozenset({PartitionKind.GRANTED}),
    Access.PUBLIC: frozenset({PartitionKind.PUBLIC}),
    Access.PARTITIONED: frozenset({PartitionKind.ANONYMOUS, PartitionKind.CREDENTIAL}),
}
"""The partitions that a route can have, by who may share its answers."""


def authorizer_of(board: str, settings: str = "") -> Authorizer:
    """The authorizer of a keeper whose node's board has this id. A successor with other
    ``settings`` is given nothing: what is held here may be another stream to it."""

    def authorize(route: Route, request: RequestHead, now: float) -> Grant | Denied:
        terms = link_fields.terms_of(board, request.lookup)
        if terms is None:
            return Denied(Reason.NOT_LINKED, "No front of this node asks.")
        if request.method not in _READS:
            return Grant(terms.partition)
        if not _fits(route, terms) or terms.only_held not in ("", settings):
            detail = "This keeper has other settings for that route."
            return Denied(Reason.LINK_MISFIT, detail, status=421)
        lease = UNLIMITED
        if terms.until != NO_END or terms.lent is not None:
            lease = Lease(terms.until, terms.lent)
        return Grant(
            terms.partition,
            lease=lease,
            hops=terms.hops,
            only_held=bool(terms.only_held),
            opens=terms.opens,
        )

    return authorize


def _fits(route: Route, terms: LinkTerms) -> bool:
    """Whether a read on these terms means the same to the front and here."""
    lends = route.upstream is UpstreamCredential.LENT
    return (
        terms.route == route.match
        and terms.partition.kind in _KINDS[route.access]
        and (lends or terms.lent is None)
    )
