"""Cache-Status of the next hop: what the caches between here and the origin did.

Another edge of this product may stand there. Its member tells that it served what it
holds while its own origin is away (U9), and that a failure came from behind it (U11).
``members`` is what of the field goes on to clients, before this edge's own member: the
one nearest the origin comes first (RFC 9211 section 2).

The field is the origin's text. What breaks the grammar counts for nothing, and nothing
raises. A member is this product's by its name alone, a token: ``ds-edge``, or
``ds-edge/`` and the name of a node.
"""

import re

from edge.core.reasons import Reason
from edge.core.values import PRODUCT, Headers
from edge.protocol.http_grammar import TOKEN_CHARS, ListItem, list_items

FIELD = "cache-status"

OF_KEEPER = f"{PRODUCT}/"
"""What a keeper calls itself to a front. No node is called so: names are not empty."""

MAX_MEMBERS = 1024
"""Bytes of other caches' members that are handed on; a longer field is left out."""

# A list of tokens and strings with parameters (RFC 8941 sections 3.1, 3.1.2 and 3.3).
_NAME = rf'(?:[A-Za-z*][{TOKEN_CHARS}:/]*|"(?:[ !#-\[\]-~]|\\["\\])*")'
_NUMBER = r"-?[0-9]{1,15}(?:\.[0-9]{1,3})?"
_ARGUMENT = rf"(?:{_NAME}|{_NUMBER}|\?[01]|:[A-Za-z0-9+/=]*:)"
_MEMBER = rf"{_NAME}(?:; *[a-z*][a-z0-9_.*-]*(?:={_ARGUMENT})?)*"
_LIST = re.compile(rf"{_MEMBER}(?: *, *{_MEMBER})*")


def is_stale(headers: Headers) -> bool:
    """Whether an edge of this product, however far up, served it as stale (U9)."""
    stale = Reason.STALE.value
    return any(item.parameters.get("detail") == stale for item in _of_edges(headers))


def is_from_an_edge(headers: Headers) -> bool:
    """Whether it came by an edge of this product, however far up (U11)."""
    return bool(_of_edges(headers))


def members(headers: Headers) -> str:
    """What other caches told of themselves, as it may be handed on; "" for nothing.

    All of it or nothing: this edge's own member stands behind it, and in a list that
    breaks the grammar nobody could read that one either.
    """
    told = [line.replace("\t", " ").strip(" ") for line in _lines(headers)]
    text = ", ".join(line for line in told if line)
    before, _, last = text.rpartition(", ")
    if last.startswith(f"{OF_KEEPER};") or last == OF_KEEPER:
        # It is this node's, of which its front tells.
        text = before
    if not text:
        return ""
    if len(text) > MAX_MEMBERS or _LIST.fullmatch(text) is None:
        return ""
    return text


def _of_edges(headers: Headers) -> list[ListItem]:
    """The members of edges. Each line by itself: what is wrong with one, which another
    cache may have added, does not hide the next."""
    return [
        item
        for line in _lines(headers)
        if PRODUCT in line
        for item in list_items(line)
        if item.value == PRODUCT or item.value.startswith(f"{PRODUCT}/")
    ]


def _lines(headers: Headers) -> list[str]:
    return [value for name, value in headers if name == FIELD]
