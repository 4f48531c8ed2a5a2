"""What both ways that ask have in common: the parts of an ask, and its key.

Pure. Called by ``forward`` and ``origin_way``.
"""

from collections.abc import Callable

from edge.access.credentials import digest_of
from edge.access.judging import Case
from edge.access.verdicts import MAX_KEY_LENGTH, VerdictKey
from edge.core.ports import Exchange
from edge.core.values import Headers, Node, OriginRequest
from edge.policy.http import forwarding, request_target
from edge.policy.streams.authorize import RequestHead
from edge.policy.streams.ways import AskingWay

Open = Callable[[OriginRequest], Exchange]
"""Sends an ask. Raises EdgeError."""


def asked_extension(case: Case, way: AskingWay) -> str:
    """The extension parameters of the request in canonical order, with the way's own
    credentials and without those of other ways (B8)."""
    others = set(case.route.credential_parameters).difference(way.parameters)
    return request_target.extension(
        p for p in case.request.parameters if p.name not in others
    )


def asking_key(case: Case, way: AskingWay, seen: Headers) -> VerdictKey:
    """What a verdict is remembered under: all that its judge saw (B2).

    ``seen`` are the fields of the ask on which it may depend. A long path stands there
    by its digest: who asks is asked once, however long it is.
    """
    path, extension = case.request.path, asked_extension(case, way)
    if len(path) + len(extension) > MAX_KEY_LENGTH:
        path, extension = digest_of(path, extension), ""
    fields = (part for pair in seen for part in pair)
    return VerdictKey(
        case.route.match,
        case.way,
        case.right,
        path,
        extension,
        digest_of(str(len(seen)), *fields),
    )


def chain_fields(request: RequestHead, node: Node) -> Headers:
    """By which nodes an ask came, so that a loop ends (U10), and that it is plain."""
    hops = forwarding.hops(request.lookup("cdn-loop"))
    loop = forwarding.cdn_loop(node, hops)
    return (("accept-encoding", "identity"), ("via", node.via), ("cdn-loop", loop))
