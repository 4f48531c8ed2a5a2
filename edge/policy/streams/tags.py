"""Tags: names by which a stream's answers can be purged, here and further down (L28).

A stream has three kinds of them:

- its own, which anybody can compute: ``stream-`` and the first 16 hexadecimal digits of
  the SHA-256 of its path, percent-decoded. One tag for all spellings of a path, and it
  tells nothing of the path;
- those of its route's templates: ``room-{room}`` with the segments for which the names
  in the route's glob stand;
- the origin's, from ``Surrogate-Key`` and ``Cache-Tag``, where the route keeps these
  fields (``response_headers``).

They go out only on answers that every cache may keep, and where the settings name the
fields that the caches below read. Pure. Called where an answer is prepared, once for
all who get it, and by whatever purges by a tag.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from urllib.parse import unquote_to_bytes

from edge.core.values import Header, Headers
from edge.policy.streams.pipeline import captured
from edge.policy.streams.routes import Route, TagHeader

WRITTEN = {
    TagHeader.SURROGATE_KEY: ("Surrogate-Key", " "),
    TagHeader.CACHE_TAG: ("Cache-Tag", ","),
}
"""The fields as they are written, and what parts the tags in each. Fastly and Varnish's
xkey read the first, Cloudflare and Akamai the second."""

MAX_TAG = 128
"""Characters of a tag. Akamai takes no longer ones."""

MAX_TEMPLATES = 16
MAX_ORIGIN_TAGS = 64
"""With the tags of a route and of the origin, each as long as it may be, a field has 11
KiB. Fastly takes 16 KiB, Akamai 128 tags, Cloudflare 1,000."""

TAG = re.compile(rf"[!#-+\--\[\]-z|~]{{1,{MAX_TAG}}}")
"""Visible ASCII without what parts or quotes tags, and without braces."""

NAMES_IN_TEMPLATE = re.compile(r"\{([^{}/]+)\}")

_OWN = "stream-"
_FIELDS = frozenset(field.value for field in TagHeader)
_BETWEEN = re.compile(r"[ ,\t]+")


def stream_tag(path: str) -> str:
    """The tag of the stream at a raw path."""
    return _OWN + sha256(unquote_to_bytes(path)).hexdigest()[:16]


def tags_of(route: Route | None, path: str, headers: Headers) -> Iterator[str]:
    """All tags of a stream, each once, its own first. ``headers`` are those that its
    route keeps of the origin's; ``route`` None: it has none any more."""
    seen: dict[str, None] = {stream_tag(path): None}
    yield from seen
    own = () if route is None else _of_route(route, path)
    for tag in (*own, *_of_origin(headers)):
        if tag not in seen:
            seen[tag] = None
            yield tag


def has_tag(tag: str, route: Route | None, path: str, headers: Headers) -> bool:
    """Whether ``tags_of`` has this one. Most of a walk over all streams is this."""
    if tag.startswith(_OWN) and stream_tag(path) == tag:
        return True
    if route is not None and route.tags and tag in _of_route(route, path):
        return True
    return bool(headers) and tag in _of_origin(headers)


def told(route: Route, path: str, headers: Iterable[Header], shared: bool) -> Headers:
    """The fields of an answer, with the tags under which caches below may purge it.

    ``shared``: every cache may keep it. On all others there are no tags, not even the
    origin's: who gets such an answer has no use for them.
    """
    fields = tuple(headers)
    rest = without(fields)
    if not shared:
        return rest
    if not route.tag_headers:
        return fields
    tags = tuple(tags_of(route, path, fields))
    names = map(WRITTEN.__getitem__, dict.fromkeys(route.tag_headers))
    return (*rest, *((name, separator.join(tags)) for name, separator in names))


def without(headers: Headers) -> Headers:
    """The fields but those of tags."""
    return tuple(one for one in headers if one[0].lower() not in _FIELDS)


def are_handled(route: Route) -> bool:
    """Whether answers on this route need a look at their tags."""
    return bool(route.tag_headers) or keeps_origins(route)


def keeps_origins(route: Route) -> bool:
    """Whether the origin's own tags count on this route."""
    return not _FIELDS.isdisjoint(route.response_headers)


def _of_route(route: Route, path: str) -> Iterator[str]:
    if not route.tags:
        return
    names = dict(captured(route.match, path) or ())
    for template in route.tags:
        tag = NAMES_IN_TEMPLATE.sub(lambda found: _value(names, found[1]), template)
        if len(tag) <= MAX_TAG:
            yield tag


def _value(names: dict[str, str], name: str) -> str:
    """What a name stands for, as it may stand in a tag: a comma would part it."""
    return names.get(name, "").replace(",", "%2C")


def _of_origin(headers: Headers) -> list[str]:
    """The first tags that the origin gave, but for those that are none."""
    texts = [value for name, value in headers if name.lower() in _FIELDS]
    given = dict.fromkeys(one for text in texts for one in _BETWEEN.split(text))
    return [one for one in given if TAG.fullmatch(one)][:MAX_ORIGIN_TAGS]
