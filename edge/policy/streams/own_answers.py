"""Own answers: what a reader is told of the origin's own answer, which is not kept.

``edge.policy.streams.answers`` says which of the fields go along
(``unshared_headers``); here is what else has to be known of such an answer. Called by
the hub's delivery.
"""

from edge.core.values import Answer, Header, Headers, OriginAnswer, PartitionKind, Read
from edge.policy.http import conditional
from edge.policy.streams.answers import PUBLIC_KINDS, not_modified
from edge.policy.streams.routes import Route
from edge.policy.streams.tags import are_handled, told


def own_answer(read: Read, answer: OriginAnswer, headers: Headers) -> Answer:
    """The origin's answer to this reader; the 304 for it, if it has that already: the
    origin was not told so, because others waited for the same."""
    asked, tag = read.if_none_match, answer.get("etag")
    if asked is None or tag is None or read.mode.live:
        return Answer(answer.status, headers, answer.body)
    # A 304 made here would lose a cookie.
    whole = answer.status != 200 or answer.get("set-cookie") is not None
    if not whole and conditional.matches(asked, tag):
        return not_modified(headers)
    return Answer(answer.status, headers, answer.body)


HEAD_KEEPS = frozenset(
    {"content-type", "stream-next-offset", "stream-closed"}
    | {"stream-ttl", "stream-expires-at"}
)
"""What of the origin's answer to a HEAD its reader is told (section 5.5)."""


def head_fields(read: Read, route: Route, answer: OriginAnswer) -> list[Header]:
    """What goes out of the origin's 200 to a HEAD, with the tags that the GET would
    have (L28). A front is told all of it, and does the rest."""
    keeps = HEAD_KEEPS.union(route.response_headers)
    kept = [(name, value) for name, value in answer.headers if name in keeps]
    if route.lean:
        return kept
    kept.append(("Cache-Control", "no-store"))
    if not are_handled(route):
        return kept
    kind = read.key.partition.kind
    granted = kind is PartitionKind.GRANTED and route.is_public
    shared = kind in PUBLIC_KINDS or granted
    return list(told(route, read.key.path, kept, shared))


def says_anything(answer: OriginAnswer) -> bool:
    """Whether a status has a text, or fields that tell its reader what to do."""
    return bool(answer.body) or any(name in _TO_DO for name, _ in answer.headers)


_TO_DO = frozenset({"location", "retry-after", "www-authenticate"})
