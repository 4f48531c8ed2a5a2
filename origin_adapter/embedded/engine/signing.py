"""Signing: webhook signatures, their public keys, and wake tokens.

Both keys are made once and live in the store, so signatures and tokens stay valid over
restarts. A webhook is signed with Ed25519 over ``<timestamp>.<body>`` (section 7.1).
Its key is published as a JWK whose id is the RFC 7638 thumbprint. A token is a JWT
under HMAC-SHA256 that names one subscription and one generation (section 12.9).
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from origin_adapter.embedded.rules.subscriptions import ControlRefused

TOKEN_LIFE = 24 * 3600
"""Seconds. A token's generation ends long before that, and the token with it."""

_ALGORITHM = "HS256"
Secret = Callable[[str, Callable[[], bytes]], bytes]


class SigningKeys:
    """This server's keys. ``secret`` returns a value that is made once and kept."""

    def __init__(self, secret: Secret) -> None:
        raw = secret("webhook-signing-key", lambda: secrets.token_bytes(32))
        self._private = Ed25519PrivateKey.from_private_bytes(raw)
        self._tokens = secret("token-key", lambda: secrets.token_bytes(32))
        self._x = _base64url(self._private.public_key().public_bytes_raw())
        self.kid = f"ds_{_thumbprint(self._x)}"

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, for receivers (section 6.5)."""
        key = {
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": self.kid,
            "use": "sig",
            "alg": "EdDSA",
            "x": self._x,
        }
        return {"keys": [key]}

    def sign(self, body: bytes, now: float) -> str:
        """The ``Webhook-Signature`` of a body sent now (Unix seconds)."""
        stamp = int(now)
        signature = self._private.sign(b"%d." % stamp + body)
        return f"t={stamp},kid={self.kid},ed25519={_base64url(signature)}"

    def token(self, subscription: str, generation: int, now: float) -> str:
        """A token for the requests of one wake."""
        said = {"sub": subscription, "gen": generation, "exp": int(now) + TOKEN_LIFE}
        return jwt.encode(said, self._tokens, algorithm=_ALGORITHM)

    def generation(self, authorization: str | None, subscription: str) -> int:
        """The generation that a request's token names. Raises ControlRefused."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ControlRefused(401, "TOKEN_INVALID", "a bearer token is needed")
        try:
            said = jwt.decode(
                token.strip(),
                self._tokens,
                algorithms=[_ALGORITHM],
                options={"require": ["sub", "gen", "exp"]},
                subject=subscription,
            )
        except jwt.ExpiredSignatureError:
            raise ControlRefused(401, "TOKEN_EXPIRED", "the token expired") from None
        except jwt.InvalidTokenError:
            raise ControlRefused(
                401, "TOKEN_INVALID", "the token is not valid"
            ) from None
        return int(said["gen"])


def _thumbprint(x: str) -> str:
    """RFC 7638 over an Ed25519 key (RFC 8037)."""
    canonical = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=_TIGHT)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_TIGHT = (",", ":")
