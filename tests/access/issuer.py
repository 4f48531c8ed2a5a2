"""An issuer of tokens for tests: its keys, and tokens good and bad, at one time."""

import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS

from edge.policy.streams.ways import JwtWay

NOW = 1_800_000_000.0
ISSUER, AUDIENCE = "https://issuer.example", "streams"
SECRET = b"a secret of the tests, of 64 bytes: 0123456789abcdefghijklmnopqr"

_JWS = PyJWS()
ALGORITHM_OF = {"rsa": "RS256", "p256": "ES256", "p384": "ES384", "ed25519": "EdDSA"}


@cache
def private(kind: str) -> Any:
    """A private key of this kind; the same one each time."""
    match kind:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "short-rsa":
            return rsa.generate_private_key(65537, 1024)
        case "p256" | "other-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "secp256k1":
            return ec.generate_private_key(ec.SECP256K1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            raise ValueError(kind)


def pem(kind: str) -> bytes:
    """The public half, as PEM."""
    public = private(kind).public_key()
    return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def jwk(kind: str, **members: Any) -> dict[str, Any]:
    """The public half, as a JSON Web Key, with more members."""
    to_jwk: dict[str, Any] = {
        "rsa": RSAAlgorithm.to_jwk,
        "short-rsa": RSAAlgorithm.to_jwk,
        "ed25519": OKPAlgorithm.to_jwk,
    }
    written = to_jwk.get(kind, ECAlgorithm.to_jwk)
    return {**written(private(kind).public_key(), as_dict=True), **members}


def jwks(*keys: object) -> bytes:
    """A document with these keys."""
    return json.dumps({"keys": keys}).encode()


def said(**changes: Any) -> dict[str, Any]:
    """Good claims; a change to None leaves a claim out."""
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "exp": int(NOW) + 600,
        "iat": int(NOW) - 10,
        "streams": {"read": ["/v1/stream/a", "/v1/stream/rooms/**"]},
    }
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def token(
    claims: dict[str, Any] | None = None,
    kind: str = "p256",
    header: dict[str, Any] | None = None,
) -> str:
    """A token that the issuer signed."""
    return _JWS.encode(
        _payload(claims),
        private(kind),
        ALGORITHM_OF.get(kind, "ES256"),
        {"kid": kind} | (header or {}),
    )


def shared(claims: dict[str, Any] | None = None, algorithm: str = "HS256") -> str:
    """A token signed with the shared secret."""
    return _JWS.encode(_payload(claims), SECRET, algorithm)


def _payload(claims: dict[str, Any] | None) -> bytes:
    """Whatever is claimed: the library would refuse to sign some of it."""
    return json.dumps(said() if claims is None else claims).encode()


def segment(octets: bytes) -> str:
    """One of a token's three parts."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def signed_by_hand(header: bytes, payload: bytes, kind: str = "p256") -> str:
    """A token of any octets, with a signature that holds."""
    text = f"{segment(header)}.{segment(payload)}"
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(text.encode(), private(kind))
    return f"{text}.{segment(signature)}"


WAY = JwtWay(
    keys=(),
    algorithms=("ES256", "RS256", "EdDSA"),
    issuer=ISSUER,
    audience=AUDIENCE,
    read="streams.read",
    write="streams.write",
)
"""What most tests judge by; the keys are given beside it."""
