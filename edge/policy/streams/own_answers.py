"""Own answers: what a reader is told of the origin's own answer, which is not kept.

``edge.policy.streams.answers`` says which of the fields go along
(``unshared_headers``); here is what else has to be known of such an answer. Called by
the hub's delivery.
"""

from edge.core.values import Answer, Headers, OriginAnswer, Read
from edge.policy.http import conditional
from edge.policy.streams.answers import not_modified


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


def says_anything(answer: OriginAnswer) -> bool:
    """Whether a status has a text, or fields that tell its reader what to do."""
    return bool(answer.body) or any(name in _TO_DO for name, _ in answer.headers)


_TO_DO = frozenset({"location", "retry-after", "www-authenticate"})
