"""Ways: what an operator declares about who is let in on a route.

Plain frozen data. Settings fill it in; ``edge.access`` judges requests by it. It
decides nothing and reads no file. A route has its ways in the order in which they are
tried. The first that finds its kind of credential judges, and its *no* is final (A15).

============== ===============================================================
``JwtWay``     a JSON Web Token, judged by keys (RFC 7519)
``SignedWay``  a URL that carries its own signature (B21)
``ForwardWay`` an endpoint of the operator's is asked (A16)
``OriginWay``  the origin is asked, with the client's credential (A17)
============== ===============================================================

The last two *ask*: somebody else judges, and is believed for a time.
"""

import enum
from dataclasses import dataclass, field
from typing import TypeAlias


class Right(enum.Enum):
    """What a request needs (A5). MANAGE is creating and deleting; a way that names no
    claim for it judges it as WRITE."""

    READ = "read"
    WRITE = "write"
    MANAGE = "manage"


class TokenPlace(enum.Enum):
    """Where a request carries a token."""

    AUTHORIZATION = "authorization"
    QUERY = "query"
    COOKIE = "cookie"


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """One place where a way looks for its token.

    ``name`` is the parameter's or the cookie's, compared exactly; "" for the
    Authorization field, of which only the scheme Bearer is looked at.
    """

    place: TokenPlace
    name: str = ""


AUTHORIZATION = CredentialSource(TokenPlace.AUTHORIZATION)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that the edge shares with the issuer, for HS256, HS384 and HS512."""

    octets: bytes = field(repr=False)
    kid: str | None = None


@dataclass(frozen=True, slots=True)
class PemFile:
    """A public key in a file, as PEM."""

    path: str
    kid: str | None = None


@dataclass(frozen=True, slots=True)
class JwksFile:
    """A JSON Web Key Set in a file (RFC 7517)."""

    path: str


@dataclass(frozen=True, slots=True)
class JwksUrl:
    """A JSON Web Key Set at a URL, fetched anew every ``refresh`` seconds."""

    url: str
    refresh: float = 600.0


KeySource: TypeAlias = Secret | PemFile | JwksFile | JwksUrl


@dataclass(frozen=True, slots=True)
class JwtWay:
    """Who brings a token of the issuer is let in, as far as its claims reach.

    ``algorithms`` is the allow-list (A9). ``issuer``, ``audience`` and ``typ`` are
    compared when they are set. ``leeway``: seconds by which clocks may differ.

    ``read``, ``write`` and ``manage`` name the claims that hold globs of paths; None:
    there is no such claim. ``bind`` are the names of ``{name}`` in the route's
    ``match``, each of which must equal the claim of that name (B20). A route that only
    binds lets read what is bound; writing always takes a claim.

    ``max_lifetime`` caps, in seconds from now, the ``exp`` that is accepted.
    ``extension`` lists the extension parameters that a token lets ask for; None: all.
    """

    keys: tuple[KeySource, ...]
    algorithms: tuple[str, ...]
    issuer: str | None = None
    audience: str | None = None
    leeway: float = 30.0
    sources: tuple[CredentialSource, ...] = (AUTHORIZATION,)
    read: str | None = None
    write: str | None = None
    manage: str | None = None
    bind: tuple[str, ...] = ()
    max_lifetime: float = 86_400.0
    typ: str | None = None
    extension: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SignedWay:
    """Who has the URL may read it until its time is over.

    ``keys`` are secrets by their ids. ``public``: caches that do not judge may share
    the answers (A6). The other fields are the names of the three parameters.
    """

    keys: tuple[tuple[str, bytes], ...] = field(repr=False)
    signature: str = "ds_sig"
    expires: str = "ds_exp"
    key: str = "ds_key"
    public: bool = False

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the three parameters."""
        return frozenset((self.signature, self.expires, self.key))


@dataclass(frozen=True, slots=True)
class ForwardWay:
    """Whom an HTTP endpoint of the operator's lets in, as it is asked about each
    credential; also about requests without one (B11).

    It is sent the ``headers`` (lower case), and of the URL all that is not the
    protocol's. ``parameters`` are those that are credentials: they leave the key, and
    go no further. It is believed for ``cache`` seconds, and has ``timeout`` seconds to
    answer. ``identity_header``: the field of its answer that names who was let in.
    """

    url: str
    headers: tuple[str, ...] = ("authorization", "cookie")
    parameters: tuple[str, ...] = ()
    cache: float = 30.0
    timeout: float = 2.0
    identity_header: str | None = None


@dataclass(frozen=True, slots=True)
class OriginWay:
    """Whom the origin lets in, as it is asked with each credential.

    ``headers`` (lower case) and ``parameters`` are what is sent to it of a client, all
    of it. It is believed for ``trust`` seconds. The operator declares by it that all
    who may read a stream read the same bytes.
    """

    trust: float = 30.0
    headers: tuple[str, ...] = ("authorization", "cookie")
    parameters: tuple[str, ...] = ("signature", "secret", "token")


AskingWay: TypeAlias = ForwardWay | OriginWay
"""A way on which somebody else is asked."""

Way: TypeAlias = JwtWay | SignedWay | ForwardWay | OriginWay
