"""Signed URLs: made with a secret, and verified (B21).

Who has the URL may read one stream until a time. The signature is an HMAC-SHA-256 over
what the URL asks for: the version, the key's id, the raw path, the extension parameters
in canonical order, and the time, each with its length before it, so that no two URLs
give one text. Offset, live and cursor are not signed: a reader sets them as it reads
on. An extension parameter that is not signed changes the text, and so the link is
refused.

``sign`` makes a URL, for the command line and for tests; any program that knows the
text (``docs/command-line.md``) can make one. ``verify`` judges one, its signature first
(B23). The host is not signed: an edge may have several names.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, urlsplit

from edge.access.challenges import Failure
from edge.access.credentials import SignedLink
from edge.core.reasons import Reason
from edge.policy.http import request_target
from edge.policy.streams.ways import Right, SignedWay

VERSION = "ds1"

_EXPIRES = re.compile(r"[1-9][0-9]{0,11}")
"""Unix seconds; one time has one text."""

_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class LinkGrant:
    """What a signed URL grants: reading it, before ``expires_at`` (Unix seconds)."""

    key: str
    expires_at: float


def sign(url: str, way: SignedWay, key: str, expires: int) -> str:
    """The URL with its three parameters; ``expires`` is in Unix seconds.

    ``url`` is absolute or begins with the path. Its own parameters keep their order.
    Raises ValueError: no such key, a malformed id or time, parameters of another link,
    a fragment. Raises ClientFault for a path or query that an edge would refuse.
    """
    secret = dict(way.keys).get(key)
    if secret is None:
        raise ValueError(f"there is no key {key!r}")
    if _KEY_ID.fullmatch(key) is None:
        raise ValueError("a key's id has up to 64 letters, digits, '_', '.' and '-'")
    if _EXPIRES.fullmatch(str(expires)) is None:
        raise ValueError("the time must be whole seconds above 0")
    parts = urlsplit(url)
    target = request_target.join(parts.path or "/", parts.query)
    path, query = request_target.split(target)
    given = request_target.parameters(query)
    if parts.fragment or any(p.name in way.parameters for p in given):
        raise ValueError("the URL has a fragment, or is signed already")
    extension = request_target.extension(given)
    signature = _signature(secret, key, path, extension, str(expires))
    added = ((way.key, key), (way.expires, str(expires)), (way.signature, signature))
    pieces = [query] if query else []
    pieces += [f"{quote(name, safe='')}={text}" for name, text in added]
    return parts._replace(query="&".join(pieces)).geturl()


def verify(
    link: SignedLink,
    way: SignedWay,
    path: str,
    extension: str,
    right: Right,
    now: float,
) -> LinkGrant | Failure:
    """Judge a link; ``now`` is Unix time.

    ``path`` is raw, ``extension`` canonical (``request_target.extension``) and without
    any credential's parameters.
    """
    if not link.signature or _EXPIRES.fullmatch(link.expires) is None or not link.key:
        words = "The signed URL lacks a parameter, or one of them is malformed."
        return _failure(Reason.LINK_MALFORMED, words)
    secret = dict(way.keys).get(link.key)
    # An unknown key is told as a wrong signature: which keys there are is no news.
    good = secret is not None and hmac.compare_digest(
        _signature(secret, link.key, path, extension, link.expires).encode(),
        link.signature.encode("utf-8", "surrogatepass"),
    )
    if not good:
        words = "The signature does not fit this URL."
        return _failure(Reason.LINK_SIGNATURE, words)
    expires_at = float(link.expires)
    if now >= expires_at:
        return _failure(Reason.LINK_EXPIRED, "The time of the signed URL is over.")
    if right is not Right.READ:
        words = "A signed URL lets read, nothing else."
        return _failure(Reason.PATH_NOT_GRANTED, words)
    return LinkGrant(link.key, expires_at)


def signed_text(key: str, path: str, extension: str, expires: str) -> bytes:
    """What is signed: each part after its length in octets and a colon."""
    parts = (VERSION, key, path, extension, expires)
    octets = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(b"%d:%s" % (len(part), part) for part in octets)


def _signature(secret: bytes, key: str, path: str, extension: str, expires: str) -> str:
    """In base64url without padding: 43 characters. Signatures are compared as text,
    so no second spelling of one passes."""
    text = signed_text(key, path, extension, expires)
    digest = hmac.new(secret, text, sha256).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _failure(reason: Reason, words: str) -> Failure:
    return Failure(reason, words, error=None)
