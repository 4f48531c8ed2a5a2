"""JSON Web Tokens: what one claims, or why it is not believed (A9, B14, B23).

``verify`` judges a token by the way's rules, the issuer's keys and the time. The order
is fixed: its form and header, the key, the signature, and only then what it says. So
only who holds a token that the issuer signed learns which claim is wrong.
``permits`` says whether what it claims reaches a path.

PyJWT checks signatures, with ``cryptography``. TokenClaims are judged here: PyJWT would
take the time from a clock of its own. Nothing of a token's header is believed. The
algorithm must be on the way's list and fit the key; a header that brings a key, says
where one lies, or asks for an extension, is refused.

Pure; called by the authorizer, which remembers verdicts.

Sources: RFC 7515 sections 4.1 and 5.2; RFC 7519 sections 4.1 and 7.2; RFC 8725.
"""

import json
import math
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jwt import InvalidSignatureError, PyJWTError
from jwt.api_jws import PyJWS

from edge.access.challenges import BearerError, Failure
from edge.access.keys import ALGORITHMS, KeySet, VerificationKey
from edge.access.path_grants import PathGrants, is_bound
from edge.core.reasons import Reason
from edge.policy.streams.pipeline import captured
from edge.policy.streams.ways import JwtWay, Right

MAX_BYTES = 8192

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""The compact form (RFC 7515 section 7.1): signed, not encrypted, no padding."""

_FORBIDDEN = ("jku", "jwk", "x5u", "x5c", "crit", "b64", "zip")
"""Header members that bring a key, say where one lies, or change the rules."""

_JWS = PyJWS(sorted(ALGORITHMS), {"enforce_minimum_key_length": True})

_MISSING = object()


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a believed token grants.

    At ``expires_at`` (Unix seconds) it ends: its ``exp`` and the leeway (A20). A grant
    that is None is one whose claim the way does not name. ``bound`` has the values of
    the way's ``bind``, name by name; None for a claim that is missing or no string.
    ``issuer`` and ``issued_at`` (Unix seconds) are what it says, or None.
    """

    subject: str | None
    token_id: str | None
    expires_at: float
    read: PathGrants | None = None
    write: PathGrants | None = None
    manage: PathGrants | None = None
    bound: tuple[tuple[str, str | None], ...] = ()
    issuer: str | None = None
    issued_at: float | None = None


def verify(text: str, way: JwtWay, keys: KeySet, now: float) -> TokenClaims | Failure:
    """Judge a token; ``now`` is Unix time.

    With ``Reason.TOKEN_UNKNOWN_KEY`` newer keys might believe it.
    """
    header = _header(text)
    if isinstance(header, Failure):
        return header
    key = _key(header, way, keys)
    if isinstance(key, Failure):
        return key
    said = _signed(text, key, header["alg"])
    if isinstance(said, Failure):
        return said
    return _believed(header, said, way, now)


def permits(
    claims: TokenClaims,
    way: JwtWay,
    path: str,
    match: str,
    right: Right,
    extension: Iterable[str] = (),
) -> Failure | None:
    """Why these claims do not reach a request; None: they do.

    ``path`` is raw, ``match`` the route's glob, ``extension`` the names of the
    request's extension parameters, those of credentials left out.
    """
    if not (_is_granted(claims, way, path, right) and _is_bound(claims, match, path)):
        return _not_granted(claims, right)
    covered = way.extension
    if covered is not None and any(name not in covered for name in extension):
        words = "The token does not cover a parameter of the URL."
        return _no_scope(Reason.PARAMETER_NOT_GRANTED, words, claims.subject)
    return None


def permits_below(
    claims: TokenClaims, path: str, match: str, root: str, right: Right
) -> Failure | None:
    """Why these claims do not reach every path below ``root``; None: they do.

    A request for a control path may name any stream below the path on which it stands
    (B5). A claim has to grant all of them, in one glob; ``bind`` alone does not.
    """
    grants = _grants_of(claims, right)
    if grants is None or not grants.cover_below(root):
        return _not_granted(claims, right)
    return None if _is_bound(claims, match, path) else _not_granted(claims, right)


def claimed_end(text: str) -> float:
    """When a token says that it ends (Unix seconds), whoever made it; 0.0: it does not.
    Good for how long to remember it, and for nothing else."""
    _, _, rest = text.partition(".")
    payload = rest.partition(".")[0]
    try:
        said = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return 0.0
    return (_time(said.get("exp")) if isinstance(said, dict) else None) or 0.0


# -- before the signature -----------------------------------------------------


def _header(text: str) -> Mapping[str, Any] | Failure:
    """The header of a well-formed token, which nobody believes yet."""
    words = "The token is no signed JSON Web Token."
    malformed = Failure(Reason.TOKEN_MALFORMED, words)
    if len(text) > MAX_BYTES:
        return Failure(Reason.TOKEN_MALFORMED, "The token is too large.")
    if _COMPACT.fullmatch(text) is None:
        return malformed
    try:
        header = _JWS.get_unverified_header(text)
    except PyJWTError:
        return malformed
    if any(name in header for name in _FORBIDDEN):
        words = "The token's header names a key or an extension of its own."
        return Failure(Reason.TOKEN_MALFORMED, words)
    return header


def _key(
    header: Mapping[str, Any], way: JwtWay, keys: KeySet
) -> VerificationKey | Failure:
    """The one key that fits the header."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS.intersection(
        way.algorithms
    ):
        words = "The token's algorithm is not accepted here."
        return Failure(Reason.TOKEN_ALGORITHM, words)
    key = keys.choose(algorithm, header.get("kid"))
    if key is None:
        return Failure(Reason.TOKEN_UNKNOWN_KEY, "No key fits the token.")
    return key


def _signed(
    text: str, key: VerificationKey, algorithm: str
) -> Mapping[str, Any] | Failure:
    """What the issuer said, if it was the issuer."""
    try:
        payload = _JWS.decode(text, key.value, [algorithm])
    except InvalidSignatureError:
        return Failure(Reason.TOKEN_SIGNATURE, "The token's signature is wrong.")
    except PyJWTError:
        return Failure(Reason.TOKEN_MALFORMED, "The token is malformed.")
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return Failure(Reason.TOKEN_MALFORMED, "The token has no claims.")
    return said


# -- what it says -------------------------------------------------------------


def _believed(
    header: Mapping[str, Any], said: Mapping[str, Any], way: JwtWay, now: float
) -> TokenClaims | Failure:
    """Judge the claims of a token whose signature held."""
    subject = said.get("sub")
    if not isinstance(subject, str | None) or not _is_text(subject or ""):
        return Failure(Reason.TOKEN_CLAIMS, "The token's sub is no string.")
    wrong = _wrong_time(said, way, now) or _wrong_use(header, said, way)
    if wrong is not None:
        return Failure(*wrong, subject=subject)
    try:
        read, write, manage = (
            _grants(said, claim) for claim in (way.read, way.write, way.manage)
        )
    except ValueError:
        words = "A claim of paths is no list of strings, or too long."
        return Failure(Reason.TOKEN_CLAIMS, words, subject=subject)
    token_id = said.get("jti")
    return TokenClaims(
        subject,
        token_id if isinstance(token_id, str) else None,
        float(said["exp"]) + way.leeway,
        read,
        write,
        manage,
        tuple((name, _text(_claim(said, name))) for name in way.bind),
        _text(said.get("iss")),
        _time(said.get("iat")),
    )


def _wrong_time(
    said: Mapping[str, Any], way: JwtWay, now: float
) -> tuple[Reason, str] | None:
    """What is wrong with the token's times."""
    times = {name: _time(said.get(name)) for name in ("exp", "nbf", "iat")}
    ends = times["exp"]
    if ends is None:
        return Reason.TOKEN_CLAIMS, "The token does not say when it expires."
    for name in ("nbf", "iat"):
        if name in said and times[name] is None:
            return Reason.TOKEN_CLAIMS, f"The token's {name} is no time."
    if now >= ends + way.leeway:
        return Reason.TOKEN_EXPIRED, "The token has expired."
    begins = max(times["nbf"] or 0.0, times["iat"] or 0.0)
    if now < begins - way.leeway:
        return Reason.TOKEN_NOT_YET, "The token is not valid yet."
    # From its issue on, where that is told: else a token that lives too long would be
    # taken in its last day, when nobody remembers that it was revoked (B13).
    issued = min(now, times["iat"] if times["iat"] is not None else now)
    if ends > issued + way.max_lifetime + way.leeway:
        return Reason.TOKEN_LIFETIME, "The token lives longer than is accepted here."
    return None


def _wrong_use(
    header: Mapping[str, Any], said: Mapping[str, Any], way: JwtWay
) -> tuple[Reason, str] | None:
    """What is wrong with who made the token, for whom, and for what."""
    if way.typ is not None and _media_type(header.get("typ")) != _media_type(way.typ):
        return Reason.TOKEN_TYPE, "The token is of another type."
    if way.issuer is not None and said.get("iss") != way.issuer:
        return Reason.TOKEN_ISSUER, "The token is of another issuer."
    audience = said.get("aud", _MISSING)
    if way.audience is None:
        # Whoever is not told its own name is not meant (RFC 7519 section 4.1.3).
        good = audience is _MISSING
    else:
        named = audience if isinstance(audience, list) else [audience]
        good = way.audience in named
    return (
        None if good else (Reason.TOKEN_AUDIENCE, "The token is for another audience.")
    )


def _time(value: object) -> float | None:
    """A NumericDate (RFC 7519 section 2); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _media_type(typ: object) -> str | None:
    """A ``typ`` as it is compared (RFC 7515 section 4.1.9)."""
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else None


# -- what it grants -----------------------------------------------------------


def _claim(said: Mapping[str, Any], name: str) -> object:
    """A claim by its whole name, and if there is none, by its dots (B20)."""
    if name in said:
        return said[name]
    found: object = said
    for part in name.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _is_text(value: str) -> bool:
    """Whether this can be written down: JSON may hold half of a surrogate pair."""
    return all(not "\ud800" <= character <= "\udfff" for character in value)


def _grants(said: Mapping[str, Any], claim: str | None) -> PathGrants | None:
    """The globs in a claim: a list, or a string with spaces between them.

    A missing claim grants nothing (B14). Raises ValueError for any other value.
    """
    if claim is None:
        return None
    value = _claim(said, claim)
    globs = value.split(" ") if isinstance(value, str) else value
    if globs is None:
        return PathGrants()
    if not isinstance(globs, list) or not all(isinstance(g, str) for g in globs):
        raise ValueError("no list of strings")
    return PathGrants.of(globs)


def _is_granted(claims: TokenClaims, way: JwtWay, path: str, right: Right) -> bool:
    """Whether the claims' globs reach a path. Only reading may go by ``bind`` alone."""
    grants = _grants_of(claims, right)
    if grants is None:
        return right is Right.READ and bool(way.bind)
    return grants.cover(path)


def _grants_of(claims: TokenClaims, right: Right) -> PathGrants | None:
    """The globs for a right; None if the way names no claim for it."""
    match right:
        case Right.READ:
            return claims.read
        case Right.MANAGE if claims.manage is not None:
            return claims.manage
        case _:
            return claims.write


def _is_bound(claims: TokenClaims, match: str, path: str) -> bool:
    """Whether every name that the way binds stands in the path with its value."""
    if not claims.bound:
        return True
    segments = captured(match, path) or ()
    return all(
        value is not None
        and any(n == name for n, _ in segments)
        and all(is_bound(segment, value) for n, segment in segments if n == name)
        for name, value in claims.bound
    )


def _not_granted(claims: TokenClaims, right: Right) -> Failure:
    words = f"The token does not grant the right to {right.value} here."
    return _no_scope(Reason.PATH_NOT_GRANTED, words, claims.subject)


def _no_scope(reason: Reason, words: str, subject: str | None) -> Failure:
    return Failure(reason, words, BearerError.INSUFFICIENT_SCOPE, subject)
