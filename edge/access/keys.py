"""Keys that verify tokens: sets of them, and the one that fits a token.

A set is made of octets: a shared secret, a public key as PEM, a JSON Web Key Set.
Callers read the files and fetch the URLs. What cannot verify anything is never in a
set. In a JWKS such keys are left out and counted: private and symmetric ones, which
nobody should publish, too short or too long ones, and those meant for another use
(B15). A key that an operator gave, and that is no such key, is an error.

``choose`` takes the algorithm and the ``kid`` that a token's header names. They are
hints of whoever sent the token: the algorithm has passed the allow-list before, and the
``kid`` is only compared, never looked up anywhere. Exactly one key must fit.

Sources: RFC 7517 sections 4 and 5; RFC 7518 sections 3.1 to 3.5 and 6; RFC 8037;
RFC 8725 sections 3.1 and 3.5.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import InvalidKeyError
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from edge.policy.streams.ways import JwksFile, KeySource, PemFile, Secret

MAX_JWKS_BYTES = 1024 * 1024
MAX_KEYS = 100
MIN_SECRET_BYTES = 32
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
"""A longer RSA key would make a single signature cost milliseconds."""

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

_KINDS = {
    "oct": ("HS256", "HS384", "HS512"),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
}
"""Kinds of keys, and the algorithms that each can verify."""

HMAC = frozenset(_KINDS["oct"])
ALGORITHMS = frozenset(name for names in _KINDS.values() for name in names)
"""All that may stand in an allow-list. ``none`` never does."""

_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The least length of a secret: that of the hash (RFC 7518 section 3.2)."""

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


class KeyFault(ValueError):
    """What should be a key, or a set of them, is none. Its words hold no key."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One key that verifies. ``algorithms`` are those that it fits, if not empty."""

    value: bytes | PublicKey = field(repr=False)
    algorithms: frozenset[str]
    kid: str | None = None


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys of one issuer. ``skipped``: how many of a JWKS were of no use."""

    keys: tuple[VerificationKey, ...] = ()
    skipped: int = 0

    @classmethod
    def of_secret(cls, octets: bytes, kid: str | None = None) -> "KeySet":
        """A shared secret. Raises KeyFault if it is short, or no secret at all."""
        if len(octets) < MIN_SECRET_BYTES:
            raise KeyFault(f"a secret must have at least {MIN_SECRET_BYTES} bytes")
        try:
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(octets)
        except InvalidKeyError:
            raise KeyFault(
                "a public key, a certificate or a JWK is no secret"
            ) from None
        fits = (a for a, least in _SECRET_BYTES.items() if len(octets) >= least)
        return cls((VerificationKey(octets, frozenset(fits), kid),))

    @classmethod
    def of_pem(cls, octets: bytes, kid: str | None = None) -> "KeySet":
        """A public key as PEM. Raises KeyFault, for a private one too."""
        try:
            value = load_pem_public_key(octets)
        except (ValueError, UnsupportedAlgorithm):
            raise KeyFault("expected a public key as PEM") from None
        algorithms = _algorithms_of(value)
        if not algorithms or not isinstance(value, PublicKey):
            raise KeyFault(
                f"expected RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, "
                "P-256, P-384, P-521 or Ed25519"
            )
        return cls((VerificationKey(value, algorithms, kid),))

    @classmethod
    def of_jwks(cls, document: bytes) -> "KeySet":
        """A JSON Web Key Set. A key that is of no use is skipped.

        Raises KeyFault if it is no such set, or too large. One without a key of use
        is a set: it verifies nothing.
        """
        if len(document) > MAX_JWKS_BYTES:
            raise KeyFault(f"a JWKS may have {MAX_JWKS_BYTES} bytes")
        try:
            members = json.loads(document)["keys"]
        except (ValueError, RecursionError, TypeError, LookupError):
            raise KeyFault("expected a JSON object with an array of keys") from None
        if not isinstance(members, list) or len(members) > MAX_KEYS:
            raise KeyFault(f"expected an array of up to {MAX_KEYS} keys")
        found = tuple(key for key in map(_key_of, members) if key is not None)
        return cls(found, len(members) - len(found))

    @classmethod
    def joined(cls, sets: Iterable["KeySet"]) -> "KeySet":
        """All keys of several sets."""
        taken = list(sets)
        keys = tuple(key for one in taken for key in one.keys)
        return cls(keys, sum(one.skipped for one in taken))

    def choose(self, algorithm: str, kid: str | None) -> VerificationKey | None:
        """The one key that fits; None if there is none, or more than one.

        With a ``kid`` the keys of that name are looked at. If no key has it, or the
        token has none, a key without a name may fit too; without a ``kid`` every key
        may.
        """
        fits = [key for key in self.keys if algorithm in key.algorithms]
        if kid is not None:
            named = [key for key in fits if key.kid == kid]
            fits = named or [key for key in fits if key.kid is None]
        return fits[0] if len(fits) == 1 else None

    def fitting(self, algorithms: Iterable[str]) -> "KeySet":
        """The keys that at least one of these algorithms can use."""
        names = frozenset(algorithms)
        return KeySet(tuple(key for key in self.keys if key.algorithms & names))

    def ambiguous(self, algorithms: Iterable[str]) -> bool:
        """Whether two keys have one ``kid``, or none, and an algorithm in common.

        ``choose`` finds neither of them, so ``ds-edge check`` refuses such secrets.
        """
        wanted = frozenset(algorithms)
        uses = [(a, key.kid) for key in self.keys for a in key.algorithms & wanted]
        return len(set(uses)) < len(uses)


def secret_of(octets: bytes) -> bytes:
    """The secret in a file: all of it but one line end, which editors put there."""
    return octets.removesuffix(b"\n").removesuffix(b"\r")


def load(sources: Iterable[KeySource], read: Callable[[str], bytes]) -> KeySet:
    """The keys of all sources that need nobody to be asked: all but URLs.

    ``read`` gives a file's octets, by its path. Raises KeyFault, which names the file,
    and whatever ``read`` raises.
    """
    sets = []
    for source in sources:
        match source:
            case Secret(octets=octets, kid=kid):
                sets.append(KeySet.of_secret(octets, kid))
            case PemFile(path=path) | JwksFile(path=path):
                sets.append(_of_file(source, read(path)))
    return KeySet.joined(sets)


def _of_file(source: PemFile | JwksFile, octets: bytes) -> KeySet:
    try:
        if isinstance(source, JwksFile):
            return KeySet.of_jwks(octets)
        return KeySet.of_pem(octets, source.kid)
    except KeyFault as fault:
        raise KeyFault(f"{source.path}: {fault}") from None


# -- what a key can verify ----------------------------------------------------


def _algorithms_of(value: object) -> frozenset[str]:
    """The algorithms that a public key can verify; none for any other object."""
    if isinstance(value, RSAPublicKey):
        fits = MIN_RSA_BITS <= value.key_size <= MAX_RSA_BITS
        return frozenset(_KINDS["RSA"] if fits else ())
    if isinstance(value, EllipticCurvePublicKey):
        return frozenset(_KINDS.get(_CURVES.get(value.curve.name, ""), ()))
    return frozenset(_KINDS["Ed25519"] if isinstance(value, Ed25519PublicKey) else ())


_READERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
_MAX_MEMBER = 2048
"""Characters of a key's numbers: an RSA modulus of 8192 bits has 1366."""


def _key_of(jwk: object) -> VerificationKey | None:
    """The key of a JWKS member that can verify something; None for any other."""
    if not isinstance(jwk, dict) or not _is_public_and_ours(jwk):
        return None
    kid, alg = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str | None) or not isinstance(alg, str | None):
        return None
    try:
        value = _READERS[jwk["kty"]](jwk)
    # What PyJWT and cryptography raise for numbers that are no key.
    except (InvalidKeyError, ValueError, TypeError, LookupError, UnsupportedAlgorithm):
        return None
    algorithms = _algorithms_of(value)
    if alg is not None:
        algorithms &= {alg}
    if not algorithms or not isinstance(value, PublicKey):
        return None
    return VerificationKey(value, algorithms, kid)


def _is_public_and_ours(jwk: dict[str, Any]) -> bool:
    """Whether a JWK is a public key of a known type, for verifying, of a sane size."""
    uses = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("kty") in ("RSA", "EC", "OKP")
        and "d" not in jwk
        and jwk.get("use", "sig") == "sig"
        and isinstance(uses, list)
        and "verify" in uses
        and all(
            len(v) <= _MAX_MEMBER for n in "nexy" if isinstance(v := jwk.get(n), str)
        )
    )
