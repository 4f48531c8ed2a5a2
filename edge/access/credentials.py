"""What of a request is a way's credential.

It finds tokens and signed URLs in a request's head, and judges none. A way without its
kind of credential is passed over; the first way that finds its kind judges (A15). More
than one credential of one way is the client's fault: of two tokens, each part of the
system might believe another one. Credentials of other ways are left alone here. Their
names are in ``names_of``, by which callers strip and compare them (B4, B8).

Called by the authorizer and, for the names, by the fast way, the key and the log.

Sources: RFC 6750 section 2; RFC 6265 section 4.2.1; RFC 9110 section 11.6.2.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TypeAlias
from urllib.parse import unquote, unquote_plus

from edge.access.challenges import two_tokens
from edge.access.revocations import token_digest
from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import Headers
from edge.policy.http.request_target import Parameter
from edge.policy.streams.authorize import Lookup, RequestHead
from edge.policy.streams.routes import Access, Route
from edge.policy.streams.ways import (
    AskingWay,
    CredentialSource,
    ForwardWay,
    JwtWay,
    OriginWay,
    SignedWay,
    TokenPlace,
    Way,
)

MAX_PARTS = 256
"""Cookies and the like that are judged together, more than browsers keep for a site.
While anybody comes by them, each is remembered by its digests, which are longer."""

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr](?: +(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was sent, never empty, and the place where it was."""

    text: str = field(repr=False)
    source: CredentialSource

    @property
    def digest(self) -> str:
        """Stands for the token in tables: no memory keeps tokens."""
        return digest_of("token", self.text)


@dataclass(frozen=True, slots=True)
class SignedLink:
    """The three parameters of a signed URL, decoded; "" for a missing one."""

    signature: str = field(repr=False)
    expires: str
    key: str

    @property
    def digest(self) -> str:
        """Stands for the link in tables."""
        return digest_of("link", self.signature, self.expires, self.key)


@dataclass(frozen=True, slots=True)
class CredentialSet:
    """All that a way which asks sends of a client: fields as received, names in lower
    case, and raw parameters. Empty for a request without a credential."""

    headers: Headers = field(default=(), repr=False)
    parameters: tuple[str, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.headers or self.parameters)

    @property
    def digest(self) -> str:
        """Stands for the set in tables."""
        fields = (part for pair in self.headers for part in pair)
        return digest_of("set", str(len(self.headers)), *fields, *self.parameters)

    def get(self, name: str) -> str | None:
        """A field by lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


Credential: TypeAlias = Token | SignedLink | CredentialSet


@dataclass(frozen=True, slots=True)
class CredentialNames:
    """Where credentials are: names of header fields (lower case), of parameters
    (decoded) and of cookies."""

    headers: frozenset[str]
    parameters: frozenset[str]
    cookies: frozenset[str]


def names_of(ways: Iterable[Way]) -> CredentialNames:
    """All places in which any of these ways looks for a credential."""
    headers: set[str] = set()
    parameters: set[str] = set()
    cookies: set[str] = set()
    for way in ways:
        if not isinstance(way, JwtWay):
            parameters.update(way.parameters)
            headers.update(() if isinstance(way, SignedWay) else way.headers)
            continue
        for source in way.sources:
            match source.place:
                case TokenPlace.AUTHORIZATION:
                    headers.add("authorization")
                case TokenPlace.QUERY:
                    parameters.add(source.name)
                case TokenPlace.COOKIE:
                    headers.add("cookie")
                    cookies.add(source.name)
    return CredentialNames(
        frozenset(headers), frozenset(parameters), frozenset(cookies)
    )


def by_ways(route: Route, ways: tuple[Way, ...]) -> Route:
    """The route, judged by these ways: what they look at is the credential, and
    nothing else is (B8)."""
    names = names_of(ways)
    return replace(
        route,
        access=Access.GRANTED,
        ways=ways,
        credential_headers=tuple(sorted(names.headers)),
        credential_parameters=tuple(sorted(names.parameters)),
        judged_headers=_looked_at(ways),
        expires_parameters=(),
    )


def _looked_at(ways: tuple[Way, ...]) -> tuple[str, ...]:
    """Fields, beside the credentials, on which a verdict may depend (B4)."""
    return ("host",) if any(isinstance(way, ForwardWay) for way in ways) else ()


def find_first(
    ways: Iterable[Way], request: RequestHead
) -> tuple[Way, Credential] | None:
    """The first way that finds its kind of credential, and that credential.

    None: there is none of any way. Raises AccessDenied (two-tokens).
    """
    for way in ways:
        found = find(way, request)
        if found is not None:
            return way, found
    return None


def find(way: Way, request: RequestHead) -> Credential | None:
    """The one credential of this way; None without one.

    An empty one is none. Raises AccessDenied (two-tokens, 400) for more than one, also
    when they are equal. A way that asks has one whole set, and who is asked judges it.
    """
    if isinstance(way, SignedWay):
        return _link(way, request.parameters)
    if isinstance(way, ForwardWay):
        # It judges also who has none (B11).
        return _set(way, request)
    if isinstance(way, OriginWay):
        return _set(way, request) or None
    found = list(_tokens(way, request))
    if len(found) > 1:
        raise two_tokens("There is more than one token in the request.")
    return found[0] if found else None


def digests_in(credential: Credential) -> tuple[str, ...]:
    """The digest of each text in it that may be a token, as orders to revoke name it.

    A signed URL has none: it is taken back by its key.
    """
    match credential:
        case Token(text):
            return (token_digest(text),)
        case CredentialSet():
            return tuple(token_digest(text) for text in _texts_in(credential) if text)
        case _:
            return ()


def _texts_in(credential: CredentialSet) -> set[str]:
    """The texts, in each reading that some parser has: it is the judge's own parser
    that says what a token is, and a revoked one must not live on in another spelling.
    """
    found: set[str] = set()
    for name, value in credential.headers:
        for piece in {value, *_PIECE_ENDS.split(value)}:
            text = piece.partition("=")[2] if name == "cookie" else piece
            found.update(_readings(text))
    for parameter in credential.parameters:
        found.update(_readings(unquote_plus(parameter.partition("=")[2])))
    return found


_PIECE_ENDS = re.compile("[;,]")


def _readings(text: str) -> Iterator[str]:
    """A text as it stands and percent-decoded, each with and without a scheme."""
    for one in {text, unquote(text)}:
        plain = one.strip(_AROUND)
        yield plain
        yield from (word.strip(_AROUND) for word in plain.split(None, 1)[1:])


_AROUND = ' \t"'


def without(
    parameters: Iterable[Parameter], names: CredentialNames
) -> tuple[Parameter, ...]:
    """The parameters that are no credential of any way."""
    return tuple(p for p in parameters if p.name not in names.parameters)


# -- tokens -------------------------------------------------------------------


def _tokens(way: JwtWay, request: RequestHead) -> Iterator[Token]:
    """Every token in the places of the way."""
    for source in way.sources:
        yield from (Token(text, source) for text in _texts(source, request) if text)


def _texts(source: CredentialSource, request: RequestHead) -> Sequence[str]:
    match source.place:
        case TokenPlace.AUTHORIZATION:
            return _bearer(request.lookup("authorization"))
        case TokenPlace.QUERY:
            return [p.value() for p in request.parameters if p.name == source.name]
        case TokenPlace.COOKIE:
            return _cookies(source.name, request.lookup)


def _bearer(field_value: str | None) -> Sequence[str]:
    """What follows the scheme Bearer, which has no case.

    Parsers join two fields with a comma, which no token has.
    """
    match = _BEARER.fullmatch(field_value or "")
    if match is None or match[1] is None:
        return ()
    return [piece.strip(" \t") for piece in match[1].split(",")]


def _cookies(name: str, lookup: Lookup) -> Sequence[str]:
    """The values of all cookies of exactly this name."""
    pairs = (
        pair.strip(" \t").partition("=") for pair in (lookup("cookie") or "").split(";")
    )
    return [value for key, equals, value in pairs if equals and key == name]


# -- sets ---------------------------------------------------------------------


def _set(way: AskingWay, request: RequestHead) -> CredentialSet:
    """The whole set: several of one kind are judged by who is asked.

    Raises ClientFault (head-too-large, 431) for one of too many parts.
    """
    fields = ((name, request.lookup(name)) for name in way.headers)
    headers = tuple((name, value) for name, value in fields if value)
    parameters = tuple(p.raw for p in request.parameters if p.name in way.parameters)
    ends = sum(len(_PIECE_ENDS.findall(value)) for _, value in headers)
    if ends + len(headers) + len(parameters) > MAX_PARTS:
        detail = f"The credentials have more than {MAX_PARTS} parts."
        raise ClientFault(detail, reason=Reason.HEAD_TOO_LARGE, status=431)
    return CredentialSet(headers, parameters)


# -- signed URLs --------------------------------------------------------------


def _link(way: SignedWay, parameters: Iterable[Parameter]) -> SignedLink | None:
    """A part alone is a link too, if a bad one: it must not fall through to another
    way."""
    found: dict[str, str] = {}
    for parameter in parameters:
        value = parameter.value() if parameter.name in way.parameters else ""
        if not value:
            continue
        if parameter.name in found:
            raise two_tokens(f"The URL has more than one {parameter.name}.")
        found[parameter.name] = value
    if not found:
        return None
    parts = (found.get(n, "") for n in (way.signature, way.expires, way.key))
    return SignedLink(*parts)


def digest_of(*parts: str) -> str:
    """Stands for all of these. Lengths first: no two inputs are alike."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
