"""Key sets, and the one key that fits a token (B15)."""

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from edge.access.keys import (
    ALGORITHMS,
    HMAC,
    MAX_JWKS_BYTES,
    MAX_KEYS,
    KeyFault,
    KeySet,
    load,
    secret_of,
)
from edge.policy.streams.ways import JwksFile, JwksUrl, PemFile, Secret
from tests.access.issuer import SECRET, jwk, jwks, pem, private


def kids(keys: KeySet) -> list[str | None]:
    return [key.kid for key in keys.keys]


@pytest.mark.parametrize(
    ("kind", "algorithms"),
    [
        ("rsa", {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ("p256", {"ES256"}),
        ("p384", {"ES384"}),
        ("ed25519", {"EdDSA"}),
    ],
)
def test_a_public_key_fits_the_algorithms_of_its_kind(
    kind: str, algorithms: set[str]
) -> None:
    """From PEM and from a JWK alike; none of them is HMAC (RS/HS confusion)."""
    [by_pem] = KeySet.of_pem(pem(kind)).keys
    [by_jwk] = KeySet.of_jwks(jwks(jwk(kind))).keys

    assert by_pem.algorithms == by_jwk.algorithms == algorithms
    assert not algorithms & HMAC
    assert algorithms < ALGORITHMS


def test_none_is_no_algorithm() -> None:
    assert "none" not in {name.lower() for name in ALGORITHMS}


@pytest.mark.parametrize(
    ("length", "algorithms"),
    [(32, {"HS256"}), (47, {"HS256"}), (48, {"HS256", "HS384"}), (64, set(HMAC))],
)
def test_a_secret_fits_hashes_that_are_no_longer(
    length: int, algorithms: set[str]
) -> None:
    [key] = KeySet.of_secret(SECRET[:length]).keys

    assert key.algorithms == algorithms


def test_a_short_secret_is_none() -> None:
    with pytest.raises(KeyFault, match="at least 32 bytes"):
        KeySet.of_secret(SECRET[:31])


@pytest.mark.parametrize("octets", [pem("rsa"), pem("p256"), jwks(jwk("p256"))])
def test_a_public_key_is_no_secret(octets: bytes) -> None:
    """Everybody knows it: whoever signs with it would be believed."""
    with pytest.raises(KeyFault, match="is no secret"):
        KeySet.of_secret(octets)


def test_a_private_key_is_no_public_one() -> None:
    own = private("p256").private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )

    with pytest.raises(KeyFault, match="expected a public key as PEM"):
        KeySet.of_pem(own)


@pytest.mark.parametrize("octets", [b"", b"x", b"-----BEGIN PUBLIC KEY-----\n"])
def test_what_is_no_pem_is_refused(octets: bytes) -> None:
    with pytest.raises(KeyFault, match="expected a public key as PEM"):
        KeySet.of_pem(octets)


@pytest.mark.parametrize("kind", ["short-rsa", "secp256k1"])
def test_a_key_that_nobody_should_use_is_refused(kind: str) -> None:
    with pytest.raises(KeyFault, match="expected RSA of 2048"):
        KeySet.of_pem(pem(kind))


@pytest.mark.parametrize(
    "member",
    [
        jwk("p256", d="AAAA"),
        {"kty": "oct", "k": "c2VjcmV0"},
        jwk("p256", use="enc"),
        jwk("p256", key_ops=["sign"]),
        jwk("p256", key_ops="verify"),
        jwk("p256", alg="RS256"),
        jwk("p256", alg="HS256"),
        jwk("p256", alg=["ES256"]),
        jwk("p256", kid=7),
        jwk("p256", kty="RSA"),
        jwk("p256", kty=["EC"]),
        jwk("p256", crv="P-384"),
        jwk("p256", x="AAAA"),
        jwk("p256", x="!"),
        jwk("p256", x=1),
        jwk("p256", y=jwk("p384")["y"]),
        jwk("short-rsa"),
        jwk("rsa", n="A" * 100_000),
        jwk("rsa", e="AA"),
        jwk("secp256k1"),
        jwk("ed25519", crv="X25519"),
        {"kty": "RSA"},
        {},
        [],
        "key",
        None,
    ],
)
def test_a_key_of_no_use_is_skipped_and_counted(member: object) -> None:
    """The others of the set are not harmed."""
    keys = KeySet.of_jwks(jwks(member, jwk("ed25519", kid="good")))

    assert kids(keys) == ["good"]
    assert keys.skipped == 1


@pytest.mark.parametrize(
    "members",
    [{"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "ES256"}, {"x5t": "x", "odd": 1}],
)
def test_a_key_for_verifying_is_taken(members: dict[str, object]) -> None:
    assert len(KeySet.of_jwks(jwks(jwk("p256", **members))).keys) == 1


def test_the_alg_of_a_jwk_is_the_only_one_it_fits() -> None:
    [key] = KeySet.of_jwks(jwks(jwk("rsa", alg="PS512"))).keys

    assert key.algorithms == {"PS512"}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"7",
        b'"keys"',
        b"{}",
        b'{"keys": {}}',
        b'{"keys": null}',
        b"\xff",
        b'{"keys": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(KeyFault, match="expected"):
        KeySet.of_jwks(document)


@given(st.binary(max_size=200))
def test_no_document_raises_anything_else(document: bytes) -> None:
    try:
        KeySet.of_jwks(document)
    except KeyFault:
        return


def test_a_key_set_is_bounded() -> None:
    assert KeySet.of_jwks(jwks(*[{}] * MAX_KEYS)).skipped == MAX_KEYS
    with pytest.raises(KeyFault, match="up to 100 keys"):
        KeySet.of_jwks(jwks(*[{}] * (MAX_KEYS + 1)))

    padded = jwks(jwk("p256"))
    padded += b" " * (MAX_JWKS_BYTES - len(padded))
    assert len(KeySet.of_jwks(padded).keys) == 1
    with pytest.raises(KeyFault, match="may have 1048576 bytes"):
        KeySet.of_jwks(padded + b" ")


TWO = KeySet.of_jwks(jwks(jwk("p256", kid="a"), jwk("other-p256", kid="b"), jwk("rsa")))


@pytest.mark.parametrize(
    ("algorithm", "kid", "chosen"),
    [
        ("ES256", "a", "a"),
        ("ES256", "b", "b"),
        ("ES256", "c", None),
        ("ES256", "", None),
        ("ES256", "../../etc/passwd", None),
        ("ES256", "' OR 1=1 --", None),
        ("ES256", None, None),
        ("ES384", "a", None),
        ("HS256", "a", None),
        ("none", None, None),
    ],
)
def test_a_key_is_chosen_by_its_name_and_what_it_fits(
    algorithm: str, kid: str | None, chosen: str | None
) -> None:
    key = TWO.choose(algorithm, kid)

    assert (key and key.kid) == chosen


@pytest.mark.parametrize("kid", [None, "any"])
def test_the_only_key_that_fits_needs_no_name(kid: str | None) -> None:
    assert TWO.choose("RS256", kid) is not None


def test_a_named_key_is_not_taken_for_another_name() -> None:
    """Though it is the only one that fits: the issuer meant another key."""
    assert KeySet.of_jwks(jwks(jwk("p256", kid="a"))).choose("ES256", "b") is None


def test_of_two_keys_with_one_name_neither_is_chosen() -> None:
    twins = KeySet.of_jwks(jwks(jwk("p256", kid="a"), jwk("other-p256", kid="a")))

    assert twins.choose("ES256", "a") is None
    assert twins.ambiguous(["ES256"])
    assert not twins.ambiguous(["RS256"])
    assert not TWO.ambiguous(ALGORITHMS)


def test_keys_of_several_sources_are_one_set() -> None:
    files = {"key.pem": pem("rsa"), "keys.json": jwks(jwk("p256", kid="p"), {})}

    keys = load(
        [
            Secret(SECRET, "s"),
            PemFile("key.pem", "r"),
            JwksFile("keys.json"),
            JwksUrl("https://issuer.example/jwks.json"),
        ],
        files.__getitem__,
    )

    assert kids(keys) == ["s", "r", "p"]
    assert keys.skipped == 1
    assert kids(keys.fitting(["RS256", "HS512"])) == ["s", "r"]


def test_a_bad_file_is_named() -> None:
    with pytest.raises(KeyFault, match=r"^keys\.json: expected"):
        load([JwksFile("keys.json")], lambda path: b"{}")


def test_no_key_is_shown() -> None:
    way = Secret(SECRET)

    assert "secret of the tests" not in f"{way!r} {KeySet.of_secret(SECRET)!r}"


@pytest.mark.parametrize(
    ("octets", "secret"),
    [(b"abc\n", b"abc"), (b"abc\r\n", b"abc"), (b"abc", b"abc"), (b" a\n\n", b" a\n")],
)
def test_a_secret_file_may_end_with_a_line_end(octets: bytes, secret: bytes) -> None:
    assert secret_of(octets) == secret
