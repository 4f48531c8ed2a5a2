"""Settings of the ways by which a route lets in (``routes[].access``).

``access`` is a word, or a mapping of ways in the order in which they are tried. Files
with keys are read when the settings are: a mistake in one is then told with the line
that names it. What would let in by mistake is refused: an allow-list of both secrets
and public keys, a key that no algorithm fits, an issuer that is not checked.
``edge.policy.streams.ways`` says what each field means. Used by ``schema``.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    SecretStr,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from edge.access.keys import (
    ALGORITHMS,
    HMAC,
    KeySet,
    secret_of,
)
from edge.policy.http import request_target
from edge.policy.streams.routes import Access
from edge.policy.streams.ways import (
    AUTHORIZATION,
    CredentialSource,
    JwksFile,
    JwksUrl,
    JwtWay,
    KeySource,
    PemFile,
    Secret,
    SignedWay,
    TokenPlace,
    Way,
)
from edge.protocol.http_grammar import TOKEN_CHARS
from edge.settings import fragments
from edge.settings.asked_ways import (
    LOOPBACK,
    ForwardSettings,
    OriginWaySettings,
    wrong_together,
)
from edge.settings.fields import Duration, Flag, ParameterName, Timeout
from edge.settings.files import PATH, KeyFile, key_file, reading
from edge.settings.fragments import told
from edge.settings.problems import repeated
from edge.settings.section import Section
from edge.settings.units import DAY

WORD, WAYS = "[word]", "[ways]"
"""The two kinds of ``access``, as they stand in the path of a validation error."""

_CLAIM = re.compile(r"[!-~]{1,256}")
_COOKIE = re.compile(rf"[{TOKEN_CHARS}]{{1,256}}")
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


# Values.


SecretFile = Annotated[
    KeyFile,
    key_file(lambda o: KeySet.of_secret(secret_of(o))),
    PATH,
    told(fragments.PATH),
]
PublicKeyFile = Annotated[KeyFile, key_file(KeySet.of_pem), PATH, told(fragments.PATH)]


def _secret(given: object) -> SecretStr:
    """A secret, which is never repeated, whatever is wrong with it."""
    if isinstance(given, SecretStr):
        given = given.get_secret_value()
    if not isinstance(given, str):
        raise ValueError("expected a secret of at least 32 bytes")
    KeySet.of_secret(given.encode())
    return SecretStr(given)


SharedSecret = Annotated[SecretStr, BeforeValidator(_secret), told(fragments.SECRET)]

_read_jwks = reading(KeySet.of_jwks)


def _jwks(given: object) -> KeyFile | str:
    """A file, or a URL that nobody on the way can answer for."""
    if not isinstance(given, str) or "://" not in given:
        return _read_jwks(given)
    parts = urlsplit(given)
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError("expected a file, or a URL as in https://issuer.example/keys")
    plain = parts.scheme == "http" and parts.hostname in LOOPBACK
    if parts.scheme != "https" and not plain:
        raise ValueError("must be https: whoever can change the keys lets himself in")
    return given


Jwks = Annotated[
    KeyFile | str,
    PlainValidator(_jwks),
    PlainSerializer(lambda it: it.path if isinstance(it, KeyFile) else it),
    told(fragments.JWKS),
]


def _text(pattern: re.Pattern[str], what: str) -> BeforeValidator:
    def validate(given: object) -> str:
        if not isinstance(given, str) or not pattern.fullmatch(given):
            raise ValueError(f"expected {what}")
        return given

    return BeforeValidator(validate)


Claim = Annotated[
    str,
    _text(_CLAIM, "the name of a claim, such as streams.read"),
    told(fragments.CLAIM),
]
KeyId = Annotated[
    str,
    _text(_KEY_ID, "up to 64 letters, digits, '_', '.' and '-'"),
    told(fragments.KEY_ID),
]
Words = Annotated[
    str,
    _text(re.compile(r"[!-~]{1,2048}"), "visible characters"),
    told(fragments.VISIBLE),
]


def _algorithm(given: object) -> str:
    if given not in ALGORITHMS:
        known = ", ".join(sorted(ALGORITHMS))
        raise ValueError(f"expected one of {known}")
    return str(given)


Algorithm = Annotated[
    str, BeforeValidator(_algorithm), told({"enum": sorted(ALGORITHMS)})
]


def _source(given: object) -> CredentialSource:
    """``authorization``, ``{query: NAME}`` or ``{cookie: NAME}``."""
    if isinstance(given, CredentialSource):
        return given
    if given == TokenPlace.AUTHORIZATION.value:
        return AUTHORIZATION
    if isinstance(given, dict) and len(given) == 1:
        [(place, name)] = given.items()
        named = isinstance(name, str) and _COOKIE.fullmatch(name) is not None
        if place in ("query", "cookie") and named:
            if name in request_target.PROTOCOL:
                raise ValueError(f"{name} is a parameter of the protocol")
            return CredentialSource(TokenPlace(place), name)
    raise ValueError("expected authorization, {query: NAME} or {cookie: NAME}")


def _write_source(source: CredentialSource) -> str | dict[str, str]:
    return {source.place.value: source.name} if source.name else source.place.value


Source = Annotated[
    CredentialSource,
    PlainValidator(_source),
    PlainSerializer(_write_source),
    told(fragments.SOURCE),
]


# Sections.


class SecretSettings(Section):
    """One secret: written here, or in a file."""

    secret: SharedSecret | None = None
    secret_file: SecretFile | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        _exactly_one(self, "secret", "secret_file")
        return self

    @property
    def octets(self) -> bytes:
        """The secret in plain."""
        if self.secret_file is not None:
            return secret_of(self.secret_file.octets)
        assert self.secret is not None
        return self.secret.get_secret_value().encode()


class KeySettings(Section):
    """One key, or one set of them. ``kid`` and ``refresh`` are not for all kinds."""

    secret: SharedSecret | None = None
    secret_file: SecretFile | None = None
    public_key: PublicKeyFile | None = None
    jwks: Jwks | None = None
    kid: Words | None = None
    refresh: Timeout = 600.0

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        _exactly_one(self, "secret", "secret_file", "public_key", "jwks")
        if self.jwks is not None and self.kid is not None:
            raise ValueError("kid is for single keys: a set names its own")
        at_url = isinstance(self.jwks, str)
        if "refresh" in self.model_fields_set and not at_url:
            raise ValueError("refresh is for keys at a URL")
        return self

    @property
    def source(self) -> KeySource:
        """The key as ``edge.access`` reads it."""
        if isinstance(self.jwks, str):
            return JwksUrl(self.jwks, self.refresh)
        if self.jwks is not None:
            return JwksFile(self.jwks.path)
        if self.public_key is not None:
            return PemFile(self.public_key.path, self.kid)
        one = SecretSettings(secret=self.secret, secret_file=self.secret_file)
        return Secret(one.octets, self.kid)

    @property
    def at_hand(self) -> KeySet:
        """The keys that are there without asking anybody."""
        if isinstance(self.jwks, KeyFile):
            return KeySet.of_jwks(self.jwks.octets)
        if self.public_key is not None:
            return KeySet.of_pem(self.public_key.octets, self.kid)
        source = self.source
        if isinstance(source, Secret):
            return KeySet.of_secret(source.octets, self.kid)
        return KeySet()


class JwtSettings(Section):
    """Tokens that the edge judges by keys."""

    keys: tuple[KeySettings, ...]
    algorithms: tuple[Algorithm, ...]
    issuer: Words | None = None
    audience: Words | None = None
    typ: Words | None = None
    leeway: Duration = 30.0
    max_lifetime: Timeout = DAY
    sources: tuple[Source, ...] = (AUTHORIZATION,)
    read_claim: Claim | None = None
    write_claim: Claim | None = None
    manage_claim: Claim | None = None
    bind: tuple[Claim, ...] = ()
    extension: tuple[ParameterName, ...] | None = None

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        for wrong in (*_wrong_keys(self), *_wrong_claims(self)):
            raise ValueError(wrong)
        return self

    def to_way(self) -> JwtWay:
        """The way as ``edge.access`` judges by it."""
        return JwtWay(
            keys=tuple(key.source for key in self.keys),
            algorithms=self.algorithms,
            issuer=self.issuer,
            audience=self.audience,
            leeway=self.leeway,
            sources=self.sources,
            read=self.read_claim,
            write=self.write_claim,
            manage=self.manage_claim,
            bind=self.bind,
            max_lifetime=self.max_lifetime,
            typ=self.typ,
            extension=self.extension,
        )


_SIGNED = SignedWay(())
"""The names of its parameters are the defaults."""


class SignedSettings(Section):
    """URLs that carry their own signature."""

    keys: dict[KeyId, SecretSettings]
    signature: ParameterName = _SIGNED.signature
    expires: ParameterName = _SIGNED.expires
    key: ParameterName = _SIGNED.key
    public: Flag = _SIGNED.public

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if not self.keys:
            raise ValueError(
                "keys: expected at least one, as in {k1: {secret_file: F}}"
            )
        names = {self.signature, self.expires, self.key}
        if len(names) < 3 or names & request_target.PROTOCOL:
            raise ValueError("expected three names that are not the protocol's")
        return self

    def to_way(self) -> SignedWay:
        """The way as ``edge.access`` judges by it."""
        keys = tuple((name, one.octets) for name, one in self.keys.items())
        return SignedWay(keys, self.signature, self.expires, self.key, self.public)


class WaysSettings(Section):
    """The ways of one route, tried in the order in which they are written."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    jwt: JwtSettings | None = None
    signed: SignedSettings | None = None
    forward: ForwardSettings | None = None
    origin: OriginWaySettings | None = None
    _order: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _in_order(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(data)
        written = data if isinstance(data, dict) else {}
        made._order = tuple(n for n in written if getattr(made, n, None) is not None)
        if isinstance(data, cls):
            made._order = data._order
        if not made._order:
            known = ", ".join(cls.model_fields)
            raise ValueError(f"expected at least one way of {known}")
        for wrong in wrong_together(made._order):
            raise ValueError(wrong)
        names: list[str] = []
        for way in made.ways:
            names += _parameters_of(way)
        if len(set(names)) < len(names):
            raise ValueError("two ways look at one parameter")
        return made

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data = handler(self)
        return {name: data[name] for name in self._order}

    @property
    def names(self) -> tuple[str, ...]:
        """The ways by name, in order."""
        return self._order

    @property
    def key_files(self) -> dict[str, bytes]:
        """What the files with public keys held when the settings were read."""
        keys = self.jwt.keys if self.jwt is not None else ()
        files = (one for key in keys for one in (key.public_key, key.jwks))
        return {one.path: one.octets for one in files if isinstance(one, KeyFile)}

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways as ``edge.access`` judges by them, in order."""
        return tuple(getattr(self, name).to_way() for name in self._order)


_WORDS = [word.value for word in Access if word is not Access.GRANTED]


def _word(given: object) -> Access:
    if isinstance(given, Access):
        return given
    if given in _WORDS:
        return Access(given)
    shown = repeated(given)
    raise ValueError(
        f"expected {' or '.join(_WORDS)}, or a mapping of ways; got {shown}"
    )


def _kind(given: object) -> str:
    return WAYS if isinstance(given, dict | WaysSettings) else WORD


AccessSettings = Annotated[
    Annotated[Access, BeforeValidator(_word), told({"enum": _WORDS}), Tag(WORD)]
    | Annotated[WaysSettings, Tag(WAYS)],
    Discriminator(_kind),
]
"""A word, or ways."""


# What must not be.


def _exactly_one(section: Section, *names: str) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        raise ValueError(f"expected exactly one of {', '.join(names)}")


def _wrong_keys(jwt: JwtSettings) -> Iterator[str]:
    """Why these keys and algorithms must not judge (B14)."""
    if not jwt.keys:
        yield "keys: expected at least one"
    if not jwt.algorithms:
        yield "algorithms: expected at least one, as in [ES256]"
    secret = [name for name in jwt.algorithms if name in HMAC]
    if secret and len(secret) < len(jwt.algorithms):
        yield (
            "algorithms: secrets (HS*) and public keys must not be mixed: "
            "a public key could be taken for a secret"
        )
    if not secret and (jwt.issuer is None or jwt.audience is None):
        yield (
            "issuer and audience are required with public keys: "
            "the same keys sign tokens that are meant for others"
        )
    joined = KeySet.joined(key.at_hand for key in jwt.keys)
    if len(joined.fitting(jwt.algorithms).keys) < len(joined.keys):
        yield "keys: none of the algorithms fits one of them"
    if secret and any(key.public_key or key.jwks for key in jwt.keys):
        yield "keys: a public key fits no algorithm with a secret (HS*)"
    if joined.ambiguous(jwt.algorithms):
        yield "keys: two of them fit the same tokens; give each a kid of its own"


def _wrong_claims(jwt: JwtSettings) -> Iterator[str]:
    """Why these claims would let in nobody, or everybody."""
    if jwt.read_claim is None and not jwt.bind:
        yield "expected read_claim or bind: without either a token grants nothing"
    if not jwt.sources:
        yield "sources: expected at least one, as in [authorization]"
    if len(set(jwt.sources)) < len(jwt.sources):
        yield "sources: one of them stands twice"


def _parameters_of(way: Way) -> list[str]:
    if isinstance(way, JwtWay):
        return [one.name for one in way.sources if one.place is TokenPlace.QUERY]
    return sorted(way.parameters)
